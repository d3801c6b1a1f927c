"""What two channels betray together: the same sound twice, a dead wire, the other talker's voice.

Channels are compared by their frames, so it does not matter how they were fed.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.evidence import Heard, Limit, limits
from noise_profiles.scan import LSB
from noise_profiles.stretches import runs
from protocol.clip import AudioFinding

Array = NDArray[np.float64]
Sound = NDArray[np.float32] | NDArray[np.float16]

_PIECE = 200_000  # samples that are in double precision at once


def findings(channels: Sequence[Heard]) -> Iterator[AudioFinding]:
    """Defects that only the channels together show; of several pairs, the worst of each kind.

    `channel` in the parameters counts from 1.
    """
    if len(channels) < 2:
        return
    limit = limits()["channels"]
    dead = [number for number, one in enumerate(channels) if _is_dead(one, limit)]
    if dead and len(dead) < len(channels):
        swing = max(channels[n].scanned.highest - channels[n].scanned.lowest for n in dead)
        yield AudioFinding(
            "channel.dead",
            "warning",
            swing / LSB,
            limit["dead_steps"],
            0.0,
            channels[0].duration_s,
            {"channel": dead[0] + 1},
        )
    alive = [number for number in range(len(channels)) if number not in dead]
    crosstalk: list[AudioFinding] = []
    same: list[AudioFinding] = []
    for a, b in combinations(alive, 2):
        if (finding := _same(channels[a], channels[b], b, limit)) is not None:
            same.append(finding)
            continue
        for mine, other in ((a, b), (b, a)):
            crosstalk.extend(_crosstalk(channels[mine], channels[other], mine, limit))
    yield from same[:1]
    if crosstalk:
        yield max(crosstalk, key=lambda finding: finding.value or 0.0)


def _is_dead(heard: Heard, limit: Limit) -> bool:
    return heard.scanned.highest - heard.scanned.lowest <= limit["dead_steps"] * LSB


def _same(a: Heard, b: Heard, number: int, limit: Limit) -> AudioFinding | None:
    """One sound in both channels, perhaps louder or turned over in one: what differs is far below it."""
    differs_db, turned = _difference_db(a.frames.low, b.frames.low)
    if not differs_db < limit["same_db"]:
        return None
    differs_db = max(differs_db, _difference_db(a.frames.middle, b.frames.middle)[0])
    if not differs_db < limit["same_db"]:
        return None
    code = "channel.inverted" if turned else "channel.same"
    return AudioFinding(
        code,
        "warning",
        max(levels.FLOOR_DBFS, differs_db),
        limit["same_db"],
        0.0,
        a.duration_s,
        {"channel": number + 1},
    )


def _difference_db(a: Sound, b: Sound) -> tuple[float, bool]:
    """What is left of `b` less the best multiple of `a`, and whether that multiple is negative."""
    xx = yy = xy = 0.0
    for at in range(0, min(a.size, b.size), _PIECE):
        x, y = (one[at : at + _PIECE].astype(np.float64) for one in (a, b))
        xx, yy, xy = xx + float(x @ x), yy + float(y @ y), xy + float(x @ y)
    if xx <= 0.0 or yy <= 0.0:
        return 0.0, False
    left = max(0.0, 1.0 - xy * xy / (xx * yy))
    return 10.0 * math.log10(left + 1e-12), xy < 0.0


def _crosstalk(mine: Heard, other: Heard, number: int, limit: Limit) -> Iterator[AudioFinding]:
    """The other talker in my channel, while I am silent.

    Where the other channel is louder by far and mine still follows it up and down, mine holds that voice. Its
    level there against that in its own channel is the crosstalk.
    """
    if other.estimate.speech_dbfs is None:
        return
    size = min(len(mine.frames), len(other.frames))
    theirs, here = (_smooth(one.frames.power[:size]) for one in (other, mine))
    loud = theirs > levels.mean_square(other.estimate.speech_dbfs - limit["within_db"])
    # My own voice is louder here than it can leak: only where the other channel is the louder one.
    alone = loud & other.estimate.active[:size] & (theirs > 10 ** (limit["louder_db"] / 10) * here)
    if alone.sum() < 100 * limit["least_s"]:
        return
    floor = float(np.percentile(here, 10))
    leaked = np.maximum(here - floor, 0.0)
    weights = theirs[alone]
    leak = float(leaked[alone].sum() / weights.sum())
    leak_db = 10.0 * math.log10(leak + 1e-12)
    follows = _follows(mine, other, alone)
    if leak_db > limit["leak_db"] and follows > limit["follows"]:
        first, last = runs(alone)[0]
        yield AudioFinding(
            "channel.crosstalk",
            "warning",
            leak_db,
            limit["leak_db"],
            first / 100,
            last / 100,
            {"channel": number + 1},
        )


def _smooth(power: NDArray[np.float32]) -> Array:
    """Means over 50 ms, so that the delay between two microphones does not matter."""
    smooth: Array = np.convolve(power.astype(np.float64), np.ones(5) / 5, mode="same")
    return smooth


def _follows(mine: Heard, other: Heard, alone: NDArray[np.bool_]) -> float:
    """How far my channel has the other's changes in each band; two talkers share none of these."""
    x, y = (np.log(_smooth_bands(one.frames.bands[: alone.size])[alone] + 1e-12) for one in (mine, other))
    x -= x.mean(axis=0)
    y -= y.mean(axis=0)
    power = np.square(x).sum(axis=0) * np.square(y).sum(axis=0)
    by_band = (x * y).sum(axis=0) / np.sqrt(power + 1e-20)
    # A leak may be heard in some bands only.
    return float(np.percentile(by_band, 75))


def _smooth_bands(bands: NDArray[np.float32]) -> Array:
    padded = np.cumsum(np.pad(bands.astype(np.float64), ((3, 2), (0, 0)), mode="edge"), axis=0)
    means: Array = (padded[5:] - padded[:-5]) / 5.0
    return np.maximum(means, 0.0)
