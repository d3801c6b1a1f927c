"""Rows of uploads: who declared what, and how far it went. The bytes lie in `corpus.partials`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus.prepared import Prepared
from corpus.tables import consent, upload
from protocol.clip import ClipId, Sha256
from protocol.errors import CodedError

State = Literal["open", "done", "terminated", "expired"]


class UploadNotFound(CodedError):
    """There is no such upload, or it is somebody else's: the two look the same."""

    code: ClassVar[str] = "UPLOAD_NOT_FOUND"


class UploadGone(CodedError):
    """The upload was ended or has expired."""

    code: ClassVar[str] = "UPLOAD_GONE"


class UploadConflict(CodedError):
    """A clip id stands for another file already."""

    code: ClassVar[str] = "UPLOAD_CONFLICT"


@dataclass(frozen=True)
class Upload:
    """An upload's row."""

    id: str
    person_id: str
    project_id: str
    clip_id: ClipId
    sha256: Sha256
    length_bytes: int
    metadata: Mapping[str, Any]
    state: State
    result: Mapping[str, Any] | None
    created_ms: int
    expires_ms: int


@dataclass(frozen=True)
class Open:
    """What a sweep needs to know of an open upload.

    Attributes
    ----------
    agreed : bool
        Whether its person still has a consent to its project.
    """

    id: str
    person_id: str
    length_bytes: int
    expires_ms: int
    agreed: bool


def add(db: Connection, new: Upload, there: Upload | None) -> Upload:
    """Store a new upload, or return the one that the same person made for the same clip and file.

    An upload that was ended or has expired makes room for the new one.

    Parameters
    ----------
    there : Upload or None
        What `by_clip` found in the same transaction.

    Raises
    ------
    UploadConflict
        If the clip id stands for another file, or is another person's.
    """
    if there is not None:
        same = (there.person_id, there.project_id, there.sha256, there.length_bytes)
        if same != (new.person_id, new.project_id, new.sha256, new.length_bytes):
            raise UploadConflict(clip_id=new.clip_id)
        if there.state in ("open", "done"):
            return there
        db.execute(sa.delete(upload).where(upload.c.id == there.id))
    _ADD.run(db, {**new.__dict__, "metadata": dict(new.metadata)})
    return new


_ADD = Prepared(sa.insert(upload))
_BY_ID = Prepared(
    sa.select(upload).where(
        upload.c.id == sa.bindparam("upload_id"), upload.c.person_id == sa.bindparam("person")
    )
)
_BY_CLIP = Prepared(sa.select(upload).where(upload.c.clip_id == sa.bindparam("clip")))
_CLOSE = Prepared(
    sa.update(upload).where(upload.c.id == sa.bindparam("upload_id"), upload.c.state == "open"),
    ("state", "result"),
)
# One look for what a new upload is held against. 'open' as text, so that the index of open ones is used.
_BESIDE = Prepared(
    sa.select(
        sa.select(sa.func.count())
        .where(upload.c.person_id == sa.bindparam("person"), upload.c.state == sa.literal_column("'open'"))
        .scalar_subquery()
        .label("open"),
        sa.select(sa.func.coalesce(sa.func.sum(upload.c.length_bytes), 0))
        .where(upload.c.person_id == sa.bindparam("person"), upload.c.state == sa.literal_column("'open'"))
        .scalar_subquery()
        .label("bytes"),
        sa.select(sa.func.coalesce(sa.func.sum(upload.c.length_bytes), 0))
        .where(upload.c.state == sa.literal_column("'open'"))
        .scalar_subquery()
        .label("bytes_of_all"),
        sa.select(sa.func.count())
        .where(upload.c.person_id == sa.bindparam("person"), upload.c.created_ms > sa.bindparam("since_ms"))
        .scalar_subquery()
        .label("begun"),
    )
)


@dataclass(frozen=True)
class Beside:
    """A person's other uploads: unfinished ones, their declared bytes, and those begun of late.

    `bytes_of_all` are declared by everybody.
    """

    count: int
    bytes: int
    bytes_of_all: int
    begun: int


def by_id(db: Connection, upload_id: str, person_id: str) -> Upload:
    """The upload of that id if it is this person's, else `UploadNotFound`."""
    row = _BY_ID.first(db, {"upload_id": upload_id, "person": person_id})
    if row is None:
        raise UploadNotFound()
    return Upload(**row._asdict())


def is_open(db: Connection, upload_id: str) -> bool:
    """Whether there is such an upload, and it is not finished."""
    query = sa.select(upload.c.id).where(upload.c.id == upload_id, upload.c.state == "open")
    return db.execute(query).first() is not None


def by_clip(db: Connection, clip_id: str) -> Upload | None:
    """The upload of a clip."""
    row = _BY_CLIP.first(db, {"clip": clip_id})
    return None if row is None else Upload(**row._asdict())


def set_state(db: Connection, upload_id: str, state: State, result: Mapping[str, Any] | None = None) -> bool:
    """Close an open upload; False if it was not open any more."""
    values = {"state": state, "result": None if result is None else dict(result)}
    return _CLOSE.run(db, {"upload_id": upload_id, **values}) == 1


def end(db: Connection, upload_id: str, state: Literal["terminated", "expired"]) -> bool:
    """End an open upload without a clip, and forget what was said of it; False if it was not open."""
    query = sa.update(upload).where(upload.c.id == upload_id, upload.c.state == "open")
    return db.execute(query.values(state=state, metadata={})).rowcount == 1


def forget(db: Connection, clip_id: str) -> None:
    """Drop what its owner said of a clip that was withdrawn, and the name that its file had."""
    db.execute(sa.update(upload).where(upload.c.clip_id == clip_id).values(metadata={}))


def beside(db: Connection, person_id: str, since_ms: int) -> Beside:
    """What a new upload of this person's is held against; `begun` counts those since `since_ms`."""
    (row,) = _BESIDE.rows(db, {"person": person_id, "since_ms": since_ms})
    return Beside(int(row.open), int(row.bytes), int(row.bytes_of_all), int(row.begun))


def still_open(db: Connection) -> Sequence[Open]:
    """Every open upload, however many there are: whoever declares much must not hide what is complete."""
    agreed = sa.exists().where(
        consent.c.person_id == upload.c.person_id,
        consent.c.project_id == upload.c.project_id,
        consent.c.withdrawn_ms.is_(None),
    )
    columns = (upload.c.id, upload.c.person_id, upload.c.length_bytes, upload.c.expires_ms, agreed)
    query = sa.select(*columns).where(upload.c.state == sa.literal_column("'open'"))
    return [Open(*row) for row in db.execute(query)]
