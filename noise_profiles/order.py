"""Medians and quantiles of finite numbers: of NumPy's own, most of the time goes into checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def median(x: NDArray[np.floating[Any]]) -> float:
    """The middle value of a flat array that is not empty, or the mean of the middle two."""
    half = x.size // 2
    if x.size % 2:
        return float(np.partition(x, half)[half])
    parted = np.partition(x, (half - 1, half))
    return 0.5 * (float(parted[half - 1]) + float(parted[half]))


def quantiles(x: NDArray[np.floating[Any]], *shares: float) -> list[float]:
    """The values below which so large a share lies, between the two nearest on a straight line."""
    ordered = np.sort(x)
    found = []
    for share in shares:
        place = share * (ordered.size - 1)
        below = int(place)
        low, high = float(ordered[below]), float(ordered[min(below + 1, ordered.size - 1)])
        found.append(low + (place - below) * (high - low))
    return found


def row_quantiles(rows: NDArray[np.floating[Any]], *shares: float) -> list[NDArray[np.float64]]:
    """The same of each row."""
    ordered = np.sort(rows, axis=1)
    last = ordered.shape[1] - 1
    found = []
    for share in shares:
        below = int(share * last)
        low, high = (ordered[:, at].astype(np.float64) for at in (below, min(below + 1, last)))
        found.append(low + (share * last - below) * (high - low))
    return found
