"""What spoils a clip: detectors that each give a code, a value, a limit and a place."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from noise_profiles import levels
from noise_profiles.frames import Frames
from noise_profiles.samples import Samples
from noise_profiles.snr import Estimate
from protocol.clip import AudioFinding


@dataclass(frozen=True)
class Scanned:
    """What the samples themselves say of one channel."""

    peak_dbfs: float


class SampleScan:
    """Looks at each sample once, in blocks of any size."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate_hz = sample_rate_hz
        self._peak = 0.0

    def feed(self, x: Samples) -> None:
        """Take the next samples."""
        if x.size:
            self._peak = max(self._peak, float(x.max()), -float(x.min()))

    def finish(self) -> Scanned:
        """What was found."""
        peak = self._peak
        return Scanned(max(levels.FLOOR_DBFS, 20.0 * math.log10(peak)) if peak > 0.0 else levels.FLOOR_DBFS)


def findings(
    scanned: Scanned, frames: Frames, estimate: Estimate, duration_s: float
) -> Iterator[AudioFinding]:
    """Every defect of one channel."""
    if estimate.snr_db is None:
        yield AudioFinding("speech.none", "error", start_s=0.0, end_s=duration_s)
