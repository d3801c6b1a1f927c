"""Locks between processes that the system releases when their holder dies, even by SIGKILL."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import IO


def _take(file: IO[bytes], *, wait: bool) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file.fileno(), fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


class FileLock:
    """Holds the file at `path` locked until closed.

    Without `wait` the lock is taken at once or not at all, and `held` says which.
    """

    def __init__(self, path: Path, *, wait: bool = False) -> None:
        self._file: IO[bytes] = path.open("a+b")
        self.held = _take(self._file, wait=wait)

    def __enter__(self) -> FileLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go."""
        self._file.close()
