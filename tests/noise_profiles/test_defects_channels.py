"""Two channels hold two talkers, or something is wrong with the cables."""

from __future__ import annotations

import numpy as np
import pytest

from noise_profiles import measure, signals
from tests.noise_profiles.spoiled import RATE_HZ, sixteen_bits


def dialogue(seed: int = 1, *, at_once: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Two talkers who take turns of four seconds, or talk at once."""
    size = 12 * RATE_HZ
    one, other = (
        signals.speech_like(size, RATE_HZ, seed + n, voice_hz=hz).astype(np.float64)
        for n, hz in ((0, 110.0), (50, 210.0))
    )
    turn = (np.arange(size) // (4 * RATE_HZ)) % 2 == 0
    return (one, other) if at_once else (one * turn, other * ~turn)


def rooms(seed: int = 1) -> list[np.ndarray]:
    return [0.01 * signals.pink_noise(12 * RATE_HZ, RATE_HZ, seed + n) for n in (1, 2)]


def found(*channels: np.ndarray) -> dict[str, object]:
    heard = measure.measure(sixteen_bits(np.stack(channels, axis=1)), RATE_HZ)
    return {f.code: f for f in heard.defects if f.code.startswith("channel.")}


@pytest.mark.parametrize("leak_db", [-8.0, -18.0, -26.0])
@pytest.mark.parametrize("delay_ms", [0, 3, 8])
def test_the_other_talkers_voice_in_my_channel_is_told_with_its_level(leak_db, delay_ms):
    one, other = dialogue()
    leak = 10 ** (leak_db / 20) * np.roll(other, delay_ms * RATE_HZ // 1000)
    finding = found(one + leak + rooms()[0], other + rooms()[1])["channel.crosstalk"]
    assert finding.value == pytest.approx(leak_db, abs=2.0)
    assert finding.parameters["channel"] == 1
    assert 0.0 <= finding.start_s < finding.end_s <= 12.0


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_two_talkers_of_their_own_are_no_crosstalk(at_once, seed):
    one, other = dialogue(seed, at_once=at_once)
    assert found(one + rooms(seed)[0], other + rooms(seed)[1]) == {}


def test_a_noise_that_both_microphones_hear_is_no_crosstalk():
    one, other = dialogue()
    noise = 0.05 * signals.babble(one.size, RATE_HZ, 1)
    assert found(one + noise, other + noise) == {}


@pytest.mark.parametrize("gain", [1.0, 0.3])
def test_mono_in_two_channels_is_told(gain):
    one, _ = dialogue()
    assert set(found(one + rooms()[0], gain * (one + rooms()[0]))) == {"channel.same"}


def test_a_channel_turned_over_is_told():
    one, _ = dialogue()
    assert set(found(one + rooms()[0], -one - rooms()[0])) == {"channel.inverted"}


@pytest.mark.parametrize("rest", [0.0, 0.01])
def test_a_dead_channel_is_told_whatever_it_rests_at(rest):
    one, _ = dialogue()
    finding = found(one + rooms()[0], np.full(one.size, rest))["channel.dead"]
    assert finding.parameters["channel"] == 2


def test_somebody_who_only_listens_is_no_dead_channel():
    one, _ = dialogue()
    assert found(one + rooms()[0], rooms()[1]) == {}


def test_two_microphones_of_one_voice_are_not_the_same_sound():
    one, _ = dialogue()
    assert (
        not {"channel.same", "channel.inverted"}
        & found(one + rooms()[0], np.roll(one, 9) + rooms()[1]).keys()
    )


def test_one_channel_has_nothing_to_be_compared_with():
    assert found(dialogue()[0] + rooms()[0]) == {}


def test_cutting_into_blocks_changes_no_finding_of_two_channels():
    one, other = dialogue()
    sound = sixteen_bits(np.stack([one + 0.1 * other + rooms()[0], other + rooms()[1]], axis=1))
    meter = measure.Meter(RATE_HZ, 2)
    for block in np.array_split(sound, 37):
        meter.feed(block)
    assert meter.finish() == measure.measure(sound, RATE_HZ)
