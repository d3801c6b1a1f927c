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

import numpy as np
from numpy.typing import NDArray

from noise_profiles.evidence import Heard, Limit
from noise_profiles.frames import MIDDLE_HZ
from protocol.clip import AudioFinding

_PIECE_S = 30


def echo(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """A delayed copy of the sound in itself: loudspeakers that play what the microphone hears."""
    middle = heard.frames.middle.astype(np.float32)
    snr_db = heard.estimate.snr_db
    if snr_db is None or snr_db < limit["least_snr_db"] or middle.size < limit["least_s"] * MIDDLE_HZ:
        return
    ripple = _ripple(middle)
    first, last = (round(limit[name] * MIDDLE_HZ) for name in ("shortest_s", "longest_s"))
    delays = ripple[first:last]
    best = int(np.argmax(delays))
    gain = float(delays[best])
    others = np.delete(delays, np.arange(max(0, best - 6), min(delays.size, best + 7)))
    usual = float(np.median(delays))
    if (
        gain > 10 ** (limit["gain_db"] / 20)
        and gain > limit["over_usual"] * usual
        and gain > limit["over_next"] * float(others.max())
    ):
        delay_s = (first + best) / MIDDLE_HZ
        yield AudioFinding(
            "sound.echo",
            "warning",
            20.0 * float(np.log10(gain)),
            limit["gain_db"],
            0.0,
            heard.duration_s,
            {"delay_ms": round(1000 * delay_s)},
        )


def _ripple(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Size of the ripple in the log power spectrum, by delay in samples, up to 2 s."""
    import scipy.fft

    pieces = max(1, round(x.size / (_PIECE_S * MIDDLE_HZ)))
    total = np.zeros(2 * MIDDLE_HZ, dtype=np.complex128)
    for piece in np.array_split(x, pieces):
        size = scipy.fft.next_fast_len(piece.size, real=True)
        power = np.square(np.abs(scipy.fft.rfft(piece * np.hanning(piece.size), 2 * size)))
        ripple = scipy.fft.fft(np.log(power + 1e-3 * float(np.median(power)) + 1e-20))[: total.size]
        # The delay axis is that of a signal at the sampled rate, whatever the length of the transform.
        total[: ripple.size] += ripple / power.size
    sizes: NDArray[np.float64] = np.abs(total) / pieces
    return sizes
