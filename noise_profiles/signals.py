"""Seeded sound: speech without words, noises, rooms, and mixtures at an exact SNR.

For tests, for the demo, and for the noise that the recorder plays into a room. Everything is a function of
its arguments, seed included. Every noise is periodic over its length, so it loops without a click, and
has an RMS level of `NOISE_DBFS`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.samples import Samples, SignalEmpty, mono

NOISE_DBFS = -26.0
SPEECH_DBFS = -26.0

Floats = NDArray[np.float64]


def _at_level(x: Floats, level_dbfs: float) -> Samples:
    power = float(np.mean(np.square(x)))
    scaled = x * math.sqrt(levels.mean_square(level_dbfs) / power) if power > 0.0 else x
    return scaled.astype(np.float32)


def _shaped(samples: int, sample_rate_hz: int, seed: int, gain: Callable[[Floats], Floats]) -> Floats:
    """Gaussian noise with the amplitude response `gain`; circular, so it loops."""
    rng = np.random.default_rng(seed)
    spectrum = scipy.fft.rfft(rng.standard_normal(samples))
    frequencies_hz = scipy.fft.rfftfreq(samples, 1.0 / sample_rate_hz)
    response = gain(np.maximum(frequencies_hz, 1.0))
    response[0] = 0.0
    x: Floats = scipy.fft.irfft(spectrum * response, samples)
    return x


def white_noise(samples: int, sample_rate_hz: int, seed: int) -> Samples:
    """Equal power in each hertz."""
    return _at_level(_shaped(samples, sample_rate_hz, seed, np.ones_like), NOISE_DBFS)


def pink_noise(samples: int, sample_rate_hz: int, seed: int) -> Samples:
    """Equal power in each octave above 20 Hz."""
    return _at_level(
        _shaped(samples, sample_rate_hz, seed, lambda f: np.where(f < 20.0, 0.0, f**-0.5)), NOISE_DBFS
    )


def speech_shaped_noise(samples: int, sample_rate_hz: int, seed: int) -> Samples:
    """Steady noise with the long-term spectrum of speech: flat to 500 Hz, then -9 dB an octave."""
    return _at_level(_shaped(samples, sample_rate_hz, seed, _speech_spectrum), NOISE_DBFS)


def _speech_spectrum(f: Floats) -> Floats:
    return np.where(f < 80.0, 0.0, (1.0 + (f / 500.0) ** 2) ** -0.75)


def fan(samples: int, sample_rate_hz: int, seed: int) -> Samples:
    """A fan: air noise that falls with frequency, and tones of the blades that waver slightly."""
    rng = np.random.default_rng(seed)
    air = _shaped(samples, sample_rate_hz, seed + 1, lambda f: np.where(f < 40.0, 0.0, f**-0.8))
    air /= np.std(air) + 1e-12
    blades_hz = rng.uniform(70.0, 130.0)
    t = np.arange(samples)
    tones = np.zeros(samples)
    for harmonic in range(1, 5):
        # A whole number of periods, so that the loop closes.
        cycles = max(1, round(blades_hz * harmonic * samples / sample_rate_hz))
        phase = 2 * math.pi * (cycles * t / samples + rng.uniform())
        tones += 0.3 / harmonic * np.sin(phase + 0.5 * np.sin(2 * math.pi * t / samples + harmonic))
    return _at_level(air + tones, NOISE_DBFS)


def traffic(samples: int, sample_rate_hz: int, seed: int) -> Samples:
    """A road: a low rumble all the time, and vehicles that pass every few seconds."""
    rng = np.random.default_rng(seed)
    far = _shaped(samples, sample_rate_hz, seed + 1, lambda f: np.where(f < 30.0, 0.0, f**-1.0))
    near = _shaped(
        samples, sample_rate_hz, seed + 2, lambda f: np.where(f < 60.0, 0.0, 1 / (1.0 + f / 1200.0))
    )
    duration_s = samples / sample_rate_hz
    t = np.arange(samples) / sample_rate_hz
    passing = np.zeros(samples)
    for _ in range(max(1, round(duration_s / 4.0))):
        at_s, width_s = rng.uniform(0.0, duration_s), rng.uniform(0.6, 1.8)
        away_s = (t - at_s + duration_s / 2) % duration_s - duration_s / 2
        passing += rng.uniform(0.5, 1.5) / (1.0 + (away_s / width_s) ** 2)
    far /= np.std(far) + 1e-12
    near /= np.std(near) + 1e-12
    return _at_level(0.6 * far + near * passing, NOISE_DBFS)


def hum(samples: int, sample_rate_hz: int, seed: int, *, mains_hz: float = 50.0) -> Samples:
    """Mains hum: the fundamental and its harmonics to 1 kHz, falling, and periodic over the length."""
    rng = np.random.default_rng(seed)
    t = np.arange(samples)
    x = np.zeros(samples)
    for harmonic in range(1, int(1000.0 // mains_hz) + 1):
        cycles = max(1, round(mains_hz * harmonic * samples / sample_rate_hz))
        if 2 * cycles < samples:
            strength = (0.4 if harmonic % 2 == 0 else 1.0) * harmonic**-1.2
            x += strength * np.sin(2 * math.pi * (cycles * t / samples + rng.uniform()))
    return _at_level(x, NOISE_DBFS)


def clicks(samples: int, sample_rate_hz: int, seed: int, *, per_s: float = 3.0) -> Samples:
    """Keys and knocks: short decaying bursts over almost nothing."""
    rng = np.random.default_rng(seed)
    x = 1e-3 * rng.standard_normal(samples)
    for _ in range(max(1, round(per_s * samples / sample_rate_hz))):
        length = min(samples, round(rng.uniform(0.01, 0.06) * sample_rate_hz))
        decay = np.exp(-6.0 * np.arange(length) / length)
        burst = rng.standard_normal(length) * decay * rng.uniform(0.2, 1.0)
        np.add.at(x, (int(rng.integers(samples)) + np.arange(length)) % samples, burst)
    return _at_level(x, NOISE_DBFS)


def babble(samples: int, sample_rate_hz: int, seed: int, *, voices: int = 12) -> Samples:
    """Many voices at once, none of which says a word."""
    rng = np.random.default_rng(seed)
    x = np.zeros(samples)
    for voice in range(voices):
        one = speech_like(samples, sample_rate_hz, seed * 101 + voice, voice_hz=rng.uniform(95.0, 240.0))
        x += rng.uniform(0.5, 1.0) * np.roll(one, int(rng.integers(samples)))
    return _at_level(x, NOISE_DBFS)


NOISES: Mapping[str, Callable[[int, int, int], Samples]] = {
    "white": white_noise,
    "pink": pink_noise,
    "speech-shaped": speech_shaped_noise,
    "babble": babble,
    "traffic": traffic,
    "fan": fan,
    "hum": hum,
    "clicks": clicks,
}

# First three formants of eight vowels, Hz (after Peterson and Barney, 1952, rounded).
_VOWELS = np.array(
    [
        (730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410),
        (300, 870, 2240), (660, 1720, 2410), (490, 1350, 1690), (640, 1190, 2390),
    ],
    dtype=np.float64,
)  # fmt: skip


def speech_like(
    samples: int, sample_rate_hz: int, seed: int, *, voice_hz: float | None = None, lead_in_s: float = 0.0
) -> Samples:
    """A voice that talks without words: voiced syllables, hiss before some, falling phrases, pauses.

    The active level (P.56) is `SPEECH_DBFS`. It begins after `lead_in_s` of digital silence and pauses
    at its end, so that it loops.
    """
    rng = np.random.default_rng(seed)
    base_hz = voice_hz if voice_hz is not None else float(rng.uniform(95.0, 240.0))
    x = np.zeros(samples)
    at = round(lead_in_s * sample_rate_hz)
    left = int(rng.integers(4, 9))
    while True:
        length = round(rng.uniform(0.12, 0.26) * sample_rate_hz)
        if at + length > samples - sample_rate_hz // 20:
            break
        pitch_hz = base_hz * (0.85 + 0.05 * left) * rng.uniform(0.95, 1.05)
        x[at : at + length] += _syllable(length, sample_rate_hz, pitch_hz, rng)
        at += length + round(rng.uniform(0.0, 0.05) * sample_rate_hz)
        left -= 1
        if left == 0:
            at += round(rng.uniform(0.3, 0.7) * sample_rate_hz)
            left = int(rng.integers(4, 9))
    active = levels.active_speech(x, sample_rate_hz) if samples else None
    if active is None or active.activity == 0.0:
        return x.astype(np.float32)
    return (x * 10 ** ((SPEECH_DBFS - active.level_dbfs) / 20)).astype(np.float32)


def _syllable(length: int, sample_rate_hz: int, pitch_hz: float, rng: np.random.Generator) -> Floats:
    """Harmonics of a gliding pitch under three formants, and perhaps a hiss at the onset."""
    t = np.arange(length) / sample_rate_hz
    glide = 1.0 + rng.uniform(-0.2, 0.2) * t / t[-1]
    phase = 2 * math.pi * np.cumsum(pitch_hz * glide) / sample_rate_hz
    formants_hz = _VOWELS[int(rng.integers(len(_VOWELS)))] * rng.uniform(0.9, 1.15)
    top_hz = min(5000.0, 0.45 * sample_rate_hz)
    harmonics_hz = pitch_hz * np.arange(1, int(top_hz / (1.2 * pitch_hz)) + 1)
    away = (harmonics_hz[:, np.newaxis] - formants_hz) / (60.0 + 0.06 * formants_hz)
    strength = (1.0 / (1.0 + away**2)).sum(axis=1) * (harmonics_hz / 200.0) ** -0.7
    voiced = np.zeros(length)
    for number, amplitude in enumerate(strength, start=1):
        voiced += amplitude * np.sin(number * phase)
    rise = np.minimum(1.0, np.minimum(t, t[::-1]) / 0.02)
    voiced *= rise * rng.uniform(0.5, 1.0)
    if rng.uniform() < 0.5:
        hiss = np.diff(rng.standard_normal(length + 1)) * 0.15
        voiced += hiss * np.exp(-0.5 * ((t - 0.03) / 0.02) ** 2)
    return voiced


def reverberate(
    samples: object, sample_rate_hz: int, seed: int, *, rt60_s: float = 0.4, direct_db: float = 3.0
) -> Samples:
    """The sound in a simple room: the direct path and a tail of noise that decays by 60 dB in `rt60_s`.

    `direct_db` is the level of the direct sound over the tail. The length stays, so the last tail is cut.
    """
    x = mono(samples).astype(np.float64)
    if x.size == 0:
        raise SignalEmpty()
    rng = np.random.default_rng(seed)
    t = np.arange(round(rt60_s * sample_rate_hz)) / sample_rate_hz
    tail = rng.standard_normal(t.size) * np.exp(-math.log(1000.0) * t / rt60_s) * (t > 0.002)
    tail *= 10 ** (-direct_db / 20) / (math.sqrt(float(np.square(tail).sum())) + 1e-12)
    tail[0] = 1.0
    size = scipy.fft.next_fast_len(x.size + tail.size)
    wet = scipy.fft.irfft(scipy.fft.rfft(x, size) * scipy.fft.rfft(tail, size), size)[: x.size]
    out: Samples = wet.astype(np.float32)
    return out


@dataclass(frozen=True)
class Mixture:
    """Speech in noise whose truth is known.

    Attributes
    ----------
    samples : ndarray of float32
        The sum; scaled down as a whole where it would pass full scale.
    speech, noise : ndarray of float32
        What it was made of, at the levels they have in it.
    snr_db, speech_dbfs, noise_dbfs : float
        By the project's definition: mean power of the speech over its active frames (P.56), mean power of the
        noise over the whole, both in 50 Hz to 8 kHz.
    active : ndarray of bool
        One value for each 10 ms: speech is present.
    """

    samples: Samples
    speech: Samples
    noise: Samples
    snr_db: float
    speech_dbfs: float
    noise_dbfs: float
    active: NDArray[np.bool_]


def mix(speech: object, noise: object, snr_db: float, sample_rate_hz: int) -> Mixture:
    """Speech and noise at exactly `snr_db`.

    The noise is repeated or cut to the length of the speech and then scaled; the speech keeps its level
    unless the sum would clip.

    Raises
    ------
    SignalEmpty
        If either is empty or digitally silent: no gain can make an SNR of nothing.
    """
    voice, bed = mono(speech), mono(noise)
    if voice.size == 0 or bed.size == 0:
        raise SignalEmpty()
    bed = np.resize(bed, voice.size)
    active = levels.active_speech(voice, sample_rate_hz)
    hop = sample_rate_hz // 100
    present = np.repeat(active.active, hop)
    present = np.concatenate([present, np.zeros(max(0, voice.size - present.size), dtype=bool)])[: voice.size]
    if not present.any() or not np.any(bed):
        raise SignalEmpty()
    speech_power = float(np.mean(np.square(levels.band_limited(voice, sample_rate_hz)[present])))
    noise_power = float(np.mean(np.square(levels.band_limited(bed, sample_rate_hz))))
    gain = math.sqrt(speech_power / noise_power * 10 ** (-snr_db / 10))
    bed = (bed * gain).astype(np.float32)
    peak = float(np.abs(voice + bed).max())
    down = min(1.0, 0.99 / peak)
    return Mixture(
        samples=((voice + bed) * down).astype(np.float32),
        speech=(voice * down).astype(np.float32),
        noise=(bed * down).astype(np.float32),
        snr_db=snr_db,
        speech_dbfs=levels.dbfs(speech_power * down**2),
        noise_dbfs=levels.dbfs(noise_power * (gain * down) ** 2),
        active=active.active,
    )


class Loop:
    """A noise without end, block by block, for playback."""

    def __init__(self, noise: Samples) -> None:
        if noise.size == 0:
            raise SignalEmpty()
        self._noise = noise
        self._at = 0

    def block(self, samples: int) -> Samples:
        """The next `samples` samples."""
        taken = np.take(self._noise, np.arange(self._at, self._at + samples), mode="wrap")
        self._at = (self._at + samples) % self._noise.size
        return taken
