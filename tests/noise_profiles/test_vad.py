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


def spoken(*, pause_s, seed=2, words_s=1.2, first_s=2.5):
    """Three phrases at known places: the sound, and (start, end) of each."""
    x, places, at = np.zeros(12 * RATE_HZ, np.float32), [], round(first_s * RATE_HZ)
    for number in range(3):
        voice = signals.speech_like(8 * RATE_HZ, RATE_HZ, seed + number)[: round(words_s * RATE_HZ)]
        heard = np.flatnonzero(np.abs(voice) > 0.02 * np.abs(voice).max())
        x[at : at + voice.size] = voice
        places.append((at + int(heard[0]), at + int(heard[-1]) + 1))
        at += voice.size + round(pause_s * RATE_HZ)
    return x[: at + RATE_HZ], places


def streamed(sound, *, room=None, block=320):
    """Segments, and where the stream stood when the detector first said that somebody speaks."""
    detector, said = vad.SpeechDetector(RATE_HZ, room=room), []
    for at in range(0, sound.size, block):
        before = detector.speaking
        if detector.feed(sound[at : at + block]) and not before:
            said.append(at + block)
    return detector.finish(), said


@pytest.mark.parametrize("noise", ["fan", "pink", "white", "speech-shaped", "hum"])
def test_a_steady_noise_alone_never_opens_it(noise):
    for seed in (1, 2):
        assert vad.speech_segments(signals.NOISES[noise](12 * RATE_HZ, RATE_HZ, seed), RATE_HZ) == []


