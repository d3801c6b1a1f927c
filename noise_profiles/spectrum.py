"""The room's noise by third octaves, measured once a session, so that others can augment with the real room.

References
----------
.. [1] IEC 61260-1:2014, octave-band and fractional-octave-band filters: base-ten midband frequencies.
"""

from __future__ import annotations

import numpy as np

from noise_profiles import levels
from noise_profiles.samples import SignalEmpty, checked_rate, mono

_FFT_S = 0.5  # two hertz a bin: the band at 50 Hz is 11.5 Hz wide


def third_octaves(samples: object, sample_rate_hz: int) -> dict[float, float]:
    """Levels in dBFS by midband frequency, 50 Hz to 16 kHz as far as the rate reaches.

    Spectra are librosa's; a bin counts for the band that holds its middle.

    Parameters
    ----------
    samples : array_like, shape (n,)
        Room tone without speech, half a second at least.

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
    window = np.hanning(size + 1)[:-1]
    spectra = librosa.stft(x, n_fft=size, hop_length=size // 2, window=window, center=False)
    power = np.square(np.abs(spectra)).mean(axis=1) * (2.0 / (size * float(np.square(window).sum())))
    bins_hz = librosa.fft_frequencies(sr=rate_hz, n_fft=size)
    found = {}
    for number in range(17, 43):
        middle_hz = 10.0 ** (number / 10.0)
        low_hz, high_hz = middle_hz * 10.0**-0.05, middle_hz * 10.0**0.05
        if high_hz > rate_hz / 2:
            break
        inside = (bins_hz >= low_hz) & (bins_hz < high_hz)
        found[round(middle_hz, 1)] = round(levels.dbfs(float(power[inside].sum())), 2)
    return found
