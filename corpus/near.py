"""Texts that are nearly the same: found by MinHash over pairs of letters, confirmed by counting them.

A sentence that was trained on and comes back with one word changed makes a test look better than it is.
Two texts are near when the sets of their neighbouring letters overlap by `NEAR` (Jaccard): in a sentence
of nineteen letters one may differ, or the last one in ten. Only read texts of `SHORTEST` letters and
others of `SPOKEN` count, since shorter ones are alike by chance.

Each text leaves `BANDS` 64-bit keys; texts that share one are compared. With `ROWS` hashes a band, a pair
at the limit is missed once in twenty thousand times, and one at 0.9 hardly ever. Keys lie in a file,
one column a band, so that memory holds one column at a time, whatever the number of texts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NEAR = 0.8
SHORTEST = 6
SPOKEN = 20
BANDS, ROWS = 14, 3
_NEIGHBOURS = 16  # how many of those with the same key a text is compared with
_BLOCK = 4096
_MARKS = re.compile(r"[\W_]+")
_ODD = np.array(
    [
        int.from_bytes(hashlib.blake2b(b"near %d" % place, digest_size=8).digest(), "big") | 1
        for place in range(BANDS * ROWS)
    ],
    np.uint64,
)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_START = np.arange(1, BANDS + 1, dtype=np.uint64) * _MIX
ROW_BYTES = 8 * BANDS
_NO_KEYS = bytes(ROW_BYTES)

Texts = Callable[[Sequence[int]], Sequence[str]]


def counts(folded: str, style: str) -> bool:
    """Whether a text is long enough that its like in another split would be no chance."""
    return len(letters(folded)) >= (SHORTEST if style == "read" else SPOKEN)


def letters(folded: str) -> str:
    """What of a folded text is compared: its letters and digits, without spaces and marks."""
    return _MARKS.sub("", folded)


def overlap(one: str, other: str) -> float:
    """Jaccard similarity of the pairs of neighbouring letters of two texts."""
    mine, theirs = _pairs_of(letters(one)), _pairs_of(letters(other))
    both = len(mine & theirs)
    return both / max(len(mine) + len(theirs) - both, 1)


def is_near(one: str, other: str) -> bool:
    """Whether two folded texts are nearly the same."""
    if min(len(letters(one)), len(letters(other))) < SHORTEST:
        return letters(one) == letters(other) and letters(one) != ""
    return overlap(one, other) >= NEAR


def keys(texts: Sequence[str]) -> bytes:
    """`BANDS` keys of each folded text, 8 bytes each; all zero for a text that is too short.

    Pure, so that workers may do it.
    """
    points = [np.frombuffer(letters(text).encode("utf-32-le"), "<u4").astype(np.uint64) for text in texts]
    long = [place for place, own in enumerate(points) if len(own) >= SHORTEST]
    out = np.zeros((len(texts), BANDS), np.uint64)
    if long:
        shingles = np.concatenate([_mixed(points[place]) for place in long])
        starts = np.cumsum([0, *(len(points[place]) - 1 for place in long[:-1])])
        for band in range(BANDS):
            key = np.full(len(long), _START[band], np.uint64)
            for row in range(ROWS):
                hashed = shingles * _ODD[band * ROWS + row]
                lowest = np.minimum.reduceat(hashed ^ (hashed >> np.uint64(29)), starts)
                key = (key ^ lowest) * _MIX
            out[long, band] = key | np.uint64(1)
    return out.tobytes()


def rows(folded: Sequence[str], styles: Sequence[str]) -> list[bytes | None]:
    """Keys of each text that counts, and None for the others."""
    told = [counts(text, style) for text, style in zip(folded, styles, strict=True)]
    data = keys([text for text, is_told in zip(folded, told, strict=True) if is_told])
    parts = (data[at : at + ROW_BYTES] for at in range(0, len(data), ROW_BYTES))
    return [next(parts) if is_told else None for is_told in told]


def _mixed(points: NDArray[np.uint64]) -> NDArray[np.uint64]:
    pairs = points[:-1] << np.uint64(21) | points[1:]
    mixed: NDArray[np.uint64] = (pairs ^ (pairs >> np.uint64(17))) * _MIX
    return mixed ^ (mixed >> np.uint64(32))


def _pairs_of(text: str) -> set[str]:
    return {text[place : place + 2] for place in range(len(text) - 1)}


@dataclass
class Signatures:
    """Keys of many texts in a scratch file; number them as they are added."""

    path: Path
    count: int = 0

    def __post_init__(self) -> None:
        self._file = self.path.open("wb")

    def add(self, row: bytes | None) -> None:
        """Take one text's keys, or None for a clip whose text does not count."""
        self._file.write(row or _NO_KEYS)
        self.count += 1

    def close(self) -> None:
        """End writing; `pairs` may then be asked."""
        self._file.close()

    def compared(self, there: NDArray[np.bool_]) -> int:
        """How many of some texts were long enough to be compared."""
        if not self.count:
            return 0
        rows = np.memmap(self.path, np.uint64, "r", shape=(self.count, BANDS))
        return int(np.count_nonzero(rows[:, 0][there]))

    def pairs(self, side: NDArray[np.int64], texts: Texts) -> NDArray[np.int64]:
        """Pairs of near texts on different sides, each once, as rows of (index, index).

        Parameters
        ----------
        side : ndarray of int, shape (count,)
            A text is compared only with those of another side; one with side -1 with none.
        texts : callable
            Gives the folded texts of some indexes, which are asked for in ascending order.
        """
        found: set[tuple[int, int]] = set()
        checked: set[tuple[int, int]] = set()
        if not self.count:
            return np.empty((0, 2), np.int64)
        rows = np.memmap(self.path, np.uint64, "r", shape=(self.count, BANDS))
        for band in range(BANDS):
            column = np.concatenate([rows[at : at + _BLOCK, band] for at in range(0, self.count, _BLOCK)])
            candidates = set(_candidates(column, side)) - checked
            checked |= candidates
            for block in _blocks(sorted(candidates)):
                wanted = sorted({index for pair in block for index in pair})
                text_of = dict(zip(wanted, texts(wanted), strict=True))
                found |= {(i, j) for i, j in block if is_near(text_of[i], text_of[j])}
        return np.array(sorted(found), np.int64).reshape(-1, 2)


