"""A line that tells how far a pull is: on a terminal only, written over in place."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from corpus.pull import Progress

_EVERY_S = 0.1
_WIDTH = 24
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Bar:
    """Give it to `corpus.pull.pull` as `progress`."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._began = clock()
        self._told = float("-inf")

    def __call__(self, now: Progress) -> None:
        """Draw, at most ten times a second; the last time in full and with a new line."""
        moment, ended = self._clock(), now.sounds == now.of_sounds
        if moment - self._told < _EVERY_S and not ended:
            return
        self._told = moment
        text = line(now, moment - self._began)
        self._stream.write(f"\r{text}\x1b[K" + ("\n" if ended else ""))
        self._stream.flush()


def line(now: Progress, elapsed_s: float) -> str:
    """How far, in sounds and bytes, how fast, and how long it will still take."""
    share = now.bytes / now.of_bytes if now.of_bytes else 1.0
    full = round(_WIDTH * share)
    speed = now.bytes / elapsed_s if elapsed_s > 0 else 0.0
    left_s = (now.of_bytes - now.bytes) / speed if speed else 0.0
    return (
        f"{share:4.0%} [{'#' * full}{'.' * (_WIDTH - full)}] {now.sounds} of {now.of_sounds} sounds,"
        f" {size(now.bytes)} of {size(now.of_bytes)}, {size(speed)}/s"
        + (f", {_time(left_s)} left" if left_s >= 1 else "")
    )


def size(count: float) -> str:
    """Bytes for people: ``812 B``, ``14.2 MB``."""
    for unit in _UNITS:
        if count < 999.95 or unit == _UNITS[-1]:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} {_UNITS[-1]}"


def _time(seconds: float) -> str:
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
