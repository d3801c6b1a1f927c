"""What the long-term spectrum betrays: mains hum, and edges above which there is nothing."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.evidence import Heard, Limit
from noise_profiles.passband import LOW_HZ, SPECTRUM_STEP_HZ
from noise_profiles.stretches import runs
from protocol.clip import AudioFinding

_SEEN = 1.5  # the Hann window spreads a tone over so many of its own bins, of which there are four here


def hum(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Mains hum: 50 or 60 Hz and its multiples stand out of the noise of the pauses."""
    spectrum = _pause_spectrum(heard)
    if spectrum is None:
        return
    power, step_hz = spectrum
    least_dbfs = max(limit["lowest_dbfs"], heard.estimate.noise_dbfs + limit["share_of_noise_db"])
    near = {hz: _near_mains(power, step_hz, hz) for hz in (50.0, 60.0)}
    if levels.dbfs(max(float(powers.sum()) for powers in near.values()) / _SEEN) <= least_dbfs:
        return
    found = [_mains(power, step_hz, hz, powers, limit) for hz, powers in near.items()]
    mains_hz, harmonics, hum_power = max(found, key=lambda one: one[1])
    hum_dbfs = levels.dbfs(hum_power)
    if harmonics >= limit["least_harmonics"] and hum_dbfs > least_dbfs:
        yield AudioFinding(
            "noise.hum", "warning", hum_dbfs, limit["lowest_dbfs"], parameters={"mains_hz": round(mains_hz)}
        )


def _pause_spectrum(heard: Heard) -> tuple[NDArray[np.float64], float] | None:
    """Mean square by frequency below 500 Hz, from stretches of 0.4 s without speech."""
    import scipy.fft

    per_frame = LOW_HZ // 100
    length = 2 * LOW_HZ // 5
    window = _hann(length)
    total, count = np.zeros(4 * length // 2 + 1), 0
    for a, b in runs(~heard.estimate.active, length // per_frame):
        quiet = heard.frames.low[a * per_frame : b * per_frame]
        pieces = quiet[: quiet.size // length * length].reshape(-1, length)
        for at in range(0, len(pieces), 256):
            spectra = scipy.fft.rfft(pieces[at : at + 256] * window, 4 * length, axis=1)
            total += np.square(spectra.real).sum(axis=0) + np.square(spectra.imag).sum(axis=0)
        count += len(pieces)
    return (total / count, LOW_HZ / (4 * length)) if count else None


@cache
def _hann(length: int) -> NDArray[np.float32]:
    """Scaled so that one-sided power sums give mean squares."""
    hann = np.hanning(length + 1)[:-1]
    return (hann * math.sqrt(2.0 / (length * float(np.square(hann).sum())))).astype(np.float32)


def _harmonics(step_hz: float, mains_hz: float) -> NDArray[np.intp]:
    """The bins of a mains frequency and its multiples, as a column."""
    centres_hz = mains_hz * np.arange(1, int(450.0 // mains_hz) + 1)
    bins: NDArray[np.intp] = np.rint(centres_hz / step_hz).astype(np.intp)
    return bins[:, np.newaxis]


def _near_mains(power: NDArray[np.float64], step_hz: float, mains_hz: float) -> NDArray[np.float64]:
    """The highest power at each harmonic."""
    near_to = round(2.0 / step_hz)
    highest: NDArray[np.float64] = power[
        _harmonics(step_hz, mains_hz) + np.arange(-near_to, near_to + 1)
    ].max(axis=1)
    return highest


def _mains(
    power: NDArray[np.float64], step_hz: float, mains_hz: float, near: NDArray[np.float64], limit: Limit
) -> tuple[float, int, float]:
    """How many harmonics stand out, and their power together."""
    middle = _harmonics(step_hz, mains_hz)
    around_from, around_to = (round(hz / step_hz) for hz in (7.0, 18.0))
    sides = np.concatenate([np.arange(-around_to, -around_from), np.arange(around_from, around_to)])
    around = np.median(power[middle + sides], axis=1)
    stands_out = near > 10 ** (limit["prominence_db"] / 10) * around + 1e-14
    return mains_hz, int(stands_out.sum()), float(near[stands_out].sum()) / _SEEN


def bandwidth(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Nothing above a sharp edge: telephone sound, or a low rate passed off as a high one."""
    cut_hz = _edge_hz(heard.frames.spectrum, limit["drop_db"])
    nyquist_hz = heard.sample_rate_hz / 2
    if cut_hz is None or heard.estimate.snr_db is None:
        return
    if cut_hz < limit["telephone_hz"]:
        yield AudioFinding("band.telephone", "error", cut_hz, limit["telephone_hz"])
    elif cut_hz < limit["inaudible_hz"] and cut_hz < limit["share_of_nyquist"] * nyquist_hz:
        yield AudioFinding("band.limited", "warning", cut_hz, limit["share_of_nyquist"] * nyquist_hz)


def _edge_hz(spectrum: NDArray[np.float64], drop_db: float) -> float | None:
    """Where the spectrum falls off an edge and stays down; None if it does not."""
    if spectrum.size < 16 or not spectrum.any():
        return None
    level_db = 10.0 * np.log10(spectrum + 1e-16)
    step = 6  # bands: the fall must happen within 750 Hz
    highest_above = np.maximum.accumulate(level_db[::-1])[::-1]
    lowest = round(2500 / SPECTRUM_STEP_HZ)
    first, last = lowest, spectrum.size - step - 4
    under = sum(level_db[first - back : last - back] for back in range(4)) / 4.0
    falls = np.flatnonzero(under - highest_above[first + step : last + step] > drop_db)
    return float((first + falls[0] + step / 2) * SPECTRUM_STEP_HZ) if falls.size else None
