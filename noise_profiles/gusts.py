"""What moves the membrane and is no sound: pops of breath, and wind."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noise_profiles import levels
from noise_profiles.evidence import Heard, Limit
from noise_profiles.frames import LOW_HZ, runs
from protocol.clip import AudioFinding


def pops(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Wind and breath on the membrane: bursts below 40 Hz stronger than the speech."""
    if heard.estimate.speech_dbfs is None:
        return
    per_frame = LOW_HZ // 100
    low = heard.frames.low
    frames = low.size // per_frame
    # Means over 12.5 ms, taken twice, leave what lies below about 40 Hz.
    kernel = np.convolve(np.ones(12), np.ones(12)) / 144.0
    slow = np.convolve(low, kernel, mode="same")[: frames * per_frame] if low.size > kernel.size else low[:0]
    power = np.square(slow.reshape(-1, per_frame)).mean(axis=1) if slow.size else slow
    strong = power > levels.mean_square(heard.estimate.speech_dbfs + limit["over_speech_db"])
    seconds = float(strong.sum()) / 100
    if seconds >= limit["least_s"]:
        first, last = runs(strong)[0]
        yield AudioFinding("noise.pops", "warning", seconds, limit["least_s"], first / 100, last / 100)
