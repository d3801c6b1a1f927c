"""What MP3, Vorbis and Opus leave behind: holes in the spectrum, and edges where they stop.

A codec that is short of bits gives some bands nothing at all for a while: between two edges as steep as its
filters there is only what rounding leaves. And it drops what lies above a fixed edge, which is steeper than
a resampler's and at another place: resamplers stop at half of a usual rate.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noise_profiles import order
from noise_profiles.bands import HOLE_STEP
from noise_profiles.evidence import Heard, Limit
from noise_profiles.passband import SPECTRUM_STEP_HZ
from noise_profiles.stretches import runs
from protocol.clip import AudioFinding

# Half of the rates in use. A resampler's edge lies at or a little below one of them.
HALF_RATES_HZ = (4_000, 5_512.5, 6_000, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000)
OPUS_RATE_HZ = 48_000
OPUS_EDGE_HZ = 20_000.0


def lossy(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """The sound went through a lossy codec before it became this file."""
    speech_dbfs = heard.estimate.speech_dbfs
    if speech_dbfs is None:
        return
    looked = heard.frames.hollow[::HOLE_STEP]
    speaking = heard.estimate.active[::HOLE_STEP][: looked.size]
    holes = looked & speaking
    share = float(holes.sum()) / max(1, int(speaking.sum()))
    enough = holes.sum() >= limit["least_holes"] and speech_dbfs > limit["lowest_dbfs"]
    if enough and share > limit["holes_share"]:
        first, last = runs(holes)[0][0], runs(holes)[-1][1]
        yield AudioFinding(
            "sound.lossy",
            "warning",
            100.0 * share,
            100.0 * limit["holes_share"],
            HOLE_STEP * first / 100,
            HOLE_STEP * last / 100,
        )
        return
    edge_hz = _steep_edge_hz(heard.frames.spectrum, limit)
    if edge_hz is None and heard.sample_rate_hz == OPUS_RATE_HZ:
        edge_hz = _opus_edge_hz(heard.frames.spectrum, limit)
    if edge_hz is not None and edge_hz >= limit["lowest_edge_hz"]:
        near = min(abs(edge_hz - half_hz) for half_hz in HALF_RATES_HZ)
        if near > limit["half_rate_hz"] and edge_hz < limit["share_of_nyquist"] * heard.sample_rate_hz / 2:
            yield AudioFinding(
                "sound.lossy_edge", "warning", edge_hz, heard.sample_rate_hz / 2, 0.0, heard.duration_s
            )


def _steep_edge_hz(spectrum: NDArray[np.float64], limit: Limit) -> float | None:
    """The edge above which there is nothing, if it falls within `steep_hz`."""
    if not spectrum.any():
        return None
    level_db = 10.0 * np.log10(spectrum + 1e-16)
    highest_above = np.maximum.accumulate(level_db[::-1])[::-1]
    steep = round(limit["steep_hz"] / SPECTRUM_STEP_HZ)
    if level_db.size < 40 + steep:
        return None
    at = np.arange(24, level_db.size - steep - 3)
    # From a level that lasted down to the rounding noise, at once.
    at = at[
        (level_db[at - 1] - highest_above[at + steep] > limit["drop_db"])
        & (highest_above[at + steep] < order.median(level_db[-8:]) + limit["floor_db"])
    ]
    for edge in at[::-1].tolist():
        just_under = float(level_db[edge - 6 : edge].min())
        lasted = just_under > order.median(level_db[edge - 24 : edge - 18]) - limit["lasted_db"]
        if lasted and just_under - float(highest_above[edge + steep]) > limit["drop_db"]:
            return float(edge * SPECTRUM_STEP_HZ)
    return None


def _opus_edge_hz(spectrum: NDArray[np.float64], limit: Limit) -> float | None:
    """20 kHz, if it is there that the spectrum begins to fall: no usual resampler does."""
    level_db = 10.0 * np.log10(spectrum + 1e-16)
    edge = round(OPUS_EDGE_HZ / SPECTRUM_STEP_HZ)
    before, at_edge, after = level_db[edge - 16 : edge - 3], level_db[edge - 2], level_db[edge + 2]
    even = abs(order.median(before) - float(at_edge)) < 3.0
    down = float(at_edge) - float(after) > limit["drop_db"] + 6.0
    nothing = float(level_db[edge + 9 :].max()) < order.median(level_db[-8:]) + limit["floor_db"]
    return OPUS_EDGE_HZ if even and down and nothing else None
