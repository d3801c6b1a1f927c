"""Third octaves hold the power that is there, in the band where it is."""

from __future__ import annotations

import numpy as np
import pytest

from noise_profiles import levels, measure, signals
from noise_profiles.samples import SignalEmpty
from noise_profiles.spectrum import third_octaves


@pytest.mark.parametrize("hz", [63.1, 1000.0, 3981.1])
def test_a_tone_lies_in_its_band_at_its_level(hz):
    t = np.arange(32_000) / 16_000
    bands = third_octaves(0.1 * np.sin(2 * np.pi * hz * t), 16_000)
    assert bands[hz] == pytest.approx(-20.0, abs=0.3)
    assert all(level < -40.0 for middle, level in bands.items() if not 0.7 < middle / hz < 1.4)


def test_pink_noise_is_level_and_the_sum_is_the_whole():
    noise = signals.pink_noise(20 * 48_000, 48_000, 1)
    bands = third_octaves(noise, 48_000)
    values = np.array([bands[hz] for hz in bands if 100 < hz < 10_000])
    assert np.ptp(values) < 1.5
    total = sum(levels.mean_square(level) for level in bands.values())
    assert 10 * np.log10(2 * total) == pytest.approx(signals.NOISE_DBFS, abs=1.5)


@pytest.mark.parametrize("rate_hz, highest", [(8_000, 3200), (16_000, 6400), (48_000, 15_900)])
def test_bands_end_where_the_rate_does(rate_hz, highest):
    bands = third_octaves(np.zeros(rate_hz), rate_hz)
    assert max(bands) == pytest.approx(highest, rel=0.05)
    assert set(bands.values()) == {levels.FLOOR_DBFS}


def test_the_bands_together_are_the_rooms_noise():
    """What a team adds up must be what the room tone says, as both come of the same two seconds."""
    noise = signals.pink_noise(2 * 16_000, 16_000, 4)
    bands = third_octaves(noise, 16_000)
    assert len(bands) == 22  # 50 Hz to 6.3 kHz
    together = levels.dbfs(sum(levels.mean_square(level) for level in bands.values()))
    assert together == pytest.approx(measure.room_tone(noise, 16_000).noise_dbfs, abs=0.7)


def test_nothing_has_no_spectrum():
    with pytest.raises(SignalEmpty):
        third_octaves(np.zeros(10), 16_000)
