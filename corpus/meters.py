"""Counts that several server processes add to and any of them can tell.

Each process writes its own counts through to a small file and reads the others' when it is asked. Files are
written, not mapped: on a full disk a write fails, where a mapped page would end the process. A process that
ended leaves its file, so that sums do not fall; the next start of the server clears the folder, and counters
begin at zero as Prometheus expects of a restart.
"""

from __future__ import annotations

import bisect
import os
import secrets
import struct
import threading
from collections.abc import Mapping
from pathlib import Path

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
SUM = len(BOUNDS_S) + 1  # place of the sum, after a count for each bound and one for the rest
_RECORD = struct.Struct("<112s18d")
_VALUES = 18
_MOST_KEYS = 4000
_SUFFIX = ".counts"
_SEPARATOR = "\x1f"

Key = tuple[str, ...]


class Meters:
    """The counts of this process, and the way to everybody's.

    Parameters
    ----------
    folder : Path
        Shared by the processes of one server; made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._pid = 0
        self._file: int | None = None
        self._name = ""
        self._values: dict[Key, list[float]] = {}
        self._places: dict[Key, int] = {}

    def add(self, *key: str, amount: float = 1.0) -> None:
        """Count once more; `key` is the counter's name and its labels."""
        self._change(key, {0: amount})

    def observe(self, *key: str, seconds: float) -> None:
        """One more duration of a histogram."""
        self._change(key, {bisect.bisect_left(BOUNDS_S, seconds): 1.0, SUM: seconds})

    def totals(self) -> dict[Key, list[float]]:
        """Every count, summed over all processes of this server, also those that ended."""
        with self._lock:
            self._settled()
            found = {key: list(values) for key, values in self._values.items()}
            own = self._name
        for path in sorted(self.folder.glob(f"*{_SUFFIX}")):
            if path.name != own:
                for key, values in _read(path).items():
                    mine = found.setdefault(key, [0.0] * _VALUES)
                    found[key] = [a + b for a, b in zip(mine, values, strict=True)]
        return found

    def _change(self, key: Key, amounts: Mapping[int, float]) -> None:
        with self._lock:
            self._settled()
            if key not in self._values:
                if len(self._values) >= _MOST_KEYS or len(_text(key)) > 112:
                    return  # a count that is missing harms less than a file without end
                self._places[key] = len(self._values)
                self._values[key] = [0.0] * _VALUES
            values = self._values[key]
            for place, amount in amounts.items():
                values[place] += amount
            if self._file is not None:
                try:
                    os.pwrite(self._file, _RECORD.pack(_text(key), *values), _RECORD.size * self._places[key])
                except OSError:
                    return  # a full disk: this process still tells its own counts

    def _settled(self) -> None:
        """Begin a file of one's own, also after a fork."""
        if self._pid == os.getpid():
            return
        self._pid, self._file = os.getpid(), None
        self._values, self._places = {}, {}
        self._name = f"{self._pid}-{secrets.token_hex(4)}{_SUFFIX}"
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._file = os.open(self.folder / self._name, flags, 0o600)
        except OSError:
            self._file = None  # it counts in memory alone


def clear(folder: Path) -> None:
    """Forget the counts of a server that ended."""
    for path in folder.glob(f"*{_SUFFIX}"):
        path.unlink(missing_ok=True)


def _text(key: Key) -> bytes:
    return _SEPARATOR.join(key).encode()


def _read(path: Path) -> dict[Key, tuple[float, ...]]:
    try:
        data = path.read_bytes()
    except OSError:
        return {}
    whole = len(data) - len(data) % _RECORD.size
    found = {}
    for text, *values in _RECORD.iter_unpack(data[:whole]):
        name = text.rstrip(b"\0").decode("utf-8", "replace")
        if name:
            found[tuple(name.split(_SEPARATOR))] = tuple(values)
    return found
