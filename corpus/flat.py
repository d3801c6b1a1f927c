"""A column of texts as the bytes it lies in, so that a million short texts are looked at without a loop."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LONGEST = 512  # bytes; a longer text has a hash of its own
_ODD = np.random.Generator(np.random.PCG64(7)).integers(0, 1 << 63, _LONGEST // 8, np.uint64) * 2 + 1
_MIX = np.uint64(0x9E3779B97F4A7C15)
_DASH = ord("-")


def _letters(some: str) -> NDArray[np.bool_]:
    found = np.zeros(256, bool)
    found[list(some.encode())] = True
    return found


_ALPHABET = _letters("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789")
_ALPHABET_AND_DASH = _ALPHABET | _letters("-")
_HEX = _letters("0123456789abcdef")


@dataclass(frozen=True)
class Flat:
    """Texts one after the other; text n is ``data[starts[n]:starts[n + 1]]``. One that is null is empty."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]

    @classmethod
    def of(cls, column: Any) -> Flat:
        """Those of an Arrow array of strings."""
        _, offsets, data = column.buffers()
        starts = np.frombuffer(offsets, np.int32)[column.offset : column.offset + len(column) + 1]
        begin = int(starts[0])
        every = np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8)
        return cls(every[begin : int(starts[-1])], starts.astype(np.int64) - begin)

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Bytes of each text."""
        return np.diff(self.starts)

    def bytes_at(self, rows: NDArray[np.int64], width: int) -> NDArray[np.uint8]:
        """The first `width` bytes of some texts, none of which is shorter."""
        if len(rows) == len(self) and len(self.data) == width * len(rows):
            return self.data.reshape(-1, width)
        found: NDArray[np.uint8] = self.data[self.starts[rows][:, None] + np.arange(width)]
        return found

    def holding(self, places: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which texts have one of these places of `data` in them."""
        found = np.zeros(len(self), bool)
        found[np.searchsorted(self.starts, places, "right") - 1] = True
        return found

    def not_hex(self, width: int) -> NDArray[np.bool_]:
        """Which texts are anything but `width` lower-case hexadecimal digits."""
        bad: NDArray[np.bool_] = self.lengths != width
        rows = np.flatnonzero(~bad)
        bad[rows] = ~_HEX[self.bytes_at(rows, width)].all(axis=1)
        return bad

    def not_names(self, *, dashes: bool = True) -> NDArray[np.bool_]:
        """Which texts are anything but letters and digits of ASCII, in parts joined by single dashes."""
        bad: NDArray[np.bool_] = self.lengths == 0
        bad |= self.holding(np.flatnonzero(~(_ALPHABET_AND_DASH if dashes else _ALPHABET)[self.data]))
        if dashes:
            is_dash = self.data == _DASH
            bad |= self.holding(np.flatnonzero(is_dash[1:] & is_dash[:-1]))
            rows = np.flatnonzero(self.lengths)
            bad[rows] |= is_dash[self.starts[rows]] | is_dash[self.starts[rows + 1] - 1]
        return bad

    def hashes(self) -> NDArray[np.uint64]:
        """A 64-bit number for each text, the same for the same text wherever it stands."""
        lengths = self.lengths
        short = np.flatnonzero(lengths <= _LONGEST)
        found = np.empty(len(self), np.uint64)
        width = -(-int(lengths[short].max(initial=1)) // 8) * 8
        words = np.zeros((len(short), width), np.uint8)
        if len(short) == len(self):
            words[np.arange(width) < lengths[:, None]] = self.data
        else:
            mine = np.repeat(lengths <= _LONGEST, lengths)
            words[np.arange(width) < lengths[short][:, None]] = self.data[mine]
        mixed = words.view("<u8") * _MIX
        mixed ^= mixed >> np.uint64(29)  # an empty word stays 0, so that the width is no matter
        found[short] = (mixed * _ODD[: width // 8]).sum(axis=1)
        for row in np.flatnonzero(lengths > _LONGEST).tolist():
            text = self.data[self.starts[row] : self.starts[row + 1]].tobytes()
            found[row] = int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "little")
        return found ^ (found >> np.uint64(32))
