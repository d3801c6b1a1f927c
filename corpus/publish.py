"""Changes to what is published: a whole release taken back, and a withdrawn voice erased from all of them.

A published release never changes, with that one exception: `erase` rebuilds every release that holds a
withdrawn voice, without it, as its next revision.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import Connection, and_, delete, insert, or_, select, update

from corpus import build, card, header, ledger, manifest, projects, tables
from corpus.database import begin, reading
from corpus.disk import disk_errors
from corpus.feeds import tombstones
from corpus.header import Excluded, Header, Room, Tombstone
from corpus.remaining import without
from corpus.selection import manifest_id
from corpus.shelf import (
    Shelf,
    commit,
    history,
    lines_of,
    locked,
    signing,
    stored,
    sync_tree,
    words_of,
    write_latest,
)
from corpus.soundplaces import take_out
from protocol.errors import CodedError


def set_status(shelf: Shelf, name: str, status: str) -> None:
    """Take a whole release back (``withdrawn``) or put it forward again (``published``)."""
    with locked(shelf):
        with begin(shelf.engine) as db:
            stored(db, name)
            db.execute(update(tables.release).where(tables.release.c.name == name).values(status=status))
        write_latest(shelf)


@dataclass(frozen=True)
class Erased:
    """A release that was rebuilt without withdrawn clips."""

    name: str
    revision: int
    clips: int


def erase(shelf: Shelf, *, now_ms: int) -> list[Erased]:
    """Carry every withdrawal into every release: audio erased, tombstone written, revision raised.

    Looks for released clips whose state is ``withdrawn`` or whose consent no longer stands, so it can be
    run again at any time and goes on where a crash stopped it. Run it after the transaction of the
    withdrawal, outside any other.

    The sounds go before the rows that say so, since a crash behind these finds nothing more to take out. One
    in between leaves a release that lacks what the next try erases from it.

    Raises
    ------
    CodedError
        Of the first release that could not be rebuilt, such as one whose manifest is damaged. Its sounds are
        gone, and the other releases are done.
    """
    with locked(shelf):
        with begin(shelf.engine) as db:
            pending = _pending(db)
            _add_tombstones(db, pending, now_ms)
        for name, clips in pending.items():  # first of all, whatever becomes of the rest
            with disk_errors():
                take_out(shelf.path(name), [one.sha256 for one in clips])
        done, problem = [], None
        for name, clips in pending.items():
            try:
                done.append(_rebuild(shelf, name, clips))
            except CodedError as error:  # one that is damaged must not keep the voice in the others
                problem = problem or error
        if not done:
            write_latest(shelf)
    if problem is not None:
        raise problem
    return done


@dataclass(frozen=True)
class _Gone:
    clip_id: str
    project_id: str
    manifest_id: str
    sha256: str


def _pending(db: Connection) -> dict[str, list[_Gone]]:
    """Withdrawn clips that stand in a release, by release, the oldest first."""
    member, clip, person, consent = tables.release_clip, tables.clip, tables.person, tables.consent
    query = (
        select(member.c.release_name, clip.c.id, clip.c.project_id, person.c.speaker_id, member.c.sha256)
        .join(clip, clip.c.id == member.c.clip_id)
        .join(person, person.c.id == clip.c.person_id)
        .join(consent, consent.c.id == clip.c.consent_id)
        .join(tables.release, tables.release.c.name == member.c.release_name)
        .where(
            or_(
                clip.c.state == "withdrawn",
                clip.c.withdrawn_ms.is_not(None),
                consent.c.withdrawn_ms.is_not(None),
            )
        )
        .order_by(tables.release.c.created_ms, member.c.release_name, clip.c.id)
    )
    found: dict[str, list[_Gone]] = defaultdict(list)
    for name, clip_id, project_id, speaker_id, digest in db.execute(query):
        found[name].append(_Gone(clip_id, project_id, manifest_id(speaker_id, clip_id), digest))
    return found


def _add_tombstones(db: Connection, pending: Mapping[str, list[_Gone]], now_ms: int) -> None:
    stone = tables.tombstone
    for gone in sorted({one for clips in pending.values() for one in clips}, key=lambda one: one.manifest_id):
        there = select(stone.c.seq).where(
            and_(stone.c.project_id == gone.project_id, stone.c.manifest_id == gone.manifest_id)
        )
        if db.execute(there).first() is None:
            db.execute(
                insert(stone).values(
                    project_id=gone.project_id,
                    manifest_id=gone.manifest_id,
                    sha256=gone.sha256,
                    erased_ms=now_ms,
                )
            )


def _rebuild(shelf: Shelf, name: str, gone: list[_Gone]) -> Erased:
    """The next revision of a release, without some clips; everything that stays is the same file."""
    folder, work = shelf.path(name), shelf.work(name)
    old, raw = header.read(folder)
    ids = {one.manifest_id for one in gone}
    with reading(shelf.engine) as db:
        stones = tombstones(db, old.project)
        outline = _outline_again(db, old, raw, stones)
        signer = signing(shelf, db)
    excluded = [
        msgspec.json.decode(row, type=Excluded)
        for row in (folder / header.EXCLUDED_NAME).read_bytes().splitlines()
    ]
    excluded = [row for row in excluded if row.id not in ids]
    excluded += [Excluded(one, "excluded.withdrawn", None) for one in sorted(ids)]
    written = header.vouched(folder, old, manifest.FILE_NAME)
    with disk_errors():
        work.mkdir()
        head, fresh = build.build(
            work,
            outline,
            without(written, ids, old.privacy_k),
            previous=lines_of(shelf, old.previous),
            rooms=_rooms(folder),
            excluded=excluded,
            tombstones=stones,
            withdrawn=[(one.manifest_id, one.sha256) for one in gone],
            signer=signer,
        )
        sync_tree(work)
    member, release = tables.release_clip, tables.release
    with begin(shelf.engine) as db:
        for one in gone:
            db.execute(delete(member).where(member.c.release_name == name, member.c.clip_id == one.clip_id))
        db.execute(
            update(release)
            .where(release.c.name == name)
            .values(
                revision=head.revision,
                header=msgspec.to_builtins(head),
                header_sha256=header.sha256_of(fresh),
            )
        )
    commit(shelf, name)
    return Erased(name, head.revision, len(gone))


def _rooms(folder: Path) -> list[Room]:
    """The rooms of a release; one that an earlier version cut has none."""
    path = folder / header.SESSIONS_NAME
    rows = path.read_bytes().splitlines() if path.exists() else []
    return [msgspec.json.decode(row, type=Room) for row in rows]


def _outline_again(db: Connection, old: Header, raw: bytes, stones: list[Tombstone]) -> build.Outline:
    project = projects.by_id(db, old.project)
    return build.Outline(
        name=old.name,
        project=old.project,
        title=old.title,
        language=old.language,
        orthography=old.orthography,
        rules_version=old.rules_version,
        license=old.licenses[0],
        words=words_of(db, project),
        revision=old.revision + 1,
        created_at=max([old.created_at, *(stone.erased_at for stone in stones)]),
        previous=old.previous,
        replaces=header.sha256_of(raw),
        history=history(db, old.project, before=old.name),
        split=old.split,
        split_notes=card.notes_of_corpus(old.split_notes),
        profiles=old.profiles,
        privacy_k=old.privacy_k,
        ledger_head=ledger.latest_head(db),
    )
