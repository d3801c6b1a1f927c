"""Writes the folder of a release from its lines: every file but the audio, the header last.

Pure but for the folder it fills: no clock, no database, no random number. The same lines and the same
`Plan` give the same bytes, whoever asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from itertools import islice
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
from corpus.manifest import Line
from corpus.statistics import Statistics
from corpus.verify import sums_lines
from protocol import tlog

_ROW_GROUP = 10_000
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
    lines: Callable[[], Iterable[Line]],
    *,
    previous_lines: Callable[[], Iterable[Line]] | None,
    rooms: Iterable[Room],
    excluded: Sequence[Excluded],
    tombstones: Sequence[Tombstone],
    withdrawn: Iterable[tuple[str, str]] = (),
    signer: Signer | None,
) -> tuple[Header, bytes]:
    """Fill `folder`, which holds the audio already, and return the header and its bytes.

    Parameters
    ----------
    lines : callable
        Gives the lines in order, one at a time, so that none need be kept.
    rooms : iterable of Room
        Those of speakers and sessions that are not in the lines are left out.
    withdrawn : iterable of (id, sha256)
        Clips erased from the revision before, which the previous release may lack as well.

    Raises
    ------
    ReleaseLeak
        If a speaker, session, recording or prompt stands in two splits.
    """
    stats, proof, digests = Statistics(), Proof(fold), bytearray()
    sessions: set[tuple[str, str]] = set()

    def counted() -> Iterator[Line]:
        for line in lines():
            stats.feed(line)
            proof.feed(line)
            digests.extend(bytes.fromhex(line.sha256))
            sessions.add((line.session_id, line.speaker_id))
            yield line

    written = folder / manifest.FILE_NAME
    manifest.write(written, counted())
    if proof.leaks:
        raise ReleaseLeak(file=manifest.FILE_NAME, problem=str(proof.leaks[0]))
    _write_parquet(folder / "manifest.parquet", written)
    _write_rows(folder / header.SPEAKERS_NAME, _speakers(manifest.read_own(written)))
    known = [room for room in rooms if (room.session_id, room.speaker_id) in sessions]
    _write_rows(folder / header.SESSIONS_NAME, sorted(known, key=_encode))
    left_out: list[Excluded] = sorted(excluded, key=lambda row: row.id)
    _write_rows(folder / header.EXCLUDED_NAME, left_out)
    _write_rows(folder / header.TOMBSTONES_NAME, tombstones)
    changed = _write_changes(folder / "changes", manifest.read_own(written), previous_lines, dict(withdrawn))
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
    files = _entries(folder)
    (folder / "croissant.json").write_bytes(croissant.describe(head, files))
    files["croissant.json"] = header.file_entry(folder / "croissant.json")
    with (folder / header.SUMS_NAME).open("wb") as file:
        file.writelines(sums_lines(files, digests))
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


def _entries(folder: Path) -> dict[str, FileEntry]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and not name.startswith("audio/"):
            found[name] = header.file_entry(path)
    return found


def _write_rows(path: Path, rows: Iterable[msgspec.Struct]) -> None:
    with path.open("wb") as file:
        for row in rows:
            file.write(_encode(row) + b"\n")


def _speakers(lines: Iterable[Line]) -> Iterator[Speaker]:
    """One row a speaker; the lines come speaker by speaker."""
    first: Line | None = None
    clips = samples_ms = 0
    for line in lines:
        if first is not None and line.speaker_id != first.speaker_id:
            yield _speaker(first, clips, samples_ms)
            first, clips, samples_ms = None, 0, 0
        first = first or line
        clips += 1
        samples_ms += line.samples * 1000 // line.sample_rate_hz
    if first is not None:
        yield _speaker(first, clips, samples_ms)


def _speaker(line: Line, clips: int, ms: int) -> Speaker:
    return Speaker(
        line.speaker_id,
        line.split,
        clips,
        ms / 1000,
        line.gender,
        line.age_band,
        line.region,
        line.native_language,
        line.dialect,
    )


def _write_changes(
    folder: Path,
    lines: Iterable[Line],
    previous: Callable[[], Iterable[Line]] | None,
    withdrawn: dict[str, str],
) -> dict[str, int]:
    folder.mkdir()
    counts = {"added": 0, "changed": 0, "withdrawn": 0}
    names = ("added", "changed", "withdrawn")
    files = {name: (folder / f"{name}.jsonl").open("wb") for name in names}
    try:
        for change in changes(previous() if previous is not None else (), lines):
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


def _write_parquet(path: Path, source: Path) -> None:
    """The rows of the manifest in columns; every choice that moves bytes is pinned here."""
    import pyarrow as pa
    from pyarrow import json, parquet

    columns = manifest.columns()
    options = json.ParseOptions(explicit_schema=columns, unexpected_field_behavior="error")
    with (
        source.open("rb") as file,
        parquet.ParquetWriter(
            path, columns, version="2.6", compression="zstd", compression_level=3, data_page_version="1.0"
        ) as writer,
    ):
        # A group at a time: Arrow's own streaming reader runs up to 32 blocks ahead of what is written.
        while rows := b"".join(islice(file, _ROW_GROUP)):
            blocks = json.ReadOptions(use_threads=False, block_size=len(rows))
            table = json.read_json(pa.BufferReader(rows), blocks, options)
            writer.write_table(table.combine_chunks(), row_group_size=_ROW_GROUP)
