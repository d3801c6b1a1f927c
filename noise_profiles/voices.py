"""webrtcvad's opinion of short frames, whatever their level and rate.

webrtcvad keeps state from frame to frame and judges loudness as well, so there is one for each stream, behind
a gain that follows the level slowly.
"""

from __future__ import annotations

import math
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

AGGRESSIVENESS = 2
TARGET_DBFS = -20.0
MOST_GAIN_DB = 50.0
RELEASE_DB_PER_FRAME = 0.02


def analysis_rate_hz(sample_rate_hz: int) -> int:
    """The rate at which speech is looked at: 16 kHz, or 8 kHz for telephone sound."""
    return 8_000 if sample_rate_hz == 8_000 else 16_000


class FrameVad:
    """webrtcvad over 10 ms frames of 8 or 16 kHz sound of any level."""

    def __init__(self, rate_hz: int, aggressiveness: int = AGGRESSIVENESS) -> None:
        import _webrtcvad as webrtc

        # The compiled part at once: what `webrtcvad.Vad` looks at besides, for each frame, takes a tenth of
        # the time.
        self._vad, self._judge = webrtc.create(), webrtc.process
        webrtc.init(self._vad)
        webrtc.set_mode(self._vad, aggressiveness)
        self._rate_hz = rate_hz
        self._level_db = TARGET_DBFS - MOST_GAIN_DB

    def frames(self, frames: NDArray[np.float32], power: NDArray[np.float32]) -> NDArray[np.bool_]:
        """One answer for each row of `frames`, whose mean squares are `power`."""
        if not len(frames):
            return np.empty(0, dtype=bool)
        loudest_db = 10.0 * math.log10(2.0 * float(power.max()) + 1e-12)
        self._level_db = max(loudest_db, self._level_db - RELEASE_DB_PER_FRAME * len(frames))
        gain = 10.0 ** (min(MOST_GAIN_DB, TARGET_DBFS + 8.0 - self._level_db) / 20.0)
        loud = frames * np.float32(32768.0 * gain)
        np.rint(loud, out=loud)
        np.minimum(np.maximum(loud, -32768.0, out=loud), 32767.0, out=loud)
        length = frames.shape[1]
        pieces = loud.astype("<i2").view(f"V{2 * length}").ravel().tolist()  # bytes, without a slice for each
        answers = map(self._judge, repeat(self._vad), repeat(self._rate_hz), pieces, repeat(length))
        return np.array(list(answers), dtype=bool)
