"""Takes, and ways to spoil them, for the tests of the detectors: all made, none stored."""

from __future__ import annotations

import io

import numpy as np
import scipy.signal
import soundfile

from noise_profiles import measure, signals

RATE_HZ = 16_000


def sixteen_bits(x: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(x * 2**15), -(2**15), 2**15 - 1).astype(np.int16)


def codes(x: np.ndarray, rate_hz: int = RATE_HZ) -> dict[str, str]:
    heard = measure.measure(sixteen_bits(x), rate_hz)
    return {finding.code: finding.severity for finding in heard.defects}


def talk(seed: int, *, seconds: int = 8, rate_hz: int = RATE_HZ, room_db: float = -40.0) -> np.ndarray:
    """Phrases with pauses between them, in the pink noise of a room."""
    spoken = signals.speech_like(seconds * rate_hz, rate_hz, seed, lead_in_s=0.6)
    spoken = np.concatenate([spoken, np.zeros(rate_hz // 2, np.float32)])
    return spoken + 10 ** (room_db / 20) * signals.pink_noise(spoken.size, rate_hz, seed).astype(np.float64)


def bare(seed: int, *, seconds: int = 8) -> np.ndarray:
    """The same without a room."""
    spoken = signals.speech_like(seconds * RATE_HZ, RATE_HZ, seed, lead_in_s=0.6)
    return np.concatenate([spoken, np.zeros(RATE_HZ // 2, np.float32)])


def coded(x: np.ndarray, rate_hz: int, form: str, subtype: str, level: float) -> np.ndarray:
    """Through a codec and back. Vorbis is written in small blocks, which libsndfile needs."""
    file = io.BytesIO()
    mode = {"bitrate_mode": "CONSTANT"} if form == "MP3" else {}
    with soundfile.SoundFile(
        file, "w", rate_hz, 1, format=form, subtype=subtype, compression_level=level, **mode
    ) as out:
        for at in range(0, x.size, 65_536):
            out.write(x[at : at + 65_536])
    file.seek(0)
    return soundfile.read(file)[0]


def gate(x: np.ndarray, threshold_dbfs: float, depth_db: float, hold_s: float, seed: int) -> np.ndarray:
    """A noise gate, and a converter's dither after it, so that no sample need be zero."""
    level = scipy.signal.lfilter(np.ones(160) / 160, 1, x**2)
    opened = 10 * np.log10(2 * level + 1e-12) > threshold_dbfs
    opened = np.convolve(opened, np.ones(round(hold_s * RATE_HZ)), "full")[: x.size] > 0
    gain = np.convolve(np.where(opened, 1.0, 10 ** (depth_db / 20)), np.ones(160) / 160, "same")
    rng = np.random.default_rng(seed)
    return x * gain + (rng.random(x.size) - rng.random(x.size)) / 2**15


def automatic_gain(x: np.ndarray, attack_s: float, release_s: float) -> np.ndarray:
    """A gain that takes each millisecond towards one level, quickly down and slowly up."""
    step = RATE_HZ // 1000
    power = np.square(x[: x.size // step * step].reshape(-1, step)).mean(axis=1)
    wanted = np.clip(-20.0 - 10 * np.log10(2 * power + 1e-10), -10.0, 30.0)
    gain, now = np.empty_like(wanted), wanted[:200].min()
    for number, goal in enumerate(wanted):
        now += (goal - now) * (1 - np.exp(-0.001 / (attack_s if goal < now else release_s)))
        gain[number] = now
    return np.clip(x * 10 ** (np.interp(np.arange(x.size) / step, np.arange(gain.size), gain) / 20), -1, 1)


def gusts(samples: int, seed: int) -> np.ndarray:
    """Wind: noise that falls steeply from 60 Hz on, and comes and goes once a second. RMS 0 dBFS."""
    rng = np.random.default_rng(seed)
    f = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) / (1 + (f / 60.0) ** 2), samples)
    slow = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * ((f > 0.05) & (f < 1.0)), samples)
    x *= 10 ** (8.0 * slow / slow.std() / 20)
    return x / np.sqrt(2 * np.mean(x**2))


def echo(x: np.ndarray, delay_s: float, gain: float) -> np.ndarray:
    y, delay = x.copy(), round(delay_s * RATE_HZ)
    y[delay:] += gain * x[:-delay]
    return y
