"""Levels agree with algebra and with the standards that define them."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import levels, measure, signals
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


# IEC 61672-1:2013, table 3, at exact base-ten frequencies 10 ** (n / 10): A-weighting and the class 1
# acceptance limits (low, high), dB, for n = 10 (10 Hz) to 43 (20 kHz).
NO_LIMIT = -math.inf
CLASS_1 = [
    (-70.4, NO_LIMIT, 3.0), (-63.4, NO_LIMIT, 2.5), (-56.7, -4.0, 2.0), (-50.5, -2.0, 2.0),
    (-44.7, -1.5, 2.0), (-39.4, -1.5, 1.5), (-34.6, -1.0, 1.0), (-30.2, -1.0, 1.0), (-26.2, -1.0, 1.0),
    (-22.5, -1.0, 1.0), (-19.1, -1.0, 1.0), (-16.1, -1.0, 1.0), (-13.4, -1.0, 1.0), (-10.9, -1.0, 1.0),
    (-8.6, -1.0, 1.0), (-6.6, -1.0, 1.0), (-4.8, -1.0, 1.0), (-3.2, -1.0, 1.0), (-1.9, -1.0, 1.0),
    (-0.8, -1.0, 1.0), (0.0, -0.7, 0.7), (0.6, -1.0, 1.0), (1.0, -1.0, 1.0), (1.2, -1.0, 1.0),
    (1.3, -1.0, 1.0), (1.2, -1.0, 1.0), (1.0, -1.0, 1.0), (0.5, -1.5, 1.5), (-0.1, -2.0, 1.5),
    (-1.1, -2.5, 1.5), (-2.5, -3.0, 2.0), (-4.3, -5.0, 2.0), (-6.6, -16.0, 2.5), (-9.3, NO_LIMIT, 3.0),
]  # fmt: skip
THIRD_OCTAVES = [(10 ** (n / 10), *row) for n, row in enumerate(CLASS_1, start=10)]


@pytest.mark.parametrize("hz, weighting_db, low_db, high_db", THIRD_OCTAVES)
def test_a_weighting_keeps_class_1_at_every_third_octave(hz, weighting_db, low_db, high_db):
    off = levels.a_weighting_db(np.array([hz]))[0] - weighting_db
    assert low_db <= off <= high_db
    assert abs(off) <= 0.1  # the table is rounded to a tenth, the curve is not


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 48_000])
def test_a_measured_tone_is_weighted_to_class_1_from_63_hz_to_the_edge_of_the_band(rate_hz):
    """Frames of 25 ms smear a low tone over bins whose weights differ by many dB."""
    for hz, weighting_db, low_db, high_db in THIRD_OCTAVES:
        if 60.0 < hz < 0.45 * min(rate_hz, 16_000):
            tone = measure.room_tone(sine(-20.0, hz, rate_hz), rate_hz)
            assert low_db <= tone.noise_dba_fs + 20.0 - weighting_db <= high_db, hz


def p56_by_the_book(x: np.ndarray, rate_hz: int) -> tuple[float, float]:
    """Level and activity by ITU-T P.56 method B as it is written: sample by sample, thresholds in octaves."""
    g = math.exp(-1 / (rate_hz * 0.03))
    hangover = round(0.2 * rate_hz)
    thresholds = [2.0**-n for n in range(16)]
    counts, since = [0] * 16, [hangover] * 16
    p = q = total = 0.0
    for sample in x.tolist():
        total += sample * sample
        p = g * p + (1 - g) * abs(sample)
        q = g * q + (1 - g) * p
        for n, threshold in enumerate(thresholds):
            if q >= threshold:
                counts[n] += 1
                since[n] = 0
            elif since[n] < hangover:
                counts[n] += 1
                since[n] += 1
    found = []
    for threshold, count in sorted(zip(thresholds, counts, strict=True)):
        if count:
            level_db = 10 * math.log10(total / count)
            found.append((level_db, level_db - 20 * math.log10(threshold)))
    for (level_0, margin_0), (level_1, margin_1) in itertools.pairwise(found):
        if margin_0 >= levels.P56_MARGIN_DB >= margin_1:
            part = (margin_0 - levels.P56_MARGIN_DB) / (margin_0 - margin_1)
            level_db = level_0 + part * (level_1 - level_0)
            activity = total / x.size / 10 ** (level_db / 10)
            return level_db + 10 * math.log10(2), activity
    raise ValueError("no threshold lies 15.9 dB below the level")


@pytest.mark.parametrize(
    "rate_hz, seed, gain_db, pause_s", [(8_000, 1, 0, 1), (16_000, 2, -20, 3), (16_000, 3, 5, 0)]
)
def test_active_level_agrees_with_p56_as_it_is_written(rate_hz, seed, gain_db, pause_s):
    speech = signals.speech_like(3 * rate_hz, rate_hz, seed) * 10 ** (gain_db / 20)
    speech = np.pad(speech, (0, pause_s * rate_hz)).astype(np.float64)
    level_dbfs, activity = p56_by_the_book(speech, rate_hz)
    ours = levels.active_speech(speech, rate_hz)
    # Thresholds an octave apart are interpolated in the book, searched here.
    assert ours.level_dbfs == pytest.approx(level_dbfs, abs=0.15)
    assert ours.activity == pytest.approx(activity, rel=0.04)


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
