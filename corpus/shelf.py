"""The shelf: releases in a folder, whole or absent, and the database that says which there are.

A release is built in a hidden folder beside the others and synced; then its rows are committed; then the
folder takes its name. The commit of the rows is the point of no return: after a crash behind it the
rename is made up for, and whatever was left before it is removed. One lock on the folder lets one
publisher work at a time.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from sqlalchemy import Connection, Engine, func, select

from corpus import card, filelocks, header, keyring, manifest, tables, terms
from corpus.database import reading
from corpus.disk import disk_errors, sync_path, write_durably
from corpus.feeds import Feeds, tombstone_feed
from corpus.header import Header, Latest, LatestEntry, Previous
from corpus.keys import Signer
from corpus.projects import Project
from corpus.store import BlobStore
from protocol.errors import CodedError

_WORK, _OLD, _LOCK = ".cut-", ".old-", ".lock"


class ReleaseUnknown(CodedError):
    """There is no such release."""

    code: ClassVar[str] = "RELEASE_UNKNOWN"


@dataclass(frozen=True)
class Shelf:
    """Where releases are published.

    Attributes
    ----------
    folder : Path
        Of all releases.
    setting : str
        Where heavy work runs, as for `compute.executor`.
    """

    engine: Engine
    store: BlobStore
    folder: Path
    signer: Signer | None = None
    setting: str = "local"
    feeds: Feeds = field(default_factory=Feeds, compare=False, repr=False)

    def path(self, name: str) -> Path:
        """The folder of one release."""
        return self.folder / header.check_name(name)

    def work(self, name: str) -> Path:
        """The hidden folder in which a release is built."""
        return self.folder / f"{_WORK}{header.check_name(name)}"


def signing(shelf: Shelf, db: Connection) -> Signer | None:
    """The key that signs a release made now."""
    return None if shelf.signer is None else keyring.current(db, shelf.signer)


@contextmanager
def locked(shelf: Shelf, *, resume: str | None = None) -> Iterator[list[str]]:
    """Hold the shelf alone, waiting for whoever has it; first make up for a publisher that was killed.

    What a killed cut of the name `resume` has placed is left there. Gives the names of releases that were
    finished just now.
    """
    with disk_errors():
        shelf.folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(shelf.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        filelocks.take(descriptor, filelocks.ALONE)
        yield reconcile(shelf, resume=resume)
    finally:
        os.close(descriptor)


def reconcile(shelf: Shelf, *, resume: str | None = None) -> list[str]:
    """Make the folder follow the database: finish renames, remove what never became a release."""
    finished = []
    with reading(shelf.engine) as db:
        rows = db.execute(select(tables.release.c.name, tables.release.c.header_sha256)).all()
    with disk_errors():
        for name, digest in rows:
            if _digest(shelf.path(name)) != digest and _digest(shelf.work(name)) == digest:
                _switch(shelf, name)
                finished.append(name)
        kept = () if resume is None else (f"{_WORK}{resume}", f"{_WORK}{resume}.placed")
        for path in shelf.folder.glob(".*"):
            if path.name in kept:
                continue
            if path.is_dir() and path.name.startswith((_WORK, _OLD)):
                shutil.rmtree(path)
            elif path.name.startswith(_WORK) or path.name.endswith(".part"):
                path.unlink()
    write_latest(shelf)
    return finished


def commit(shelf: Shelf, name: str) -> None:
    """Give a release its place; its rows are committed already."""
    with disk_errors():
        _switch(shelf, name)
    write_latest(shelf)


def write_latest(shelf: Shelf) -> None:
    """Write ``latest.json`` and the tombstone feed beside the releases, if they are not as they should be."""
    with reading(shelf.engine) as db:
        feed = tombstone_feed(db)
        newest = header.pretty(latest(shelf, db))
    for name, data in ((header.TOMBSTONES_NAME, feed), (header.LATEST_NAME, newest)):
        path = shelf.folder / name
        if not path.exists() or path.read_bytes() != data:
            write_durably(path, data)


def latest(shelf: Shelf, db: Connection, project_id: str | None = None) -> Latest:
    """Which releases there are, of one project or of all, the newest first."""
    release = tables.release
    query = select(release).order_by(release.c.created_ms.desc(), release.c.name)
    if project_id is not None:
        query = query.where(release.c.project_id == project_id)
    entries = []
    for row in db.execute(query).mappings():
        head = msgspec.convert(row["header"], Header)
        entries.append(
            LatestEntry(
                name=row["name"],
                project=row["project_id"],
                revision=row["revision"],
                status=row["status"],
                created_at=head.created_at,
                sha256=row["header_sha256"],
                bytes=len(header.pretty(head)),
                clips=head.counts["clips"],
                hours=head.hours["total"],
            )
        )
    newest = next((entry for entry in entries if entry.status == "published"), None)
    return Latest(
        name=newest.name if newest else None,
        revision=newest.revision if newest else None,
        sha256=newest.sha256 if newest else None,
        tombstones=shelf.feeds.entry(db, project_id),
        releases=tuple(entries),
    )


def stored(db: Connection, name: str) -> Mapping[str, Any]:
    """A release's row, or `ReleaseUnknown`."""
    row = db.execute(select(tables.release).where(tables.release.c.name == name)).mappings().one_or_none()
    if row is None:
        raise ReleaseUnknown(name=name[:80])
    return dict(row)


