"""Segments are found at any level, and do not depend on how the sound arrives."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import signals, vad
from noise_profiles.samples import SignalEmpty, SignalShapeWrong

RATE_HZ = 16_000
SPEECH = signals.speech_like(4 * RATE_HZ, RATE_HZ, 2, lead_in_s=0.8)
ROOM = signals.pink_noise(SPEECH.size, RATE_HZ, 1)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, SPEECH.size), max_size=6))
def test_no_cutting_moves_a_segment(cuts):
    detector = vad.SpeechDetector(RATE_HZ)
    for block in np.split(SPEECH + 0.01 * ROOM, sorted(cuts)):
        detector.feed(block)
    assert detector.finish() == vad.speech_segments(SPEECH + 0.01 * ROOM, RATE_HZ)


@pytest.mark.parametrize("gain_db", [-40.0, -20.0, 0.0, 6.0])
def test_the_level_does_not_decide(gain_db):
    sound = (SPEECH + 0.01 * ROOM) * 10 ** (gain_db / 20)
    found = vad.speech_segments(sound, RATE_HZ)
    assert found and found[0][0] == pytest.approx(0.8 * RATE_HZ, abs=0.2 * RATE_HZ)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 48_000])
def test_any_rate_gives_places_in_its_own_samples(rate_hz):
    speech = signals.speech_like(4 * rate_hz, rate_hz, 2, lead_in_s=0.8)
    room = signals.pink_noise(speech.size, rate_hz, 1)
    found = vad.speech_segments(speech + 0.01 * room, rate_hz)
    assert found[0][0] / rate_hz == pytest.approx(0.8, abs=0.2)
    assert all(0 <= a < b <= speech.size for a, b in found)
    assert all(b <= c for (_, b), (c, _) in pairwise(found))


def test_silence_and_a_single_sample_have_no_segments():
    assert vad.speech_segments(np.zeros(RATE_HZ), RATE_HZ) == []
    assert vad.speech_segments(np.zeros(1), RATE_HZ) == []


def test_what_is_no_single_channel_is_refused():
    with pytest.raises(SignalEmpty):
        vad.speech_segments(np.zeros(0), RATE_HZ)
    with pytest.raises(SignalShapeWrong):
        vad.speech_segments(np.zeros((10, 2)), RATE_HZ)
