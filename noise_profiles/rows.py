"""Arrays of many rows: overlapping frames, products on one core, and filters that are such products."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

_ALONE = 1 << 18  # multiplications; OpenBLAS makes threads for more

Floats = NDArray[np.float32]
Number = TypeVar("Number", np.float32, np.float64)


def mean_squares(frames: Floats) -> Floats:
    """The mean square of each row."""
    means: Floats = np.einsum("ij,ij->i", frames, frames)
    means /= np.float32(frames.shape[1])
    return means


def product(rows: Floats, matrix: Floats) -> Floats:
    """The matrix product, some rows at a time, as OpenBLAS shares out larger ones and threads cost more."""
    found = np.empty((len(rows), matrix.shape[1]), np.float32)
    step = max(1, _ALONE // matrix.size)
    whole = len(rows) // step * step
    by_steps = rows[:whole].reshape(-1, step, len(matrix))
    np.matmul(by_steps, matrix, out=found[:whole].reshape(-1, step, matrix.shape[1]))
    np.matmul(rows[whole:], matrix, out=found[whole:])
    return found


def frames_of(y: NDArray[Number], hop: int, window: int) -> NDArray[Number]:
    """Overlapping rows of a flat array: no copy, and none of the checks that a live meter has no time for."""
    if y.ndim != 1 or not y.flags.c_contiguous:
        raise ValueError("only an array without gaps can be seen as overlapping rows")
    count = max(0, (y.size - window) // hop + 1)
    return np.ndarray((count, window), y.dtype, y, strides=(hop * y.itemsize, y.itemsize))


def filtered(y: Floats, hop: int, matrix: Floats) -> Floats:
    """What a filter makes of a flat array, at any rate: of each window, every `hop`, the next samples.

    A column of `matrix` holds the weights of one of them. Its zeros cost less than a sum for each sample.
    """
    return product(frames_of(y, hop, len(matrix)).copy(), matrix).ravel()
