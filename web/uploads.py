"""tus 1.0.0 over `corpus.intake`: core, creation, creation-with-upload, checksum, termination, expiration.

A body is read to its end and counted before anything is locked or written, because some servers hand
over a cut body without an error; so a stalled client holds nothing but its own connection. GET is off.

References
----------
https://tus.io/protocols/resumable-upload, version 1.0.0.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import io
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, BinaryIO, ClassVar, cast

from flask import Blueprint, Response, g, request
from flask.typing import ResponseReturnValue

from corpus.disk import disk_errors
from corpus.partials import OffsetMismatch, UploadBusy
from corpus.uploads import Upload
from protocol import clip
from protocol.clip import ClipMeta, MetadataInvalid
from protocol.errors import CodedError
from web import bodies
from web.auth import public, require
from web.context import Reply, member, site
from web.openapi import describes
from web.problems import MediaTypeWrong, RequestInvalid

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

bp = Blueprint("uploads", __name__)

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-with-upload,checksum,termination,expiration"
CHECKSUMS = ("sha1", "sha256")
PIECE_TYPE = "application/offset+octet-stream"
PATH = "/api/v1/uploads"
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_KEY = re.compile(r"[!-+\--~]{1,64}")  # ASCII without space and comma
_IN_MEMORY_BYTES = 4 << 20
_READ_BYTES = 1 << 18
_MOST_META_BYTES = 16 * 1024


class TusVersionUnsupported(CodedError):
    """A client of another protocol version."""

    code: ClassVar[str] = "TUS_VERSION_UNSUPPORTED"


class LengthRequired(CodedError):
    """A body of unannounced length."""

    code: ClassVar[str] = "LENGTH_REQUIRED"


class BodyShort(CodedError):
    """The connection ended before the body did."""

    code: ClassVar[str] = "UPLOAD_BODY_SHORT"


class ChecksumMismatch(CodedError):
    """A piece was damaged on its way."""

    code: ClassVar[str] = "UPLOAD_CHECKSUM_MISMATCH"


class ChecksumUnsupported(CodedError):
    """A checksum header that is not understood."""

    code: ClassVar[str] = "UPLOAD_CHECKSUM_UNSUPPORTED"


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
            "Tus-Checksum-Algorithm": ",".join(CHECKSUMS),
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
    length_bytes = number("Upload-Length")
    said = metadata(request.headers.get("Upload-Metadata", ""))
    intake = site().intake
    me = member()
    upload = intake.declare(
        person_id=me.person_id,
        project_id=str(me.project_id),
        clip_id=clip.clip_id(said.get("clip_id")),
        sha256=clip.sha256(said.get("sha256")),
        length_bytes=length_bytes,
        meta=clip_meta(said),
        filename=said.get("filename"),
    )
    headers = {"Location": _location(upload), **_expires(upload)}
    if request.mimetype == PIECE_TYPE:
        size_bytes, piece = body(length_bytes)
        with piece:
            stored = intake.offset(upload)
            if stored == 0 and size_bytes:  # a repeated creation does not add its body again
                stored = intake.append(upload, 0, piece, size_bytes)
        headers["Upload-Offset"] = str(stored)
    else:
        upload = intake.settle(upload)
    if length_bytes == 0 and upload.state == "open":
        intake.append(upload, 0, io.BytesIO(), 0)
    return "", 201, headers


@bp.route(f"{PATH}/<upload_id>", methods=["HEAD"], provide_automatic_options=False)
@require("speaker")
@describes("How many bytes are stored.", errors=("UPLOAD_NOT_FOUND", "UPLOAD_GONE"))
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
        "DECODER_BUSY",
    ),
)
def append(upload_id: str) -> Reply:
    """Add a piece."""
    if request.headers.get("Content-Type") != PIECE_TYPE:
        raise MediaTypeWrong(wanted=PIECE_TYPE)
    offset_bytes = number("Upload-Offset")
    intake = site().intake
    upload = intake.find(upload_id, member().person_id)
    stored = intake.offset(upload)
    if offset_bytes != stored:
        g.problem_headers["Upload-Offset"] = str(stored)
        raise OffsetMismatch(stored_bytes=stored)
    size_bytes, piece = body(upload.length_bytes)
    with piece:
        try:
            stored = intake.append(upload, offset_bytes, piece, size_bytes)
        except (OffsetMismatch, UploadBusy) as error:
            g.problem_headers["Upload-Offset"] = str(error.parameters["stored_bytes"])
            raise
    return "", 204, {"Upload-Offset": str(stored), **_expires(upload)}


@bp.delete(f"{PATH}/<upload_id>")
@require("speaker")
@describes(
    "Ends an unfinished upload and drops its bytes.",
    status=204,
    errors=("UPLOAD_NOT_FOUND", "UPLOAD_GONE", "UPLOAD_FINISHED", "UPLOAD_BUSY"),
)
def terminate(upload_id: str) -> Reply:
    """End an upload."""
    intake = site().intake
    intake.terminate(intake.find(upload_id, member().person_id))
    return "", 204


def number(name: str) -> int:
    """A header of up to 15 decimal digits, and nothing that `int` would also take."""
    text = request.headers.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise RequestInvalid(problem=f"{name} needs a whole number")
    return int(text)


def metadata(header: str) -> dict[str, str]:
    """Read ``Upload-Metadata``. An empty header is no metadata.

    Raises
    ------
    MetadataInvalid
        If a pair is malformed, a key stands twice, or a value is not base64 of UTF-8.
    """
    found: dict[str, str] = {}
    if not header.strip():
        return found
    for pair in header.split(","):
        key, _, value = pair.strip().partition(" ")
        if not _KEY.fullmatch(key) or key in found:
            raise MetadataInvalid(field="Upload-Metadata", problem="a key is malformed or stands twice")
        try:
            found[key] = base64.b64decode(value, validate=True).decode("utf-8")
        except (binascii.Error, UnicodeDecodeError) as error:
            raise MetadataInvalid(field=f"Upload-Metadata {key}", problem="need base64 of UTF-8") from error
    return found


def clip_meta(said: Mapping[str, str]) -> ClipMeta:
    """The clip's other fields, from the JSON under the key ``meta``."""
    text = said.get("meta", "").encode("utf-8")
    if not text or len(text) > _MOST_META_BYTES:
        raise MetadataInvalid(field="meta", problem=f"need JSON of at most {_MOST_META_BYTES} bytes")
    try:
        return ClipMeta.from_json(bodies.parse(text))
    except RequestInvalid as error:
        raise MetadataInvalid(field="meta", problem=str(error.parameters["problem"])) from error


