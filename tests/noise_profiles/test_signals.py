"""Made sound is what it says: seeded, seamless, at its level, mixed exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import levels, signals, vad
from noise_profiles.samples import SignalEmpty

RATE_HZ = 16_000


@pytest.mark.parametrize("name", sorted(signals.NOISES))
def test_a_noise_is_a_function_of_its_seed_and_has_its_level(name):
    make = signals.NOISES[name]
    sound = make(2 * RATE_HZ, RATE_HZ, 3)
    assert np.array_equal(sound, make(2 * RATE_HZ, RATE_HZ, 3))
    assert name == "hum" or not np.array_equal(sound, make(2 * RATE_HZ, RATE_HZ, 4))
    assert sound.dtype == np.float32 and sound.size == 2 * RATE_HZ
    assert levels.rms_dbfs(sound) == pytest.approx(signals.NOISE_DBFS, abs=0.01)


@pytest.mark.parametrize("name", ["pink", "fan", "traffic", "hum", "babble", "speech-shaped"])
def test_a_noise_loops_without_a_click(name):
    sound = signals.NOISES[name](2 * RATE_HZ, RATE_HZ, 3).astype(np.float64)
    steps = np.abs(np.diff(sound, n=2))
    seam = np.abs(np.diff(np.concatenate([sound[-2:], sound[:2]]), n=2))
    assert seam.max() <= steps.max()


def test_pink_noise_has_the_same_power_in_each_octave():
    sound = signals.pink_noise(16 * RATE_HZ, RATE_HZ, 1).astype(np.float64)
    power = np.square(np.abs(np.fft.rfft(sound)))
    hz = np.fft.rfftfreq(sound.size, 1 / RATE_HZ)
    octaves = [10 * np.log10(power[(hz >= low) & (hz < 2 * low)].sum()) for low in (100, 400, 1600, 3200)]
    assert np.ptp(octaves) < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_the_voice_is_taken_for_speech_and_the_fan_is_not(seed):
    speech = signals.speech_like(5 * RATE_HZ, RATE_HZ, seed, lead_in_s=1.0)
    fan = signals.fan(5 * RATE_HZ, RATE_HZ, seed) * 0.01
    heard = sum(b - a for a, b in vad.speech_segments(speech + fan, RATE_HZ))
    assert heard > 2 * RATE_HZ
    assert sum(b - a for a, b in vad.speech_segments(fan, RATE_HZ)) < RATE_HZ
    first = vad.speech_segments(speech + fan, RATE_HZ)[0][0]
    assert first == pytest.approx(RATE_HZ, abs=0.2 * RATE_HZ)


@settings(max_examples=15, deadline=None)
@given(st.floats(-10.0, 60.0), st.sampled_from(["pink", "fan", "clicks"]), st.integers(0, 5))
def test_a_mixture_has_exactly_the_snr_it_was_asked_for(snr_db, noise, seed):
    speech = signals.speech_like(2 * RATE_HZ, RATE_HZ, seed)
    made = signals.mix(speech, signals.NOISES[noise](RATE_HZ, RATE_HZ, seed), snr_db, RATE_HZ)
    active = np.repeat(levels.active_speech(made.speech, RATE_HZ).active, RATE_HZ // 100)
    clean = np.square(levels.band_limited(made.speech, RATE_HZ))[: active.size][active].mean()
    bed = np.square(levels.band_limited(made.noise, RATE_HZ)).mean()
    assert 10 * np.log10(clean / bed) == pytest.approx(snr_db, abs=0.01)
    assert np.abs(made.samples).max() <= 1.0
    assert made.speech_dbfs - made.noise_dbfs == pytest.approx(snr_db, abs=0.01)


def test_nothing_cannot_be_mixed():
    with pytest.raises(SignalEmpty):
        signals.mix(np.zeros(RATE_HZ), np.ones(10), 10.0, RATE_HZ)
    with pytest.raises(SignalEmpty):
        signals.mix(signals.speech_like(RATE_HZ, RATE_HZ, 1), np.zeros(10), 10.0, RATE_HZ)


def test_a_room_keeps_the_length_and_rings():
    click = np.eye(1, RATE_HZ, 100, dtype=np.float32)[0]
    wet = signals.reverberate(click, RATE_HZ, 1, rt60_s=0.3)
    assert wet.size == click.size and wet[100] == pytest.approx(1.0, abs=1e-4)
    early = np.square(wet[200:1000]).sum()
    late = np.square(wet[3000:3800]).sum()
    expected_db = 60.0 * (2800 / RATE_HZ) / 0.3
    assert 10 * np.log10(early / late) == pytest.approx(expected_db, abs=3.0)


@given(st.lists(st.integers(0, 300), max_size=8))
def test_a_loop_goes_on_where_it_stopped(sizes):
    noise = signals.white_noise(100, RATE_HZ, 1)
    loop = signals.Loop(noise)
    played = np.concatenate([np.empty(0, np.float32), *(loop.block(size) for size in sizes)])
    assert np.array_equal(played, np.resize(noise, sum(sizes)))
