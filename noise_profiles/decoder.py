"""Sound files read once from start to end, and what betrays that one was cut or damaged.

libsndfile measures what is left of a broken file and says nothing: only its log, the length that the header
promised and what lies behind the last sample tell.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import soundfile

_CUT = re.compile(r"^\s*(?:data|SSND|Data Size|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.M)
_UNKNOWN_SIZE = 0x7FFF_0000  # programs that write to a pipe put something near 2 or 4 GiB
_NO_END = "File ended unexpectedly without an End-Of-Stream flag"
# A stream without an end mark is common; one whose last page is in pieces was cut.
_TORN = "Junk after the last page"
_HOLE = "libogg reports a hole"
_MP3_LENGTHS = (b"Xing", b"Info", b"VBRI")  # in the first frame, if anywhere
_MP3_TAGS_BYTES = 2000  # what may stand behind the last frame
_LENGTH_UNKNOWN = 2**36 - 1  # FLAC counts in 36 bits; a program that writes to a pipe leaves them unset


class Damaged(Exception):
    """A file that is not whole.

    Attributes
    ----------
    why : str
        ``cut``, ``cut_end``, ``hole`` or ``no_length``; `noise_profiles.words` has the words under ``why_``.
    parameters : dict
        Of ``cut``: how much is `there` of `all`, in `unit` (``samples`` or ``bytes``).
    """

    def __init__(self, why: str, **parameters: object) -> None:
        super().__init__(why)
        self.why, self.parameters = why, parameters


class _Forward(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no types
    """Never sought: soundfile seeks after each block to where it believes to be.

    In a FLAC of unknown length that fails, and behind a hole in an Ogg it would read sound twice.
    """

    def seekable(self) -> bool:
        return False


class Decoder:
    """A sound file that is open; a context manager.

    Parameters
    ----------
    fd : int
        A descriptor at the file's begin. It is closed here.

    Attributes
    ----------
    sample_rate_hz, channels : int
    expected : int
        How many samples there should be; 0 where the file does not say.

    Raises
    ------
    soundfile.LibsndfileError
        If it is of no known format.
    Damaged
        If the header promises more than there is.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._promised = _promises_length(fd)
        self._file = _Forward(fd, closefd=True)
        self.sample_rate_hz: int = self._file.samplerate
        self.channels: int = self._file.channels
        self._stored: int = self._file.frames
        self.expected = self._stored if self._stored < _LENGTH_UNKNOWN else 0
        try:
            self._refuse_cut()
        except Damaged:
            self._file.close()
            raise

    def __enter__(self) -> Decoder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def blocks(self, most: int, dtype: str = "float32") -> Iterator[Any]:
        """All samples, at most so many at a time, shape (n, channels).

        Raises
        ------
        soundfile.LibsndfileError
            Where it cannot be decoded.
        Damaged
            At the end, if that was not all.
        """
        read = 0
        # Not asked for more than there should be: an MP3 decoder would read on and leave no trace of it.
        while len(
            block := self._file.read(min(most, max(1, self._stored - read)), dtype=dtype, always_2d=True)
        ):
            read += len(block)
            yield block
        if _HOLE in self._file.extra_info:
            raise Damaged("hole")
        left = os.fstat(self._fd).st_size - os.lseek(self._fd, 0, os.SEEK_CUR)
        if not self._promised and left > _MP3_TAGS_BYTES:
            raise Damaged("no_length")
        if self._promised and 0 < read < self.expected:
            raise Damaged("cut", there=read, all=self.expected, unit="samples")

    def _refuse_cut(self) -> None:
        log = self._file.extra_info
        for promised, there in _CUT.findall(log):
            if int(there) < int(promised) < _UNKNOWN_SIZE:
                raise Damaged("cut", there=int(there), all=int(promised), unit="bytes")
        if (_NO_END in log and self._stored == 0) or _TORN in log:
            raise Damaged("cut_end")


def _promises_length(fd: int) -> bool:
    """Whether a file that ends early was cut: the length of a bare MP3 is reckoned, and no promise."""
    head = os.read(fd, 10)
    if head[:3] == b"ID3":  # a tag of any size, seven bits to a byte (ID3v2.4, 3.1)
        os.lseek(fd, 10 + sum((byte & 0x7F) << 7 * n for n, byte in enumerate(head[:5:-1])), os.SEEK_SET)
        head = os.read(fd, 2)
    is_mp3 = len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0
    first_frame = os.read(fd, 2000) if is_mp3 else b""
    os.lseek(fd, 0, os.SEEK_SET)
    return not is_mp3 or any(mark in first_frame for mark in _MP3_LENGTHS)
