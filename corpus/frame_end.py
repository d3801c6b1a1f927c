"""Whether a FLAC ends with its last frame, seen by whoever decodes it.

The decoder is handed the file without its last byte, and that byte only when it asks for more. A frame
ends with a checksum, so a file whose last sample was decoded before the last byte was asked for has
something behind its sound. (Between frames nothing can hide: the decoder loses its way there and says so.)
"""

from __future__ import annotations

import os


class FrameEnd:
    """A reader for the decoder over the file at `descriptor`.

    Attributes
    ----------
    reached : bool
        Whether the last byte was asked for.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._at = 0
        self.reached = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move, as a file does."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def read(self, count: int = -1) -> bytes:
        """At most `count` bytes; the last one of the file comes alone."""
        last = self._size - 1
        if count < 0:
            count = self._size
        if self._at < last:
            count = min(count, last - self._at)
        elif count:
            self.reached = True
        data = os.pread(self._descriptor, count, self._at)
        self._at += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        """As `read`, into a buffer."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def write(self, _data: bytes) -> int:
        """Nothing is ever written; the decoder's library wants the method to be there."""
        raise OSError("this is for reading")
