"""The same sound is known again, and nothing else is."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import fingerprint as prints
from noise_profiles import signals
from noise_profiles.fingerprint import SAME, Fingerprint, FingerprintInvalid, Index, fingerprint, similarity
from noise_profiles.samples import SignalEmpty, SignalNotFinite
from tests.noise_profiles.spoiled import RATE_HZ, coded, sixteen_bits, talk

CLIP = talk(1)
PRINT = fingerprint(CLIP, RATE_HZ)

COPIES = {
    "itself": lambda: (CLIP, RATE_HZ),
    "cut at the start": lambda: (CLIP[20_811:], RATE_HZ),
    "cut at the end": lambda: (CLIP[: CLIP.size // 2], RATE_HZ),
    "silence before": lambda: (np.pad(CLIP, (40_001, 0)), RATE_HZ),
    "louder": lambda: (3.0 * CLIP, RATE_HZ),
    "much softer, 16 bits": lambda: (sixteen_bits(0.03 * CLIP), RATE_HZ),
    "turned over": lambda: (-CLIP, RATE_HZ),
    "48 kHz": lambda: (soxr.resample(CLIP, RATE_HZ, 48_000), 48_000),
    "44.1 kHz": lambda: (soxr.resample(CLIP, RATE_HZ, 44_100), 44_100),
    "8 kHz": lambda: (soxr.resample(CLIP, RATE_HZ, 8_000), 8_000),
    "MP3": lambda: (coded(CLIP, RATE_HZ, "MP3", "MPEG_LAYER_III", 0.8), RATE_HZ),
    "Vorbis": lambda: (coded(CLIP, RATE_HZ, "OGG", "VORBIS", 0.9), RATE_HZ),
    "Opus": lambda: (coded(CLIP, RATE_HZ, "OGG", "OPUS", 0.9), RATE_HZ),
    "cut, MP3, softer": lambda: (0.2 * coded(CLIP[9_999:], RATE_HZ, "MP3", "MPEG_LAYER_III", 0.7), RATE_HZ),
}


@pytest.mark.parametrize("change", sorted(COPIES))
def test_a_copy_is_the_same_sound(change):
    assert similarity(PRINT, fingerprint(*COPIES[change]())) >= SAME


@pytest.mark.parametrize("change", sorted(COPIES))
def test_a_copy_is_found_by_its_keys_among_many(change):
    index = Index()
    for seed in range(100, 130):
        index.add(f"clip {seed}", fingerprint(talk(seed, seconds=3), RATE_HZ))
    index.add("this", PRINT)
    assert [name for name, _ in index.same(fingerprint(*COPIES[change]()))] == ["this"]


def test_other_clips_are_not_the_same_sound():
    others = [fingerprint(talk(seed), RATE_HZ) for seed in range(2, 12)]
    assert max(similarity(PRINT, one) for one in others) < SAME - 0.1


@pytest.mark.parametrize("noise", ["fan", "white", "babble"])
def test_other_clips_in_the_same_room_noise_are_not_the_same_sound(noise):
    bed = signals.NOISES[noise](30 * RATE_HZ, RATE_HZ, 5)
    clips = [
        fingerprint(talk(seed) + 0.2 * np.roll(bed, -seed * 33_333)[: talk(seed).size], RATE_HZ)
        for seed in range(4)
    ]
    assert max(similarity(a, b) for i, a in enumerate(clips) for b in clips[:i]) < SAME


def test_another_take_of_the_sentence_by_the_same_voice_is_another_sound():
    from demo.speech import Synthesiser

    speaker = Synthesiser(RATE_HZ)
    takes = [
        fingerprint(speaker.speak("今天早上我去市場買了三斤蘋果。", "cmn+m3", manner), RATE_HZ)
        for manner in (
            {"words_per_minute": 165},
            {"words_per_minute": 172},
            {"words_per_minute": 158, "pitch": 47},
            {"words_per_minute": 168, "pitch": 54},
        )
    ]
    assert max(similarity(takes[0], take) for take in takes[1:]) < SAME


def test_bytes_are_stable_and_small():
    again = Fingerprint.from_bytes(PRINT.to_bytes())
    assert again == PRINT and hash(again) == hash(PRINT)
    assert again.keys == PRINT.keys
    assert len(PRINT.to_bytes()) < 140 * CLIP.size / RATE_HZ
    assert PRINT.to_bytes()[:5] == b"XYFP\x01"


@pytest.mark.parametrize("data", [b"", b"XYFP", b"XYFP\x02", b"RIFF\x01ab", b"XYFP\x01abc"])
def test_what_is_no_fingerprint_is_refused(data):
    with pytest.raises(FingerprintInvalid) as caught:
        Fingerprint.from_bytes(data)
    assert "{" not in str(caught.value)


def test_silence_is_like_nothing():
    silence = fingerprint(np.zeros(5 * RATE_HZ), RATE_HZ)
    assert silence.keys == frozenset()
    assert similarity(silence, silence) < SAME
    assert similarity(silence, PRINT) < SAME


def test_what_is_too_short_is_like_nothing():
    short = fingerprint(CLIP[:1_000], RATE_HZ)
    assert similarity(short, PRINT) == 0.0


def test_what_is_no_sound_has_no_fingerprint():
    with pytest.raises(SignalEmpty):
        fingerprint(np.zeros(0), RATE_HZ)
    with pytest.raises(SignalNotFinite):
        fingerprint(np.array([0.0, np.nan]), RATE_HZ)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40_000), st.sampled_from([8_000, 16_000, 44_100]))
def test_anything_has_a_fingerprint_that_survives_its_bytes(seed, samples, rate_hz):
    one = fingerprint(np.random.default_rng(seed).normal(0, 0.1, samples), rate_hz)
    assert Fingerprint.from_bytes(one.to_bytes()) == one
    assert all(0 <= key < 2**32 for key in one.keys)
    assert similarity(one, PRINT) == pytest.approx(similarity(PRINT, one))


def test_the_version_stands_in_the_bytes():
    assert PRINT.to_bytes()[4] == prints.VERSION


@pytest.mark.parametrize("times", [2, 3, 4, 6, 12])
@pytest.mark.parametrize("samples", [1, 7_999, 40_001])
def test_the_sound_at_8_khz_is_what_scipy_decimates_it_to(times, samples):
    """Stored fingerprints are compared with new ones, whatever way their sound was decimated."""
    sound = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    expected = scipy.signal.resample_poly(sound, 1, times, window=("kaiser", 5.0))
    found = prints._at_8_khz(sound, 8_000 * times)
    assert found[prints.WINDOW // 2 : -prints.WINDOW // 2] == pytest.approx(expected, abs=1e-5)
