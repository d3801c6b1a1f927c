"""What MP3, Vorbis and Opus leave behind: holes in the spectrum, and edges where they stop.

A codec that is short of bits gives some bands nothing at all for a while: between two edges as steep as its
filters there is only what rounding leaves. And it drops what lies above a fixed edge, which is steeper than
a resampler's and at another place: resamplers stop at half of a usual rate.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noise_profiles.evidence import Heard, Limit
from noise_profiles.frames import HOLE_STEP, SPECTRUM_STEP_HZ, runs
from protocol.clip import AudioFinding

# Half of the rates in use. A resampler's edge lies at or a little below one of them.
HALF_RATES_HZ = (4_000, 5_512.5, 6_000, 8_000, 11_025, 12_000, 16_000, 22_050, 24_000)


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
    if edge_hz is not None and edge_hz >= limit["lowest_edge_hz"]:
        near = min(abs(edge_hz - half_hz) for half_hz in HALF_RATES_HZ)
        if near > limit["half_rate_hz"] and edge_hz < 0.97 * heard.sample_rate_hz / 2:
            yield AudioFinding(
                "sound.lossy_edge", "warning", edge_hz, heard.sample_rate_hz / 2, 0.0, heard.duration_s
            )


def _steep_edge_hz(spectrum: NDArray[np.float64], limit: Limit) -> float | None:
    """The edge above which there is nothing, if it falls within `steep_hz`."""
    if not spectrum.any():
        return None
    level_db = 10.0 * np.log10(spectrum + 1e-16)
    above = np.maximum.accumulate(level_db[::-1])[::-1]
    steep = round(limit["steep_hz"] / SPECTRUM_STEP_HZ)
    if level_db.size < 40 + steep:
        return None
    at = np.arange(20, level_db.size - steep - 3)
    under = np.lib.stride_tricks.sliding_window_view(level_db, 6)[at - 6].min(axis=1)
    falls = np.flatnonzero(under - above[at + steep] > limit["drop_db"])
    if not falls.size:
        return None
    # The last band before the fall is the edge.
    return float((at[falls[-1]] + 0.5) * SPECTRUM_STEP_HZ)