def history(db: Connection, project_id: str, before: str | None = None) -> list[tuple[str, int, str]]:
    """Name, revision and date of the project's releases, the newest first; only those older than `before`."""
    release = tables.release
    query = select(release).where(release.c.project_id == project_id)
    if before is not None:
        one = release.alias()
        limit = select(one.c.created_ms).where(one.c.name == before).scalar_subquery()
        query = query.where(release.c.created_ms < limit)
    rows = db.execute(query.order_by(release.c.created_ms.desc(), release.c.name)).mappings()
    return [(row["name"], row["revision"], row["header"]["created_at"]) for row in rows]


def words_of(db: Connection, project: Project) -> card.Words:
    """What a card quotes of the project: every consent that clips may stand under, the terms in force."""
    bodies = [body for body, _ in terms.versions(db, project.id, "consent")] + [project.consent]
    agreed = terms.stored(project.terms)
    rates = {"accepted second": agreed.rate_per_s_micros, "accepted clip": agreed.rate_per_clip_micros}
    pay = [
        f"{terms.decimal(micros)} {agreed.currency} for each {what}"
        for what, micros in rates.items()
        if micros
    ]
    return card.Words(
        consents={str(body["version"]): str(body["text"]) for body in bodies},
        terms=agreed.text,
        pay=", and ".join(pay) or None,
        contact=project.contact,
    )


def newest(db: Connection, project_id: str) -> tuple[Previous, int] | None:
    """The project's newest release as a later one names it, and its time."""
    release = tables.release
    query = select(release).where(release.c.project_id == project_id)
    row = db.execute(query.order_by(release.c.created_ms.desc(), release.c.name).limit(1)).mappings().first()
    if row is None:
        return None
    return Previous(row["name"], row["revision"], row["header_sha256"]), row["created_ms"]


def lines_of(shelf: Shelf, release: Previous | None) -> Iterator[bytes]:
    """The lines of a release as they stand in its manifest; of none, none."""
    if release is not None:
        folder = shelf.path(release.name)
        head, _ = header.read(folder)
        with header.vouched(folder, head, manifest.FILE_NAME).open("rb") as file:
            yield from file


def count_members(db: Connection, name: str, *, standing: bool) -> int:
    """How many clips a release has; only those that still may be in one, if `standing`."""
    member, clip, consent = tables.release_clip, tables.clip, tables.consent
    query = select(func.count()).select_from(member).where(member.c.release_name == name)
    if standing:
        query = (
            query.join(clip, clip.c.id == member.c.clip_id)
            .join(consent, consent.c.id == clip.c.consent_id)
            .where(
                clip.c.state == "accepted", clip.c.withdrawn_ms.is_(None), consent.c.withdrawn_ms.is_(None)
            )
        )
    return db.execute(query).scalar_one()


def sync_tree(folder: Path) -> None:
    """Make every file and name below `folder` durable.

    The sounds themselves are: a linked blob was synced when it was stored, a copied one when it was copied.
    """
    for parent, folders, names in os.walk(folder):
        for name in names:
            sync_path(Path(parent, name))
        sync_path(Path(parent))
        if Path(parent) == folder / "audio":
            for name in folders:
                sync_path(Path(parent, name))
            folders.clear()


def _switch(shelf: Shelf, name: str) -> None:
    """Put the built folder in the place of the release's, and remove what was there.

    A revision is built without sounds: the folder of those that were there moves into it. After a crash
    between any two steps the same steps again do what is left.
    """
    target, work, old = shelf.path(name), shelf.work(name), shelf.folder / f"{_OLD}{name}"
    if (target / "audio").exists() and not (work / "audio").exists():
        (target / "audio").rename(work / "audio")
        sync_path(work)  # before the old folder can go
    if target.exists():
        target.rename(old)
    work.rename(target)
    sync_path(shelf.folder)
    if old.exists():
        shutil.rmtree(old)


def _digest(folder: Path) -> str | None:
    try:
        return header.sha256_of((folder / header.FILE_NAME).read_bytes())
    except OSError:
        return None
