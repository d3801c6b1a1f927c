"""waitress's reader of requests, made to keep no more of a body than its route takes.

waitress takes a body in whole, beyond half a megabyte into a file, before anything of ours knows who asks.
Here a body that is too long for its route is read to its end and dropped, so that the connection stays in
step and the application refuses by the length that it sees, in its own words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import waitress.buffers  # type: ignore[import-untyped]
import waitress.parser  # type: ignore[import-untyped]

MostBytes = Callable[[str, str, Mapping[str, str]], int]
"""``(method, path, headers)`` -> the longest body of it that is kept."""


class CappedBuffer:
    """What the receivers write to: counts everything, keeps it while it is not too long.

    Parameters
    ----------
    most_bytes : int
        The longest body that is kept; of a longer one nothing is.
    """

    def __init__(self, overflow_bytes: int, most_bytes: int) -> None:
        self._kept = waitress.buffers.OverflowableBuffer(overflow_bytes)
        self._overflow_bytes, self._most_bytes = overflow_bytes, most_bytes
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def append(self, data: bytes) -> None:
        """Count, and keep or drop."""
        before, self._count = self._count, self._count + len(data)
        if self._count <= self._most_bytes:
            self._kept.append(data)
        elif before <= self._most_bytes:
            self._kept.close()
            self._kept = waitress.buffers.OverflowableBuffer(self._overflow_bytes)

    def getfile(self) -> Any:
        """A reader at the start of what was kept."""
        return self._kept.getfile()

    def close(self) -> None:
        """Forget all."""
        self._kept.close()


def parser_class(most_bytes: MostBytes) -> type:
    """A request parser whose bodies are capped by route."""

    class CappedParser(waitress.parser.HTTPRequestParser):  # type: ignore[misc]
        def parse_header(self, header_plus: bytes) -> None:
            super().parse_header(header_plus)
            if self.body_rcv is None:
                return
            most = most_bytes(self.command, self.path, self.headers)
            # Of a body that says at once that it is too long not even the beginning is kept.
            most = 0 if not self.chunked and self.content_length > most else most
            self.body_rcv.buf = CappedBuffer(self.adj.inbuf_overflow, most)

    return CappedParser
