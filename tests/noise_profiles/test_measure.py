"""One measurement: right on known sound, the same however it is fed, defined for anything."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import measure, signals, stretches
from noise_profiles.samples import (
    SampleRateUnsupported,
    SignalEmpty,
    SignalNotFinite,
    SignalShapeWrong,
    SignalTypeWrong,
)
from protocol.clip import RoomTone

RATE_HZ = 16_000
SPEECH = signals.speech_like(6 * RATE_HZ, RATE_HZ, 1, lead_in_s=0.7)
MIXTURE = signals.mix(SPEECH, signals.pink_noise(SPEECH.size, RATE_HZ, 2), 17.0, RATE_HZ)


@pytest.mark.parametrize("noise", ["white", "pink", "fan", "speech-shaped"])
@pytest.mark.parametrize("snr_db", [0.0, 10.0, 25.0, 40.0])
def test_a_known_mixture_measures_as_it_was_made(noise, snr_db):
    bed = signals.NOISES[noise](SPEECH.size, RATE_HZ, 7)
    mixture = signals.mix(SPEECH, bed, snr_db, RATE_HZ)
    heard = measure.measure(mixture.samples, RATE_HZ, lead_in_s=0.7)
    assert heard.snr_db == pytest.approx(snr_db, abs=1.2)
    assert heard.noise_dbfs == pytest.approx(mixture.noise_dbfs, abs=1.0)
    assert heard.snr_low_db <= heard.snr_db <= heard.snr_high_db


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000, 96_000])
def test_the_rate_does_not_decide(rate_hz):
    speech = signals.speech_like(4 * rate_hz, rate_hz, 1, lead_in_s=0.7)
    noise = signals.speech_shaped_noise(speech.size, rate_hz, 2)
    mixture = signals.mix(speech, noise, 20.0, rate_hz)
    heard = measure.measure(mixture.samples, rate_hz, lead_in_s=0.7)
    assert heard.snr_db == pytest.approx(20.0, abs=1.2)
    assert heard.duration_s == 4.0


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, SPEECH.size), max_size=6))
def test_no_cutting_changes_a_figure(cuts):
    meter = measure.Meter(RATE_HZ, lead_in_s=0.7)
    for block in np.split(MIXTURE.samples, sorted(cuts)):
        meter.feed(block)
    assert meter.finish() == measure.measure(MIXTURE.samples, RATE_HZ, lead_in_s=0.7)


@pytest.mark.parametrize(
    "dtype, scale",
    [("int16", 2**15), (">i2", 2**15), ("int32", 2**31), (">i4", 2**31)]
    + [(floats, 1) for floats in ("float32", "float64", ">f4", "longdouble")],
)
def test_the_number_type_does_not_matter(dtype, scale):
    sixteen_bits = np.rint(MIXTURE.samples.astype(np.float64) * 2**15) / 2**15
    heard = measure.measure((sixteen_bits * scale).astype(dtype), RATE_HZ)
    assert heard == measure.measure(sixteen_bits, RATE_HZ)


def test_layout_strides_and_write_protection_do_not_matter():
    expected = measure.measure(MIXTURE.samples, RATE_HZ)
    wide = np.zeros((MIXTURE.samples.size, 3), dtype=np.float32)
    wide[:, 1] = MIXTURE.samples
    assert measure.measure(wide[:, 1], RATE_HZ) == expected
    frozen = MIXTURE.samples.copy()
    frozen.flags.writeable = False
    assert measure.measure(frozen, RATE_HZ) == expected
    assert measure.measure(MIXTURE.samples[:, np.newaxis], RATE_HZ) == expected


def test_of_several_channels_the_worst_with_speech_is_reported():
    better = signals.mix(SPEECH, signals.pink_noise(SPEECH.size, RATE_HZ, 3), 30.0, RATE_HZ).samples
    silent = np.zeros_like(better)
    heard = measure.measure(np.stack([silent, better, MIXTURE.samples], axis=1), RATE_HZ)
    assert heard.snr_db == measure.measure(MIXTURE.samples, RATE_HZ).snr_db
    assert heard.channels == 3


def test_a_finding_is_of_the_channel_of_the_figures_or_names_its_own():
    # A value of another channel under these figures would belie them: a level that nobody sees.
    noisy = 0.5 * MIXTURE.samples
    clipped = np.clip(
        signals.mix(SPEECH, signals.pink_noise(SPEECH.size, RATE_HZ, 3), 30.0, RATE_HZ).samples, -0.1, 0.1
    )
    both = np.stack([clipped + 0.08, noisy + 0.05], axis=1)
    alone = {f.code: f for f in measure.measure(both[:, 1], RATE_HZ).defects}
    found = {f.code: f for f in measure.measure(both, RATE_HZ).defects}
    assert found["level.offset"] == alone["level.offset"]
    assert "level.clipped" not in alone
    assert found["level.clipped"].parameters["channel"] == 1


ODD = {
    "one sample": np.array([0.5]),
    "one frame": np.full(160, 0.1),
    "silence": np.zeros(RATE_HZ),
    "constant": np.full(RATE_HZ, 0.25),
    "full scale": np.ones(RATE_HZ),
    "square": np.sign(np.sin(np.arange(2 * RATE_HZ) * 0.1)),
    "alternating": np.tile([1.0, -1.0], RATE_HZ),
    "one click": np.eye(1, RATE_HZ, 4000)[0],
    "eight channels": np.random.default_rng(1).normal(0, 0.01, (RATE_HZ, 8)),
    "least noise": np.random.default_rng(1).integers(-1, 2, RATE_HZ).astype(np.int16),
    "tiny floats": np.full(RATE_HZ, 1e-30),
    "over full scale": 5.0 * np.sin(np.arange(RATE_HZ) * 0.3),
    "eight bits": np.random.default_rng(1).integers(0, 256, RATE_HZ).astype(np.uint8),
}


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 44_100, 192_000])
@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_sound_gives_figures_and_never_nan(name, rate_hz):
    heard = measure.measure(ODD[name], rate_hz, lead_in_s=0.1)
    text = json.dumps(heard.as_json(), allow_nan=False)
    assert heard.peak_dbfs <= 40.0 and "null" in text


@pytest.mark.parametrize(
    "samples, rate_hz, error",
    [
        (np.zeros(0), 16_000, SignalEmpty),
        (np.zeros((0, 2)), 16_000, SignalEmpty),
        (np.array([0.0, math.nan]), 16_000, SignalNotFinite),
        (np.array([[0.0, 0.0], [0.0, -math.inf]]), 16_000, SignalNotFinite),
        (np.zeros((2, 2, 2)), 16_000, SignalShapeWrong),
        (np.zeros((100, 65)), 16_000, SignalShapeWrong),
        (np.array(0.5), 16_000, SignalShapeWrong),
        (np.zeros(10, dtype=np.int64), 16_000, SignalTypeWrong),
        (np.zeros(10, dtype=complex), 16_000, SignalTypeWrong),
        (np.array(["a", "b"]), 16_000, SignalTypeWrong),
        (1000.0 * np.ones(100), 16_000, SignalTypeWrong),
        (np.zeros(100), 7_999, SampleRateUnsupported),
        (np.zeros(100), 0, SampleRateUnsupported),
        (np.zeros(100), 16_000.5, SampleRateUnsupported),
        (np.zeros(100), True, SampleRateUnsupported),
    ],
)
def test_what_is_no_sound_is_refused_with_its_own_code(samples, rate_hz, error):
    with pytest.raises(error) as caught:
        measure.measure(samples, rate_hz)
    assert caught.value.code == error.code
    assert "{" not in str(caught.value)


def test_a_bad_sample_is_named_by_its_place_in_the_stream():
    meter = measure.Meter(RATE_HZ)
    meter.feed(np.zeros(100))
    with pytest.raises(SignalNotFinite, match="105"):
        meter.feed(np.array([0, 0, 0, 0, 0, np.nan]))


def test_hours_need_little_memory_and_give_the_same():
    meter = measure.Meter(RATE_HZ)
    for _ in range(20):
        meter.feed(MIXTURE.samples)
    heard = meter.finish()
    assert heard.duration_s == pytest.approx(120.0)
    assert heard.snr_db == pytest.approx(17.0, abs=1.5)
    held = sum(array.nbytes for array in vars(meter._streams[0].finish()).values())
    assert held < 20 * 1024 * 120


def test_a_measurement_survives_json():
    heard = measure.measure(MIXTURE.samples[:-9000], RATE_HZ, calibration_offset_db=94.0)
    again = measure.Measurement.from_json(json.loads(json.dumps(heard.as_json())))
    assert again.segments == heard.segments
    assert again.as_json() == heard.as_json()
    assert heard.noise_dba == pytest.approx(heard.noise_dba_fs + 94.0)


def test_room_tone_measures_what_it_is_given():
    tone = measure.room_tone(signals.pink_noise(2 * RATE_HZ, RATE_HZ, 4), RATE_HZ)
    assert tone.noise_dbfs == pytest.approx(signals.NOISE_DBFS, abs=1.0)
    assert tone.noise_dba_fs < tone.noise_dbfs
    assert tone.duration_s == 2.0
    with pytest.raises(SignalEmpty):
        measure.room_tone(np.zeros(0), RATE_HZ)


def test_the_rooms_own_tone_helps_where_a_clip_has_no_lead_in():
    """The pauses of one clip can be quieter than its room, as between two lorries."""
    silence = np.zeros(RATE_HZ, np.float32)
    voice = np.concatenate([SPEECH[RATE_HZ:], silence, SPEECH[RATE_HZ:]])
    bed = signals.pink_noise(voice.size, RATE_HZ, 2)
    bed[SPEECH.size - RATE_HZ + RATE_HZ // 4 :][: RATE_HZ * 3 // 4] *= 0.5
    mixture = signals.mix(voice, bed, 12.0, RATE_HZ)
    tone = RoomTone(mixture.noise_dbfs, mixture.noise_dbfs - 3.0, 2.0, measure.METHOD)
    alone = measure.measure(mixture.samples, RATE_HZ)
    helped = measure.measure(mixture.samples, RATE_HZ, room_tone=tone)
    assert (alone.noise_source, helped.noise_source) == ("pauses", "room_tone+pauses")
    assert abs(helped.snr_db - 12.0) < abs(alone.snr_db - 12.0)


def test_a_room_tone_of_another_room_is_not_believed():
    clip = MIXTURE.samples[round(0.7 * RATE_HZ) :]
    alone = measure.measure(clip, RATE_HZ)
    for off_db in (-15.0, 15.0):
        tone = RoomTone(alone.noise_dbfs + off_db, alone.noise_dba_fs + off_db, 2.0, measure.METHOD)
        assert measure.measure(clip, RATE_HZ, room_tone=tone) == alone


def test_a_lead_in_of_the_clip_goes_before_the_rooms_tone():
    tone = RoomTone(-20.0, -23.0, 2.0, measure.METHOD)
    heard = measure.measure(MIXTURE.samples, RATE_HZ, lead_in_s=0.7, room_tone=tone)
    assert heard == measure.measure(MIXTURE.samples, RATE_HZ, lead_in_s=0.7)


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 15.0])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_holes_in_the_noise_are_not_taken_for_the_noise(snr_db, seed):
    """Noise that falls by 40 dB for an eighth of each second, while the speaker does not pause."""
    phrase = signals.speech_like(6 * RATE_HZ, RATE_HZ, seed)[RATE_HZ : RATE_HZ + 20_000]
    voice = np.concatenate([phrase, phrase])
    holes = np.arange(voice.size) % RATE_HZ < RATE_HZ // 8
    bed = signals.speech_shaped_noise(voice.size, RATE_HZ, 6) * np.where(holes, 0.01, 1.0)
    heard = measure.measure(signals.mix(voice, bed, snr_db, RATE_HZ).samples, RATE_HZ)
    assert heard.snr_db == pytest.approx(snr_db, abs=2.0)
    assert heard.snr_low_db <= snr_db <= heard.snr_high_db


def test_a_tone_at_one_kilohertz_weighs_the_same_in_both_levels():
    tone = measure.room_tone(0.1 * np.sin(2 * np.pi * np.arange(32_000) / 16), RATE_HZ)
    assert tone.noise_dbfs == pytest.approx(-20.0, abs=0.02)
    assert tone.noise_dba_fs == pytest.approx(-20.0, abs=0.1)


@pytest.mark.parametrize("noise", ["white", "fan", "hum"])
def test_noise_alone_is_no_speech(noise):
    heard = measure.measure(signals.NOISES[noise](4 * RATE_HZ, RATE_HZ, 9), RATE_HZ)
    assert heard.snr_db is None or any(d.severity == "error" for d in heard.defects)
    assert heard.noise_dbfs == pytest.approx(signals.NOISE_DBFS, abs=2.5)


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 4))
def test_runs_are_those_that_a_plain_loop_finds(values, least):
    expected, start = [], None
    for at, value in enumerate([*values, False]):
        if value and start is None:
            start = at
        elif not value and start is not None:
            if at - start >= least:
                expected.append((start, at))
            start = None
    assert stretches.runs(np.array(values, dtype=bool), least) == expected


def test_nobody_waits_for_librosa_to_have_a_clip_measured():
    """In a fresh interpreter: its import alone takes longer than a minute of sound."""
    program = "import sys; from noise_profiles.measure import warm; warm(); print('librosa' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
