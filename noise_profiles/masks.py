"""Means, medians and masks over frames: the small tools of finding speech."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noise_profiles.excess import PIECE
from noise_profiles.frames import frames_of, runs

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


def smoothed(x: Array, width: int) -> Array:
    """Centred moving mean of odd width along the first axis; at the ends of what there is."""
    half, n = width // 2, x.shape[0]
    total = np.zeros((n + 2 * half + 1, *x.shape[1:]))
    np.cumsum(x, axis=0, out=total[half + 1 : half + 1 + n])
    total[half + 1 + n :] = total[half + n]
    counts = np.minimum(np.arange(n) + half + 1, n) - np.maximum(np.arange(n) - half, 0)
    means: Array = (total[width:] - total[:-width]) / counts.reshape(-1, *(1,) * (x.ndim - 1))
    return np.maximum(means, 0.0, out=means)


def running_median(x: Array, width: int) -> Array:
    """Centred running median of odd width; the ends are repeated."""
    if x.size < width:
        return x
    half = width // 2
    padded = np.concatenate([x[:1].repeat(half), x, x[-1:].repeat(half)])
    views = frames_of(padded, 1, width)
    medians = np.empty(x.size, x.dtype)
    for at in range(0, x.size, PIECE):
        medians[at : at + PIECE] = np.partition(views[at : at + PIECE], half, axis=1)[:, half]
    return medians


def widened(mask: Mask, before: int, after: int) -> Mask:
    """Each run of True made longer on both sides."""
    total = np.zeros(mask.size + 1, dtype=np.int64)
    np.cumsum(mask, out=total[1:])
    at = np.arange(mask.size)
    return np.asarray(
        total[np.minimum(at + before + 1, mask.size)] > total[np.maximum(at - after, 0)], dtype=bool
    )


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
    out = mask.copy()
    for start, end in runs(mask):
        if float(height[start:end].max()) < least:
            out[start:end] = False
    return out
