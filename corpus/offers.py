"""What a member of a project may have of its releases: headers, files and sounds."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, ClassVar

from sqlalchemy import Connection, Select, bindparam, insert, select

from corpus import header, tables
from corpus.header import Header
from corpus.shelf import ReleaseUnknown, Shelf, stored
from protocol.clip import Sha256
from protocol.errors import CodedError


class ReleaseWithdrawn(CodedError):
    """The release was taken back as a whole."""

    code: ClassVar[str] = "RELEASE_WITHDRAWN"


class ReleaseRenewing(CodedError):
    """Its next revision is just being put in its place."""

    code: ClassVar[str] = "RELEASE_RENEWING"


class BlobWithdrawn(CodedError):
    """The sound was released once and was withdrawn."""

    code: ClassVar[str] = "BLOB_WITHDRAWN"


class BlobUnknown(CodedError):
    """No release that the asker may see holds this sound."""

    code: ClassVar[str] = "NOT_FOUND"


def offered(db: Connection, shelf: Shelf, name: str, project_id: str | None) -> tuple[Header, bytes, Path]:
    """Header, its bytes and the folder of a release that a member of a project may have.

    Raises
    ------
    ReleaseUnknown
        If there is none, or it is another project's: the two look the same.
    ReleaseWithdrawn
        If it was taken back.
    ReleaseRenewing
        If the folder is not what the database says.
    """
    row = stored(db, name)
    if project_id not in (None, row["project_id"]):
        raise ReleaseUnknown(name=name[:80])
    if row["status"] == "withdrawn":
        raise ReleaseWithdrawn(name=name)
    folder = shelf.path(name)
    try:
        head, raw = header.read(folder)
    except header.ReleaseInvalid as error:
        raise ReleaseRenewing(name=name) from error
    if header.sha256_of(raw) != row["header_sha256"]:
        raise ReleaseRenewing(name=name)
    return head, raw, folder


def check_blob(db: Connection, digest: str, project_id: str | None) -> None:
    """Raise unless a release that a member of a project may have holds this sound, and its voice stands.

    Raises
    ------
    BlobWithdrawn
        If it was released and then withdrawn.
    BlobUnknown
        If no such release ever held it.
    """
    asked = {"digest": digest, "project_id": project_id}
    rows = db.execute(_holders(project_id is not None), asked).all()
    if any(
        row.state == "accepted" and row.withdrawn_ms is None and row.status != "withdrawn" for row in rows
    ):
        return
    if rows or db.execute(_stones(project_id is not None), asked).first() is not None:
        raise BlobWithdrawn()
    raise BlobUnknown()


@cache
def _holders(in_project: bool) -> Select[Any]:
    """Which releases hold a sound, and whether it may be heard; built once, since every sound asks it."""
    member, release, clip, consent = tables.release_clip, tables.release, tables.clip, tables.consent
    query = (
        select(clip.c.state, consent.c.withdrawn_ms, release.c.status)
        .join(release, release.c.name == member.c.release_name)
        .join(clip, clip.c.id == member.c.clip_id)
        .join(consent, consent.c.id == clip.c.consent_id)
        .where(member.c.sha256 == bindparam("digest"))
    )
    return query.where(release.c.project_id == bindparam("project_id")) if in_project else query


@cache
def _stones(in_project: bool) -> Select[Any]:
    stone = tables.tombstone.c
    query = select(stone.seq).where(stone.sha256 == bindparam("digest")).limit(1)
    return query.where(stone.project_id == bindparam("project_id")) if in_project else query


def note_download(db: Connection, name: str, *, person_id: str, now_ms: int) -> None:
    """Who fetched the manifest of which release, and when."""
    db.execute(
        insert(tables.audit).values(time_ms=now_ms, person_id=person_id, action="pull", object=name[:80])
    )


def sound_of(db: Connection, name: str, clip_id: str) -> Sha256:
    """The digest of a clip's sound in a release, or `BlobUnknown`."""
    member = tables.release_clip
    query = select(member.c.sha256).where(member.c.release_name == name, member.c.clip_id == clip_id)
    found = db.execute(query).scalar()
    if found is None:
        raise BlobUnknown()
    return Sha256(found)
