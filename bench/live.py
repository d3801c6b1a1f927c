"""How well the live detector tells speech from noise: when it is open, what it misses, how late it is.

    python bench/live.py [--speech DIR --noise DIR] [--snr-db 20 10 5] [--seed 1]

Each noise is heard alone, after two seconds of it were given as room tone and without them; then under three
sentences with pauses between them. Truth is P.56 activity of the clean speech. An onset is the first active
frame after 0.4 s without; it is cut where no segment begins within 0.1 s of it, which is what the cutter and
a take keep before a segment.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench import acoustics
from noise_profiles import levels, signals, vad
from noise_profiles.masks import closed
from noise_profiles.stretches import runs

RATE_HZ = acoustics.RATE_HZ
ROOM_S, PAUSE_S, ALONE_S, BLOCK_S = 2.0, 0.9, 18.0, 0.02
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scene:
    """A stream, the room tone before it, and in which of its 10 ms frames somebody speaks."""

    noise: str
    snr_db: float | None
    room: Floats
    sound: Floats
    active: NDArray[np.bool_]


@dataclass(frozen=True)
class Answer:
    """What the detector said of a scene, by frames: its segments, and when it said `speaking`."""

    inside: NDArray[np.bool_]
    open_at: NDArray[np.bool_]


def at_level(x: Floats, dbfs: float) -> Floats:
    """The noise with that mean power."""
    rms = float(np.sqrt(np.mean(np.square(x, dtype=np.float64))))
    louder: Floats = (x * (10.0 ** (dbfs / 20.0) / max(rms, 1e-9) / np.sqrt(2.0))).astype(np.float32)
    return louder


def alone(noise: Mapping[str, Floats], cuts: int) -> Iterator[Scene]:
    """Noise without a word."""
    for name, bed in sorted(noise.items()):
        for cut in range(cuts):
            x = at_level(np.resize(np.roll(bed, -cut * bed.size // cuts), samples(ROOM_S + ALONE_S)), -35.0)
            room, sound = np.split(x, [samples(ROOM_S)])
            yield Scene(name, None, room, sound, np.zeros(sound.size // 160, bool))


def conversations(
    speech: Mapping[str, Floats], noise: Mapping[str, Floats], snrs_db: list[float], seed: int
) -> Iterator[Scene]:
    """Three sentences each, of one level, with pauses; every clip is heard once in each noise."""
    rng = np.random.default_rng(seed)
    names = sorted(speech)
    pause = np.zeros(samples(PAUSE_S), np.float32)
    voices = []
    for at in range(0, len(names) - 2, 3):
        parts = [np.zeros(samples(ROOM_S), np.float32)]
        for name in names[at : at + 3]:
            level_dbfs = levels.active_speech(speech[name], RATE_HZ).level_dbfs
            parts += [speech[name] * np.float32(10.0 ** ((-26.0 - level_dbfs) / 20.0)), pause]
        voices.append(np.concatenate(parts))
    for snr_db in snrs_db:
        for name, bed in sorted(noise.items()):
            for voice in voices:
                start = int(rng.integers(bed.size))
                mixed = signals.mix(voice, np.roll(bed, -start), snr_db, RATE_HZ)
                room, sound = np.split(mixed.samples, [samples(ROOM_S)])
                yield Scene(name, snr_db, room, sound, mixed.active[round(100 * ROOM_S) :])


def samples(seconds: float) -> int:
    return round(seconds * RATE_HZ)


def answer(scene: Scene, *, known_room: bool) -> Answer:
    """Feed a scene in blocks of 20 ms, as a microphone does."""
    detector = vad.SpeechDetector(RATE_HZ, room=scene.room if known_room else None)
    count = scene.active.size
    open_at = np.zeros(count, bool)
    for at in range(0, scene.sound.size, samples(BLOCK_S)):
        said = detector.feed(scene.sound[at : at + samples(BLOCK_S)])
        open_at[at // 160 : at // 160 + 2] = said
    inside = np.zeros(count, bool)
    for start, end in detector.finish():
        inside[start // 160 : -(-end // 160)] = True
    return Answer(inside, open_at)


def onsets(active: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First and last frame of each phrase."""
    return runs(closed(active, 40), 10)


def table(scenes: list[Scene], answers: list[Answer]) -> None:
    """A row for each noise and for all: speech found, pauses open, onsets cut, delays."""
    names = sorted({s.noise for s in scenes})
    for name in [*names, "all"]:
        chosen = [(s, a) for s, a in zip(scenes, answers, strict=True) if name in (s.noise, "all")]
        active = sum(int(s.active.sum()) for s, _ in chosen)
        pauses = sum(int((~s.active).sum()) for s, _ in chosen)
        opened = sum(int((a.inside & ~s.active).sum()) for s, a in chosen)
        said = sum(int((a.open_at & ~s.active).sum()) for s, a in chosen)
        shares = [100 * frames / max(1, pauses) for frames in (opened, said)]
        row = f"  {name:<26} open {shares[0]:5.1f} % live {shares[1]:5.1f} %"
        if active:
            missed = sum(int((~a.inside & s.active).sum()) for s, a in chosen)
            cut, late, delays, ends = 0, 0, [], []
            for s, a in chosen:
                for first, last in onsets(s.active):
                    where = np.flatnonzero(a.inside[max(0, first - 30) : first + 11])
                    cut += where.size == 0
                    said_at = np.flatnonzero(a.open_at[first:last])
                    late += said_at.size == 0
                    if said_at.size:
                        delays.append(int(said_at[0]))
                    after = np.flatnonzero(~a.open_at[last:])
                    ends.append(int(after[0]) if after.size else a.open_at.size - last)
            count = sum(len(onsets(s.active)) for s, _ in chosen)
            row += (
                f"   missed {100 * missed / active:5.1f} %   onsets cut {cut:3d}, never {late:3d} of {count}"
                f"   said after {both_ms(delays)}   closed after {both_ms(ends)}"
            )
        print(row)


def both_ms(frames: list[int]) -> str:
    """Median and 90th percentile of delays."""
    middle, high = np.percentile(frames or [0], [50, 90])
    return f"{10 * middle:4.0f} / {10 * high:4.0f} ms"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--snr-db", type=float, nargs="*", default=[40.0, 20.0, 10.0, 5.0])
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    speech = acoustics.folder(arguments.speech) if arguments.speech else acoustics.synthesised()
    noise = acoustics.folder(arguments.noise) if arguments.noise else {}
    noise |= acoustics.made_noises()
    scenes = list(alone(noise, 4))
    for title, known_room in (("room tone known", True), ("room tone not known", False)):
        print(f"\nnoise alone, {title}")
        table(scenes, [answer(s, known_room=known_room) for s in scenes])
    for snr_db in arguments.snr_db:
        scenes = list(conversations(speech, noise, [snr_db], arguments.seed))
        print(f"\nthree sentences at {snr_db:g} dB, room tone known")
        table(scenes, [answer(s, known_room=True) for s in scenes])


if __name__ == "__main__":
    main()
