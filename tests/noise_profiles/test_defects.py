"""Each detector fires on its defect, and on nothing that people do."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import scipy.signal
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import levels, measure, signals
from noise_profiles.defects import limits
from protocol.errors import LANGUAGES, catalogue
from tests.noise_profiles.spoiled import codes, sixteen_bits

RATE_HZ = 16_000
SECOND = RATE_HZ


def take(rate_hz: int = RATE_HZ, *, seed: int = 1, noise_dbfs: float = -75.0) -> np.ndarray:
    """A clean utterance with room around it, peaks at half of full scale."""
    spoken = signals.speech_like(5 * rate_hz, rate_hz, seed, lead_in_s=0.6)
    spoken = np.concatenate([spoken, np.zeros(rate_hz // 2, np.float32)])
    room = signals.white_noise(spoken.size, rate_hz, seed) * 10 ** ((noise_dbfs - signals.NOISE_DBFS) / 20)
    return np.asarray(0.5 * spoken / np.abs(spoken).max() + room, dtype=np.float64)


CLEAN = take()
LOUDEST = int(np.argmax(np.abs(CLEAN)))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("gain_db", [-20.0, 0.0, 5.5])
@pytest.mark.parametrize("rate_hz", [16_000, 48_000])
def test_clean_speech_has_no_defect_loud_or_soft(seed, gain_db, rate_hz):
    assert codes(take(rate_hz, seed=seed) * 10 ** (gain_db / 20), rate_hz) == {}


def test_breathy_speech_has_no_defect():
    whisper = CLEAN * 0.0 + signals.speech_shaped_noise(CLEAN.size, RATE_HZ, 3)
    envelope = np.convolve(np.abs(CLEAN), np.ones(400) / 400, "same")
    assert "level.clipped" not in codes(8.0 * whisper * envelope)
    assert "sound.dropout" not in codes(8.0 * whisper * envelope)


@pytest.mark.parametrize("ceiling", [0.15, 0.3])
@pytest.mark.parametrize("gain", [1.0, 0.3, 2.0])
def test_flat_tops_are_found_at_any_ceiling(ceiling, gain):
    assert codes(gain * np.clip(CLEAN, -ceiling, ceiling)).get("level.clipped") is not None


def test_hard_clipping_is_refused_and_names_a_place():
    heard = measure.measure(sixteen_bits(CLEAN * 8.0), RATE_HZ)
    finding = next(f for f in heard.defects if f.code == "level.clipped")
    assert finding.severity == "error"
    assert 0.0 <= finding.start_s < finding.end_s <= heard.duration_s
    assert finding.parameters["ceiling_dbfs"] == pytest.approx(0.0, abs=0.1)


def test_one_side_alone_may_clip():
    assert "level.clipped" in codes(np.maximum(CLEAN, -0.2))


@pytest.mark.parametrize("hz", [100.0, 440.0, 997.0])
def test_a_steady_tone_is_not_clipped(hz):
    tone = 0.9 * np.sin(2 * np.pi * hz * np.arange(3 * SECOND) / RATE_HZ)
    assert "level.clipped" not in codes(CLEAN[: tone.size] * 0.0 + tone)


def test_zeros_inside_speech_are_a_dropout_with_its_place():
    broken = CLEAN.copy()
    broken[LOUDEST - 40 : LOUDEST + 60] = 0.0
    heard = measure.measure(sixteen_bits(broken), RATE_HZ)
    finding = next(f for f in heard.defects if f.code == "sound.dropout")
    assert finding.severity == "error"
    assert finding.start_s == pytest.approx((LOUDEST - 40) / RATE_HZ, abs=0.001)
    assert finding.value == pytest.approx(100 / 16, abs=0.2)


@pytest.mark.parametrize("length", [160, 256, 512])
@pytest.mark.parametrize("at", [LOUDEST, 2 * SECOND])
def test_a_buffer_played_twice_is_a_dropout(length, at):
    broken = CLEAN.copy()
    broken[at : at + length] = broken[at - length : at]
    assert codes(broken) == {"sound.dropout": "error"}


def test_a_periodic_sound_is_no_buffer_played_twice():
    tone = 0.3 * np.sin(2 * np.pi * np.arange(CLEAN.size) / 64)
    assert "sound.dropout" not in codes(tone * (np.abs(CLEAN) > 0.0))


def test_a_gate_between_words_is_told():
    envelope = np.convolve(np.abs(CLEAN), np.ones(800) / 800, "same")
    assert "noise.gated" in codes(np.where(envelope < 0.004, 0.0, CLEAN))


def test_silence_before_and_after_is_no_gate():
    assert "noise.gated" not in codes(np.pad(CLEAN, (SECOND, SECOND)))


@pytest.mark.parametrize("share", [-0.1, 0.05])
def test_an_offset_is_told_and_changes_no_level(share):
    with_offset = measure.measure(sixteen_bits(CLEAN + share), RATE_HZ)
    without = measure.measure(sixteen_bits(CLEAN), RATE_HZ)
    assert [f.code for f in with_offset.defects] == ["level.offset"]
    assert with_offset.speech_dbfs == pytest.approx(without.speech_dbfs, abs=0.05)
    assert with_offset.noise_dbfs == pytest.approx(without.noise_dbfs, abs=0.3)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_mains_hum_is_told_with_its_frequency(mains_hz):
    humming = CLEAN + 0.03 * signals.hum(CLEAN.size, RATE_HZ, 3, mains_hz=mains_hz)
    heard = measure.measure(sixteen_bits(humming), RATE_HZ)
    finding = next(f for f in heard.defects if f.code == "noise.hum")
    assert finding.parameters["mains_hz"] == mains_hz


@pytest.mark.parametrize("noise", ["fan", "traffic", "pink"])
def test_other_low_noise_is_no_hum(noise):
    bed = signals.NOISES[noise](CLEAN.size, RATE_HZ, 3)
    assert "noise.hum" not in codes(CLEAN + 0.1 * bed)


def test_a_cut_start_and_end_are_told():
    active = levels.active_speech(CLEAN, RATE_HZ).active
    first, last = np.flatnonzero(active)[[0, -1]]
    found = codes(CLEAN[(first + 10) * 160 : (last - 30) * 160])
    assert "speech.cut_start" in found
    assert "speech.cut_end" in found


def test_too_short_and_too_long_are_refused():
    assert codes(CLEAN[:4000])["clip.too_short"] == "error"
    assert codes(np.tile(CLEAN, 25))["clip.too_long"] == "error"


@pytest.mark.parametrize("true_hz, code", [(8_000, "band.telephone"), (16_000, "band.limited")])
def test_a_low_rate_passed_off_as_a_high_one_is_told(true_hz, code):
    heard = codes(soxr.resample(take(true_hz, noise_dbfs=-60.0), true_hz, 48_000), 48_000)
    assert code in heard


def test_real_telephone_sound_at_its_own_rate_is_not_passed_off():
    assert not any(code.startswith("band.") for code in codes(take(8_000), 8_000))


@pytest.mark.parametrize("gain_db, code", [(-32.0, "level.low"), (-50.0, "level.low")])
def test_faint_speech_is_told(gain_db, code):
    assert code in codes(CLEAN * 10 ** (gain_db / 20))


def test_breath_on_the_membrane_is_told():
    popped = 0.4 * CLEAN
    t = np.arange(SECOND // 4) / RATE_HZ
    popped[SECOND : SECOND + t.size] += 0.7 * np.sin(2 * np.pi * 12 * t) * np.hanning(t.size)
    assert "noise.pops" in codes(popped)


@pytest.mark.parametrize("length", [96, 192, 480, 960, 1024, 2048, 4096])
def test_a_buffer_of_any_usual_size_played_twice_is_a_dropout(length):
    broken = CLEAN.copy()
    broken[LOUDEST : LOUDEST + length] = broken[LOUDEST - length : LOUDEST]
    heard = measure.measure(sixteen_bits(broken), RATE_HZ)
    finding = next(f for f in heard.defects if f.code == "sound.dropout")
    assert finding.value == pytest.approx(1000 * length / RATE_HZ, rel=0.35)


@pytest.mark.parametrize("ms", [2, 5, 20, 100, 250])
@pytest.mark.parametrize("held", [False, True])
def test_gaps_of_any_length_are_dropouts_filled_with_zeros_or_the_last_value(ms, held):
    broken, length = CLEAN.copy(), ms * RATE_HZ // 1000
    loud = np.convolve(np.abs(CLEAN) > 0.1, np.ones(80), "same") > 0.5
    start = int(np.flatnonzero(loud[80 : -length - 80] & loud[80 + length : -80])[0]) + 80
    broken[start : start + length] = broken[start - 1] if held else 0.0
    assert codes(broken)["sound.dropout"] == "error"


def test_eight_bits_are_neither_a_dropout_nor_clipped():
    """Soft sounds stand still in them, and tops are flat."""
    eight = np.clip(np.rint(CLEAN * 128), -128, 127).astype(np.int8)
    found = {f.code for f in measure.measure(eight, RATE_HZ).defects}
    assert not {"sound.dropout", "level.clipped", "noise.suppressed"} & found


def test_silence_that_hovers_between_two_values_of_eight_bits_is_no_repeated_buffer():
    """After a word the sound sinks below one step, and faint hum alone moves it: each wave like the last."""
    eight = np.clip(np.rint(CLEAN * 128), -128, 127).astype(np.int8)
    loud = np.flatnonzero(np.abs(CLEAN) > 0.1)
    end = loud[np.argmax(np.diff(loud) > 0.3 * RATE_HZ)] + RATE_HZ // 50  # 20 ms after a word, before a pause
    hum = np.sin(np.arange(RATE_HZ // 20) * (2 * np.pi * 100 / RATE_HZ)) > 0
    eight[end : end + hum.size] = -hum.astype(np.int8)
    assert "sound.dropout" not in {f.code for f in measure.measure(eight, RATE_HZ).defects}


def _high_passed(x: np.ndarray) -> np.ndarray:
    return scipy.signal.sosfilt(scipy.signal.butter(1, 20, "high", fs=RATE_HZ, output="sos"), x)


LATER: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "resampled": lambda x: soxr.resample(soxr.resample(x, RATE_HZ, 44_100), 44_100, RATE_HZ),
    "high-passed": _high_passed,
    "dithered": lambda x: 0.3 * x + np.random.default_rng(1).triangular(-1, 0, 1, x.size) / 2**15,
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("change", sorted(LATER))
def test_clipping_shows_though_its_tops_are_no_longer_flat(change, seed):
    clean = take(seed=seed)
    assert "level.clipped" in codes(LATER[change](np.clip(clean, -0.2, 0.2)))
    assert "level.clipped" not in codes(LATER[change](clean))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, CLEAN.size), max_size=5))
def test_no_cutting_changes_a_finding(cuts):
    spoiled = np.clip(CLEAN, -0.2, 0.2)
    spoiled[LOUDEST : LOUDEST + 960] = spoiled[LOUDEST - 960 : LOUDEST]
    spoiled[60_000:] += 0.2 * spoiled[56_000:-4_000]
    sound = sixteen_bits(spoiled)
    meter = measure.Meter(RATE_HZ)
    for block in np.split(sound, sorted(cuts)):
        meter.feed(block)
    assert meter.finish() == measure.measure(sound, RATE_HZ)


TROUBLES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "clipped": lambda x: np.clip(8 * x, -1, 1),
    "silent": lambda x: 0 * x,
    "faint": lambda x: x / 300,
}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("trouble", sorted(TROUBLES))
def test_every_finding_tells_the_speaker_in_their_language(trouble, language):
    heard = measure.measure(sixteen_bits(TROUBLES[trouble](CLEAN)), RATE_HZ)
    assert heard.defects
    for finding in heard.defects:
        message = finding.message(language)
        assert "?" not in message and "{" not in message


def test_every_limit_is_a_number():
    for name, table in limits().items():
        assert table and all(isinstance(value, int | float) for value in table.values()), name


def test_what_detectors_can_say_is_in_the_catalogue():
    """Every code that a detector's source names has its sentences."""
    import inspect
    import re

    from noise_profiles import channels, defects

    modules = {inspect.getmodule(detector) for detector in defects.DETECTORS.values()} | {channels}
    source = "".join(inspect.getsource(module) for module in modules)
    said = set(re.findall(r'"((?:clip|speech|level|sound|noise|band|channel)\.[a-z_]+)"', source))
    assert len(said) >= 28
    assert said <= set(catalogue())
