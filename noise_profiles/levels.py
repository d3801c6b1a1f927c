"""Levels: dBFS, A-weighting, the active speech level, and the live meter.

Convention: a full-scale sine reads 0 dBFS RMS [1]_, so a level is
``10 log10(2 * mean square)``. Silence reads `FLOOR_DBFS`, never minus infinity.

References
----------
.. [1] AES17-2020, Measurement of digital audio equipment, full-scale level.
.. [2] ITU-T P.56 (12/2011), Objective measurement of active speech level, method B.
.. [3] IEC 61672-1:2013, Sound level meters, annex E: frequency weighting A.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noise_profiles.samples import SignalEmpty, as_samples, checked_rate, mono

FLOOR_DBFS = -120.0
P56_MARGIN_DB = 15.9
_HANGOVER_MS = 200
P56_TIME_CONSTANT_S = 0.03
LOWEST_HZ = 50.0
HIGHEST_HZ = 8_000.0
_A_POLES_HZ = (20.598997, 107.65265, 737.86223, 12194.217)
_A_AT_1_KHZ_DB = 2.0


def dbfs(mean_square: float) -> float:
    """The level of a mean square, `FLOOR_DBFS` at least."""
    return max(FLOOR_DBFS, 10.0 * math.log10(2.0 * mean_square)) if mean_square > 0.0 else FLOOR_DBFS


def mean_square(level_dbfs: float) -> float:
    """The mean square of a level: the inverse of `dbfs`."""
    return 0.5 * math.pow(10.0, level_dbfs / 10.0)


def rms_dbfs(samples: object) -> float:
    """RMS level of one channel, unweighted over all frequencies.

    Raises
    ------
    SignalError
        If `samples` is empty, not one channel, or not finite.
    """
    x = mono(samples)
    if x.size == 0:
        raise SignalEmpty()
    return dbfs(float(np.mean(np.square(x, dtype=np.float64))))


def a_weighting_db(frequencies_hz: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """The A-weighting of IEC 61672-1 annex E, in dB; zero frequency gives -200 dB.

    Written out rather than taken from librosa, whose import costs seconds where a speaker waits; a test
    holds it to librosa's curve and to the standard's class 1 tolerances.
    """
    squared = np.square(np.maximum(np.asarray(frequencies_hz, dtype=np.float64), 1e-3))
    pole_1, pole_2, pole_3, pole_4 = (np.float64(hz) ** 2 for hz in _A_POLES_HZ)
    gain = pole_4 * np.square(squared) / (squared + pole_1) / (squared + pole_4)
    gain /= np.sqrt((squared + pole_2) * (squared + pole_3))
    curve: NDArray[np.float64] = np.maximum(20.0 * np.log10(gain) + _A_AT_1_KHZ_DB, -200.0)
    return curve


def band_limited(samples: object, sample_rate_hz: int) -> NDArray[np.float64]:
    """The part between 50 Hz and 8 kHz (or Nyquist), by a brick wall over the whole signal.

    For references and tests: it holds everything in memory and knows the future.
    """
    import scipy.fft

    x = mono(samples).astype(np.float64)
    if x.size == 0:
        return x
    spectrum = scipy.fft.rfft(x)
    f = scipy.fft.rfftfreq(x.size, 1.0 / sample_rate_hz)
    spectrum[(f < LOWEST_HZ) | (f > HIGHEST_HZ)] = 0.0
    filtered: NDArray[np.float64] = scipy.fft.irfft(spectrum, x.size)
    return filtered


@dataclass(frozen=True)
class ActiveSpeech:
    """What P.56 method B says of clean speech.

    Attributes
    ----------
    level_dbfs : float
        Mean level while speech is active; `FLOOR_DBFS` if it never is.
    activity : float
        Share of the time in which it is.
    active : ndarray of bool
        One value for each 10 ms.
    """

    level_dbfs: float
    activity: float
    active: NDArray[np.bool_]


def active_speech(samples: object, sample_rate_hz: int) -> ActiveSpeech:
    """The active speech level of clean speech by ITU-T P.56 method B [2]_.

    The envelope is smoothed twice with 30 ms. For any threshold the time above it, prolonged by 200 ms, gives
    an activity and so a level; the answer is where level and threshold lie 15.9 dB apart. It needs *clean*
    speech; `measure` estimates the same of noisy speech.

    Raises
    ------
    SignalError
        If `samples` is empty, not one channel, or not finite.
    """
    from scipy.signal import lfilter

    rate_hz = checked_rate(sample_rate_hz)
    x = mono(samples).astype(np.float64)
    if x.size == 0:
        raise SignalEmpty()
    total = float(np.square(x).sum())
    g = math.exp(-1.0 / (rate_hz * P56_TIME_CONSTANT_S))
    smooth = lfilter([1 - g], [1, -g], lfilter([1 - g], [1, -g], np.abs(x)))
    envelope = smooth[:: rate_hz // 1000]  # the 30 ms have left nothing that a millisecond would miss
    count = np.arange(envelope.size)

    def active_above(threshold: float) -> NDArray[np.bool_]:
        last = np.maximum.accumulate(np.where(envelope >= threshold, count, -1 - _HANGOVER_MS))
        return count - last <= _HANGOVER_MS

    def margin_db(threshold: float) -> float:
        active = float(active_above(threshold).mean()) * x.size
        return 10 * math.log10(total / active) - 20 * math.log10(threshold)

    if total <= 0.0 or not envelope.any():
        return ActiveSpeech(FLOOR_DBFS, 0.0, np.zeros(max(1, x.size * 100 // rate_hz), dtype=bool))
    # The margin falls as the threshold rises, but for the very last of it: so look from below.
    low = high = float(envelope.max()) * 1e-5
    while margin_db(high) > P56_MARGIN_DB and high < float(envelope.max()) / 2.0:
        low, high = high, 2.0 * high
    for _ in range(12):
        middle = math.sqrt(low * high)
        low, high = (middle, high) if margin_db(middle) > P56_MARGIN_DB else (low, middle)
    active = active_above(low)
    activity = float(active.mean())
    frames = max(1, active.size // 10)
    by_frame = np.resize(active, frames * 10).reshape(frames, 10).mean(axis=1) >= 0.5
    return ActiveSpeech(dbfs(total / x.size / activity), activity, by_frame)


@cache
def _high_pass(sample_rate_hz: int) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Two sections of second order, each as numerator and denominator."""
    from scipy.signal import butter

    sections: NDArray[np.float64] = butter(4, LOWEST_HZ, "highpass", fs=sample_rate_hz, output="sos")
    return [(section[:3].copy(), section[3:].copy()) for section in sections]


