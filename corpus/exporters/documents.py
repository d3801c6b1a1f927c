"""Annotation documents, one a recording: Praat's TextGrid and ELAN's EAF, a tier for each speaker."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from corpus.exporters.job import Job, spaced
from corpus.exporters.recordings import Recording, Turn

_NOT_XML = re.compile(r"[\ufffe\uffff]")  # of what a manifest lets through

_Document = Callable[[Job, Recording], str]


@contextmanager
def textgrid(job: Job) -> Iterator[Callable[[Recording], None]]:
    """Write ``<split>/<session>/<recording>.TextGrid``; intervals fill the whole time line."""
    with _documents(job, ".TextGrid", _textgrid) as feed:
        yield feed


@contextmanager
def eaf(job: Job) -> Iterator[Callable[[Recording], None]]:
    """Write ``<split>/<session>/<recording>.eaf``, with times in whole milliseconds as ELAN has them."""
    with _documents(job, ".eaf", _eaf) as feed:
        yield feed


@contextmanager
def _documents(job: Job, suffix: str, document: _Document) -> Iterator[Callable[[Recording], None]]:
    made: set[Path] = set()

    def feed(recording: Recording) -> None:
        path = job.to / f"{recording.stem}{suffix}"
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        path.write_bytes(document(job, recording).encode())

    yield feed


def _textgrid(job: Job, recording: Recording) -> str:
    end = repr(recording.end_s)
    tiers = recording.tiers
    rows = [
        'File type = "ooTextFile"\nObject class = "TextGrid"\n',
        f"xmin = 0\nxmax = {end}\ntiers? <exists>\nsize = {len(tiers)}\nitem []:",
    ]
    for number, (name, turns) in enumerate(tiers.items(), 1):
        intervals = _intervals(turns, recording.end_s)
        rows.append(
            f'    item [{number}]:\n        class = "IntervalTier"\n        name = "{name}"\n'
            f"        xmin = 0\n        xmax = {end}\n        intervals: size = {len(intervals)}"
        )
        for place, (start_s, end_s, text) in enumerate(intervals, 1):
            doubled = text.replace('"', '""')
            rows.append(
                f"        intervals [{place}]:\n            xmin = {start_s!r}\n"
                f'            xmax = {end_s!r}\n            text = "{doubled}"'
            )
    return "\n".join(rows) + "\n"


def _intervals(turns: list[Turn], end_s: float) -> list[tuple[float, float, str]]:
    """The turns with the silence between them, from 0 to the end without a hole."""
    found, before_s = [], 0.0
    for turn in turns:
        if turn.start_s > before_s:
            found.append((before_s, turn.start_s, ""))
        found.append((turn.start_s, turn.end_s, spaced(turn.text)))
        before_s = turn.end_s
    if before_s < end_s:
        found.append((before_s, end_s, ""))
    return found


def _eaf(job: Job, recording: Recording) -> str:
    slots: list[str] = []
    tiers: list[str] = []
    annotations = 0
    for name, turns in recording.tiers.items():
        tiers.append(
            f'    <TIER LINGUISTIC_TYPE_REF="utterance" PARTICIPANT="{turns[0].speaker_id}" TIER_ID="{name}">'
        )
        for turn in turns:
            text = spaced(turn.text)
            if _NOT_XML.search(text):
                job.damage.add(turn.id, "its text holds a character that XML cannot")
                continue
            start_ms = round(turn.start_s * 1000)
            end_ms = max(round(turn.end_s * 1000), start_ms + 1)
            first = len(slots) + 1
            slots += [
                f'        <TIME_SLOT TIME_SLOT_ID="ts{number}" TIME_VALUE="{time_ms}"/>'
                for number, time_ms in ((first, start_ms), (first + 1, end_ms))
            ]
            annotations += 1
            tiers.append(
                f'        <ANNOTATION>\n            <ALIGNABLE_ANNOTATION ANNOTATION_ID="a{annotations}"'
                f' TIME_SLOT_REF1="ts{first}" TIME_SLOT_REF2="ts{first + 1}">\n'
                f"                <ANNOTATION_VALUE>{escape(text)}</ANNOTATION_VALUE>\n"
                "            </ALIGNABLE_ANNOTATION>\n        </ANNOTATION>"
            )
        tiers.append("    </TIER>")
    media = _media(recording) if job.recordings else ""
    properties = f'        <PROPERTY NAME="lastUsedAnnotationId">{annotations}</PROPERTY>'
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ANNOTATION_DOCUMENT AUTHOR="" '
        f'DATE={quoteattr(job.copy.header.created_at or "1970-01-01T00:00:00Z")} FORMAT="3.0" VERSION="3.0" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
        'xsi:noNamespaceSchemaLocation="http://www.mpi.nl/tools/elan/EAFv3.0.xsd">\n'
        f'    <HEADER MEDIA_FILE="" TIME_UNITS="milliseconds">\n{media}{properties}\n    </HEADER>\n'
        + "\n".join(["    <TIME_ORDER>", *slots, "    </TIME_ORDER>", *tiers])
        + '\n    <LINGUISTIC_TYPE GRAPHIC_REFERENCES="false" LINGUISTIC_TYPE_ID="utterance" '
        'TIME_ALIGNABLE="true"/>\n</ANNOTATION_DOCUMENT>\n'
    )


def _media(recording: Recording) -> str:
    """Relative links only: an absolute one is true on one machine, and tells of it."""
    names = [f"{recording.id}-{channel + 1}.wav" for channel in sorted({t.channel for t in recording.turns})]
    return "".join(
        f'        <MEDIA_DESCRIPTOR MEDIA_URL="./{name}" MIME_TYPE="audio/x-wav"'
        f' RELATIVE_MEDIA_URL="./{name}"/>\n'
        for name in names
    )
