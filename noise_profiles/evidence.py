"""Everything that is known of one channel when the detectors of `defects` run, and their limits.

Limits are data, in defects.toml. A detector reads what `scan` and `frames` kept and never the sound itself,
so it costs nothing to add one and hours of sound are no trouble.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

from noise_profiles.frames import Frames
from noise_profiles.scan import Scanned
from noise_profiles.snr import Estimate

Limit = Mapping[str, float]
Limits = Mapping[str, Limit]


@cache
def limits() -> Limits:
    """The limits of every detector, by its name."""
    source = resources.files("noise_profiles") / "defects.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Heard:
    """Everything that is known of one channel when detectors run."""

    sample_rate_hz: int
    scanned: Scanned
    frames: Frames
    estimate: Estimate

    @property
    def duration_s(self) -> float:
        """Length of the clip."""
        return self.scanned.samples / self.sample_rate_hz

    def seconds(self, sample: int) -> float:
        """A place in seconds."""
        return sample / self.sample_rate_hz

    def speaking(self, start: int, end: int) -> bool:
        """Whether speech is active anywhere from one sample to another."""
        hop = self.sample_rate_hz / 100
        return bool(self.estimate.active[int(start / hop) : int(end / hop) + 1].any())
