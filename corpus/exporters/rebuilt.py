"""The sound of whole recordings, put together again from its clips: a WAV for each channel.

Where every clip is in the release it is sample for sample what was recorded; where one is not, there
is silence of its length. WAV, because the clips' own FLAC frames cannot be joined, and to encode anew
would leave two encodings of one sound.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpus import compute
from corpus.exporters.job import Job, LeftOut
from corpus.exporters.recordings import Recording, Turn
from corpus.exporters.shards import SoundBad, read_sound

_SILENCE_FRAMES = 1 << 16
_LARGEST_WAV_BYTES = (1 << 32) - (1 << 16)
_BITS = {"PCM_S8": 8, "PCM_16": 16, "PCM_24": 24}


@dataclass(frozen=True)
class Task:
    """One channel of one recording."""

    folder: Path
    target: Path
    turns: tuple[Turn, ...]


def rebuild(job: Job, recordings: Iterable[Recording]) -> None:
    """Write ``<split>/<session>/<recording>-<channel>.wav`` for each, where the job computes."""

    def tasks() -> Iterator[Task]:
        for recording in recordings:
            for channel in sorted({turn.channel for turn in recording.turns}):
                target = (job.to / f"{recording.stem}-{channel + 1}.wav").absolute()
                target.parent.mkdir(parents=True, exist_ok=True)
                turns = tuple(turn for turn in recording.turns if turn.channel == channel)
                yield Task(job.copy.folder.absolute(), target, turns)

    for left_out in compute.run(job.compute, run, tasks()):
        for one in left_out:
            job.damage.add(one.id, one.problem)


def run(task: Task) -> tuple[LeftOut, ...]:
    """Write one WAV; clips that cannot be placed are named and leave silence."""
    import soundfile

    left_out: list[LeftOut] = []
    first = task.turns[0]
    subtype = max((_subtype(task.folder / turn.audio) for turn in task.turns), key=lambda s: _BITS.get(s, 0))
    end_sample = max(turn.start_sample + turn.samples for turn in task.turns)
    whole_bytes = end_sample * first.channels * (_BITS.get(subtype, 16) // 8)
    part = task.target.with_name(f"{task.target.name}.part")
    with soundfile.SoundFile(
        part,
        "w",
        first.sample_rate_hz,
        first.channels,
        subtype="PCM_U8" if subtype == "PCM_S8" else subtype,
        format="WAV" if whole_bytes <= _LARGEST_WAV_BYTES else "RF64",
    ) as out:
        at = 0
        for turn in task.turns:
            try:
                data = _samples(task.folder, turn, first, at)
            except SoundBad as error:
                left_out.append(LeftOut(turn.id, str(error)))
                continue
            _silence(out, turn.start_sample - at, first.channels)
            out.write(data)
            at = turn.start_sample + turn.samples
        _silence(out, end_sample - at, first.channels)
    part.replace(task.target)
    return tuple(left_out)


def _samples(folder: Path, turn: Turn, first: Turn, at: int) -> Any:
    """A clip's samples as 32-bit integers, which hold every depth exactly."""
    import soundfile

    if (turn.sample_rate_hz, turn.channels) != (first.sample_rate_hz, first.channels):
        raise SoundBad("it has another sample rate or other channels than its recording")
    if turn.start_sample < at:
        raise SoundBad("it begins before the clip before it ends")
    raw = bytearray(turn.bytes)
    read_sound(folder, turn.audio, turn.sha256, memoryview(raw))
    try:
        data, _ = soundfile.read(io.BytesIO(raw), dtype="int32", always_2d=True)
    except soundfile.SoundFileError as error:
        raise SoundBad(f"{turn.audio}: {error}") from error
    if data.shape != (turn.samples, turn.channels):
        raise SoundBad(f"{turn.audio} holds {len(data)} samples, the manifest says {turn.samples}")
    return data


def _subtype(path: Path) -> str:
    import soundfile

    try:
        return str(soundfile.info(path).subtype)
    except (soundfile.SoundFileError, OSError):
        return "PCM_16"


def _silence(out: Any, frames: int, channels: int) -> None:
    import numpy as np

    while frames > 0:
        count = min(frames, _SILENCE_FRAMES)
        out.write(np.zeros((count, channels), np.int32))
        frames -= count