class LevelMeter:
    """Levels of one channel, block by block, for the screen and the playback servo.

    Any cutting of the signal into blocks gives the same figures: frames of 10 ms are complete before they
    count. One thread feeds; another may read.

    Parameters
    ----------
    sample_rate_hz : int
        Rate of what will be fed.
    window_s : float
        What `short_dbfs` looks back over.
    """

    def __init__(self, sample_rate_hz: int, *, window_s: float = 0.4) -> None:
        self._rate_hz = checked_rate(sample_rate_hz)
        self._hop = self._rate_hz // 100
        self._rest = np.empty(0, dtype=np.float32)
        self._filter = _high_pass(self._rate_hz)
        self._filter_state = [np.zeros(2) for _ in self._filter]
        self._energy = 0.0
        self._samples = 0
        self._peak = 0.0
        self._recent = np.empty(0)
        self._window = max(1, round(window_s * 100))

    def feed(self, block: object) -> NDArray[np.float64]:
        """Take a block; return the 50 Hz to Nyquist level in dBFS of each 10 ms that it completed."""
        from scipy.signal import lfilter

        x = as_samples(block)[:, 0]
        if x.size:
            self._peak = max(self._peak, float(x.max()), -float(x.min()))
        x = np.concatenate([self._rest, x]) if self._rest.size else x
        frames = x.size // self._hop
        whole, self._rest = x[: frames * self._hop], x[frames * self._hop :].copy()
        if frames == 0:
            return np.empty(0)
        self._samples += whole.size
        # Summed frame by frame, in order, so that no cutting changes the rounding.
        rows = whole.reshape(frames, -1).astype(np.float64)
        for energy in np.einsum("ij,ij->i", rows, rows).tolist():
            self._energy += energy
        filtered = rows.reshape(-1)
        for number, (numerator, denominator) in enumerate(self._filter):
            # Section by section: what SciPy checks for all of them together takes longer than the filter.
            state = self._filter_state[number]
            filtered, self._filter_state[number] = lfilter(numerator, denominator, filtered, zi=state)
        rows = filtered.reshape(frames, -1)
        power = np.einsum("ij,ij->i", rows, rows) / self._hop
        self._recent = np.concatenate([self._recent, power])[-self._window :]
        levels: NDArray[np.float64] = np.maximum(10.0 * np.log10(2.0 * power + 1e-30), FLOOR_DBFS)
        return levels

    @property
    def peak_dbfs(self) -> float:
        """Highest sample so far; full scale reads 0."""
        return max(FLOOR_DBFS, 20.0 * math.log10(self._peak)) if self._peak > 0.0 else FLOOR_DBFS

    @property
    def rms_dbfs(self) -> float:
        """RMS of everything so far, unfiltered."""
        rest = float(np.square(self._rest, dtype=np.float64).sum())
        count = self._samples + self._rest.size
        return dbfs((self._energy + rest) / count) if count else FLOOR_DBFS

    @property
    def short_dbfs(self) -> float:
        """RMS above 50 Hz of the last `window_s`."""
        return dbfs(float(self._recent.mean())) if self._recent.size else FLOOR_DBFS

    def restart(self) -> None:
        """Forget peak and RMS, as when a new take begins; the filter runs on."""
        self._energy, self._samples, self._peak = 0.0, 0, 0.0
