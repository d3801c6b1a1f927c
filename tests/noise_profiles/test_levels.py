"""Levels agree with algebra and with the standards that define them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import levels, signals
from noise_profiles.samples import SignalEmpty, SignalNotFinite

RATE_HZ = 16_000


def sine(level_dbfs: float, hz: float = 1000.0, rate_hz: int = RATE_HZ, seconds: float = 1.0) -> np.ndarray:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return 10 ** (level_dbfs / 20) * np.sin(2 * np.pi * hz * t)


@pytest.mark.parametrize("level_dbfs", [-60.0, -26.0, 0.0])
def test_a_sine_measures_at_the_level_it_was_made(level_dbfs):
    assert levels.rms_dbfs(sine(level_dbfs)) == pytest.approx(level_dbfs, abs=0.01)


def test_a_full_scale_square_is_three_decibels_over_a_sine():
    assert levels.rms_dbfs(np.sign(sine(0.0, 990.0))) == pytest.approx(10 * math.log10(2), abs=0.01)


@pytest.mark.parametrize(
    "sound, error", [(np.zeros(0), SignalEmpty), (np.array([0.0, np.nan]), SignalNotFinite)]
)
def test_what_is_no_sound_has_no_level(sound, error):
    with pytest.raises(error):
        levels.rms_dbfs(sound)


def test_silence_reads_the_floor():
    assert levels.rms_dbfs(np.zeros(100)) == levels.FLOOR_DBFS


# IEC 61672-1:2013, table 3: nominal frequency, A-weighting, class 1 acceptance limits (low, high), dB.
CLASS_1 = [
    (31.5, -39.4, -1.5, 1.5), (63, -26.2, -1.0, 1.0), (125, -16.1, -1.0, 1.0), (250, -8.6, -1.0, 1.0),
    (500, -3.2, -1.0, 1.0), (1000, 0.0, -0.7, 0.7), (2000, 1.2, -1.0, 1.0), (4000, 1.0, -1.0, 1.0),
    (6300, -0.1, -2.0, 1.5), (8000, -1.1, -2.5, 1.5), (10000, -2.5, -3.0, 2.0), (16000, -6.6, -16.0, 2.5),
]  # fmt: skip


@pytest.mark.parametrize("hz, weighting_db, low_db, high_db", CLASS_1)
def test_a_weighting_keeps_class_1(hz, weighting_db, low_db, high_db):
    off = levels.a_weighting_db(np.array([hz]))[0] - weighting_db
    assert low_db <= off <= high_db


@pytest.mark.parametrize("level_dbfs", [-45.0, -26.0, -10.0])
def test_active_level_of_steady_sound_is_its_level(level_dbfs):
    noise = signals.white_noise(4 * RATE_HZ, RATE_HZ, 1) * 10 ** ((level_dbfs - signals.NOISE_DBFS) / 20)
    active = levels.active_speech(noise, RATE_HZ)
    assert active.level_dbfs == pytest.approx(level_dbfs, abs=0.1)
    assert active.activity > 0.97


@pytest.mark.parametrize("on_s, off_s", [(4.0, 4.0), (2.0, 6.0)])
def test_active_level_counts_the_bursts_and_their_hangover_alone(on_s, off_s):
    burst = signals.white_noise(round(on_s * RATE_HZ), RATE_HZ, 1)
    sound = np.concatenate([np.zeros(RATE_HZ // 2), burst, np.zeros(round(off_s * RATE_HZ))])
    active = levels.active_speech(sound, RATE_HZ)
    # 200 ms of hangover, and about 0.1 s in which the doubly smoothed envelope falls through the threshold.
    expected_s = on_s + 0.2 + 0.1
    assert active.activity * sound.size / RATE_HZ == pytest.approx(expected_s, abs=0.1)
    expected_dbfs = signals.NOISE_DBFS + 10 * math.log10(on_s / expected_s)
    assert active.level_dbfs == pytest.approx(expected_dbfs, abs=0.2)


def test_active_level_follows_gain_and_ignores_added_silence():
    speech = np.pad(signals.speech_like(4 * RATE_HZ, RATE_HZ, 3), (0, RATE_HZ))
    before = levels.active_speech(speech, RATE_HZ)
    louder = levels.active_speech(np.pad(2.0 * speech, (0, 5 * RATE_HZ)), RATE_HZ)
    assert louder.level_dbfs - before.level_dbfs == pytest.approx(20 * math.log10(2), abs=0.05)


SPEECH = signals.speech_like(2 * RATE_HZ, RATE_HZ, 5)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, SPEECH.size), max_size=5))
def test_the_meter_ignores_block_boundaries(cuts):
    whole, pieces = levels.LevelMeter(RATE_HZ), levels.LevelMeter(RATE_HZ)
    frames = whole.feed(SPEECH)
    heard = np.concatenate([pieces.feed(block) for block in np.split(SPEECH, sorted(cuts))])
    assert np.array_equal(frames, heard)
    assert (whole.peak_dbfs, whole.rms_dbfs, whole.short_dbfs) == (
        pieces.peak_dbfs,
        pieces.rms_dbfs,
        pieces.short_dbfs,
    )
    assert whole.rms_dbfs == pytest.approx(levels.rms_dbfs(SPEECH), abs=1e-9)


def test_the_meter_agrees_with_librosa():
    import librosa

    tone = sine(-20.0, 400.0).astype(np.float32)
    ours = levels.LevelMeter(RATE_HZ).feed(tone)[20:-20]
    theirs = librosa.feature.rms(y=tone, frame_length=160, hop_length=160, center=False)[0][20:-20]
    assert ours == pytest.approx(20 * np.log10(theirs * math.sqrt(2)), abs=0.02)


def test_the_meter_does_not_hear_infrasound_in_the_short_level():
    meter = levels.LevelMeter(RATE_HZ)
    meter.feed(sine(-10.0, 10.0, seconds=2.0))
    assert meter.short_dbfs < -60.0
    assert meter.rms_dbfs == pytest.approx(-10.0, abs=0.1)


def test_a_weighting_agrees_with_librosa():
    import librosa

    f = np.geomspace(10.0, 20_000.0, 200)
    assert levels.a_weighting_db(f) == pytest.approx(librosa.A_weighting(f, min_db=-200.0), abs=0.01)
    assert levels.a_weighting_db(np.array([0.0, 1000.0])) == pytest.approx([-200.0, 0.0], abs=0.01)