def body(length_bytes: int) -> tuple[int, BinaryIO]:
    """Read the whole body, count it and check its checksum.

    Parameters
    ----------
    length_bytes : int
        The declared length of the upload; no body may be longer.

    Returns
    -------
    int, BinaryIO
        How many bytes, and a reader at their start, to be closed by the caller.
    """
    announced = request.content_length
    if announced is None:
        if "Transfer-Encoding" in request.headers:
            raise LengthRequired()
        announced = 0  # without either header there is no body
    request.max_content_length = max(length_bytes, 1) + 1  # the surplus byte is refused as an overflow
    wanted = checksum()
    digest = None if wanted is None else hashlib.new(wanted[0], usedforsecurity=False)
    folder = str(site().settings.partials)
    with ExitStack() as on_error:
        piece = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES, dir=folder)  # noqa: SIM115
        on_error.callback(piece.close)
        received = 0
        while received < announced:
            data = request.stream.read(min(_READ_BYTES, announced - received))
            if not data:
                break
            received += len(data)
            if digest is not None:
                digest.update(data)
            with disk_errors():
                piece.write(data)
        if received != announced:
            raise BodyShort(received_bytes=received, announced_bytes=announced)
        if digest is not None and wanted is not None and digest.digest() != wanted[1]:
            raise ChecksumMismatch()
        on_error.pop_all()
    piece.seek(0)
    return received, cast(BinaryIO, piece)


def checksum() -> tuple[str, bytes] | None:
    """Algorithm and value of ``Upload-Checksum``, or None where there is none."""
    header = request.headers.get("Upload-Checksum")
    if header is None:
        return None
    algorithm, _, value = header.partition(" ")
    if algorithm not in CHECKSUMS:
        raise ChecksumUnsupported()
    try:
        raw = base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ChecksumUnsupported() from error
    if len(raw) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise ChecksumUnsupported()
    return algorithm, raw


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
        if wanted in _OVERRIDES and environ.get("PATH_INFO", "").startswith(PATH):
            environ["REQUEST_METHOD"] = wanted
        return self._wsgi_app(environ, start_response)


_OVERRIDES = ("PATCH", "DELETE", "HEAD", "OPTIONS", "POST")
