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
    sheets: dict[str, tuple[Callable[[str], None], Callable[[bytes], None]]] = {}
    begun: set[str] = set()

    def feed(line: Line) -> None:
        dialect = plain(line.dialect)
        names = _VARIABLE.findall(f"{line.text} {dialect}") if "$" in line.text or "$" in dialect else []
        if ROOT in names:
            job.damage.add(line.id, f"SpeechBrain takes ${ROOT} in the text for the release's folder")
            return
        stand_for_themselves.update((name, f"${name}") for name in names)
        split = line.split
        if split not in sheets:
            sheets[split] = out.rows(f"{split}.csv"), out.rows(f"{split}.json")
            sheets[split][0](",".join(COLUMNS) + "\n")
        table, entries = sheets[split]
        text, duration_s = line.text, line.samples / line.sample_rate_hz
        table(
            f'"{line.id}","{duration_s!r}","${ROOT}/{line.audio}","{line.speaker_id}","{_quoted(text)}",'
            f'"{line.language}","{line.grade}","{line.style}","{line.snr_db!r}","{_quoted(dialect)}"\n'
        )
        entry = {
            "duration": duration_s,
            "wav": f"{{{ROOT}}}/{line.audio}",
            "spk_id": line.speaker_id,
            "wrd": _doubled(text),
            "language": line.language,
            "grade": line.grade,
            "style": line.style,
            "snr_db": line.snr_db,
            "dialect": _doubled(dialect),
        }
        entries(b'%b"%b":%b' % (b",\n" if split in begun else b"{\n", line.id.encode(), _encode(entry)))
        begun.add(split)
        out.collected(500 + 2 * len(text))

    with Outputs(job.to) as out:
        yield feed
        for split in sorted(begun):
            sheets[split][1](b"\n}\n")
        known = {ROOT: job.release_folder, **dict(sorted(stand_for_themselves.items()))}
        out.write(REPLACEMENTS_NAME, _encode(known) + b"\n")


def _quoted(cell: str) -> str:
    return cell.replace('"', '""') if '"' in cell else cell


def _doubled(text: str) -> str:
    return text.replace("{", "{{").replace("}", "}}") if "{" in text or "}" in text else text
