"""How far each frame stands out of the noise, band by band, in memory that hours do not fill."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from noise_profiles.rows import Floats

TINY = 1e-14
PIECE = 60_000  # frames: ten minutes, and 4 MB for each copy of the bands

Array = NDArray[np.float64]
_Piece = tuple[slice, Floats, Floats]


def mean_where(rows: Floats, where: NDArray[np.bool_]) -> Array:
    """The mean of the rows where it says so, and 0 if that is nowhere."""
    total = np.zeros(rows.shape[1])
    for at in range(0, len(rows), PIECE):
        total += np.einsum("ij,i->j", rows[at : at + PIECE], where[at : at + PIECE].astype(np.float32))
    return np.asarray(total / max(1, int(np.count_nonzero(where))))


class SmoothBands:
    """The powers by band of a channel, each the mean of three frames.

    Up to ten minutes they are worked out once; of what is longer, piece by piece whenever they are asked for.
    """

    def __init__(self, bands: Floats) -> None:
        self._bands = bands
        self._only = [self._piece(0)] if len(bands) <= PIECE else None

    def mean_db(self, where: NDArray[np.bool_]) -> Array:
        """The level of each band in those frames."""
        total = np.zeros(self._bands.shape[1])
        for place, powers, _ in self._pieces():
            total += np.einsum("ij,i->j", powers, where[place].astype(np.float32))
        return np.asarray(10.0 * np.log10(total / max(1, int(np.count_nonzero(where))) + 1e-30))

    def excess_db(self, noise_db: Array, most_db: float) -> Array:
        """By frame, the mean over the bands of what lies over the noise, at most `most_db` of each."""
        excess = np.empty(len(self._bands))
        noise = noise_db.astype(np.float32)[:, np.newaxis]
        for place, _, powers_db in self._pieces():
            over = powers_db - noise
            np.maximum(over, np.float32(0.0), out=over)
            np.minimum(over, np.float32(most_db), out=over)
            np.divide(np.add.reduce(over, axis=0), noise.size, out=excess[place])
        return excess

    def _pieces(self) -> Iterable[_Piece]:
        if self._only is not None:
            return self._only
        return (self._piece(at) for at in range(0, len(self._bands), PIECE))

    def _piece(self, at: int) -> _Piece:
        """One piece, smoothed with its neighbours; and in decibels, band by band: long rows add up fast."""
        end = min(len(self._bands), at + PIECE)
        first, last = max(0, at - 1), min(len(self._bands), end + 1)
        known = self._bands[first:last]
        total = known.copy()
        total[1:] += known[:-1]
        total[:-1] += known[1:]
        count = np.full((last - first, 1), 1 / 3, np.float32)
        if first == 0:
            count[0] = 1 / 2 if len(self._bands) > 1 else 1.0
        if last == len(self._bands) and last > 1:
            count[-1] = 1 / 2
        total *= count
        total += np.float32(TINY)
        powers = total[at - first : end - first]
        powers_db = np.empty(powers.shape[::-1], np.float32)
        np.log10(powers.T, out=powers_db)
        powers_db *= np.float32(10.0)
        return slice(at, end), powers, powers_db
