"""Sound in several bands at once, by one Fourier transform there and one back for each."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from noise_profiles import levels
from noise_profiles.rows import Floats
from noise_profiles.samples import Samples

LOW_HZ = 1_000
MIDDLE_HZ = 2_000
SPECTRUM_STEP_HZ = 125
SLOW_SAMPLES = (12, 5)  # running means at LOW_HZ; taken twice, they leave what lies below 40 Hz, and 100 Hz


@dataclass(frozen=True)
class Passed:
    """Rows of sound in several bands, each at a rate of its own.

    Attributes
    ----------
    sound : ndarray
        50 Hz to 8 kHz.
    low, middle : ndarray
        Below 500 Hz at `LOW_HZ`; 1 to 2 kHz at `MIDDLE_HZ`.
    slow : list of ndarray
        `low` after two running means of each of `SLOW_SAMPLES`.
    spectrum : ndarray, shape (bands,)
        Power in bands of `SPECTRUM_STEP_HZ`, seen through a Hann window; the sum over the rows.
    """

    sound: Samples
    low: Samples
    middle: Samples
    slow: list[Samples]
    spectrum: Floats


def band_passed(x: Samples, from_hz: int, to_hz: int) -> Passed:
    """Each row of `x` in bands, by one Fourier transform there and one back for each band.

    The lengths at all rates must be whole. Below 50 Hz the sound falls as a 4th-order Butterworth filter,
    with zero phase; the upper edge is sharp, since the definition of noise ends there.
    """
    import scipy.fft

    length = x.shape[1]
    size, size_low = length * to_hz // from_hz, round(length * LOW_HZ / from_hz)
    spectrum = scipy.fft.rfft(x, axis=1)
    spectrum[:, 0] = 0.0
    below = spectrum[:, : size_low // 2 + 1] * np.float32(size_low / length)
    low, *slow = scipy.fft.irfft(_twice_means(size_low)[:, np.newaxis] * below, size_low, axis=2)
    size_middle = round(length * MIDDLE_HZ / from_hz)
    first = round(length * 1000 / from_hz)
    middle: Samples = scipy.fft.irfft(spectrum[:, first : first + size_middle // 2 + 1], size_middle, axis=1)
    middle *= np.float32(size_middle / length)
    starts = np.arange(0, from_hz // 2, SPECTRUM_STEP_HZ) * length // from_hz
    starts = 2 * np.minimum(starts, spectrum.shape[1] - 3)
    # Convolving with (-1/4, 1/2, -1/4) is the Hann window of the time domain. Real and imaginary parts
    # lie side by side.
    parts = spectrum.view(np.float32)
    windowed = parts[:, :-4] + parts[:, 4:]
    windowed *= np.float32(-0.5)
    windowed += parts[:, 2:-2]
    by_band = np.add.reduceat(np.square(windowed, out=windowed), starts, axis=1).sum(axis=0)
    by_band *= np.float32(1.0 / (3.0 * length**2 / 4))
    kept = spectrum[:, : size // 2 + 1]
    parts = kept.view(np.float32)
    parts *= _gain_of_parts(kept.shape[1], from_hz / length, size / length)
    y: Samples = scipy.fft.irfft(kept, size, axis=1)
    return Passed(y, low, middle, slow, by_band)


@cache
def _twice_means(size: int) -> Floats:
    """By bin, what is left of each frequency: all, and what two running means over `SLOW_SAMPLES` leave."""
    half_turn = np.pi * np.arange(1, size // 2 + 1) / size
    gains = np.ones((1 + len(SLOW_SAMPLES), size // 2 + 1), np.float32)
    for gain, samples in zip(gains[1:], SLOW_SAMPLES, strict=True):
        gain[1:] = np.square(np.sin(samples * half_turn) / (samples * np.sin(half_turn)))
    return gains


@cache
def _gain_of_parts(bins: int, step_hz: float, scale: float) -> Floats:
    """The same, scaled, for real and imaginary parts that lie side by side."""
    return np.repeat(band_gain(bins, step_hz) * np.float32(scale), 2)


@cache
def band_gain(bins: int, step_hz: float) -> Floats:
    """By bin, what is left of an amplitude: all between 50 Hz and 8 kHz."""
    f = np.arange(bins) * step_hz
    low = 1.0 / np.sqrt(1.0 + (levels.LOWEST_HZ / np.maximum(f, 1e-3)) ** 8)
    high = np.clip((levels.HIGHEST_HZ + 20.0 - f) / 20.0, 0.0, 1.0)
    return np.asarray(low * high, dtype=np.float32)
