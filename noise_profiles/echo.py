"""Echo of playback: the voice comes back once, a tenth of a second or more later.

An echo with gain g after d seconds multiplies the spectrum by 1 + g exp(-2 pi i f d), so the logarithm of the
power spectrum has a ripple of period 1/d and size g [1]_. The spectrum of the ripple shows each delay as a
peak. A room's reverberation has thousands of delays, none of which stands out beyond 80 ms; mains hum
and music have many that are alike.

References
----------
.. [1] B. P. Bogert, M. J. R. Healy, J. W. Tukey, The quefrency alanysis of time series for echoes, in Proc.
   Symposium on Time Series Analysis (1963).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from noise_profiles import order
from noise_profiles.evidence import Heard, Limit
from noise_profiles.passband import MIDDLE_HZ
from protocol.clip import AudioFinding

_PIECE_S = 30
_DELAYS_PER_S = MIDDLE_HZ // 2  # a spectrum of 1 kHz tells delays that are 1 ms apart


def echo(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """A delayed copy of the sound in itself: loudspeakers that play what the microphone hears."""
    middle = heard.frames.middle
    snr_db = heard.estimate.snr_db
    if snr_db is None or snr_db < limit["least_snr_db"] or middle.size < limit["least_s"] * MIDDLE_HZ:
        return
    ripple = _ripple(middle)
    first, last = (round(limit[name] * _DELAYS_PER_S) for name in ("shortest_s", "longest_s"))
    delays = ripple[first:last]
    best = int(np.argmax(delays))
    gain = float(delays[best])
    others = max(delays[: max(0, best - 6)].max(initial=0.0), delays[best + 7 :].max(initial=0.0))
    usual = order.median(delays)
    least_db = limit["gain_db"] if snr_db > limit["clean_db"] else limit["gain_in_noise_db"]
    if (
        gain > 10 ** (least_db / 20)
        and gain > limit["over_usual"] * usual
        and gain > limit["over_next"] * float(others)
    ):
        delay_s = (first + best) / _DELAYS_PER_S
        yield AudioFinding(
            "sound.echo",
            "warning",
            20.0 * float(np.log10(gain)),
            least_db,
            0.0,
            heard.duration_s,
            {"delay_ms": round(1000 * delay_s)},
        )


@lru_cache(maxsize=8)
def _hann(size: int) -> NDArray[np.float32]:
    return np.hanning(size).astype(np.float32)


def _ripple(x: NDArray[np.float16]) -> NDArray[np.float64]:
    """Size of the ripple in the log power spectrum, by delay in milliseconds, up to 2 s."""
    import scipy.fft

    pieces = max(1, round(x.size / (_PIECE_S * MIDDLE_HZ)))
    total = np.zeros(2 * _DELAYS_PER_S, dtype=np.complex128)
    for piece in np.array_split(x, pieces):
        size = scipy.fft.next_fast_len(piece.size, real=True)
        spectrum = scipy.fft.rfft(piece.astype(np.float32) * _hann(piece.size), size)[1:]
        power = np.square(spectrum.real) + np.square(spectrum.imag)
        floor = 1e-3 * order.median(power[::4]) + 1e-20
        ripple = scipy.fft.rfft(np.log(power + np.float32(floor)))
        ripple = ripple[: total.size]
        total[: ripple.size] += ripple / power.size
    sizes: NDArray[np.float64] = np.abs(total) / pieces
    return sizes
