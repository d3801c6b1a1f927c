"""Which 64-bit keys came before, and with which label: nine bytes a key, asked and told in batches."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class Seen:
    """Keys that were added, sorted, each with the label that it came with first."""

    def __init__(self) -> None:
        self._keys: NDArray[np.uint64] | None = None
        self._labels: NDArray[np.int8] | None = None

    def add(self, keys: array[int], labels: array[int]) -> tuple[list[int], list[tuple[int, int]]]:
        """Take a batch.

        Returns
        -------
        new : list of int
            Places in the batch of keys that were never seen.
        again : list of (int, int)
            Places of all others, with the label that each key came with first.
        """
        import numpy as np

        if self._keys is None or self._labels is None:
            self._keys, self._labels = np.empty(0, np.uint64), np.empty(0, np.int8)
        mine, told = np.frombuffer(keys, np.uint64), np.frombuffer(labels, np.int8)
        unique, first, which = np.unique(mine, return_index=True, return_inverse=True)
        at = np.searchsorted(self._keys, unique)
        known = np.zeros(len(unique), bool)
        inside = at < len(self._keys)
        known[inside] = self._keys[at[inside]] == unique[inside]
        began = told[first].copy()
        began[known] = self._labels[at[known]]
        fresh = ~known
        is_new = np.zeros(len(mine), bool)
        is_new[first[fresh]] = True
        self._keys = np.insert(self._keys, at[fresh], unique[fresh])
        self._labels = np.insert(self._labels, at[fresh], began[fresh])
        again = np.flatnonzero(~is_new)
        return np.flatnonzero(is_new).tolist(), list(
            zip(again.tolist(), began[which[again]].tolist(), strict=True)
        )
