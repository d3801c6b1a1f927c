"""Lines for terminals and programs: JSON that is safe to look at, and a bar for long work."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import TextIO


def json_line(row: object) -> str:
    """JSON in which everything that is not printed is escaped: a name cannot move a terminal's cursor."""
    said = json.dumps(row, ensure_ascii=False, allow_nan=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in said)


class Progress:
    """A bar on a terminal's last line, while work takes long; nothing elsewhere."""

    def __init__(self, stream: TextIO, shown: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._shown = shown
        self._clock = clock
        self._last_s = clock()  # short work shows none
        self._files = self._done = 0
        self._drawn = False

    def begin(self, files: int) -> None:
        """So many files will come."""
        self._files = files

    def share(self, share: float) -> None:
        """So much of the current file is done."""
        now_s = self._clock()
        if self._shown and now_s - self._last_s >= 0.3:
            self._last_s = now_s
            whole = (self._done + share) / max(1, self._files)
            bar = ("#" * round(30 * whole)).ljust(30, ".")
            self._stream.write(f"\r[{bar}] {self._done}/{self._files} {100 * whole:3.0f} %\x1b[K")
            self._stream.flush()
            self._drawn = True

    def next(self) -> None:
        """One more file is done."""
        self._done += 1
        self.share(0.0)

    def hide(self) -> None:
        """Clear the line for something else."""
        if self._drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._drawn = False
