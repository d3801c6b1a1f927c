"""Formats of whole recordings: clips put back at their places, across the speakers of a dialogue.

The manifest is sorted by speaker, so the turns of a dialogue stand far apart; they are sorted again on
disk, in bounded memory, and one recording is held at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import groupby

import msgspec

from corpus.exporters.job import Job
from corpus.exporters.sorting import Sorted
from corpus.manifest import Event, Line, audio_path

LONGEST_S = 48 * 3600  # a start beyond it is a slip, and a rebuilt recording would fill the disk
_encode = msgspec.json.Encoder().encode


class Turn(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What a clip is in its recording."""

    split: str
    recording_id: str
    session_id: str
    id: str
    speaker_id: str
    gender: str | None
    language: str
    grade: str
    style: str
    text: str
    events: tuple[Event, ...]
    channel: int
    channels: int
    start_sample: int
    samples: int
    sample_rate_hz: int
    bytes: int
    sha256: str

    @property
    def audio(self) -> str:
        """Where its sound lies in the release."""
        return audio_path(self.sha256)

    @property
    def start_s(self) -> float:
        """Where it begins."""
        return self.start_sample / self.sample_rate_hz

    @property
    def end_s(self) -> float:
        """Where it ends; where the next clip begins, if nothing lies between."""
        return (self.start_sample + self.samples) / self.sample_rate_hz


_turn_of = msgspec.json.Decoder(Turn).decode


@dataclass(frozen=True)
class Recording:
    """Clips of one recording by their start."""

    split: str
    id: str
    session_id: str
    turns: tuple[Turn, ...]

    @property
    def stem(self) -> str:
        """Where its files lie, without a suffix; a folder for each session keeps folders small."""
        return f"{self.split}/{self.session_id}/{self.id}"

    @property
    def end_s(self) -> float:
        """The end of its last clip; what followed is not in the release."""
        return max(turn.end_s for turn in self.turns)

    @property
    def tiers(self) -> dict[str, list[Turn]]:
        """Turns by speaker; one that begins before the speaker's last ended goes to a tier of its own."""
        tiers: dict[str, list[Turn]] = {}
        for turn in self.turns:
            name, number = turn.speaker_id, 1
            while name in tiers and tiers[name][-1].end_s > turn.start_s:
                number += 1
                name = f"{turn.speaker_id}-{number}"
            tiers.setdefault(name, []).append(turn)
        return dict(sorted(tiers.items()))


RecordingExporter = Callable[[Job], AbstractContextManager[Callable[[Recording], None]]]


def problem(line: Line) -> str | None:
    """Why a clip cannot stand in a recording, or None."""
    if line.start_sample > LONGEST_S * line.sample_rate_hz:
        return f"it begins more than {LONGEST_S // 3600} hours after its recording"
    return None


def add(turns: Sorted, line: Line) -> None:
    """Sort a clip in."""
    # Fixed widths let bytes sort as numbers. Nothing before the brackets holds a tab.
    start_us = line.start_sample * 1_000_000 // line.sample_rate_hz
    turn = Turn(
        line.split,
        line.recording_id,
        line.session_id,
        line.id,
        line.speaker_id,
        line.gender,
        line.language,
        line.grade,
        line.style,
        line.text,
        line.events,
        line.channel,
        line.channels,
        line.start_sample,
        line.samples,
        line.sample_rate_hz,
        line.bytes,
        line.sha256,
    )
    key = f"{line.split}\t{line.recording_id}\t{start_us:015d}\t{line.channel:09d}\t{line.id}\t"
    turns.add(key.encode() + _encode(turn) + b"\n")


def recordings(turns: Sorted) -> Iterator[Recording]:
    """The recordings, by split and id."""
    every = (_turn_of(raw[raw.rindex(b"\t") + 1 :]) for raw in turns)
    for (split, name), group in groupby(every, lambda turn: (turn.split, turn.recording_id)):
        found = tuple(group)
        yield Recording(split, name, found[0].session_id, found)
