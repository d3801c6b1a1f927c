"""What a release will hold, worked out from one view of the database.

Candidates pass through a file of their own, so that memory holds what the split needs and no more.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import msgspec
from sqlalchemy import Connection, func, select

from corpus import compute, manifest, privacy, projects, selection, shelf, tables
from corpus.disk import disk_errors
from corpus.header import Excluded, Previous
from corpus.manifest import Line, Split
from corpus.projects import Project
from corpus.selection import Candidate
from corpus.split import Assignment, Item, Plan, Unit, assign

SHARD_LINES = 500


@dataclass(frozen=True)
class Wish:
    """What to cut."""

    project_id: str
    name: str
    plan: Plan = field(default_factory=Plan)
    privacy_k: int = privacy.DEFAULT_K
    leave_out_damaged: bool = False


@dataclass
class Draft:
    """Everything between the database and the folder."""

    project: Project
    previous: Previous | None
    created_ms: int
    items: list[Item]
    excluded: list[Excluded]
    speakers: dict[str, privacy.Told]
    privacy_k: int
    profiles: set[str]
    spill: Path
    assignment: Assignment
    first: dict[str, str]

    def lines(self) -> Iterator[Line]:
        """The lines of the release, from the spill."""
        splits, first, told_of = self.assignment.splits, self.first, self.told()
        with self.spill.open("rb") as file:
            for raw in file:
                line = msgspec.json.decode(raw, type=Line)
                split = splits.get(line.id)
                if split is None:
                    continue
                told = dict(zip(privacy.ATTRIBUTES, told_of[line.speaker_id], strict=True))
                yield msgspec.structs.replace(line, split=split, first_release=first.get(line.id, ""), **told)

    def told(self) -> dict[str, privacy.Told]:
        """What is told of the speakers that are in the release; others do not count towards k."""
        inside = {name.rpartition("-")[0] for name in self.assignment.splits}
        return privacy.withheld({name: self.speakers[name] for name in sorted(inside)}, self.privacy_k)


def draft(db: Connection, wish: Wish, spill: Path, setting: str) -> Draft:
    """Work out a release; `spill` is a scratch file that `Draft.lines` reads again."""
    project = projects.by_id(db, wish.project_id)
    known = shelf.newest(db, project.id)
    excluded: list[Excluded] = []
    items: list[Item] = []
    speakers: dict[str, privacy.Told] = {}
    profiles: set[str] = set()
    sounds: dict[str, list[tuple[bool, int, int]]] = defaultdict(list)
    newest_ms = 0 if known is None else known[1] + 1
    first = _first_releases(db, project.id)
    twice = _twice(db, project.id)
    found = selection.candidates(db, project)

    def good() -> Iterator[Candidate]:
        for one in found:
            if isinstance(one, Excluded):
                excluded.append(one)
            else:
                yield one

    units: dict[Unit, Unit] = {}
    with disk_errors(), spill.open("wb") as file:
        batches = compute.run(setting, selection.check_texts, compute.chunks(good(), SHARD_LINES))
        for checked in chain.from_iterable(batches):
            line = checked.candidate.line
            if checked.errors:
                excluded.append(Excluded(line.id, "excluded.rules", ", ".join(checked.errors)))
                continue
            if line.pcm_md5 in twice:
                rank = (line.id not in first, checked.candidate.received_ms, len(items))
                sounds[line.pcm_md5].append(rank)
            items.append(_item(checked, units))
            speakers[line.speaker_id] = tuple(getattr(line, name) for name in privacy.ATTRIBUTES)
            profiles.add(checked.candidate.profile)
            newest_ms = max(newest_ms, checked.candidate.newest_ms)
            first.setdefault(line.id, wish.name)
            file.write(manifest.encode(line) + b"\n")
    drop: set[int] = set()
    for ranks in sounds.values():
        kept, *others = sorted(ranks)
        for _, _, index in others:
            drop.add(index)
            excluded.append(Excluded(items[index].id, "excluded.duplicate", items[kept[2]].id))
    items = [item for index, item in enumerate(items) if index not in drop]
    assignment = assign(items, _fixed(db, project.id), wish.plan)
    excluded += [Excluded(name, "excluded.split", None) for name in assignment.conflicts]
    return Draft(
        project=project,
        previous=known and known[0],
        created_ms=newest_ms,
        items=items,
        excluded=excluded,
        speakers=speakers,
        privacy_k=wish.privacy_k,
        profiles=profiles,
        spill=spill,
        assignment=assignment,
        first=first,
    )


def _item(checked: selection.Checked, known: dict[Unit, Unit]) -> Item:
    line = checked.candidate.line
    units: list[Unit] = [
        ("speaker", line.speaker_id),
        ("session", line.session_id),
        ("recording", line.recording_id),
    ]
    if checked.candidate.prompt_folded is not None:
        units.append(selection.prompt_unit(checked.candidate.prompt_folded))
    if line.style == "read":
        units.append(selection.prompt_unit(checked.folded))
    return Item(
        line.id,
        tuple(dict.fromkeys(known.setdefault(unit, unit) for unit in units)),
        (line.dialect or "dialect not told", line.gender or "gender not told"),
        (line.grade, line.style),
        line.samples * 1000 // line.sample_rate_hz,
    )


def _twice(db: Connection, project_id: str) -> set[str]:
    """Hashes of samples that more than one clip of the project has."""
    clip = tables.clip
    query = select(clip.c.pcm_md5).where(clip.c.project_id == project_id, clip.c.state == "accepted")
    return set(db.execute(query.group_by(clip.c.pcm_md5).having(func.count() > 1)).scalars())


def _first_releases(db: Connection, project_id: str) -> dict[str, str]:
    """Manifest id to the oldest release that holds it."""
    member, release, clip, person = tables.release_clip, tables.release, tables.clip, tables.person
    query = (
        select(person.c.speaker_id, clip.c.id, member.c.release_name)
        .join(release, release.c.name == member.c.release_name)
        .join(clip, clip.c.id == member.c.clip_id)
        .join(person, person.c.id == clip.c.person_id)
        .where(release.c.project_id == project_id)
        .order_by(release.c.created_ms, release.c.name)
    )
    found: dict[str, str] = {}
    for speaker_id, clip_id, name in db.execute(query):
        found.setdefault(selection.manifest_id(speaker_id, clip_id), name)
    return found


def _fixed(db: Connection, project_id: str) -> dict[Unit, Split]:
    rows = db.execute(select(tables.split).where(tables.split.c.project_id == project_id))
    return {(row.kind, row.value): row.split for row in rows}
