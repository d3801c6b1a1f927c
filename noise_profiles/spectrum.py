"""The room's noise by third octaves, measured once a session, so that others can augment with the real room.

References
----------
.. [1] IEC 61260-1:2014, octave-band and fractional-octave-band filters: base-ten midband frequencies.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from noise_profiles import levels
from noise_profiles.samples import SignalEmpty, checked_rate, mono

_FFT_S = 0.5  # two hertz a bin: the band at 50 Hz is 11.5 Hz wide
LEAST_S = 0.5


def third_octaves(samples: object, sample_rate_hz: int) -> dict[float, float]:
    """Levels in dBFS by midband frequency, 50 Hz to 16 kHz as far as the rate reaches.

    A bin counts for the band that holds its middle. The spectra are librosa's, which takes seconds to load:
    a recorder has this done beside it, and nobody waits.

    Parameters
    ----------
    samples : array_like, shape (n,)
        Room tone without speech; of less than `LEAST_S` the lowest bands say little.

    Raises
    ------
    SignalError
        If `samples` is no single channel, not finite, or shorter than 10 ms.
    """
    import librosa

    rate_hz = checked_rate(sample_rate_hz)
    x = mono(samples)
    if x.size < rate_hz // 100:
        raise SignalEmpty()
    size = min(round(_FFT_S * rate_hz), x.size) // 2 * 2
    spectra = librosa.stft(x, n_fft=size, hop_length=size // 2, window="hann", center=False)
    hann_square = 3.0 / 8.0 * size
    power = np.square(np.abs(spectra), dtype=np.float64).mean(axis=1) * (2.0 / (size * hann_square))
    return {
        round(middle_hz, 1): round(levels.dbfs(float(power[first:end].sum())), 2)
        for middle_hz, first, end in _bands(size, rate_hz)
    }


@lru_cache(maxsize=16)
def _bands(size: int, rate_hz: int) -> tuple[tuple[float, int, int], ...]:
    """The middle of each third octave, its first bin and the one after its last."""
    bins_hz = np.arange(size // 2 + 1) * (rate_hz / size)
    found = []
    for number in range(17, 43):
        middle_hz = 10.0 ** (number / 10.0)
        if middle_hz * 10.0**0.05 > rate_hz / 2:
            break
        first, end = np.searchsorted(bins_hz, (middle_hz * 10.0**-0.05, middle_hz * 10.0**0.05))
        found.append((middle_hz, int(first), int(end)))
    return tuple(found)


def warm() -> None:
    """Load what `third_octaves` needs, and compile what librosa compiles at its first use."""
    third_octaves(np.zeros(1_600, np.float32), 16_000)
