"""What codecs, resamplers and wrong labels leave behind."""

from __future__ import annotations

import numpy as np
import pytest
import soxr

from demo.speech import Synthesiser
from noise_profiles import measure, signals
from tests.noise_profiles.spoiled import RATE_HZ, bare, coded, codes, sixteen_bits, talk

LOSSY = {"sound.lossy", "sound.lossy_edge"}


def wide(rate_hz: int, seed: int = 2, room_db: float = -35.0) -> np.ndarray:
    """Sound up to the top of the band: a voice with hiss, in white noise."""
    spoken = signals.speech_like(6 * rate_hz, rate_hz, seed, lead_in_s=0.6)
    return spoken + 10 ** (room_db / 20) * signals.white_noise(spoken.size, rate_hz, seed)


@pytest.mark.parametrize("level", [0.8, 0.9])
@pytest.mark.parametrize("seed", range(3))
def test_mp3_of_few_bits_leaves_holes_at_16_khz(level, seed):
    heard = measure.measure(sixteen_bits(coded(talk(seed), RATE_HZ, "MP3", "MPEG_LAYER_III", level)), RATE_HZ)
    finding = next(f for f in heard.defects if f.code == "sound.lossy")
    assert finding.value > finding.limit
    assert 0.0 <= finding.start_s < finding.end_s <= heard.duration_s


def test_vorbis_leaves_holes_at_16_khz():
    assert "sound.lossy" in codes(coded(talk(1), RATE_HZ, "OGG", "VORBIS", 0.9))


@pytest.mark.parametrize("rate_hz", [44_100, 48_000])
@pytest.mark.parametrize("level", [0.3, 0.6, 0.8])
def test_mp3_of_32_to_192_kilobits_has_its_edge(rate_hz, level):
    found = codes(coded(wide(rate_hz), rate_hz, "MP3", "MPEG_LAYER_III", level), rate_hz)
    assert LOSSY & found.keys()


@pytest.mark.parametrize("level", [0.4, 0.8])
def test_opus_stops_at_20_khz(level):
    heard = measure.measure(sixteen_bits(coded(wide(48_000), 48_000, "OGG", "OPUS", level)), 48_000)
    finding = next(f for f in heard.defects if f.code == "sound.lossy_edge")
    assert finding.value == pytest.approx(20_000, abs=400)


CLEAN = {
    "16 kHz": lambda: (talk(1), RATE_HZ),
    "44.1 kHz": lambda: (wide(44_100), 44_100),
    "48 kHz": lambda: (wide(48_000), 48_000),
    "soft": lambda: (0.03 * talk(1), RATE_HZ),
    "no room at all": lambda: (bare(1), RATE_HZ),
    "32 kHz passed off as 48": lambda: (soxr.resample(wide(32_000), 32_000, 48_000), 48_000),
    "44.1 kHz as 48": lambda: (soxr.resample(wide(44_100), 44_100, 48_000), 48_000),
    "48 kHz as 44.1": lambda: (soxr.resample(wide(48_000), 48_000, 44_100), 44_100),
    "dithered": lambda: (
        talk(1) + np.random.default_rng(1).triangular(-1, 0, 1, talk(1).size) / 2**15,
        RATE_HZ,
    ),
    "a microphone that falls off": lambda: (
        np.convolve(wide(48_000), np.hanning(12) / np.hanning(12).sum(), "same"),
        48_000,
    ),
    "silence before": lambda: (np.pad(talk(1), (RATE_HZ, RATE_HZ)), RATE_HZ),
}


@pytest.mark.parametrize("kind", sorted(CLEAN))
def test_what_was_never_coded_is_not_lossy(kind):
    assert not LOSSY & codes(*CLEAN[kind]()).keys()


# Not soxr's QQ: cubic interpolation mirrors the band above its edge, so that there is sound up to the top.
@pytest.mark.parametrize("quality", ["LQ", "MQ", "HQ", "VHQ"])
@pytest.mark.parametrize(
    "true_hz, as_hz, code",
    [
        (8_000, 16_000, "band.telephone"),
        (8_000, 48_000, "band.telephone"),
        (16_000, 48_000, "band.limited"),
        (16_000, 44_100, "band.limited"),
        (22_050, 48_000, "band.limited"),
        (24_000, 48_000, "band.limited"),
    ],
)
def test_a_low_rate_passed_off_as_a_high_one_is_told_for_any_resampler(true_hz, as_hz, code, quality):
    assert code in codes(soxr.resample(wide(true_hz), true_hz, as_hz, quality=quality), as_hz)


# --- labels

SENTENCE = "今天早上我去市場買了三斤蘋果。請問這班公車會到火車站嗎？他們家的孩子都很會唱歌。"


@pytest.fixture(scope="module")
def voice():
    speaker = Synthesiser(48_000)

    def say(variant: str = "m3", **manner: int) -> np.ndarray:
        spoken = speaker.speak(SENTENCE, f"cmn+{variant}", manner)
        spoken = np.pad(0.4 * spoken / np.abs(spoken).max(), (24_000, 24_000))
        return spoken + 0.0005 * np.random.default_rng(1).standard_normal(spoken.size)

    return say


@pytest.mark.parametrize("variant", ["m1", "m3", "f2", "f4"])
@pytest.mark.parametrize("true_hz, label_hz", [(48_000, 16_000), (44_100, 16_000), (48_000, 8_000)])
def test_a_voice_three_times_too_slow_is_told(voice, variant, true_hz, label_hz):
    assert "speech.too_slow" in codes(soxr.resample(voice(variant), 48_000, true_hz), label_hz)


@pytest.mark.parametrize("variant", ["m1", "m3", "f2"])
def test_a_voice_three_times_too_fast_is_told_and_how_much(voice, variant):
    heard = measure.measure(sixteen_bits(soxr.resample(voice(variant), 48_000, 16_000)), 48_000)
    finding = next(f for f in heard.defects if f.code == "speech.too_fast")
    assert 2.0 < finding.value < 4.5


@pytest.mark.parametrize("variant", ["m1", "m7", "f2", "f4", "croak", "whisper"])
@pytest.mark.parametrize(
    "manner",
    [
        {},
        {"words_per_minute": 110, "pitch": 10},
        {"words_per_minute": 280},
        {"pitch": 95},
    ],
    ids=["plain", "slow and deep", "fast", "high"],
)
@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
def test_people_differ_and_none_is_at_a_wrong_rate(voice, variant, manner, rate_hz):
    found = codes(soxr.resample(voice(variant, **manner), 48_000, rate_hz), rate_hz)
    assert not {"speech.too_fast", "speech.too_slow"} & found.keys()


@pytest.mark.parametrize("factor", [1.2, 1.35])
def test_a_child_is_no_fast_man(voice, factor):
    """A child's formants lie 1.2 to 1.4 times higher, the pitch twice as high; the pace is a grown-up's."""
    spoken = voice("f2", words_per_minute=130, pitch=80)
    child = soxr.resample(spoken, factor, 1.0)
    assert not {"speech.too_fast", "speech.too_slow"} & codes(soxr.resample(child, 3, 1), 16_000).keys()
