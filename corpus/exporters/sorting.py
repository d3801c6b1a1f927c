"""Lines sorted by their bytes in bounded memory: sorted runs on disk, merged as they are read."""

from __future__ import annotations

import heapq
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

_RUN_BYTES = 32 << 20


class Sorted:
    """Takes lines (bytes that end in a newline) in any order and gives them back sorted, as often as asked.

    Parameters
    ----------
    folder : Path
        A folder that does not exist yet, for the runs; it is deleted at the end.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lines: list[bytes] = []
        self._bytes = 0
        self._runs: list[Path] = []

    def add(self, line: bytes) -> None:
        """Take one line."""
        self._lines.append(line)
        self._bytes += len(line)
        if self._bytes >= _RUN_BYTES:
            self._spill()

    def __iter__(self) -> Iterator[bytes]:
        self._lines.sort()
        with ExitStack() as stack:
            runs = [stack.enter_context(path.open("rb")) for path in self._runs]
            yield from heapq.merge(*runs, self._lines)

    def _spill(self) -> None:
        self._lines.sort()
        path = self._folder / f"{len(self._runs):06d}"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.writelines(self._lines)
        self._runs.append(path)
        self._lines.clear()
        self._bytes = 0

    def __enter__(self) -> Sorted:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.clear()
        if self._runs:
            shutil.rmtree(self._folder)
