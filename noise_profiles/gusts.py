"""What moves the membrane and is no sound: pops of breath, and wind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels, order
from noise_profiles.evidence import Heard, Limit
from noise_profiles.stretches import runs
from protocol.clip import AudioFinding


def pops(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Bursts below 40 Hz stronger than the speech."""
    if heard.estimate.speech_dbfs is None:
        return
    power = heard.frames.slow[:, 0]
    strong = power > levels.mean_square(heard.estimate.speech_dbfs + limit["over_speech_db"])
    seconds = float(strong.sum()) / 100
    if seconds >= limit["least_s"]:
        first, last = runs(strong)[0]
        yield AudioFinding("noise.pops", "warning", seconds, limit["least_s"], first / 100, last / 100)


def wind(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Gusts: strong noise below 100 Hz that comes and goes, and falls off steeply above.

    No voice reaches below 40 Hz, so there it is judged all the time; between the words up to 100 Hz. A fan
    and a road are as low but steadier.
    """
    speech_dbfs = heard.estimate.speech_dbfs
    if speech_dbfs is None:
        return
    everywhere = np.ones(len(heard.frames) // 20, dtype=bool)
    between = ~heard.estimate.active[: everywhere.size * 20].reshape(-1, 20).any(axis=1)
    rest = _fifths(heard.frames.power)
    for column, chosen, within in ((0, everywhere, "below_40_hz_db"), (1, between, "below_100_hz_db")):
        if chosen.sum() < 5 * limit["least_s"]:
            continue
        gusts = _fifths(heard.frames.slow[:, column])
        level_db = 10.0 * np.log10(gusts[chosen] + 1e-14)
        weak, strong = order.quantiles(level_db, 0.15, 0.85)
        share = float(gusts[between].sum() / (gusts[between].sum() + rest[between].sum() + 1e-14))
        over_db = levels.dbfs(float(gusts[chosen].mean())) - speech_dbfs
        steep = column == 0 or share > limit["share"]
        # Gusts last: one pop lifts the mean but not the median.
        lasting = levels.dbfs(order.median(gusts[chosen])) - speech_dbfs > limit[within] - 12.0
        if over_db > limit[within] and strong - weak > limit["swing_db"] and steep and lasting:
            start_s = float(np.flatnonzero(chosen)[int(np.argmax(gusts[chosen]))]) / 5
            yield AudioFinding(
                "noise.wind", "warning", over_db, limit[within], start_s, min(heard.duration_s, start_s + 0.2)
            )
            return


def _fifths(power: NDArray[np.float32]) -> NDArray[np.float64]:
    """Means of whole fifths of a second."""
    means: NDArray[np.float64] = power[: power.size // 20 * 20].reshape(-1, 20).mean(axis=1, dtype=np.float64)
    return means
