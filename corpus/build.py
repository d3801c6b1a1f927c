"""Writes the folder of a release from its lines: every file but the audio, the header last.

Pure but for the folder it fills: no clock, no database, no random number. The same lines and the same
`Plan` give the same bytes, whoever asks.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import msgspec

from corpus import card, croissant, header, manifest, plots
from corpus.diff import changes
from corpus.header import (
    Audio,
    Excluded,
    FileEntry,
    Header,
    Previous,
    ReleaseInvalid,
    Room,
    Speaker,
    Tombstone,
)
from corpus.keys import Signer
from corpus.leaks import Proof
from corpus.liketexts import fold
from corpus.manifest import Row
from corpus.rowgroups import Columns
from corpus.statistics import Counting, Statistics
from corpus.verify import sums_lines
from protocol import tlog

_COLUMNS = "manifest.parquet"
_encode = msgspec.json.Encoder().encode


class ReleaseLeak(ReleaseInvalid):
    """The split is not disjoint: a fault of ours, found before anybody sees the release."""

    code = "RELEASE_LEAK"


@dataclass(frozen=True)
class Outline:
    """What a release says of itself beyond its lines."""

    name: str
    project: str
    title: str
    language: str
    orthography: str
    rules_version: str
    license: str
    words: card.Words
    revision: int
    created_at: str
    previous: Previous | None
    replaces: str | None
    history: Sequence[tuple[str, int, str]]
    split: Mapping[str, float]
    split_notes: Sequence[str]
    profiles: Sequence[str]
    privacy_k: int
    ledger_head: str | None


def build(
    folder: Path,
    outline: Outline,
    rows: Iterable[Row],
    *,
    previous: Iterable[bytes],
    rooms: Iterable[Room],
    excluded: Sequence[Excluded],
    tombstones: Sequence[Tombstone],
    withdrawn: Iterable[tuple[str, str]] = (),
    signer: Signer | None,
) -> tuple[Header, bytes]:
    """Fill `folder` with every file of a release but the audio, and return the header and its bytes.

    Parameters
    ----------
    rows : iterable of Row
        Good lines in order, each with its bytes. They are gone through once, and none is kept.
    previous : iterable of bytes
        The lines of the release before, if there is one.
    rooms : iterable of Room
        Those of speakers and sessions that are not in the lines are left out.
    withdrawn : iterable of (id, sha256)
        Clips erased from the revision before, which the previous release may lack as well.

    Raises
    ------
    ReleaseLeak
        If a speaker, session, recording or prompt stands in two splits.
    """
    counting, proof, digests, sha256 = Counting(), Proof(fold), bytearray(), hashlib.sha256()
    sessions: set[tuple[str, str]] = set()
    with (folder / manifest.FILE_NAME).open("wb") as file, Columns(folder / _COLUMNS) as columns:

        def written() -> Iterator[bytes]:
            for raw, line in rows:
                file.write(raw)
                sha256.update(raw)
                columns.add(raw)
                counting.feed(line)
                proof.feed(line)
                digests.extend(bytes.fromhex(line.sha256))
                sessions.add((line.session_id, line.speaker_id))
                yield raw

        changed = _write_changes(folder / "changes", written(), previous, dict(withdrawn))
        known = {manifest.FILE_NAME: FileEntry(sha256.hexdigest(), file.tell())}
    if proof.leaks:
        raise ReleaseLeak(file=manifest.FILE_NAME, problem=str(proof.leaks[0]))
    stats = counting.statistics()
    _write_rows(folder / header.SPEAKERS_NAME, _speakers(stats))
    heard = [room for room in rooms if (room.session_id, room.speaker_id) in sessions]
    _write_rows(folder / header.SESSIONS_NAME, sorted(heard, key=_encode))
    left_out: list[Excluded] = sorted(excluded, key=lambda row: row.id)
    _write_rows(folder / header.EXCLUDED_NAME, left_out)
    _write_rows(folder / header.TOMBSTONES_NAME, tombstones)
    (folder / "plots").mkdir()
    for name, picture in plots.plots(stats).items():
        (folder / name).write_bytes(picture)

    notes = (*outline.split_notes, *card.stratum_notes(stats))
    head = _header(outline, notes, stats, len(excluded), len(tombstones))
    story = card.Story(
        words=outline.words,
        excluded=Counter(row.code for row in excluded),
        split_notes=notes,
        proof=proof,
        changes=changed,
        history=outline.history,
        profiles=outline.profiles,
    )
    (folder / "README.md").write_bytes(card.readme(head, stats, story))
    (folder / "CHANGELOG.md").write_bytes(card.changelog(head, story))
    files = known | _entries(folder, known)
    (folder / "croissant.json").write_bytes(croissant.describe(head, files))
    files["croissant.json"] = header.file_entry(folder / "croissant.json")
    with (folder / header.SUMS_NAME).open("wb") as sums:
        sums.writelines(sums_lines(files, digests))
    files[header.SUMS_NAME] = header.file_entry(folder / header.SUMS_NAME)
    head = msgspec.structs.replace(head, files=dict(sorted(files.items())))
    raw = header.pretty(head)
    if signer is not None:
        note = tlog.sign_note(header.note_text(head, raw), signer.verifier, signer.sign)
        (folder / header.NOTE_NAME).write_text(note, encoding="utf-8")
    (folder / header.FILE_NAME).write_bytes(raw)
    return head, raw


def _header(
    outline: Outline, notes: Sequence[str], stats: Statistics, excluded: int, tombstones: int
) -> Header:
    counts = {
        "clips": stats.clips,
        "speakers": len(stats.ms_by_speaker),
        **{str(name): stats.clips_by_split[name] for name in manifest.SPLITS},
        "excluded": excluded,
        "tombstones": tombstones,
    }
    return Header(
        name=outline.name,
        project=outline.project,
        title=outline.title,
        revision=outline.revision,
        schema_version=manifest.SCHEMA_VERSION,
        created_at=outline.created_at,
        previous=outline.previous,
        replaces=outline.replaces,
        status="published",
        language=outline.language,
        orthography=outline.orthography,
        rules_version=outline.rules_version,
        licenses=tuple(sorted(stats.seen["license"])) or (outline.license,),
        counts=counts,
        hours=stats.hours,
        split=dict(outline.split),
        split_notes=tuple(notes),
        profiles=tuple(outline.profiles),
        privacy_k=outline.privacy_k,
        audio=Audio(stats.clips, stats.bytes, stats.samples),
        files={},
        ledger_head=outline.ledger_head,
        made_with={"xiangyin": metadata.version("xiangyin"), "pyarrow": metadata.version("pyarrow")},
    )


def _entries(folder: Path, known: Container[str]) -> dict[str, FileEntry]:
    """Digests and sizes of the files that are not known yet; the sounds are not looked at."""
    found = {}
    for parent, folders, names in os.walk(folder):
        if "audio" in folders:
            folders.remove("audio")
        for path in (Path(parent, name) for name in names):
            name = path.relative_to(folder).as_posix()
            if name not in known:
                found[name] = header.file_entry(path)
    return found


def _write_rows(path: Path, rows: Iterable[msgspec.Struct]) -> None:
    with path.open("wb") as file:
        for row in rows:
            file.write(_encode(row) + b"\n")


def _speakers(stats: Statistics) -> Iterator[Speaker]:
    """One row a speaker, in their order."""
    split_of = {name: split for split, names in stats.speakers_by_split.items() for name in names}
    for name, told in stats.told_of.items():
        duration_s = stats.ms_by_speaker[name] / 1000
        yield Speaker(name, split_of[name], stats.clips_by_speaker[name], duration_s, *told)


def _write_changes(
    folder: Path, lines: Iterable[bytes], previous: Iterable[bytes], withdrawn: dict[str, str]
) -> dict[str, int]:
    folder.mkdir()
    counts = {"added": 0, "changed": 0, "withdrawn": 0}
    names = ("added", "changed", "withdrawn")
    files = {name: (folder / f"{name}.jsonl").open("wb") for name in names}
    try:
        for change in changes(previous, lines):
            row: dict[str, Any] = {"id": change.id, "sha256": change.sha256}
            if change.what == "changed":
                row |= {"kinds": change.kinds, "fields": change.fields}
            if change.what == "withdrawn":
                withdrawn.pop(change.id, None)
            files[change.what].write(_encode(row) + b"\n")
            counts[change.what] += 1
        for name, digest in sorted(withdrawn.items()):
            files["withdrawn"].write(_encode({"id": name, "sha256": digest}) + b"\n")
            counts["withdrawn"] += 1
    finally:
        for file in files.values():
            file.close()
    return counts
