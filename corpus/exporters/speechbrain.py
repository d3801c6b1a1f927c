"""SpeechBrain data manifests, as CSV and as JSON, per split.

Its readers look for placeholders in every cell, transcripts too: ``$name`` in CSV and ``{name}`` in JSON.
In JSON a brace is doubled, which its reader undoes. CSV has no such way, so each ``$name`` that a text
holds is listed in ``replacements.json`` as standing for itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from corpus.exporters.job import Feed, Job, Outputs, plain
from corpus.manifest import Line

_encode = msgspec.json.Encoder().encode
REPLACEMENTS_NAME = "replacements.json"
ROOT = "data_root"
COLUMNS = ("ID", "duration", "wav", "spk_id", "wrd", "language", "grade", "style", "snr_db", "dialect")
_VARIABLE = re.compile(r"\$([\w.]+)")


@contextmanager
def speechbrain(job: Job) -> Iterator[Feed]:
    """Write ``<split>.csv``, ``<split>.json`` and the replacements that both are loaded with."""
    stand_for_themselves: dict[str, str] = {}
    begun: set[str] = set()

    def feed(line: Line) -> None:
        dialect = plain(line.dialect)
        names = _VARIABLE.findall(f"{line.text} {dialect}") if "$" in line.text or "$" in dialect else []
        if ROOT in names:
            job.damage.add(line.id, f"SpeechBrain takes ${ROOT} in the text for the release's folder")
            return
        stand_for_themselves.update((name, f"${name}") for name in names)
        split = line.split
        if split not in begun:
            begun.add(split)
            out.text(f"{split}.csv", ",".join(COLUMNS))
            out.text(f"{split}.json", "{")
        else:
            out.text(f"{split}.json", ",")
        cells = _cells(line, f"${ROOT}/{line.audio}", line.text, dialect)
        out.text(f"{split}.csv", ",".join([_quoted(str(cell)) for cell in cells]))
        cells = _cells(line, f"{{{ROOT}}}/{line.audio}", _doubled(line.text), _doubled(dialect))
        out.write(
            f"{split}.json",
            b'"%s":%s' % (line.id.encode(), _encode(dict(zip(COLUMNS[1:], cells[1:], strict=True)))),
        )

    with Outputs(job.to) as out:
        yield feed
        for split in sorted(begun):
            out.write(f"{split}.json", b"\n}\n")
        known = {ROOT: job.release_folder, **dict(sorted(stand_for_themselves.items()))}
        out.write(REPLACEMENTS_NAME, _encode(known) + b"\n")


def _cells(line: Line, wav: str, text: str, dialect: str) -> tuple[Any, ...]:
    duration_s = line.samples / line.sample_rate_hz
    return (
        *(line.id, duration_s, wav, line.speaker_id, text),
        *(line.language, line.grade, line.style, line.snr_db, dialect),
    )


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"'


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}") if "{" in text or "}" in text else text
