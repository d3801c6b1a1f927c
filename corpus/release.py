"""Cutting a release: select, check, split, prove, build, publish.

Everything is taken from one view of the database, and nothing from a clock: the same state gives the same
bytes. A cut that was killed leaves the sounds that it has verified; the same cut again goes on from there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec
from sqlalchemy import Connection, insert, select

from corpus import build, compute, feeds, header, ledger, manifest, near, selection, shelf, tables
from corpus.database import begin, reading
from corpus.disk import disk_errors
from corpus.draft import Draft, Wish, draft
from corpus.header import Excluded, Header
from corpus.manifest import SPLITS
from corpus.shelf import Shelf
from corpus.soundplaces import begin_again, forget, place
from protocol.errors import CodedError
from transcribe import lint

_TRIES = 3
_ROWS = 2000


class ReleaseExists(CodedError):
    """The name is taken."""

    code: ClassVar[str] = "RELEASE_EXISTS"


class ReleaseEmpty(CodedError):
    """Nothing can be released."""

    code: ClassVar[str] = "RELEASE_EMPTY"


class BlobsDamaged(CodedError):
    """Sounds that the release needs are missing from the store or not what they were."""

    code: ClassVar[str] = "RELEASE_BLOBS_DAMAGED"


class ChangedMeanwhile(CodedError):
    """Clips were withdrawn during the cut."""

    code: ClassVar[str] = "RELEASE_CHANGED_MEANWHILE"


@dataclass(frozen=True)
class Cut:
    """What was cut."""

    header: Header
    sha256: str
    folder: Path
    excluded: Counter[str]


def cut(on: Shelf, wish: Wish) -> Cut:
    """Publish a release, whole or not at all.

    Raises
    ------
    ReleaseExists
        If the name is taken.
    ReleaseEmpty
        If no clip can be released.
    BlobsDamaged
        Naming the first of the sounds that are not as they were received.
    """
    target = on.path(wish.name)
    with shelf.locked(on, resume=wish.name) as finished:
        if wish.name in finished:  # this cut was killed after its commit, and has just been made whole
            forget(on.work(wish.name))
            head, raw = header.read(target)
            return Cut(head, header.sha256_of(raw), target, _codes(target))
        for _ in range(_TRIES):
            done = _try(on, wish)
            if done is not None:
                return done
    raise ChangedMeanwhile(project=wish.project_id)


def _codes(folder: Path) -> Counter[str]:
    rows = (folder / header.EXCLUDED_NAME).read_bytes().splitlines()
    return Counter(msgspec.json.decode(row, type=Excluded).code for row in rows)


def preview(on: Shelf, wish: Wish, spill: Path) -> tuple[dict[str, int], list[Excluded]]:
    """What a cut would take and leave out, without publishing; `spill` is a scratch file."""
    with reading(on.engine) as db:
        made = draft(db, wish, spill, on.setting)
    counts = {str(split): int((made.labels == place).sum()) for place, split in enumerate(SPLITS)}
    return {split: count for split, count in counts.items() if count}, made.excluded


def _try(on: Shelf, wish: Wish) -> Cut | None:
    """One attempt; None if clips were withdrawn meanwhile."""
    work = on.work(wish.name)
    with disk_errors():
        begin_again(work)
    spill = on.folder / f"{work.name}.candidates"
    try:
        with reading(on.engine) as db:
            _check_free(db, wish.name)
            made = draft(db, wish, spill, on.setting)
            bad = place(on, made.lines, work)
            if bad and not wish.leave_out_damaged:
                raise BlobsDamaged(count=len(bad), id=bad[0].id, sha256=bad[0].sha256, problem=bad[0].problem)
            made.leave_out((one.id, "excluded.damaged", None) for one in bad)
            if not made.count:
                raise ReleaseEmpty(project=wish.project_id, reasons=_reasons(made.excluded))
            stones = feeds.tombstones(db, made.project.id)
            outline = _outline(db, made, wish)
            signer = shelf.signing(on, db)
        with disk_errors():
            head, raw = build.build(
                work,
                outline,
                manifest.rows(made.lines()),
                previous=shelf.lines_of(on, made.previous),
                rooms=made.rooms,
                excluded=made.excluded,
                tombstones=stones,
                signer=signer,
            )
            shelf.sync_tree(work)
        try:
            _commit(on, wish, made, head, raw)
        except _Withdrawn:
            return None
        shelf.commit(on, wish.name)
        excluded = Counter(row.code for row in made.excluded)
        return Cut(head, header.sha256_of(raw), on.path(wish.name), excluded)
    finally:
        spill.unlink(missing_ok=True)
        forget(work)


def _check_free(db: Connection, name: str) -> None:
    """On a disk that ignores case two such releases would be one folder."""
    names = {row.name.casefold() for row in db.execute(select(tables.release.c.name))}
    if name.casefold() in names:
        raise ReleaseExists(name=name)


def _reasons(excluded: Sequence[Excluded]) -> str:
    counts = Counter(row.code for row in excluded)
    return ", ".join(f"{count} {code}" for code, count in sorted(counts.items())) or "it has no clips"


def _outline(db: Connection, made: Draft, wish: Wish) -> build.Outline:
    project, plan = made.project, wish.plan
    wanted = {f"{name}_share": share for name, share in plan.shares.items() if name not in plan.hours}
    wanted |= {f"{name}_hours": hours for name, hours in plan.hours.items()}
    return build.Outline(
        name=wish.name,
        project=project.id,
        title=project.title,
        language=project.language,
        orthography=project.orthography,
        rules_version=lint.RULES_VERSION,
        license=str(project.consent["license"]),
        words=shelf.words_of(db, project),
        revision=1,
        created_at=ledger.rfc3339(made.created_ms),
        previous=made.previous,
        replaces=None,
        history=shelf.history(db, project.id),
        split={
            "seed": float(plan.seed),
            **dict(sorted(wanted.items())),
            "near_overlap": near.NEAR,
            "texts_compared": float(made.compared),
        },
        split_notes=made.notes,
        profiles=sorted(made.profiles),
        privacy_k=wish.privacy_k,
        ledger_head=ledger.latest_head(db),
    )


class _Withdrawn(Exception):
    """A clip of the release no longer may be in it."""


def _commit(on: Shelf, wish: Wish, made: Draft, head: Header, raw: bytes) -> None:
    """Write the rows of the release, all or none."""
    project_id = made.project.id
    with begin(on.engine) as db:
        db.execute(
            insert(tables.release).values(
                name=wish.name,
                project_id=project_id,
                revision=head.revision,
                status="published",
                header=msgspec.to_builtins(head),
                header_sha256=header.sha256_of(raw),
                created_ms=made.created_ms,
            )
        )
        members = (
            {
                "release_name": wish.name,
                "clip_id": selection.clip_id_of(line.id),
                "sha256": line.sha256,
                "split": line.split,
            }
            for line in made.lines()
        )
        for rows in compute.chunks(members, _ROWS):
            db.execute(insert(tables.release_clip), rows)
        if shelf.count_members(db, wish.name, standing=True) != made.count:
            raise _Withdrawn
        units = (
            {
                "project_id": project_id,
                "kind": kind,
                "value": value,
                "split": split,
                "since_release": wish.name,
            }
            for kind, value, split in made.fresh_units()
        )
        for rows in compute.chunks(units, _ROWS):
            db.execute(insert(tables.split), rows)
