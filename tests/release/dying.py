"""Work that kills whoever does it."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def die_once(job: tuple[int, str]) -> int:
    """Kills its worker the first time that it sees shard 5."""
    number, scratch = job
    mark = Path(scratch) / "died"
    if number == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number: int) -> int:
    """Kills its worker each time."""
    os.kill(os.getpid(), signal.SIGKILL)
    return number
