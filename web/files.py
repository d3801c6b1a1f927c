"""Files from the disk as replies: by the server's own file wrapper, whole and in ranges, or by the proxy.

The server is given an open file at the right place and how much of it to send (PEP 3333); no view reads
it in a loop. Where the setting ``sendfile`` names a prefix, only a header is sent, and a reverse proxy
that knows ``X-Accel-Redirect`` sends the file itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from urllib.parse import quote

from flask import Response, request
from werkzeug.exceptions import RequestedRangeNotSatisfiable

from corpus.settings import Settings
from web.context import site

_PIECE_BYTES = 1 << 18


def send(path: Path, digest: str, mimetype: str, caching: str) -> Response:
    """The file at `path`, whose SHA-256 is its ETag; answers conditions and ranges.

    Raises
    ------
    FileNotFoundError
        If it is not there.
    """
    inside = _inside(path, site().settings)
    if inside is not None:
        if not path.is_file():
            raise FileNotFoundError(path)
        response = Response(mimetype=mimetype)
        response.set_etag(digest)
        response.make_conditional(request.environ)  # nginx looks at If-None-Match before it knows our ETag
        if response.status_code == 200:
            response.headers["X-Accel-Redirect"] = inside
    else:
        response = _opened(path, digest, mimetype)
    response.headers["Cache-Control"] = caching
    return response


def _opened(path: Path, digest: str, mimetype: str) -> Response:
    file = path.open("rb", buffering=0)
    size = os.fstat(file.fileno()).st_size
    response = Response(mimetype=mimetype, direct_passthrough=True)
    response.set_etag(digest)
    response.content_length = size
    try:
        response.make_conditional(request.environ, accept_ranges=True, complete_length=size)
    except RequestedRangeNotSatisfiable:
        file.close()
        raise
    if response.status_code == 304 or request.method == "HEAD":
        file.close()
        return response
    start, stop = 0, size
    if response.status_code == 206:
        start, stop = response.content_range.start or 0, response.content_range.stop or size
    file.seek(start)
    wrapper = request.environ.get("wsgi.file_wrapper")
    response.response = wrapper(file, _PIECE_BYTES) if wrapper is not None else _pieces(file, stop - start)
    return response


def _pieces(file: FileIO, count: int) -> Iterator[bytes]:
    """For a server that has no way of its own to send files."""
    with file:
        while count > 0 and (piece := file.read(min(_PIECE_BYTES, count))):
            count -= len(piece)
            yield piece


def _inside(path: Path, settings: Settings) -> str | None:
    """Where the proxy finds a file, if it is to send it."""
    if not settings.sendfile:
        return None
    for folder, name in ((settings.blobs, "blobs"), (settings.releases, "releases")):
        if path.is_relative_to(folder):
            return f"{settings.sendfile.rstrip('/')}/{name}/{quote(path.relative_to(folder).as_posix())}"
    return None
