"""What one frame holds: power in bands, how much like a voice it swings, whether a codec left holes in it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.passband import band_gain
from noise_profiles.rows import Floats, frames_of, product
from noise_profiles.stretches import edges

BANDS = 18
HOLE_STEP = 4
HOLE_POWER = 10.0**-10.8  # in 40 Hz; the rounding to 16 bits leaves 10 to 13 dB less
HOLE_SIDE_POWER = 10.0**-9.6
_VOICE_BINS = slice(3, 51)  # 120 Hz to 2 kHz, so that lags are of 0.25 ms
_PITCH_LAGS = range(10, 50)


@cache
def _band_starts(rate_hz: int) -> NDArray[np.intp]:
    """The first bin of each band, and the end of the last."""
    step_hz = 40.0
    low, high = 2595.0 * np.log10(1.0 + np.array([80.0, 0.49 * rate_hz]) / 700.0)
    edges_hz = 700.0 * (10.0 ** (np.linspace(low, high, BANDS + 1) / 2595.0) - 1.0)
    return np.unique(np.ceil(edges_hz / step_hz - 1e-9).astype(np.intp))


def band_edges_hz(rate_hz: int) -> NDArray[np.float64]:
    """Where the bands of `Frames.bands` begin and end, for sound analysed at `rate_hz`."""
    return _band_starts(rate_hz)[: BANDS + 1].astype(np.float64) * 40.0


@cache
def _a_weights(rate_hz: int) -> Floats:
    """What each bin counts in the A-weighted power.

    A Hann window shows two thirds of a tone's power in its own bin and a sixth in each neighbour, and the
    high-pass has taken some: both are undone, or the weighting would be lax where it is steepest.
    """
    bins_hz = np.arange(rate_hz // 80 + 1) * 40.0
    wanted = 10.0 ** (levels.a_weighting_db(bins_hz) / 10.0)
    wanted /= np.maximum(np.square(band_gain(bins_hz.size, 40.0)), 0.5)
    seen = np.diag(np.full(bins_hz.size, 2 / 3))
    seen += np.diag(np.full(bins_hz.size - 1, 1 / 6), 1) + np.diag(np.full(bins_hz.size - 1, 1 / 6), -1)
    weights: Floats = np.maximum(np.linalg.solve(seen, wanted), 0.0).astype(np.float32)
    return weights


@cache
def _band_sums(rate_hz: int) -> Floats:
    """What each bin counts in each band, and in the last column in the A-weighted power."""
    bins = rate_hz // 80 + 1
    starts = _band_starts(rate_hz)
    ends = np.append(starts[1:], bins)
    sums = np.zeros((bins, BANDS + 1), np.float32)
    for band in range(BANDS):
        sums[starts[band] : ends[band], band] = 1.0
    sums[:, BANDS] = _a_weights(rate_hz)
    return sums


def band_powers(sounds: Sequence[Floats], hop: int, window: int, rate_hz: int) -> tuple[Floats, Floats]:
    """Powers of all frames of flat arrays: by band and, in a last column, A-weighted; and by bin.

    The shapes are (n, BANDS + 1) and (n, bins).
    """
    import scipy.fft

    pieces = [frames_of(y, hop, window) for y in sounds]
    energy = np.empty((sum(map(len, pieces)), window // 2 + 1), np.float32)
    at = 0
    for frames in pieces:  # each of them stays in the processor's cache
        spectrum = scipy.fft.rfft(frames * _window(window), axis=1)
        found = energy[at : at + len(frames)]
        np.square(spectrum.real, out=found)
        found += np.square(spectrum.imag)
        at += len(frames)
    return product(energy, _band_sums(rate_hz)), energy


def harmonicity(energy: Floats) -> Floats:
    """How periodic each frame is at the pitch of a voice, from its powers by bin."""
    # Magnitudes rather than powers, so that one strong formant is not all there is.
    periodic = product(np.sqrt(energy[:, _VOICE_BINS]), _by_lag())
    harmonic: Floats = periodic[:, 1:].max(axis=1) / np.maximum(periodic[:, 0], np.float32(1e-12))
    return harmonic


@cache
def _by_lag() -> Floats:
    """The inverse Fourier transform from `_VOICE_BINS` to lag 0 and those of a voice's pitch."""
    bins = np.arange(_VOICE_BINS.start, _VOICE_BINS.stop)
    waves = np.cos(2.0 * np.pi * np.outer(bins, np.append(0, _PITCH_LAGS)) / 100.0)
    waves[-1] /= 2.0  # at half the rate there is no negative frequency to count besides
    return waves.astype(np.float32)


@cache
def _window(size: int) -> Floats:
    """A Hann window scaled so that one-sided power sums give mean squares."""
    hann = np.hanning(size + 1)[:-1]
    scale = math.sqrt(2.0 / (size * float(np.square(hann).sum())))
    return np.asarray(hann * scale, dtype=np.float32)


def hollow(energy: Floats) -> NDArray[np.bool_]:
    """Whether the spectrum of a frame has a hole: 240 Hz and more of nothing between steep sides.

    One frame in `HOLE_STEP` is looked at. Nothing is what 16 bits cannot hold; a voice's own valleys slope.
    """
    # From 480 Hz to a little below the top: at both ends there may be nothing for other reasons.
    looked = energy[::HOLE_STEP, 9:-10]
    out = np.zeros(len(energy), dtype=bool)
    empty = looked < HOLE_POWER
    # Six bins in a row hold two that are multiples of three.
    if not (empty[:, 3::3] & empty[:, :-3:3]).any():
        return out
    bins = empty.shape[1]
    # A column that is never empty parts the rows, so that all are searched at once.
    rows = np.zeros((empty.shape[0], bins + 1), dtype=bool)
    rows[:, :bins] = empty
    starts, ends = edges(rows.ravel())
    row, first, last = starts // (bins + 1), starts % (bins + 1), ends % (bins + 1)
    inside = (last - first >= 6) & (first >= 3) & (last <= bins - 3)
    row, first, last = row[inside], first[inside], last[inside]
    full = looked > HOLE_SIDE_POWER
    below = full[row, first - 1] | full[row, first - 2] | full[row, first - 3]
    above = full[row, last] | full[row, last + 1] | full[row, last + 2]
    out[HOLE_STEP * row[below & above]] = True
    return out
