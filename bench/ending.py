"""The end of a server that a benchmark started."""

from __future__ import annotations

import subprocess


def end(started: subprocess.Popen) -> None:
    """Ask it to end, and do not wait for ever."""
    started.terminate()
    try:
        started.wait(timeout=20)
    except subprocess.TimeoutExpired:
        started.kill()
