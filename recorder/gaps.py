"""Whether the samples that arrive keep up with the clock.

A driver that loses sound does not always say so, and a device that was unplugged may go on delivering
silence faster than real time. Both show when frames and clock are compared. `arrived_s` is how late a
block is seen, which jitters by whole buffers; the *least* lateness within a window does not.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Mismatch:
    """Frames and clock disagree: `samples` are missing (positive) or too many (negative)."""

    samples: int


class FrameClock:
    """Compares delivered frames with the time at which they were delivered.

    Parameters
    ----------
    sample_rate_hz : int
    window_s : float
        Over which the least lateness is taken; longer than any stall that a buffer makes up for.
    tolerance_s : float
        A smaller loss is not told from jitter.
    drift : float
        How much the two clocks may differ (quartz is better than 200 ppm; 1000 is generous).
    """

    def __init__(
        self,
        sample_rate_hz: int,
        *,
        window_s: float = 1.0,
        tolerance_s: float = 0.05,
        ahead_s: float = 0.3,
        drift: float = 1e-3,
    ) -> None:
        self._rate_hz = sample_rate_hz
        self._window_s = window_s
        self._tolerance_s = tolerance_s
        self._ahead_s = ahead_s
        self._drift_s = drift * window_s
        self._frames = 0
        self._start_s: float | None = None
        self._window_end_s = 0.0
        self._least_s = float("inf")
        self._usual_s: float | None = None
        self._settling = 2  # windows at the start in which a full buffer may still be emptied

    def feed(self, frames: int, arrived_s: float) -> Mismatch | None:
        """Take note of a block; tell of a mismatch once a window shows it."""
        self._frames += frames
        if self._start_s is None:
            self._start_s = arrived_s - frames / self._rate_hz
            self._window_end_s = arrived_s + self._window_s
        found = None
        if arrived_s >= self._window_end_s and self._least_s != float("inf"):
            found = self._close_window(arrived_s)
        lateness_s = arrived_s - self._start_s - self._frames / self._rate_hz
        self._least_s = min(self._least_s, lateness_s)
        return found

    def _close_window(self, arrived_s: float) -> Mismatch | None:
        least_s, self._least_s = self._least_s, float("inf")
        self._window_end_s = arrived_s + self._window_s
        if self._usual_s is None or (self._settling and least_s < self._usual_s):
            self._usual_s = least_s
            return None
        self._settling = max(0, self._settling - 1)
        change_s = least_s - self._usual_s
        if change_s > self._tolerance_s or change_s < -self._ahead_s:
            self._usual_s = least_s
            return Mismatch(round(change_s * self._rate_hz))
        self._usual_s += min(change_s, self._drift_s)
        return None
