"""Arrays that grow: joining pieces at the end would hold hours of sound twice."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

_FIRST_ROWS = 2_000


class Growing:
    """Rows that are added piece by piece; what is reserved beyond them is not touched and takes no memory."""

    def __init__(self, dtype: DTypeLike, *columns: int) -> None:
        self._array: NDArray[Any] = np.empty((_FIRST_ROWS, *columns), dtype)
        self._count = 0

    def add(self, rows: NDArray[Any]) -> None:
        """Append `rows`."""
        end = self._count + len(rows)
        if end > len(self._array):
            wider = np.empty((max(end, 2 * len(self._array)), *self._array.shape[1:]), self._array.dtype)
            wider[: self._count] = self._array[: self._count]
            self._array = wider
        self._array[self._count : end] = rows
        self._count = end

    def rows(self) -> NDArray[Any]:
        """All that was added."""
        return self._array[: self._count]
