"""Releases for the programs of the teams that train on them: files with ranges and ETags.

Every reply of a release's file is the file itself, so that digests hold; paths are looked up in the
release's header and never joined from a request.
"""

from __future__ import annotations

import io
from pathlib import Path

import msgspec
from flask import Blueprint, Response, make_response, request, send_file

from corpus import feeds, header, offers, shelf
from corpus.database import begin, reading
from corpus.store import BlobMissing
from protocol.clip import MetadataInvalid, sha256
from web import bodies, files, sounds
from web.auth import require
from web.bodies import ANYTHING
from web.context import Reply, member, site
from web.openapi import describes

bp = Blueprint("releases", __name__)

_TYPES = {
    ".jsonl": "application/jsonl",
    ".json": "application/json",
    ".md": "text/markdown",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".parquet": "application/vnd.apache.parquet",
}
_RENEWABLE = "private, no-cache"  # a release's files change when a voice is withdrawn
_FOR_EVER = "private, max-age=31536000, immutable"


@bp.get("/api/v1/releases")
@require("consumer", "operator")
@describes("The releases, the newest first.", answer=bodies.obj({"releases": bodies.array(ANYTHING)}))
def every() -> Reply:
    """What may be pulled."""
    here, me = site(), member()
    with reading(here.engine) as db:
        entries = shelf.latest(here.shelf, db, me.project_id).releases
    return {
        "releases": [
            {**msgspec.to_builtins(entry), "url": f"/api/v1/releases/{entry.name}"} for entry in entries
        ]
    }


@bp.get("/api/v1/releases/latest.json")
@require("consumer", "operator")
@describes(
    "Which releases stand, and the digest of the tombstone feed: all that a puller must ask.", answer=ANYTHING
)
def latest() -> Reply:
    """The one small request of an up-to-date copy."""
    here, me = site(), member()
    with reading(here.engine) as db:
        raw = header.pretty(shelf.latest(here.shelf, db, me.project_id))
    return _bytes(raw, header.LATEST_NAME)


@bp.get("/api/v1/releases/tombstones.jsonl")
@require("consumer", "operator")
@describes(
    "Every clip that was withdrawn after its release; copies must delete them.", media="application/jsonl"
)
def tombstones() -> Reply:
    """The feed that is read first."""
    here, me = site(), member()
    with reading(here.engine) as db:
        raw = feeds.tombstone_feed(db, me.project_id)
    return _bytes(raw, header.TOMBSTONES_NAME)


@bp.get("/api/v1/releases/<name>")
@require("consumer", "operator")
@describes(
    "A release's header: counts, and digest and size of every file.",
    answer=ANYTHING,
    errors=("RELEASE_UNKNOWN", "RELEASE_WITHDRAWN"),
)
def one(name: str) -> Reply:
    """``release.json``, to the byte."""
    here = site()
    with reading(here.engine) as db:
        _, raw, _ = offers.offered(db, here.shelf, name, member().project_id)
    return _bytes(raw, header.FILE_NAME)


@bp.get("/api/v1/releases/<name>/<path:path>")
@require("consumer", "operator")
@describes(
    "A file of a release, such as manifest.jsonl; ranges and ETag.",
    media="application/octet-stream",
    errors=("RELEASE_UNKNOWN", "RELEASE_WITHDRAWN", "NOT_FOUND"),
)
def file(name: str, path: str) -> Reply:
    """A file that the header names; sounds are found by their digest."""
    here, me = site(), member()
    with reading(here.engine) as db:
        head, raw, folder = offers.offered(db, here.shelf, name, me.project_id)
    if path == header.FILE_NAME:
        return _bytes(raw, path)
    if path == header.NOTE_NAME and (folder / path).is_file():
        return _bytes((folder / path).read_bytes(), path)
    if path.startswith("audio/"):
        return blob(path.rpartition("/")[2].removesuffix(".flac"))
    entry = head.files.get(path)
    if entry is None:
        raise offers.BlobUnknown()
    if path == "manifest.jsonl" and request.method == "GET" and "Range" not in request.headers:
        with begin(here.engine) as db:
            offers.note_download(db, name, person_id=me.person_id, now_ms=here.clock_ms())
    return _file(folder / path, entry.sha256, _RENEWABLE)


@bp.get("/api/v1/blobs/<digest>")
@require("consumer", "operator")
@describes(
    "A released sound by the SHA-256 of its file; ranges, ETag, immutable.",
    media="audio/flac",
    errors=("NOT_FOUND", "BLOB_WITHDRAWN"),
)
def blob(digest: str) -> Reply:
    """The sound; 410 once its voice was withdrawn."""
    here = site()
    try:
        known = sha256(digest)
    except MetadataInvalid as error:  # no blob has such a name
        raise offers.BlobUnknown() from error
    with reading(here.engine) as db:
        offers.check_blob(db, known, member().project_id)
    try:
        return sounds.reply(here.store, known, f"{known}.flac", caching=_FOR_EVER)
    except BlobMissing as error:
        raise offers.BlobUnknown() from error


def _bytes(raw: bytes, name: str) -> Response:
    """Bytes as a file that can change."""
    response = make_response(
        send_file(io.BytesIO(raw), mimetype=_type(name), etag=header.sha256_of(raw), max_age=0)
    )
    response.make_conditional(request.environ, accept_ranges=True, complete_length=len(raw))
    response.headers["Cache-Control"] = _RENEWABLE
    return response


def _file(path: Path, digest: str, caching: str, suffix: str | None = None) -> Response:
    try:
        return files.send(path, digest, _type(suffix or path.name), caching)
    except FileNotFoundError as error:
        raise offers.BlobUnknown() from error


def _type(name: str) -> str:
    return _TYPES.get(Path("x" + name).suffix, "text/plain")
