"""What a release will hold, worked out from one view of the database.

Candidates pass through a file of their own, and what splits them apart lies in columns, so that memory
holds some tens of bytes a clip.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, func, select

from corpus import compute, manifest, near, privacy, projects, selection, shelf, tables
from corpus.columns import KEY_MARK, Clips, Fixed, Gatherer, prompt_name, stored_key, unit_key
from corpus.disk import disk_errors
from corpus.header import Excluded, Previous, Room
from corpus.manifest import SPLITS, Line, Split
from corpus.placing import Placed, place
from corpus.projects import Project
from corpus.selection import Candidate
from corpus.split import Plan, fresh_units
from transcribe import text

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

    wish: Wish
    project: Project
    previous: Previous | None
    created_ms: int
    clips: Clips
    labels: NDArray[np.int8]  # places in `SPLITS`; -1 for a clip that is left out
    notes: list[str]
    compared: int
    excluded: list[Excluded]
    speakers: dict[str, privacy.Told]
    devices: dict[str, set[str]]  # device class to the speakers who used it
    profiles: set[str]
    rooms: set[Room]
    fixed: Fixed
    spill: Spill

    @property
    def count(self) -> int:
        """How many clips the release has."""
        return int(np.count_nonzero(self.labels >= 0))

    def lines(self) -> Iterator[Line]:
        """The lines of the release, from the spill."""
        told_of, shared = self.told(), self._shared_devices()
        for label, line in zip(self.labels.tolist(), self.spill.lines(), strict=True):
            if label >= 0:
                told = dict(zip(privacy.ATTRIBUTES, told_of[line.speaker_id], strict=True))
                yield msgspec.structs.replace(
                    line,
                    split=SPLITS[label],
                    first_release=line.first_release or self.wish.name,
                    device_class=line.device_class if line.device_class in shared else None,
                    **told,
                )

    def leave_out(self, rows: Iterable[tuple[str, str, str | None]]) -> None:
        """Take clips out again: id, code, detail."""
        gone = {name: Excluded(name, code, detail) for name, code, detail in rows}
        if not gone:
            return
        for index, line in enumerate(self.spill.lines()):
            if line.id in gone:
                self.labels[index] = -1
        self.excluded += gone.values()

    def fresh_units(self) -> Iterator[tuple[str, str, Split]]:
        """Units that this release gives a split for ever: kind, value, split."""
        for kind, key, split in fresh_units(self.clips, self.fixed, self.labels):
            yield kind, f"{KEY_MARK}{key:016x}", split

    def told(self) -> dict[str, privacy.Told]:
        """What is told of the speakers that are in the release; others do not count towards k."""
        return privacy.withheld({name: self.speakers[name] for name in self._inside()}, self.wish.privacy_k)

    def _inside(self) -> list[str]:
        there = set(np.unique(self.clips.speaker[self.labels >= 0]).tolist())
        return sorted(name for name in self.speakers if unit_key("speaker", name) in there)

    def _shared_devices(self) -> set[str]:
        inside = set(self._inside())
        return {name for name, users in self.devices.items() if len(users & inside) >= self.wish.privacy_k}


class Spill:
    """A scratch file of candidates' lines that can be read again, in order or by index."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._starts = array("Q")
        self._file = path.open("wb")
        self._end = 0

    def add(self, line: Line) -> None:
        """Write one line."""
        self._starts.append(self._end)
        self._end += self._file.write(manifest.encode(line) + b"\n")

    def close(self) -> None:
        """End writing; the rest may then be asked."""
        self._file.close()

    def lines(self) -> Iterator[Line]:
        """Every line, in order."""
        decode = msgspec.json.Decoder(Line).decode
        with self.path.open("rb") as file:
            for raw in file:
                yield decode(raw)

    def some(self, indexes: Sequence[int]) -> list[Line]:
        """The lines of ascending indexes."""
        with self.path.open("rb") as file:
            found = []
            for index in indexes:
                file.seek(self._starts[index])
                found.append(msgspec.json.decode(file.readline(), type=Line))
            return found

    def folded(self, indexes: Sequence[int]) -> list[str]:
        """Scoring views of the texts of ascending indexes."""
        return [" ".join(text.fold(line.text, line.orthography)) for line in self.some(indexes)]


