"""Clips as columns, for work on a million of them: what ties them together, what they are, how long.

A unit (a speaker, a session, a prompt, a household) stands as a 64-bit key, so that a column of a million
is 8 MB; two units of a corpus meeting in one key would put their clips together, which harms nobody.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from corpus.manifest import SPLITS, Split

LINKS = ("session", "prompt", "text", "household")
KEY_MARK = "#"
_KIND = {"text": "prompt"}  # a text that was read is the same unit as the prompt that asked for it


def unit_key(kind: str, value: str) -> int:
    """The 64-bit key of a unit, never 0."""
    kind = _KIND.get(kind, kind)
    digest = hashlib.blake2b(f"{kind}\n{value}".encode(), digest_size=8, person=b"xiangyin-units").digest()
    return int.from_bytes(digest, "big") or 1


def prompt_name(folded: str) -> str:
    """What stands for a prompt's text in the table of splits: a hash, since a text may be long."""
    return hashlib.blake2b(folded.encode(), digest_size=16, person=b"xiangyin-prompt").hexdigest()


def stored_key(kind: str, value: str) -> int:
    """The key of a unit as the table of splits names it: by `KEY_MARK` and the key, or by its name."""
    return int(value[1:], 16) if value.startswith(KEY_MARK) else unit_key(kind, value)


@dataclass(frozen=True)
class Clips:
    """Columns of one length, one row a clip.

    Attributes
    ----------
    speaker : ndarray of uint64
        Key of each clip's speaker.
    links : mapping
        Kind to keys of other units; 0 where a clip has none. Who shares a unit is never parted.
    strata, cells : tuple
        Sorted names that `stratum` (dialect and gender) and `cell` (grade and style) are places in.
    """

    speaker: NDArray[np.uint64]
    links: Mapping[str, NDArray[np.uint64]]
    stratum: NDArray[np.int32]
    strata: tuple[tuple[str, ...], ...]
    cell: NDArray[np.int32]
    cells: tuple[tuple[str, ...], ...]
    duration_ms: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.speaker)

    def take(self, rows: NDArray[np.int64]) -> Clips:
        """Some of the clips."""
        if len(rows) == len(self):
            return self
        return Clips(
            self.speaker[rows],
            {kind: keys[rows] for kind, keys in self.links.items()},
            self.stratum[rows],
            self.strata,
            self.cell[rows],
            self.cells,
            self.duration_ms[rows],
        )


@dataclass
class Gatherer:
    """Takes clips one by one and gives their columns."""

    speaker: array[int] = field(default_factory=lambda: array("Q"))
    links: dict[str, array[int]] = field(default_factory=lambda: {kind: array("Q") for kind in LINKS})
    stratum: array[int] = field(default_factory=lambda: array("i"))
    strata: dict[tuple[str, ...], int] = field(default_factory=dict)
    cell: array[int] = field(default_factory=lambda: array("i"))
    cells: dict[tuple[str, ...], int] = field(default_factory=dict)
    duration_ms: array[int] = field(default_factory=lambda: array("q"))

    def add(
        self,
        speaker: str,
        links: Mapping[str, str],
        *,
        stratum: tuple[str, ...],
        cell: tuple[str, ...],
        duration_ms: int,
    ) -> None:
        """Take one clip; `links` names its units by kind."""
        self.speaker.append(unit_key("speaker", speaker))
        found = {kind: unit_key(kind, value) for kind, value in links.items()}
        if found.get("text") == found.get("prompt"):
            found.pop("text", None)
        for kind, keys in self.links.items():
            keys.append(found.get(kind, 0))
        self.stratum.append(self.strata.setdefault(stratum, len(self.strata)))
        self.cell.append(self.cells.setdefault(cell, len(self.cells)))
        self.duration_ms.append(duration_ms)

    def clips(self) -> Clips:
        """The columns; names are numbered in their order, so that no row's place matters."""
        strata, stratum = _sorted(self.strata, self.stratum)
        cells, cell = _sorted(self.cells, self.cell)
        return Clips(
            np.frombuffer(self.speaker, np.uint64),
            {kind: np.frombuffer(keys, np.uint64) for kind, keys in self.links.items() if any(keys)},
            stratum,
            strata,
            cell,
            cells,
            np.frombuffer(self.duration_ms, np.int64),
        )


def _sorted(
    names: Mapping[tuple[str, ...], int], rows: array[int]
) -> tuple[tuple[tuple[str, ...], ...], NDArray[np.int32]]:
    ordered = tuple(sorted(names))
    place = np.zeros(max(len(names), 1), np.int32)
    for new, name in enumerate(ordered):
        place[names[name]] = new
    return ordered, place[np.frombuffer(rows, np.int32)]


class Fixed:
    """Splits of units from earlier releases."""

    def __init__(self, units: Iterable[tuple[int, Split]] = ()) -> None:
        keys, labels = array("Q"), array("b")
        for key, name in units:
            keys.append(key)
            labels.append(SPLITS.index(name))
        order = np.argsort(np.frombuffer(keys, np.uint64), kind="stable")
        self._keys = np.frombuffer(keys, np.uint64)[order]
        self._labels = np.frombuffer(labels, np.int8)[order]

    def __len__(self) -> int:
        return len(self._keys)

    def lookup(self, keys: NDArray[np.uint64]) -> NDArray[np.int8]:
        """The split of each key as its place in `SPLITS`; -1 for those without."""
        if not len(self._keys):
            return np.full(len(keys), -1, np.int8)
        starts = run_starts(keys)
        wanted = keys[starts]
        order = np.argsort(wanted)  # neighbours then lie in the same page of the sorted keys
        at = np.empty(len(wanted), np.int64)
        at[order] = np.minimum(np.searchsorted(self._keys, wanted[order]), len(self._keys) - 1)
        found = np.where(self._keys[at] == wanted, self._labels[at], -1).astype(np.int8)
        return np.repeat(found, np.diff(np.append(starts, len(keys))))


def run_starts(*columns: NDArray[np.generic]) -> NDArray[np.int64]:
    """Where a new value begins in any of the columns; the first row too, if there is one."""
    if not len(columns[0]):
        return np.empty(0, np.int64)
    changed = np.zeros(len(columns[0]), bool)
    changed[0] = True
    for column in columns:
        changed[1:] |= column[1:] != column[:-1]
    return np.flatnonzero(changed)
