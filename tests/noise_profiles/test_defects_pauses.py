"""What is done to a sound between its words, and what a room does, are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from noise_profiles import measure, signals
from tests.noise_profiles.spoiled import (
    RATE_HZ,
    automatic_gain,
    bare,
    codes,
    echo,
    gate,
    gusts,
    sixteen_bits,
    talk,
)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("depth_db, hold_s", [(-60.0, 0.01), (-35.0, 0.1)])
def test_a_suppressor_is_told_though_no_sample_is_zero(seed, depth_db, hold_s):
    room = signals.mix(bare(seed), signals.white_noise(8 * RATE_HZ, RATE_HZ, seed), 30.0, RATE_HZ).samples
    found = codes(gate(room.astype(np.float64), -46.0, depth_db, hold_s, seed))
    assert found.get("noise.suppressed") == "warning"
    assert "noise.suppressed" not in codes(room)


def phrases(seed: int) -> np.ndarray:
    """Five phrases of 1.5 s with 1.2 s between them."""
    voiced = [signals.speech_like(3 * RATE_HZ // 2, RATE_HZ, seed * 10 + n, voice_hz=130.0) for n in range(5)]
    return np.concatenate([np.pad(one, (round(1.2 * RATE_HZ), 0)) for one in voiced] + [np.zeros(RATE_HZ)])


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("attack_s, release_s", [(0.02, 0.8), (0.05, 2.0)])
def test_a_floor_that_comes_up_in_pauses_is_automatic_gain(seed, attack_s, release_s):
    spoken = phrases(seed)
    room = signals.mix(spoken, signals.pink_noise(spoken.size, RATE_HZ, seed), 25.0, RATE_HZ).samples
    assert "noise.pumping" not in codes(room)
    ridden = automatic_gain(room.astype(np.float64), attack_s, release_s)
    heard = measure.measure(sixteen_bits(ridden), RATE_HZ)
    found = {finding.code: finding for finding in heard.defects}
    assert "noise.pumping" in found
    assert found["noise.pumping"].value > 5.0
    assert 0.0 < found["noise.pumping"].start_s < found["noise.pumping"].end_s <= heard.duration_s


def _switched_on(size: int, seed: int) -> np.ndarray:
    return signals.fan(size, RATE_HZ, seed) * np.where(np.arange(size) > size // 2, 0.05, 0.003)


def _fading(size: int, seed: int) -> np.ndarray:
    return signals.fan(size, RATE_HZ, seed) * np.linspace(0.1, 0.01, size)


def _rising(size: int, seed: int) -> np.ndarray:
    return signals.pink_noise(size, RATE_HZ, seed) * np.linspace(0.01, 0.1, size)


HONEST = {
    "a fan switched on": _switched_on,
    "a noise that fades": _fading,
    "a noise that rises": _rising,
    "wind": lambda size, seed: 0.02 * gusts(size, seed),
    "babble": lambda size, seed: 0.1 * signals.babble(size, RATE_HZ, seed),
    "traffic": lambda size, seed: 0.1 * signals.traffic(size, RATE_HZ, seed),
    "keys": lambda size, seed: 0.05 * signals.clicks(size, RATE_HZ, seed),
}
MADE_BY_A_MACHINE = {"noise.pumping", "noise.suppressed", "noise.gated", "sound.echo", "sound.dropout"}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", sorted(HONEST))
def test_what_happens_in_rooms_is_no_processing(noise, seed):
    spoken = bare(seed)
    room = 0.003 * signals.pink_noise(spoken.size, RATE_HZ, seed)
    assert not MADE_BY_A_MACHINE & codes(spoken + room + HONEST[noise](spoken.size, seed)).keys()


@pytest.mark.parametrize("rt60_s", [0.3, 0.5, 0.8])
def test_a_room_that_rings_is_neither_echo_nor_processing(rt60_s):
    for seed in range(3):
        rung = signals.reverberate(bare(seed), RATE_HZ, seed, rt60_s=rt60_s, direct_db=0.0)
        room = 0.01 * signals.pink_noise(rung.size, RATE_HZ, seed)
        assert not MADE_BY_A_MACHINE & codes(0.5 * rung + room).keys()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("delay_s, gain", [(0.09, 0.3), (0.1333, 0.25), (0.25, 0.2), (0.6, 0.2), (0.95, 0.3)])
def test_a_voice_that_comes_back_is_an_echo_with_its_delay(seed, delay_s, gain):
    heard = measure.measure(sixteen_bits(echo(talk(seed), delay_s, gain)), RATE_HZ)
    finding = next(f for f in heard.defects if f.code == "sound.echo")
    assert finding.parameters["delay_ms"] == pytest.approx(1000 * delay_s, abs=2)
    assert finding.value == pytest.approx(20 * np.log10(gain), abs=2.5)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_hum_repeats_itself_and_is_no_echo(mains_hz):
    hum = signals.hum(8 * RATE_HZ + RATE_HZ // 2, RATE_HZ, 1, mains_hz=mains_hz)
    assert "sound.echo" not in codes(talk(1) + 0.1 * hum)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("below_db", [5.0, 15.0])
def test_gusts_are_wind(seed, below_db):
    blown = talk(seed) + 10 ** ((signals.SPEECH_DBFS - below_db) / 20) * gusts(talk(seed).size, seed)
    assert codes(blown).get("noise.wind") == "warning"


@pytest.mark.parametrize("noise", ["fan", "traffic", "pink", "hum", "babble"])
def test_steady_low_noise_is_no_wind(noise):
    for seed in range(3):
        bed = signals.NOISES[noise](talk(seed).size, RATE_HZ, seed)
        assert "noise.wind" not in codes(talk(seed) + 0.2 * bed)


@pytest.mark.parametrize("pitch_hz", [55.0, 70.0, 85.0])
def test_a_deep_voice_is_no_wind(pitch_hz):
    spoken = signals.speech_like(8 * RATE_HZ, RATE_HZ, 2, voice_hz=pitch_hz, lead_in_s=0.6)
    assert (
        not {"noise.wind", "noise.pops"}
        & codes(spoken + 0.003 * signals.pink_noise(spoken.size, RATE_HZ, 1)).keys()
    )


@pytest.mark.parametrize("missing_s", [0.0, 0.03, 0.06])
def test_speech_within_a_tenth_of_a_second_of_an_edge_is_told(missing_s):
    """The first syllable of this take begins at 0.6 s, softly."""
    spoken = talk(3)
    start = round((0.6 - missing_s) * RATE_HZ)
    assert "speech.cut_start" in codes(spoken[start:])
    assert "speech.cut_end" in codes(spoken[start:][::-1])


def test_a_quarter_of_a_second_before_the_first_word_is_enough():
    spoken = talk(3)
    assert "speech.cut_start" not in codes(spoken[round(0.35 * RATE_HZ) :])
    assert "speech.cut_end" not in codes(spoken[round(0.35 * RATE_HZ) :][::-1])


def test_a_key_pressed_at_the_start_is_no_word():
    spoken = talk(3)
    click = np.random.default_rng(1).standard_normal(800) * np.exp(-np.arange(800) / 200)
    spoken[400:1200] += 0.2 * click
    assert "speech.cut_start" not in codes(spoken)
