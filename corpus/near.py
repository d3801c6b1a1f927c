"""Texts that are nearly the same: found by MinHash over pairs of letters, confirmed by counting them.

A sentence that was trained on and comes back with one word changed makes a test look better than it is.
Two texts are near when the sets of their neighbouring letters overlap by `NEAR` (Jaccard): in a sentence
of nineteen letters one may differ, or the last one in ten. Only read texts of `SHORTEST` letters and
others of `SPOKEN` count, since shorter ones are alike by chance.

Each text leaves `BANDS` 64-bit keys; texts that share one are compared. With `ROWS` hashes a band, a pair
at the limit is missed once in twenty thousand times, and one at 0.9 hardly ever. By chance keys are shared
by a number of pairs that grows with the square of the texts, so a sketch of each text's pairs of letters
tells nearly all of those apart before a text is read again; it never tells near ones apart. Keys and
sketches lie in a file, and memory holds a part of a band at a time, whatever the number of texts.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
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
_SKETCH = 4  # words of 64 bits; one more holds how many different pairs of letters there are
_WORDS = BANDS + _SKETCH + 1
ROW_BYTES = 8 * _WORDS
_NO_KEYS = bytes(ROW_BYTES)
_MEMBERS = 1 << 18  # texts of a band that are looked at together

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
    """`BANDS` keys of each folded text and its sketch, `ROW_BYTES` each; zeros for a text that is too short.

    Pure, so that workers may do it.
    """
    points = [np.frombuffer(letters(text).encode("utf-32-le"), "<u4").astype(np.uint64) for text in texts]
    long = [place for place, own in enumerate(points) if len(own) >= SHORTEST]
    out = np.zeros((len(texts), _WORDS), np.uint64)
    if long:
        shingles = np.concatenate([_mixed(points[place]) for place in long])
        lengths = np.array([len(points[place]) - 1 for place in long])
        starts = np.cumsum(lengths) - lengths
        for band in range(BANDS):
            key = np.full(len(long), _START[band], np.uint64)
            for row in range(ROWS):
                hashed = shingles * _ODD[band * ROWS + row]
                lowest = np.minimum.reduceat(hashed ^ (hashed >> np.uint64(29)), starts)
                key = (key ^ lowest) * _MIX
            out[long, band] = key | np.uint64(1)
        out[long, BANDS:] = _sketches(shingles, np.repeat(np.arange(len(long)), lengths))
    return out.tobytes()


def _sketches(shingles: NDArray[np.uint64], owner: NDArray[np.int64]) -> NDArray[np.uint64]:
    """For each owner the parities of its different shingles by a hash of theirs, and their number."""
    order = np.lexsort((shingles, owner))
    shingles, owner = shingles[order], owner[order]
    new = np.append(True, (shingles[1:] != shingles[:-1]) | (owner[1:] != owner[:-1]))
    shingles, owner = shingles[new], owner[new]
    starts = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    place = (shingles * _ODD[0]) >> np.uint64(56)
    bit = np.uint64(1) << (place & np.uint64(63))
    words = [
        np.bitwise_xor.reduceat(np.where(place >> np.uint64(6) == word, bit, np.uint64(0)), starts)
        for word in range(_SKETCH)
    ]
    return np.column_stack((*words, np.bincount(owner).astype(np.uint64)))


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
    """Keys and sketches of many texts in a scratch file; number them as they are added.

    The file holds blocks of rows, and a block its columns one after the other.
    """

    path: Path
    count: int = 0
    _rows: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._file = self.path.open("wb")

    def add(self, row: bytes | None) -> None:
        """Take one text's keys, or None for a clip whose text does not count."""
        self._rows.append(row or _NO_KEYS)
        self.count += 1
        if len(self._rows) == _BLOCK:
            self._write()

    def close(self) -> None:
        """End writing; `pairs` may then be asked."""
        self._write()
        self._file.close()

    def compared(self, there: NDArray[np.bool_]) -> int:
        """How many of some texts were long enough to be compared."""
        return sum(
            int(np.count_nonzero(self._column(block, 0)[there[block]])) for block in self._row_blocks()
        )

    def pairs(self, side: NDArray[np.int64], texts: Texts) -> NDArray[np.int64]:
        """Pairs of near texts on different sides, each once, as rows of (index, index).

        Parameters
        ----------
        side : ndarray of int, shape (count,)
            A text is compared only with those of another side; one with side -1 with none.
        texts : callable
            Gives the folded texts of some indexes, which are asked for in ascending order.
        """
        checked = np.empty((0, 2), np.int64)
        near = np.empty(0, bool)
        parts = -(-self.count // _MEMBERS)
        for band in range(BANDS):
            for part in range(parts):
                fresh = np.unique(self._alike(band, part, parts, side), axis=0)
                fresh = fresh[~_among(fresh, checked)]
                if not len(fresh):
                    continue
                told = [_are_near(block, texts) for block in _blocks(fresh)]
                checked, near = np.concatenate((checked, fresh)), np.concatenate((near, *told))
        found = checked[near]
        return found[np.lexsort((found[:, 1], found[:, 0]))]

    def _alike(self, band: int, part: int, parts: int, side: NDArray[np.int64]) -> NDArray[np.int64]:
        """Texts of different sides with the same key; in a crowd each meets its next few neighbours."""
        some = [self._members(block, band, part, parts, side) for block in self._row_blocks()]
        rows, keys = (np.concatenate(columns) for columns in zip(*some, strict=True))
        order = np.argsort(keys, kind="stable")
        rows, keys = rows[order], keys[order]
        crowded = np.zeros(len(keys), bool)
        same = keys[1:] == keys[:-1]
        crowded[1:] |= same
        crowded[:-1] |= same
        rows, keys = rows[crowded], keys[crowded]
        sketches = self._sketches(rows)
        found = [np.empty((0, 2), np.int64)]
        for step in range(1, _NEIGHBOURS + 1):
            left, right = rows[:-step], rows[step:]
            same = (keys[:-step] == keys[step:]) & (side[left] != side[right])
            same[same] = _may_be_near(sketches[:-step][same], sketches[step:][same])
            found.append(np.column_stack((left[same], right[same])))
        return np.concatenate(found)

    def _members(
        self, block: slice, band: int, part: int, parts: int, side: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
        """Rows and keys of a block that a part of a band looks at: those whose keys fall into it."""
        keys = self._column(block, band)
        mine = (keys != 0) & (side[block] >= 0)
        if parts > 1:
            mine &= (keys >> np.uint64(32)) % np.uint64(parts) == part
        return np.flatnonzero(mine) + block.start, keys[mine]

    def _sketches(self, rows: NDArray[np.int64]) -> NDArray[np.uint64]:
        found = np.empty((len(rows), _SKETCH + 1), np.uint64)
        order = np.argsort(rows)
        ends = np.searchsorted(rows[order], [block.stop for block in self._row_blocks()])
        begin = 0
        for block, end in zip(self._row_blocks(), ends.tolist(), strict=True):
            if end > begin:
                mine = order[begin:end]
                for word in range(_SKETCH + 1):
                    found[mine, word] = self._column(block, BANDS + word)[rows[mine] - block.start]
            begin = end
        return found

    def _row_blocks(self) -> Iterator[slice]:
        for at in range(0, self.count, _BLOCK):
            yield slice(at, min(at + _BLOCK, self.count))

    def _column(self, block: slice, word: int) -> NDArray[np.uint64]:
        size = block.stop - block.start
        at = block.start * ROW_BYTES + word * size * 8
        return np.fromfile(self.path, np.uint64, size, offset=at)

    def _write(self) -> None:
        rows = np.frombuffer(b"".join(self._rows), np.uint64).reshape(-1, _WORDS)
        self._file.write(rows.T.tobytes())
        self._rows.clear()


def _may_be_near(one: NDArray[np.uint64], other: NDArray[np.uint64]) -> NDArray[np.bool_]:
    """Whether sketches leave it possible that texts are near; False is certain.

    Every bit that differs needs a pair of letters that only one text has. With s pairs in both counted
    twice and d that only one has, the overlap is (s - d) / (s + d): at least 0.8 where 9 d is at most s.
    """
    apart = np.bitwise_count(one[:, :-1] ^ other[:, :-1]).sum(axis=1, dtype=np.int64)
    mine, theirs = one[:, -1].astype(np.int64), other[:, -1].astype(np.int64)
    possible: NDArray[np.bool_] = 9 * np.maximum(apart, np.abs(mine - theirs)) <= mine + theirs
    return possible


def _are_near(pairs: NDArray[np.int64], texts: Texts) -> NDArray[np.bool_]:
    wanted = np.unique(pairs).tolist()
    text_of = dict(zip(wanted, texts(wanted), strict=True))
    return np.array([is_near(text_of[i], text_of[j]) for i, j in pairs.tolist()], bool)


def _among(some: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which pairs are among others."""
    return np.isin(some[:, 0] << 32 | some[:, 1], others[:, 0] << 32 | others[:, 1])


def _blocks(pairs: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
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
