"""Sessions as a microphone would hear them: room tone, then sentences with pauses, in one bed of noise."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo.cast import Condition, Voice
from demo.speech import Synthesiser
from noise_profiles import signals

SAMPLE_RATE_HZ = 48_000
ROOM_TONE_S = 2.5
PAUSE_S = 1.0


def session(
    synthesiser: Synthesiser, voice: Voice, sentences: Sequence[str], condition: Condition
) -> NDArray[np.float32]:
    """One speaker's session under one condition, at exactly the condition's SNR by the definition.

    Returns
    -------
    ndarray, shape (n_samples,)
        At `SAMPLE_RATE_HZ`; begins with `ROOM_TONE_S` of the room alone.
    """
    manner = {"words_per_minute": voice.words_per_minute, "pitch": voice.pitch}
    parts = [np.zeros(int(ROOM_TONE_S * SAMPLE_RATE_HZ))]
    for text in sentences:
        parts += [synthesiser.speak(text, voice.voice, manner), np.zeros(int(PAUSE_S * SAMPLE_RATE_HZ))]
    speech = np.concatenate(parts)
    speech = np.pad(
        speech, (0, -speech.size % (SAMPLE_RATE_HZ // 10))
    )  # a length that transforms are quick at
    speech *= 0.5 / np.abs(speech).max()
    seed = zlib.crc32(f"{voice.name} {condition.grade} {condition.noise} {sentences}".encode())
    noise = getattr(signals, condition.noise)(speech.size, SAMPLE_RATE_HZ, seed)
    return signals.mix(speech, noise, condition.snr_db, SAMPLE_RATE_HZ).samples


def write(path: Path, samples: NDArray[np.float32]) -> None:
    """Write a 16-bit WAV, with a last bit of dither so that silence is not digital silence."""
    import soundfile

    rng = np.random.default_rng(samples.size)
    dither = (rng.random(samples.size) - rng.random(samples.size)) / 32768.0
    soundfile.write(path, np.clip(samples + dither, -1.0, 1.0 - 2**-15), SAMPLE_RATE_HZ, subtype="PCM_16")
