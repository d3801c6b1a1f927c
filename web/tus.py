"""What a tus request says: its numbers, its metadata, its checksum, its body. All of it may be a lie."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from contextlib import ExitStack
from typing import ClassVar

from flask import request

from corpus.waiting_room import Body
from protocol.clip import ClipMeta, MetadataInvalid
from protocol.errors import CodedError
from web import bodies
from web.context import member, site
from web.problems import LengthRequired, RequestInvalid, RequestTooLarge

CHECKSUMS = ("sha1", "sha256")
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_KEY = re.compile(r"[!-+\--~]{1,64}")  # ASCII without space and comma
_READ_BYTES = 1 << 18
_MOST_META_BYTES = 16 * 1024
_MOST_NAME_CHARACTERS = 255


class BodyShort(CodedError):
    """The connection ended before the body did."""

    code: ClassVar[str] = "UPLOAD_BODY_SHORT"


class ChecksumMismatch(CodedError):
    """A piece was damaged on its way."""

    code: ClassVar[str] = "UPLOAD_CHECKSUM_MISMATCH"


class ChecksumUnsupported(CodedError):
    """A checksum header that is not understood."""

    code: ClassVar[str] = "UPLOAD_CHECKSUM_UNSUPPORTED"


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
        except ValueError as error:  # of the alphabet, of base64, of UTF-8
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


def filename(said: Mapping[str, str]) -> str | None:
    """The name that the file has on the speaker's machine: kept with the upload, never used as a name."""
    name = said.get("filename")
    if name is not None and (len(name) > _MOST_NAME_CHARACTERS or any(ord(c) < 0x20 for c in name)):
        problem = f"need at most {_MOST_NAME_CHARACTERS} characters without control characters"
        raise MetadataInvalid(field="filename", problem=problem)
    return name


def body(length_bytes: int) -> tuple[int, Body]:
    """Read the whole body, count it and check its checksum.

    Parameters
    ----------
    length_bytes : int
        The declared length of the upload; no body may be longer.

    Returns
    -------
    int, Body
        How many bytes, and where they are, to be closed by the caller.
    """
    announced = request.content_length
    if announced is None:
        if "Transfer-Encoding" in request.headers:
            raise LengthRequired()
        announced = 0  # without either header there is no body
    most_bytes = max(length_bytes, 1) + 1  # the surplus byte is refused as an overflow
    if announced > most_bytes:
        raise RequestTooLarge(limit_bytes=most_bytes)
    wanted = checksum()
    stream = request.environ["wsgi.input"]
    with ExitStack() as on_error:
        # waitress has it whole already; elsewhere it comes as it is read.
        piece = stream if isinstance(stream, Body) else Body(site().room, member().person_id, most_bytes)
        on_error.callback(piece.close)
        while piece is not stream and len(piece) < announced:
            data = stream.read(min(_READ_BYTES, announced - len(piece)))
            if not data:
                break
            piece.append(data)
            piece.check()
        if len(piece) != announced:
            raise BodyShort(received_bytes=len(piece), announced_bytes=announced)
        piece.need()
        if wanted is not None:
            digest = hashlib.new(wanted[0], usedforsecurity=False)
            for part in piece.pieces():
                digest.update(part)
            if digest.digest() != wanted[1]:
                raise ChecksumMismatch()
        on_error.pop_all()
    return len(piece), piece


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
    except ValueError as error:
        raise ChecksumUnsupported() from error
    if len(raw) != hashlib.new(algorithm, usedforsecurity=False).digest_size:
        raise ChecksumUnsupported()
    return algorithm, raw
