"""Bodies of requests while they come in: how much a server process holds of them, and where.

One budget for everybody, of which nobody has more than a quarter: members who send much, or send it slowly,
fill neither memory nor disk, and keep no others out. The first bytes of a body are never counted, so that
what is small passes at all times.
"""

from __future__ import annotations

import io
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, ClassVar

from corpus.disk import disk_errors
from protocol.errors import CodedError

UNCOUNTED_BYTES = 64 * 1024
_WAIT_S = 5
_SHARES = 4
_MEMORY_BYTES = 64 << 20  # of all bodies; what is more lies in files
_BODY_IN_MEMORY_BYTES = 4 << 20
_PIECE_BYTES = 1 << 18
_READ_BYTES = 1 << 20


class BodiesTooMany(CodedError):
    """The server holds as much of unfinished requests as it may."""

    code: ClassVar[str] = "BODIES_TOO_MANY"


class Room:
    """What one server process may hold of bodies.

    Parameters
    ----------
    most_bytes : int
        Of all together.
    longest_bytes : int
        The longest body of one request: one person can always have one.
    folder : Path
        Where the files lie that hold what memory does not; they have no names there.
    """

    def __init__(self, most_bytes: int, longest_bytes: int, folder: Path) -> None:
        self.folder = folder
        self._most_bytes = most_bytes
        self._share_bytes = min(most_bytes, max(most_bytes // _SHARES, longest_bytes + 1))
        self._lock = threading.Lock()
        self._held: dict[str, int] = {}
        self._held_bytes = self._memory_bytes = 0
        self._returned: deque[tuple[str, int, int]] = deque()  # whose, counted bytes, bytes in memory

    @property
    def held_bytes(self) -> int:
        """What is counted now."""
        with self._lock:
            self._settle()
            return self._held_bytes

    def take(self, who: str, size_bytes: int) -> bool:
        """Count so many bytes more of somebody's; False, and nothing counted, if they are too many."""
        with self._lock:
            self._settle()
            own = self._held.get(who, 0) + size_bytes
            if own > self._share_bytes or self._held_bytes + size_bytes > self._most_bytes:
                return False
            self._held[who] = own
            self._held_bytes += size_bytes
            return True

    def give_back(self, who: str, size_bytes: int, memory_bytes: int) -> None:
        """Count them no longer, from the next question on.

        It takes no lock: Python's collector closes a body whose connection is gone, and may do so in the
        very thread that holds the lock.
        """
        if size_bytes or memory_bytes:
            self._returned.append((who, size_bytes, memory_bytes))

    def use_memory(self, size_bytes: int) -> bool:
        """Whether so many bytes more may lie in memory."""
        with self._lock:
            self._settle()
            if self._memory_bytes + size_bytes > _MEMORY_BYTES:
                return False
            self._memory_bytes += size_bytes
            return True

    def _settle(self) -> None:
        while self._returned:
            who, size_bytes, memory_bytes = self._returned.popleft()
            self._memory_bytes -= memory_bytes
            self._held_bytes -= size_bytes
            left = self._held.pop(who, 0) - size_bytes
            if left > 0:
                self._held[who] = left


class Body(io.RawIOBase):
    """One body: counted whole, and kept while it is not too long and there is room.

    Pieces that come are kept as they are, not copied; small ones are joined, since each costs more than it
    holds. It is read from its start once nothing more is appended.

    Parameters
    ----------
    most_bytes : int
        The longest body that is kept; of a longer one nothing is.
    who : str
        Whose share of the room it takes.
    """

    def __init__(self, room: Room, who: str, most_bytes: int) -> None:
        self._room, self._who, self._most_bytes = room, who, most_bytes
        self._count = self._counted = self._in_memory = self._at = 0
        self._pieces: list[bytes | bytearray] = []
        self._file: IO[bytes] | None = None
        self._dropped = False
        self._problem: CodedError | None = None

    def __len__(self) -> int:
        return self._count

    def append(self, data: bytes) -> None:
        """Count, and keep or drop. It raises nothing: the thread that all connections share calls it."""
        self._count += len(data)
        if self._dropped:
            return
        if self._count > self._most_bytes:
            self._drop()
            return
        more = max(0, self._count - UNCOUNTED_BYTES) - self._counted
        if more and not self._room.take(self._who, more):
            self._drop()
            self._problem = BodiesTooMany(wait_s=_WAIT_S)
            return
        self._counted += more
        try:
            with disk_errors():
                self._keep(data)
        except CodedError as error:
            self._drop()
            self._problem = error

    def check(self) -> None:
        """Raise why it could not be kept, if it was for want of room here."""
        if self._problem is not None:
            raise self._problem

    def need(self) -> None:
        """Raise unless it is kept, for whoever is about to use it.

        A member's body is dropped as a stranger's if nobody could be asked whose it was when it came.
        """
        self.check()
        if self._dropped:
            raise BodiesTooMany(wait_s=_WAIT_S)

    def pieces(self) -> Iterator[bytes | bytearray]:
        """What is kept, from its start."""
        if self._file is None:
            yield from self._pieces
            return
        self._file.seek(0)
        while data := self._file.read(_READ_BYTES):
            yield data

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Fill as much of `buffer` as one piece does."""
        view = memoryview(buffer)
        data = self._from(self._at, len(view))
        view[: len(data)] = data
        self._at += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As a file's."""
        size = self._count if not self._dropped else 0
        self._at = max(0, offset + (0, self._at, size)[whence])
        return self._at

    def tell(self) -> int:
        """As a file's."""
        return self._at

    def getfile(self) -> Body:
        """Itself; how waitress asks for a reader."""
        return self

    def close(self) -> None:
        """Forget all, and give the room back."""
        self._drop()
        super().close()

    def _from(self, start: int, most: int) -> bytes | bytearray | memoryview:
        if self._file is not None:
            self._file.seek(start)
            return self._file.read(most)
        for piece in self._pieces:
            if start < len(piece):
                return memoryview(piece)[start : start + most]
            start -= len(piece)
        return b""

    def _keep(self, data: bytes) -> None:
        if self._file is None:
            fits = self._in_memory + len(data) <= _BODY_IN_MEMORY_BYTES
            if fits and self._room.use_memory(len(data)):
                self._in_memory += len(data)
                last = self._pieces[-1] if self._pieces else b""
                if isinstance(last, bytearray) and len(last) + len(data) <= _PIECE_BYTES:
                    last += data
                else:
                    self._pieces.append(data if 2 * len(data) > _PIECE_BYTES // 2 else bytearray(data))
                return
            self._file = tempfile.TemporaryFile(dir=self._room.folder)  # noqa: SIM115
            for piece in self._pieces:
                self._file.write(piece)
            self._give_back(0)
        self._file.write(data)

    def _give_back(self, counted_bytes: int) -> None:
        self._pieces = []
        self._room.give_back(self._who, counted_bytes, self._in_memory)
        self._in_memory = 0

    def _drop(self) -> None:
        self._dropped = True
        self._give_back(self._counted)
        self._counted = 0
        if self._file is not None:
            self._file.close()
            self._file = None
