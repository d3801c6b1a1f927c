"""tus 1.0.0 over `corpus.intake`: core, creation, creation-with-upload, checksum, termination, expiration.

A body is read to its end and counted before anything is locked or written, because some servers hand
over a cut body without an error; so a stalled client holds nothing but its own connection. GET is off.

References
----------
https://tus.io/protocols/resumable-upload, version 1.0.0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, ClassVar

from flask import Blueprint, Response, g, request
from flask.typing import ResponseReturnValue

from corpus.partials import OffsetMismatch, UploadBusy
from corpus.uploads import Upload
from protocol import clip
from protocol.errors import CodedError
from web import bodies, tus
from web.auth import public, require
from web.context import Reply, member, site
from web.openapi import describes
from web.problems import MediaTypeWrong, RequestInvalid

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

bp = Blueprint("uploads", __name__)

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,termination,expiration"
PIECE_TYPE = "application/offset+octet-stream"
PATH = bodies.UPLOADS


class TusVersionUnsupported(CodedError):
    """A client of another protocol version."""

    code: ClassVar[str] = "TUS_VERSION_UNSUPPORTED"


@bp.before_request
def check_version() -> None:
    """Every request but OPTIONS names the version; every reply does."""
    g.problem_headers = {"Tus-Resumable": VERSION}
    if request.method != "OPTIONS" and request.headers.get("Tus-Resumable") != VERSION:
        g.problem_headers["Tus-Version"] = VERSION
        raise TusVersionUnsupported()


@bp.after_request
def name_version(response: Response) -> Response:
    """Name the version, and keep every reply out of caches."""
    response.headers["Tus-Resumable"] = VERSION
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.route(PATH, methods=["OPTIONS"], provide_automatic_options=False)
@bp.route(f"{PATH}/<upload_id>", methods=["OPTIONS"], provide_automatic_options=False)
@public
@describes("What this server knows of tus.", status=204)
def options(upload_id: str = "") -> ResponseReturnValue:
    """Say version, extensions, the largest file and the checksums."""
    return (
        "",
        204,
        {
            "Tus-Version": VERSION,
            "Tus-Extension": EXTENSIONS,
            "Tus-Max-Size": str(site().settings.max_upload_bytes),
            "Tus-Checksum-Algorithm": ",".join(tus.CHECKSUMS),
        },
    )


@bp.post(PATH)
@require("speaker")
@describes(
    "Begins an upload, or finds it again: the same clip_id and sha256 give the same upload.",
    status=201,
    headers={
        "Tus-Resumable": "1.0.0",
        "Upload-Length": "bytes of the whole file",
        "Upload-Metadata": "clip_id, sha256, filename, meta: each key, a space, base64 of the value",
        "Upload-Checksum": "of the body, if there is one: sha1 or sha256, a space, base64",
    },
    errors=(
        "UPLOAD_TOO_LARGE",
        "UPLOADS_TOO_MANY",
        "UPLOAD_BYTES_TOO_MANY",
        "UPLOADS_TOO_FAST",
        "UPLOADS_OF_ALL_TOO_MANY",
        "BODIES_TOO_MANY",
        "UPLOAD_CONFLICT",
        "TUS_VERSION_UNSUPPORTED",
        "DISK_FULL",
        "metadata.invalid",
        "metadata.prompt_unknown",
        "consent.missing",
        "UPLOAD_CHECKSUM_MISMATCH",
        "UPLOAD_DIGEST_MISMATCH",
    ),
)
def create() -> Reply:
    """Declare a file; with a body, also its first bytes."""
    if "Upload-Defer-Length" in request.headers:
        raise RequestInvalid(problem="Upload-Defer-Length is not supported; send Upload-Length")
    if "Upload-Concat" in request.headers:  # each part would be taken for a clip
        raise RequestInvalid(problem="Upload-Concat is not supported; send each file whole")
    length_bytes = tus.number("Upload-Length")
    said = tus.metadata(request.headers.get("Upload-Metadata", ""))
    intake = site().intake
    me = member()
    upload = intake.declare(
        person_id=me.person_id,
        project_id=str(me.project_id),
        clip_id=clip.clip_id(said.get("clip_id")),
        sha256=clip.sha256(said.get("sha256")),
        length_bytes=length_bytes,
        meta=tus.clip_meta(said),
        filename=tus.filename(said),
    )
    headers = {"Location": _location(upload), **_expires(upload)}
    if request.mimetype == PIECE_TYPE:
        size_bytes, piece = tus.body(length_bytes)
        with piece:
            stored = intake.offset(upload)
            if stored == 0 and size_bytes:  # a repeated creation does not add its body again
                stored = intake.append(upload, 0, piece.pieces(), size_bytes)
        headers["Upload-Offset"] = str(stored)
    else:
        upload = intake.settle(upload)
    if length_bytes == 0 and upload.state == "open":
        intake.append(upload, 0, (), 0)
    return "", 201, headers


@bp.route(f"{PATH}/<upload_id>", methods=["HEAD"], provide_automatic_options=False)
@require("speaker")
@describes(
    "How many bytes are stored.",
    headers={"Tus-Resumable": "1.0.0"},
    errors=("UPLOAD_NOT_FOUND", "UPLOAD_GONE", "TUS_VERSION_UNSUPPORTED"),
)
def offset(upload_id: str) -> Reply:
    """The offset from which to go on; an upload whose bytes are complete is closed by this."""
    intake = site().intake
    upload = intake.settle(intake.find(upload_id, member().person_id))
    headers = {
        "Upload-Offset": str(intake.offset(upload)),
        "Upload-Length": str(upload.length_bytes),
        **(_expires(upload) if upload.state == "open" else {}),
    }
    return "", 200, headers


@bp.patch(f"{PATH}/<upload_id>")
@require("speaker")
@describes(
    "Adds bytes at the offset. The last byte brings verification, measuring, verdict and receipt.",
    status=204,
    headers={
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "bytes stored so far",
        "Upload-Checksum": "of the body: sha1 or sha256, a space, base64",
    },
    errors=(
        "UPLOAD_NOT_FOUND",
        "UPLOAD_GONE",
        "UPLOAD_OFFSET_MISMATCH",
        "UPLOAD_BUSY",
        "UPLOAD_OVERFLOW",
        "UPLOAD_BODY_SHORT",
        "UPLOAD_CHECKSUM_MISMATCH",
        "UPLOAD_CHECKSUM_UNSUPPORTED",
        "UPLOAD_DIGEST_MISMATCH",
        "TUS_VERSION_UNSUPPORTED",
        "MEDIA_TYPE_WRONG",
        "LENGTH_REQUIRED",
        "DISK_FULL",
        "BODIES_TOO_MANY",
        "DECODER_BUSY",
    ),
)
def append(upload_id: str) -> Reply:
    """Add a piece."""
    if request.headers.get("Content-Type") != PIECE_TYPE:
        raise MediaTypeWrong(wanted=PIECE_TYPE)
    offset_bytes = tus.number("Upload-Offset")
    intake = site().intake
    upload = intake.find(upload_id, member().person_id)
    stored = intake.offset(upload)
    if offset_bytes != stored:
        g.problem_headers["Upload-Offset"] = str(stored)
        raise OffsetMismatch(stored_bytes=stored)
    size_bytes, piece = tus.body(upload.length_bytes)
    with piece:
        try:
            stored = intake.append(upload, offset_bytes, piece.pieces(), size_bytes)
        except (OffsetMismatch, UploadBusy) as error:
            g.problem_headers["Upload-Offset"] = str(error.parameters["stored_bytes"])
            raise
    return "", 204, {"Upload-Offset": str(stored), **_expires(upload)}


@bp.delete(f"{PATH}/<upload_id>")
@require("speaker")
@describes(
    "Ends an unfinished upload and drops its bytes.",
    status=204,
    headers={"Tus-Resumable": "1.0.0"},
    errors=("UPLOAD_NOT_FOUND", "UPLOAD_GONE", "UPLOAD_FINISHED", "UPLOAD_BUSY", "TUS_VERSION_UNSUPPORTED"),
)
def terminate(upload_id: str) -> Reply:
    """End an upload."""
    intake = site().intake
    intake.terminate(intake.find(upload_id, member().person_id))
    return "", 204


def _location(upload: Upload) -> str:
    """Never made from the Host header, which the client chooses."""
    return f"{site().settings.public_url.rstrip('/')}{PATH}/{upload.id}"


def _expires(upload: Upload) -> dict[str, str]:
    moment = datetime.fromtimestamp(upload.expires_ms // 1000, UTC)
    return {"Upload-Expires": format_datetime(moment, usegmt=True)}


class MethodOverride:
    """Take ``X-HTTP-Method-Override`` as the method of uploads, for clients that know GET and POST only."""

    def __init__(self, wsgi_app: WSGIApplication) -> None:
        self._wsgi_app = wsgi_app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Replace the method before anything is routed."""
        wanted = environ.get("HTTP_X_HTTP_METHOD_OVERRIDE", "").upper()
        if wanted not in _OVERRIDES or not environ.get("PATH_INFO", "").startswith(PATH):
            return self._wsgi_app(environ, start_response)
        if wanted == "HEAD" and environ["REQUEST_METHOD"] != "HEAD":
            start_response = _without_body(start_response)
        environ["REQUEST_METHOD"] = wanted
        return self._wsgi_app(environ, start_response)


def _without_body(start_response: StartResponse) -> StartResponse:
    """Announce no body: to the server the request was a POST, whose reply has the length that it names."""

    def start(
        status: str, headers: list[tuple[str, str]], exc_info: OptExcInfo | None = None, /
    ) -> Callable[[bytes], object]:
        others = [pair for pair in headers if pair[0].lower() != "content-length"]
        return start_response(status, [*others, ("Content-Length", "0")], exc_info)

    return start


_OVERRIDES = ("PATCH", "DELETE", "HEAD", "OPTIONS", "POST")