def draft(db: Connection, wish: Wish, spill_path: Path, setting: str) -> Draft:
    """Work out a release; `spill_path` is a scratch file that `Draft.lines` reads again."""
    project = projects.by_id(db, wish.project_id)
    known = shelf.newest(db, project.id)
    excluded: list[Excluded] = []
    gathered = Gatherer()
    speakers: dict[str, privacy.Told] = {}
    devices: dict[str, set[str]] = defaultdict(set)
    profiles: set[str] = set()
    rooms: set[Room] = set()
    released = array("b")
    sounds: dict[str, list[tuple[bool, int, int]]] = defaultdict(list)
    newest_ms = 0 if known is None else known[1] + 1
    twice = _twice(db, project.id)
    found = selection.candidates(db, project)

    def good() -> Iterator[Candidate]:
        for one in found:
            if isinstance(one, Excluded):
                excluded.append(one)
            else:
                yield one

    with disk_errors():
        spill, signatures = Spill(spill_path), near.Signatures(spill_path.with_suffix(".keys"))
        batches = compute.run(setting, selection.check_texts, compute.chunks(good(), SHARD_LINES))
        for checked in chain.from_iterable(batches):
            candidate, line = checked.candidate, checked.candidate.line
            if checked.errors:
                excluded.append(Excluded(line.id, "excluded.rules", ", ".join(checked.errors)))
                continue
            if line.pcm_md5 in twice:
                sounds[line.pcm_md5].append((not candidate.is_released, candidate.received_ms, len(released)))
            _gather(gathered, checked)
            speakers[line.speaker_id] = tuple(getattr(line, name) for name in privacy.ATTRIBUTES)
            if line.device_class is not None:
                devices[line.device_class].add(line.speaker_id)
            profiles.add(candidate.profile)
            if candidate.room is not None:
                rooms.add(candidate.room)
            newest_ms = max(newest_ms, candidate.newest_ms)
            released.append(candidate.is_released)
            spill.add(line)
            signatures.add(checked.keys)
        spill.close()
        signatures.close()
    clips = gathered.clips()
    dropped = np.zeros(len(clips), bool)
    for ranks in sounds.values():
        kept, *others = sorted(ranks)
        for _, _, index in others:
            dropped[index] = True
            name, first = spill.some([index])[0].id, spill.some([kept[2]])[0].id
            excluded.append(Excluded(name, "excluded.duplicate", first))
    fixed = _fixed(db, project.id)
    placed = place(
        clips,
        fixed,
        wish.plan,
        signatures,
        spill.folded,
        dropped=dropped,
        released=np.frombuffer(released, np.int8).astype(bool),
    )
    signatures.path.unlink()
    excluded += _not_placed(placed, spill, dropped)
    return Draft(
        wish=wish,
        project=project,
        previous=known and known[0],
        created_ms=newest_ms,
        clips=clips,
        labels=placed.labels,
        notes=_notes(placed),
        compared=placed.compared,
        excluded=excluded,
        speakers=speakers,
        devices=devices,
        profiles=profiles,
        rooms=rooms,
        fixed=fixed,
        spill=spill,
    )


def _gather(gathered: Gatherer, checked: selection.Checked) -> None:
    candidate, line = checked.candidate, checked.candidate.line
    links = {"session": line.session_id}  # a recording lies in its session
    if candidate.prompt_folded is not None:
        links["prompt"] = prompt_name(candidate.prompt_folded)
    if line.style == "read":
        links["text"] = prompt_name(checked.folded)
    if candidate.household is not None:
        links["household"] = candidate.household
    gathered.add(
        line.speaker_id,
        links,
        stratum=(line.dialect or line.glottocode or "", line.gender or ""),
        cell=(line.grade, line.style),
        duration_ms=line.samples * 1000 // line.sample_rate_hz,
    )


def _not_placed(placed: Placed, spill: Spill, dropped: NDArray[np.bool_]) -> Iterator[Excluded]:
    for index in np.flatnonzero((placed.labels < 0) & ~dropped).tolist():
        (line,) = spill.some([index])
        like = placed.left_out.get(index)
        if like is None:
            yield Excluded(line.id, "excluded.split", None)
        else:
            yield Excluded(line.id, "excluded.near", spill.some([like])[0].id)


def _notes(placed: Placed) -> list[str]:
    notes = list(placed.assignment.notes)
    if placed.moved:
        notes.append(f"{placed.moved} clips are in train because their texts nearly repeat those of others")
    return notes


def _twice(db: Connection, project_id: str) -> set[str]:
    """Hashes of samples that more than one clip of the project has."""
    clip = tables.clip
    query = select(clip.c.pcm_md5).where(clip.c.project_id == project_id, clip.c.state == "accepted")
    return set(db.execute(query.group_by(clip.c.pcm_md5).having(func.count() > 1)).scalars())


def _fixed(db: Connection, project_id: str) -> Fixed:
    rows = db.execute(select(tables.split).where(tables.split.c.project_id == project_id))
    return Fixed((stored_key(row.kind, row.value), row.split) for row in rows)
