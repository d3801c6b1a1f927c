"""What moves the membrane and is no sound: pops of breath, and wind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.evidence import Heard, Limit
from noise_profiles.frames import LOW_HZ, runs
from protocol.clip import AudioFinding

_PER_FRAME = LOW_HZ // 100


def pops(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Bursts below 40 Hz stronger than the speech."""
    if heard.estimate.speech_dbfs is None:
        return
    power = _slow_power(heard.frames.low, 12)  # means over 12.5 ms, taken twice, leave what lies below 40 Hz
    strong = power > levels.mean_square(heard.estimate.speech_dbfs + limit["over_speech_db"])
    seconds = float(strong.sum()) / 100
    if seconds >= limit["least_s"]:
        first, last = runs(strong)[0]
        yield AudioFinding("noise.pops", "warning", seconds, limit["least_s"], first / 100, last / 100)


def wind(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Gusts: strong noise below 100 Hz that comes and goes, and falls off steeply above.

    Judged between the words only, since deep voices begin there. A fan and a road are as low but steady.
    """
    speech_dbfs = heard.estimate.speech_dbfs
    if speech_dbfs is None:
        return
    low = _slow_power(heard.frames.low, 5)
    size = min(low.size, len(heard.frames)) // 20 * 20
    quiet = ~heard.estimate.active[:size].reshape(-1, 20).any(axis=1)
    if quiet.sum() < 5 * limit["least_s"]:
        return
    gusts = low[:size].reshape(-1, 20).mean(axis=1)[quiet]
    rest = heard.frames.power[:size].astype(np.float64).reshape(-1, 20).mean(axis=1)[quiet]
    weak, strong = np.percentile(10.0 * np.log10(gusts + 1e-14), (15, 85))
    share = float(gusts.sum()) / (float(gusts.sum()) + float(rest.sum()) + 1e-14)
    level_dbfs = levels.dbfs(float(gusts.mean()))
    if (
        level_dbfs > speech_dbfs + limit["over_speech_db"]
        and strong - weak > limit["swing_db"]
        and share > limit["share"]
    ):
        places = np.flatnonzero(quiet)
        start_s = float(places[int(np.argmax(gusts))]) / 5
        yield AudioFinding(
            "noise.wind",
            "warning",
            level_dbfs - speech_dbfs,
            limit["over_speech_db"],
            start_s,
            min(heard.duration_s, start_s + 0.2),
        )


def _slow_power(low: NDArray[np.float32], length: int) -> NDArray[np.float64]:
    """Power by frame of what two running means over `length` samples leave."""
    kernel = np.convolve(np.ones(length), np.ones(length)) / length**2
    frames = low.size // _PER_FRAME
    if low.size <= kernel.size:
        return np.empty(0)
    slow = np.convolve(low.astype(np.float64), kernel, mode="same")[: frames * _PER_FRAME]
    power: NDArray[np.float64] = np.square(slow.reshape(-1, _PER_FRAME)).mean(axis=1)
    return power
