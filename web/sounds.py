"""A sound of the store as a reply, with ranges and an ETag.

Where it is a file of this machine, `web.files` sends it. From anywhere else it is read here, in
the thread of its request: waitress would read an open file in the one thread that serves all connections,
and nobody else would be served while a distant store is slow.
"""

from __future__ import annotations

from flask import Response, request
from werkzeug.wsgi import FileWrapper

from corpus.store import BlobMissing, BlobStore
from protocol.clip import Sha256
from web import files

MEDIA_TYPE = "audio/flac"
_PIECE_BYTES = 1 << 16


def reply(store: BlobStore, digest: Sha256, name: str, *, caching: str) -> Response:
    """The blob, or the part of it that the request asks for, under the `name` that a person may save.

    Raises
    ------
    BlobMissing
        Before anything was sent.
    """
    path = store.path(digest)
    if path is not None:
        try:
            response = files.send(path, digest, MEDIA_TYPE, caching)
        except FileNotFoundError as error:
            raise BlobMissing(digest=digest) from error
    else:
        size_bytes = store.size(digest)
        blob = store.open(digest)
        response = Response(FileWrapper(blob, _PIECE_BYTES), mimetype=MEDIA_TYPE, direct_passthrough=True)
        response.call_on_close(blob.close)
        response.content_length = size_bytes
        response.set_etag(digest)
        response.make_conditional(request.environ, accept_ranges=True, complete_length=size_bytes)
    response.headers["Cache-Control"] = caching
    response.headers.set("Content-Disposition", "inline", filename=name)
    return response
