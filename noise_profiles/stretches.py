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
    changes = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    starts, ends = changes[int(mask[0]) :: 2], changes[1 - int(mask[0]) :: 2]
    if mask[0]:
        starts = np.concatenate([[0], changes[1::2]])
    if mask[-1]:
        ends = np.concatenate([ends, [mask.size]])
    return starts, ends
