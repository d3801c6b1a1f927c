"""Whether a voice is at the speed of a person: a wrong sample rate in a header makes it faster or slower.

Everything moves together then: formants, pitch, the rhythm of syllables and how fast spectra change. Each
alone varies too much between people (a child's formants lie 1.4 times higher than a man's, a fast talker has
twice the syllables of a slow one), so 14 measures of them are put into one estimate of the speed. Its
coefficients, in pace.toml, come from real and synthesised voices in several languages, played at a dozen
wrong rates; see ``bench/pace.py``. It cannot tell 44.1 from 48 kHz, nor a factor of 1.5 for certain.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels, order, voices
from noise_profiles.bands import band_edges_hz
from noise_profiles.evidence import Heard, Limit
from noise_profiles.excess import mean_where
from noise_profiles.frames import Frames
from noise_profiles.passband import LOW_HZ
from noise_profiles.rows import product
from noise_profiles.snr import Estimate
from protocol.clip import AudioFinding

Array = NDArray[np.float64]

MEASURES = 14
_RHYTHM_HZ = np.geomspace(1.5, 24.0, 8)
_MOST_CHANGES = 60_000  # ten minutes of loud frames say all that there is to say
_PITCH_PLACES = 60  # more of them change the median little
_PITCH_WINDOW = 60  # samples at LOW_HZ
_PITCH_LAGS = slice(7, 113)  # of a quarter of a sample: 571 down to 35 Hz


@dataclass(frozen=True)
class Model:
    """Estimates the logarithm of the speed from the measures, each held to 3 spreads, and their squares."""

    mean: Array
    spread: Array
    constant: float
    linear: Array
    square: Array

    def log_speed(self, measures: Array) -> float:
        """0 for a voice at its own speed, log 2 for one at twice that."""
        z = np.clip((measures - self.mean) / self.spread, -3.0, 3.0)
        return self.constant + float(self.linear @ z + self.square @ np.square(z))


@cache
def model(analysis_rate_hz: int) -> Model:
    """The one for sound analysed at 16 kHz, or at 8 kHz."""
    source = resources.files("noise_profiles") / "pace.toml"
    table = tomllib.loads(source.read_text(encoding="utf-8"))[f"at_{analysis_rate_hz}_hz"]
    mean, spread, linear, square = (np.array(table[name]) for name in ("mean", "spread", "linear", "square"))
    return Model(mean, spread, float(table["constant"]), linear, square)


def pace(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Speech too fast or too slow for a person: the file names a wrong sample rate."""
    snr_db = heard.estimate.snr_db
    if snr_db is None or snr_db < limit["least_snr_db"]:
        return
    found = measures(heard.frames, heard.estimate, heard.sample_rate_hz)
    if found is None:
        return
    log_speed = model(voices.analysis_rate_hz(heard.sample_rate_hz)).log_speed(found)
    if log_speed > math.log(limit["fastest"]):
        yield AudioFinding(
            "speech.too_fast", "warning", math.exp(log_speed), limit["fastest"], 0.0, heard.duration_s
        )
    elif log_speed < math.log(limit["slowest"]):
        yield AudioFinding(
            "speech.too_slow", "warning", math.exp(log_speed), limit["slowest"], 0.0, heard.duration_s
        )


def measures(frames: Frames, estimate: Estimate, sample_rate_hz: int) -> Array | None:
    """Five of formants, three of rhythm, two of change, four of pitch; None where speech is too short."""
    if estimate.speech_dbfs is None:
        return None
    loud = estimate.active & (frames.power > levels.mean_square(estimate.speech_dbfs - 12.0))
    if loud.sum() < 60:
        return None
    edges_hz = band_edges_hz(voices.analysis_rate_hz(sample_rate_hz))
    bands = frames.bands[:, : edges_hz.size - 1]
    quiet = ~estimate.active
    noise = mean_where(bands, quiet) if quiet.sum() > 10 else np.zeros(bands.shape[1])
    voice = mean_where(bands, loud)
    return np.concatenate(
        [
            _formants(np.maximum(voice - noise, 1e-13), edges_hz),
            _rhythm(frames.power, estimate.speech_dbfs),
            _change(bands, noise, voice, loud),
            _pitch(frames, estimate),
        ]
    )


def _formants(voice: Array, edges_hz: Array) -> Array:
    """The long-term spectrum over the logarithm of frequency, as five cosines."""
    import scipy.fft

    below = np.zeros(voice.size + 1)
    np.cumsum(voice, out=below[1:])
    reached = np.interp(_formant_edges_hz(bool(edges_hz[-1] < 4_000.0)), edges_hz, below)
    shares = reached[1:] - reached[:-1] + 1e-4 * below[-1]
    cosines: Array = scipy.fft.dct(np.log(shares / shares.sum()), norm="ortho")[1:6]
    return cosines


@cache
def _formant_edges_hz(telephone: bool) -> Array:
    count, top_hz = (12, 3_800.0) if telephone else (16, 7_700.0)
    return np.geomspace(110.0, top_hz, count + 1)


