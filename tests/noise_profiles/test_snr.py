"""What counts as noise: not the speaker's own breath, and not only what is quiet enough to look like it."""

from __future__ import annotations

import numpy as np
import pytest

from noise_profiles import measure, signals

RATE_HZ = 16_000


def spoken(seed: int) -> np.ndarray:
    """Two phrases with a second before, between and after them."""
    phrase = signals.speech_like(6 * RATE_HZ, RATE_HZ, seed)[RATE_HZ : RATE_HZ + 24_000]
    pause = np.zeros(RATE_HZ, np.float32)
    return np.concatenate([pause, phrase, pause, phrase, pause])


def bursts(size: int, every_s: float, length_s: float, seed: int) -> np.ndarray:
    """Short sounds without pitch, one each `every_s`."""
    hiss = np.random.default_rng(seed).standard_normal(size)
    at = np.arange(size) / RATE_HZ % every_s
    return (hiss * np.exp(-at / length_s) * (at < 6 * length_s)).astype(np.float32)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("lead_in_s", [0.0, 0.9])
def test_breath_in_the_pauses_of_a_clean_clip_is_no_noise_of_the_room(seed, lead_in_s):
    voice = spoken(seed)
    made = signals.mix(voice, signals.pink_noise(voice.size, RATE_HZ, seed + 10), 35.0, RATE_HZ)
    breath = np.zeros_like(voice)
    for start_s in (2.8, 4.9):
        at = round(start_s * RATE_HZ)
        breath[at : at + 4_000] = np.random.default_rng(seed).standard_normal(4_000) * np.hanning(4_000)
    # 25 dB under the voice, so its mean over the pauses would pass for the room's noise.
    breath *= np.float32(10 ** ((made.speech_dbfs - 25.0) / 20) / np.sqrt(2 * 0.375))
    heard = measure.measure(made.samples + breath, RATE_HZ, lead_in_s=lead_in_s)
    assert heard.snr_db == pytest.approx(35.0, abs=1.5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_tick_that_repeats_between_words_is_noise(seed):
    voice = spoken(seed)
    ticks = bursts(voice.size, 0.47, 0.012, seed) + 0.002 * signals.white_noise(voice.size, RATE_HZ, seed)
    made = signals.mix(voice, ticks, 12.0, RATE_HZ)
    heard = measure.measure(made.samples, RATE_HZ)
    assert heard.snr_db == pytest.approx(12.0, abs=2.5)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_speech_in_one_breath_is_doubted_and_not_taken_for_its_own_noise(seed):
    """No lead-in and no pause: the soft half of the words must not be the noise of the loud half."""
    voice = signals.speech_like(6 * RATE_HZ, RATE_HZ, seed)[RATE_HZ : RATE_HZ + 20_000]
    made = signals.mix(voice, signals.pink_noise(voice.size, RATE_HZ, seed + 10), 25.0, RATE_HZ)
    heard = measure.measure(made.samples, RATE_HZ)
    assert heard.snr_low_db <= 25.0 <= heard.snr_high_db


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_sessions_room_tone_settles_speech_in_one_breath(seed):
    voice = signals.speech_like(6 * RATE_HZ, RATE_HZ, seed)[RATE_HZ : RATE_HZ + 20_000]
    room = signals.pink_noise(voice.size + 2 * RATE_HZ, RATE_HZ, seed + 10)
    made = signals.mix(voice, room[: voice.size], 25.0, RATE_HZ)
    gain = np.sqrt(np.mean(np.square(made.noise)) / np.mean(np.square(room[: voice.size])))
    tone = measure.room_tone(gain * room[voice.size :], RATE_HZ)
    heard = measure.measure(made.samples, RATE_HZ, room_tone=tone)
    assert heard.noise_source.startswith("room_tone")
    assert heard.snr_db == pytest.approx(25.0, abs=1.0)


@pytest.mark.parametrize("snr_db", [2.0, 15.0, 30.0])
def test_the_interval_holds_the_figure_and_reaches_further_down_where_the_room_was_hardly_heard(snr_db):
    voice = signals.speech_like(8 * RATE_HZ, RATE_HZ, 4)
    waves = 1.0 + 0.7 * np.sin(2 * np.pi * 0.7 * np.arange(voice.size) / RATE_HZ)
    made = signals.mix(voice, waves * signals.pink_noise(voice.size, RATE_HZ, 5), snr_db, RATE_HZ)
    heard = measure.measure(made.samples, RATE_HZ)
    assert heard.snr_low_db < heard.snr_db < heard.snr_high_db
    assert heard.snr_low_db <= snr_db <= heard.snr_high_db
