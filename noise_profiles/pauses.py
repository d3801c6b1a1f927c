"""What the pauses betray: gates, gain that rides on the voice, and words cut at an edge."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noise_profiles import levels
from noise_profiles.evidence import Heard, Limit
from protocol.clip import AudioFinding


def gated(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Exact silence between words: a noise gate or suppressor has removed the room."""
    active = np.flatnonzero(heard.estimate.active)
    if heard.estimate.speech_dbfs is None or heard.estimate.speech_dbfs < limit["lowest_dbfs"]:
        return
    hop = heard.sample_rate_hz // 100
    first, last = int(active[0]) * hop, int(active[-1] + 1) * hop
    places = [
        (max(one.start, first), min(one.end, last))
        for one in heard.scanned.frozen
        if min(one.end, last) - max(one.start, first) >= limit["shortest_s"] * heard.sample_rate_hz
    ]
    silent_s = heard.seconds(sum(b - a for a, b in places))
    between = heard.frames.power[int(active[0]) : int(active[-1]) + 1]
    quiet_s = float((between < levels.mean_square(heard.estimate.speech_dbfs - 30.0)).sum()) / 100
    if silent_s >= limit["least_s"] and silent_s >= limit["share_of_pauses"] * quiet_s:
        yield AudioFinding(
            "noise.gated",
            "warning",
            silent_s,
            limit["least_s"],
            heard.seconds(places[0][0]),
            heard.seconds(places[0][1]),
        )


def cut(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Speech in the first or last tenth of a second: a word may have been cut."""
    estimate, power = heard.estimate, heard.frames.power
    n = len(heard.frames)
    if estimate.speech_dbfs is None or n < 30:
        return
    edge, loud = round(100 * limit["edge_s"]), levels.mean_square(estimate.speech_dbfs - limit["within_db"])
    noise = levels.mean_square(estimate.noise_dbfs)
    over = (power > max(loud, 4.0 * noise)) & estimate.active
    for code, frames, start_s in (
        ("speech.cut_start", over[:edge], 0.0),
        ("speech.cut_end", over[n - edge :], max(0.0, heard.duration_s - limit["edge_s"])),
    ):
        edge_frames = frames[:5] if code == "speech.cut_start" else frames[-5:]
        if edge_frames.sum() >= 3:
            place = np.flatnonzero(frames)
            at_s = float(place[0] if code == "speech.cut_start" else edge - 1 - place[-1]) / 100
            yield AudioFinding(code, "warning", at_s, limit["edge_s"], start_s, start_s + limit["edge_s"])