@pytest.mark.parametrize("noise", ["fan", "pink", "traffic"])
@pytest.mark.parametrize("snr_db", [5.0, 12.0, 25.0])
def test_in_noise_it_opens_for_speech_and_closes_at_pauses(noise, snr_db):
    speech, places = spoken(pause_s=0.9)
    sound = signals.mix(speech, signals.NOISES[noise](speech.size, RATE_HZ, 3), snr_db, RATE_HZ).samples
    found, said = streamed(sound, room=sound[: 2 * RATE_HZ])
    for start, _ in places:
        first = next(a for a, b in found if b > start)
        assert first <= start + 0.15 * RATE_HZ  # the cutter keeps 0.1 s before it
        assert any(start - 0.3 * RATE_HZ < at <= start + 0.45 * RATE_HZ for at in said)
    if noise != "traffic":  # where a lorry may pass
        for _, end in places:
            assert any(end - 0.4 * RATE_HZ < b <= end + 0.4 * RATE_HZ for _, b in found)
        pauses = np.ones(speech.size, bool)
        for start, end in places:
            pauses[max(0, start - RATE_HZ // 5) : end + RATE_HZ // 3] = False
        assert sum(int(pauses[a:b].sum()) for a, b in found) == 0


def test_a_pause_of_a_third_of_a_second_divides():
    speech, places = spoken(pause_s=0.45, words_s=1.0)
    sound = speech + 0.02 * signals.pink_noise(speech.size, RATE_HZ, 5)
    found, _ = streamed(sound)
    for (_, end), (start, _) in pairwise(places):
        if start - end >= 0.45 * RATE_HZ:
            assert any(end <= b + 0.1 * RATE_HZ and b <= start for _, b in found)


def test_a_short_hole_does_not_open_it():
    room = signals.pink_noise(10 * RATE_HZ, RATE_HZ, 1)
    room[4 * RATE_HZ : 4 * RATE_HZ + 4000] = 0.0
    assert vad.speech_segments(room, RATE_HZ) == []


def test_a_noise_that_begins_becomes_the_floor():
    """A fan is switched on: it may open, but not for longer than the detector remembers."""
    room = 0.01 * signals.pink_noise(25 * RATE_HZ, RATE_HZ, 1)
    room[8 * RATE_HZ :] += signals.fan(17 * RATE_HZ, RATE_HZ, 2)
    found = vad.speech_segments(room, RATE_HZ)
    assert all(b < 15 * RATE_HZ for _, b in found)


def test_a_known_room_makes_speech_from_the_first_sample_plain():
    speech, places = spoken(pause_s=0.9, first_s=0.0)
    fan = 0.3 * signals.fan(speech.size + 2 * RATE_HZ, RATE_HZ, 3)
    found, _ = streamed(speech + fan[2 * RATE_HZ :], room=fan[: 2 * RATE_HZ])
    assert found[0][0] <= places[0][0] + 0.1 * RATE_HZ
    assert len(found) >= 3


def test_babble_leaves_it_usable():
    """At 10 dB every phrase is found, and most of the rest is not."""
    speech, places = spoken(pause_s=1.5)
    sound = signals.mix(speech, signals.babble(speech.size, RATE_HZ, 9), 10.0, RATE_HZ).samples
    found, _ = streamed(sound, room=sound[: 2 * RATE_HZ])
    said, heard = np.zeros(speech.size, bool), np.zeros(speech.size, bool)
    for start, end in places:
        said[start : end + RATE_HZ // 4] = True
        assert any(a < end and b > start for a, b in found)
    for a, b in found:
        heard[a:b] = True
    assert heard[~said].mean() < 0.25
    assert heard[said].mean() > 0.7


def test_in_a_known_room_a_long_breath_of_speech_stays_one_segment():
    """A story told without a pause must not teach the detector that speech is the noise."""
    rate_hz = 16_000
    at_s = np.arange(20 * rate_hz) / rate_hz
    phase = 2 * np.pi * (150 * at_s + 3 * np.sin(2 * np.pi * 0.7 * at_s))
    tones = sum(np.sin(n * phase) / n for n in range(1, 20))
    voice = (0.1 * tones * (1.2 + 0.4 * np.sin(2 * np.pi * 4 * at_s))).astype(np.float32)  # never silent
    quiet = np.zeros(2 * rate_hz, np.float32)
    sound = signals.mix(
        np.concatenate([quiet, voice, quiet]),
        signals.pink_noise(24 * rate_hz, rate_hz, seed=6),
        25.0,
        rate_hz,
    ).samples
    detector = vad.SpeechDetector(rate_hz, room=sound[: 2 * rate_hz])
    detector.feed(sound[2 * rate_hz :])
    (segment,) = detector.finish()
    assert segment[0] <= 0.1 * rate_hz and segment[1] >= 19.5 * rate_hz


@pytest.mark.parametrize(
    ("noise", "most"), [("traffic", 0.05), ("babble", 0.15), ("fan", 0.05), ("speech-shaped", 0.05)]
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_like_the_room_tone_does_not_open_it(noise, most, seed):
    """The servo stands still while it is open, and what it opens for becomes a clip."""
    room, alone = np.split(signals.NOISES[noise](20 * RATE_HZ, RATE_HZ, seed), [2 * RATE_HZ])
    found, _ = streamed(alone, room=room)
    assert sum(b - a for a, b in found) <= most * alone.size


def test_a_noise_that_swells_over_the_room_tone_is_no_voice_and_a_voice_in_it_is_heard():
    """A lorry has no pitch and comes slowly, however loud it becomes: 10 m away, at 45 km/h."""
    size = 12 * RATE_HZ
    at_s = np.arange(size) / RATE_HZ
    swell = (0.3 / np.sqrt(1.0 + ((at_s - 6.0) / 0.8) ** 2)).astype(np.float32)
    lorry = swell * signals.speech_shaped_noise(size, RATE_HZ, 4)
    assert streamed(lorry, room=lorry[: 2 * RATE_HZ])[0] == []
    speech, places = spoken(pause_s=0.9)
    lorry = np.resize(lorry, speech.size)
    found, _ = streamed(speech + lorry, room=lorry[: 2 * RATE_HZ])
    assert all(any(a <= start + 0.15 * RATE_HZ and b > start for a, b in found) for start, _ in places)


@pytest.mark.parametrize("snr_db", [15.0, 25.0])
def test_a_whisper_is_heard_though_it_has_no_pitch(snr_db):
    """Hiss in the rhythm and colour of a voice, after a quiet room."""
    rng = np.random.default_rng(5)
    speech, places = spoken(pause_s=0.9)
    envelope = np.sqrt(np.convolve(np.square(speech), np.ones(480) / 480, mode="same"))
    whisper = (envelope * signals.speech_shaped_noise(speech.size, RATE_HZ, 8) * 20).astype(np.float32)
    hiss = rng.standard_normal(speech.size).astype(np.float32)
    sound = signals.mix(whisper, hiss, snr_db, RATE_HZ).samples
    found, _ = streamed(sound, room=sound[: 2 * RATE_HZ])
    assert all(any(a <= start + 0.15 * RATE_HZ and b > start for a, b in found) for start, _ in places)


def test_a_knock_in_the_room_tone_does_not_make_it_deaf():
    speech, places = spoken(pause_s=0.9)
    sound = signals.mix(speech, signals.pink_noise(speech.size, RATE_HZ, 3), 15.0, RATE_HZ).samples
    room = sound[: 2 * RATE_HZ].copy()
    room[RATE_HZ : RATE_HZ + 4000] += 0.5 * signals.white_noise(4000, RATE_HZ, 9)
    found, _ = streamed(sound, room=room)
    assert all(any(a <= start + 0.15 * RATE_HZ and b > start for a, b in found) for start, _ in places)


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(2 * RATE_HZ, SPEECH.size), max_size=6))
def test_no_cutting_moves_a_segment_in_a_known_room_that_swings(cuts):
    noise = signals.babble(SPEECH.size + 2 * RATE_HZ, RATE_HZ, 3)
    sound = SPEECH + 0.3 * noise[2 * RATE_HZ :]
    whole, cut = (vad.SpeechDetector(RATE_HZ, room=0.3 * noise[: 2 * RATE_HZ]) for _ in range(2))
    whole.feed(sound)
    for block in np.split(sound, sorted(cuts)):
        cut.feed(block)
    assert whole.finish() == cut.finish()