def _candidates(column: NDArray[np.uint64], side: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Texts of different sides with the same key; in a crowd each meets its next few neighbours."""
    there = np.flatnonzero((column != 0) & (side >= 0))
    order = there[np.argsort(column[there], kind="stable")]
    for step in range(1, _NEIGHBOURS + 1):
        left, right = order[:-step], order[step:]
        same = (column[left] == column[right]) & (side[left] != side[right])
        if step == 1 or same.any():
            yield from zip(left[same].tolist(), right[same].tolist(), strict=True)


def _blocks(pairs: Sequence[tuple[int, int]]) -> Iterator[Sequence[tuple[int, int]]]:
    for at in range(0, len(pairs), _BLOCK):
        yield pairs[at : at + _BLOCK]


def lesser(pairs: NDArray[np.int64], weight: NDArray[np.int64], side: NDArray[np.int64]) -> dict[int, int]:
    """Which texts to leave out so that no pair remains, and which one each of them resembles.

    Texts that hang together are one cluster; of its sides the one with the most speech stays.
    """
    parent: dict[int, int] = {}

    def root(index: int) -> int:
        parent.setdefault(index, index)
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for i, j in pairs.tolist():
        low, high = sorted((root(i), root(j)))
        parent[high] = low
    weights: dict[int, dict[int, int]] = {}
    for index in sorted(parent):
        sums = weights.setdefault(root(index), {})
        sums[int(side[index])] = sums.get(int(side[index]), 0) + int(weight[index])
    kept = {cluster: min(sums, key=lambda name: (-sums[name], name)) for cluster, sums in weights.items()}
    out: dict[int, int] = {}
    for i, j in pairs.tolist():
        for one, other in ((i, j), (j, i)):
            if int(side[one]) != kept[root(one)]:
                out.setdefault(one, other)
    return out
