"""Stretches of frames or samples in which something holds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def runs(mask: NDArray[np.bool_], least: int = 1) -> list[tuple[int, int]]:
    """The (start, end) of each run of True of at least `least`."""
    if mask.size == 0:
        return []
    starts, ends = edges(mask)
    if least > 1:
        long = ends - starts >= least
        starts, ends = starts[long], ends[long]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def edges(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where runs of True start and end, in a mask that is not empty."""
    changes = (mask[1:] != mask[:-1]).nonzero()[0]
    first, last = mask.item(0), mask.item(-1)
    bounds = np.empty(changes.size + first + last, np.intp)
    np.add(changes, 1, out=bounds[first : first + changes.size])
    if first:
        bounds[0] = 0
    if last:
        bounds[-1] = mask.size
    return bounds[::2], bounds[1::2]
