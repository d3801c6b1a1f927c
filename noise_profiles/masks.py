"""Means, medians and masks over frames: the small tools of finding speech."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noise_profiles.excess import PIECE
from noise_profiles.stretches import edges, runs

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


def smoothed(x: Array, width: int) -> Array:
    """Centred moving mean of odd width of a flat array; at the ends of what there is."""
    half, n = width // 2, x.size
    total = np.zeros(n + 2 * half + 1)
    np.cumsum(x, out=total[half + 1 : half + 1 + n])
    total[half + 1 + n :] = total[half + n]
    means: Array = total[width:] - total[:-width]
    means /= around(n, width)
    return np.maximum(means, 0.0, out=means)


@lru_cache(maxsize=256)
def around(size: int, width: int) -> Array:
    """How many of so many frames lie around each."""
    at = np.arange(size)
    counts = np.minimum(at + width // 2 + 1, size) - np.maximum(at - width // 2, 0)
    return counts.astype(np.float64)


# Comparisons that bring the middle of so many values to its place (N. Devillard, Fast median search, 1998).
_TO_THE_MIDDLE = {
    5: ((0, 1), (3, 4), (0, 3), (1, 4), (1, 2), (2, 3), (1, 2)),
    7: (
        (0, 5), (0, 3), (1, 6), (2, 4), (0, 1), (3, 5), (2, 6),
        (2, 3), (3, 6), (4, 5), (1, 4), (1, 3), (3, 4),
    ),
}  # fmt: skip


def running_median(x: Array, width: int) -> Array:
    """Centred running median of 5 or 7; the ends are repeated."""
    if x.size < width:
        return x
    half = width // 2
    padded = np.concatenate([x[:1].repeat(half), x, x[-1:].repeat(half)])
    medians = np.empty(x.size, x.dtype)
    for at in range(0, x.size, PIECE):
        # Whole shifted arrays are compared: a partition for each place takes five times as long.
        size = min(PIECE, x.size - at)
        place = [padded[at + n : at + n + size] for n in range(width)]
        for low, high in _TO_THE_MIDDLE[width]:
            place[low], place[high] = (
                np.minimum(place[low], place[high]),
                np.maximum(place[low], place[high]),
            )
        medians[at : at + size] = place[half]
    return medians


def widened(mask: Mask, before: int, after: int) -> Mask:
    """Each run of True made longer on both sides."""
    total = np.zeros(before + mask.size + after + 1, dtype=np.int64)
    np.cumsum(mask, out=total[after + 1 : after + 1 + mask.size])
    total[after + 1 + mask.size :] = total[after + mask.size]
    return np.asarray(total[before + after + 1 :] > total[: mask.size], dtype=bool)


def closed(mask: Mask, longest: int) -> Mask:
    """Gaps of at most `longest` between two runs of True filled."""
    out = mask.copy()
    for start, end in runs(~mask):
        if end - start <= longest and start > 0 and end < mask.size:
            out[start:end] = True
    return out


def opened(mask: Mask, shortest: int) -> Mask:
    """Without runs of True shorter than `shortest`."""
    out = np.zeros_like(mask)
    for start, end in runs(mask, shortest):
        out[start:end] = True
    return out


def with_peak(mask: Mask, height: Array, least: float) -> Mask:
    """Only the runs of True in which `height` reaches `least` somewhere."""
    starts, ends = edges(mask)
    if not starts.size:
        return mask
    out = mask.copy()
    low = by_run(np.maximum, height, starts, ends) < least
    for start, end in zip(starts[low].tolist(), ends[low].tolist(), strict=True):
        out[start:end] = False
    return out


def by_run(what: np.ufunc, x: NDArray[Any], starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Array:
    """The sum, or the maximum, of each of some runs that do not touch."""
    bounds = np.empty(2 * starts.size, np.intp)
    bounds[::2], bounds[1::2] = starts, ends
    # What lies between two runs is reduced as well; the last run may have nothing behind it.
    found: Array = what.reduceat(x, bounds[:-1] if ends[-1] == x.size else bounds)[::2]
    return found