@lru_cache(maxsize=64)
def _hann(size: int) -> Array:
    return np.hanning(size)


def _rhythm(power: NDArray[np.float32], speech_dbfs: float) -> Array:
    """The spectrum of the level over time, 1.5 to 24 Hz, as three cosines."""
    import scipy.fft

    level_db = 10.0 * np.log10(np.maximum(power, levels.mean_square(speech_dbfs - 25.0)).astype(np.float64))
    level_db = (level_db - level_db.mean()) * _hann(level_db.size)
    size = max(4096, scipy.fft.next_fast_len(level_db.size, real=True))
    swing = np.square(np.abs(scipy.fft.rfft(level_db, size)))
    bounds = np.ceil(_RHYTHM_HZ * size / 100.0).astype(np.intp)
    by_rate = np.add.reduceat(swing[: bounds[-1]], bounds[:-1])
    cosines: Array = scipy.fft.dct(np.log(by_rate / (by_rate.sum() + 1e-30) + 1e-4), norm="ortho")[1:4]
    return cosines


def _change(bands: NDArray[np.float32], noise: Array, voice: Array, loud: NDArray[np.bool_]) -> Array:
    """How much the shape of the spectrum changes within 10 ms, and how much more within 80."""
    at = np.flatnonzero(loud)[:_MOST_CHANGES]
    row_of = np.empty(loud.size, np.intp)
    row_of[at] = np.arange(at.size)
    loud = loud[: int(at[-1]) + 1]
    shape = np.log(np.maximum(bands[at], (noise + 1e-3 * voice + 1e-14).astype(np.float32)))
    shape -= (np.einsum("ij->i", shape) / np.float32(shape.shape[1]))[:, np.newaxis]
    sizes = []
    for lag in (1, 8):
        # Where the frame so much later is loud as well.
        both = np.flatnonzero(loud[lag:] & loud[:-lag])
        moved = shape.take(row_of[both + lag], axis=0)
        moved -= shape.take(row_of[both], axis=0)
        size = float(np.einsum("ij,ij->", moved, moved)) / max(1, moved.size)
        sizes.append(math.log(size + 1e-3) if both.size > 5 else 0.0)
    return np.array([sizes[0], sizes[1] - sizes[0]])


def _pitch(frames: Frames, estimate: Estimate) -> Array:
    """Logarithm of the median pitch, how often there is one, its range, and how periodic the voice is."""
    import scipy.fft

    unknown = np.array([5.2, 0.0, 0.0, 0.3])
    per_frame = LOW_HZ // 100
    strong = estimate.active & (frames.power > levels.mean_square((estimate.speech_dbfs or 0.0) - 10.0))
    at = np.flatnonzero(strong) * per_frame
    at = at[(at >= 30) & (at + 35 < frames.low.size)][::2]
    if at.size < 6:
        return unknown
    at = at[:: 1 + at.size // _PITCH_PLACES]
    window, to_lags = _pitch_window()
    pieces = frames.low[at[:, np.newaxis] + np.arange(-25, 35)]
    pieces = (pieces - pieces.mean(axis=1, keepdims=True)) * window
    spectrum = scipy.fft.rfft(pieces, 128, axis=1)
    energy = np.square(spectrum.real)
    energy += np.square(spectrum.imag)
    # Back with four times the length, which gives lags of a quarter of a sample.
    by_lags = product(energy, to_lags)
    periodic = np.divide(by_lags[:, 1:], np.maximum(by_lags[:, :1], np.float32(1e-12)))
    best = periodic.max(axis=1)
    middle = periodic[:, 1:-1]
    peaks = (middle >= periodic[:, :-2]) & (middle >= periodic[:, 2:])
    peaks &= middle > np.float32(0.85) * best[:, np.newaxis]
    clear = (best > 0.55) & peaks.any(axis=1)
    if clear.sum() < 5:
        return unknown
    # The first of the peaks that are nearly the highest, so that an octave below does not win.
    pitch = np.log(4.0 * LOW_HZ / (peaks[clear].argmax(axis=1) + _PITCH_LAGS.start + 1))
    low, middle_pitch, high = order.quantiles(pitch, 0.2, 0.5, 0.8)
    return np.array([middle_pitch, float(clear.mean()), high - low, float(best.mean())])


@cache
def _pitch_window() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A window, and what gives the correlation at lag 0 and at `_PITCH_LAGS` from powers by bin.

    The latter are divided by what the window's own correlation leaves of them.
    """
    window = np.hanning(_PITCH_WINDOW)
    own = np.fft.irfft(np.square(np.abs(np.fft.rfft(window, 128))), 512)[:128]
    lags = np.append(0, np.arange(128)[_PITCH_LAGS])
    waves = np.cos(2.0 * np.pi * np.outer(np.arange(65), lags) / 512.0)
    waves[1:] *= 2.0
    waves /= np.maximum(own / own[0], 1e-3)[lags]
    return window.astype(np.float32), waves.astype(np.float32)
