"""SpeechBrain data manifests, as CSV and as JSON, per split.

Its readers look for placeholders in every cell, transcripts too: ``$name`` in CSV and ``{name}`` in JSON.
In JSON a brace is doubled, which its reader undoes. CSV has no such way, so each ``$name`` that a text
holds is listed in ``replacements.json`` as standing for itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from corpus.exporters.batch import Batch
from corpus.exporters.job import Job, Outputs, plain

_encode = msgspec.json.Encoder().encode
REPLACEMENTS_NAME = "replacements.json"
ROOT = "data_root"
COLUMNS = ("ID", "duration", "wav", "spk_id", "wrd", "language", "grade", "style", "snr_db", "dialect")
_VARIABLE = re.compile(r"\$([\w.]+)")


class Entry(msgspec.Struct, gc=False):
    """One utterance in JSON, under its id."""

    duration: float
    wav: str
    spk_id: str
    wrd: str
    language: str
    grade: str
    style: str
    snr_db: float
    dialect: str


@contextmanager
def speechbrain(job: Job) -> Iterator[Callable[[Batch], None]]:
    """Write ``<split>.csv``, ``<split>.json`` and the replacements that both are loaded with."""
    stand_for_themselves: dict[str, str] = {}
    begun: set[str] = set()

    def feed(batch: Batch) -> None:
        table: list[str] = []
        entries: list[bytes] = []
        for line, duration_s in zip(batch.lines, batch.durations_s, strict=True):
            text, dialect = line.text, plain(line.dialect)
            if "$" in text or "$" in dialect:
                names = _VARIABLE.findall(f"{text} {dialect}")
                if ROOT in names:
                    wrong = f"SpeechBrain takes ${ROOT} in the text for the release's folder"
                    job.damage.add(line.id, wrong)
                    continue
                stand_for_themselves.update((name, f"${name}") for name in names)
            table.append(
                f'"{line.id}","{duration_s!r}","${ROOT}/{line.audio}","{line.speaker_id}","{_quoted(text)}",'
                f'"{line.language}","{line.grade}","{line.style}","{line.snr_db!r}","{_quoted(dialect)}"\n'
            )
            entry = Entry(
                duration_s,
                f"{{{ROOT}}}/{line.audio}",
                line.speaker_id,
                _doubled(text),
                line.language,
                line.grade,
                line.style,
                line.snr_db,
                _doubled(dialect),
            )
            entries.append(b'"%b":%b' % (line.id.encode(), _encode(entry)))
        if not table:
            return
        split = batch.split
        if split not in begun:
            table.insert(0, ",".join(COLUMNS) + "\n")
        out.write(f"{split}.csv", "".join(table).encode())
        out.write(f"{split}.json", (b",\n" if split in begun else b"{\n") + b",\n".join(entries))
        begun.add(split)

    with Outputs(job.to) as out:
        yield feed
        for split in sorted(begun):
            out.write(f"{split}.json", b"\n}\n")
        known = {ROOT: job.release_folder, **dict(sorted(stand_for_themselves.items()))}
        out.write(REPLACEMENTS_NAME, _encode(known) + b"\n")


def _quoted(cell: str) -> str:
    return cell.replace('"', '""') if '"' in cell else cell


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}") if "{" in text or "}" in text else text
