"""Third octaves hold the power that is there, in the band where it is."""

from __future__ import annotations

import numpy as np
import pytest

from noise_profiles import levels, signals
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


def test_spectra_are_those_of_librosa():
    """So that a team finds the same levels with the tool it has."""
    import librosa

    noise = signals.pink_noise(2 * 16_000, 16_000, 3)
    size = 8_000
    power = np.square(np.abs(librosa.stft(noise, n_fft=size, hop_length=size // 2, center=False)))
    power = power.mean(axis=1) * 2.0 / (size * 0.375 * size)  # a Hann window's mean square is 3/8
    hz = librosa.fft_frequencies(sr=16_000, n_fft=size)
    for rounded, level in third_octaves(noise, 16_000).items():
        middle = 10.0 ** (round(10.0 * np.log10(rounded)) / 10.0)
        inside = (hz >= middle * 10**-0.05) & (hz < middle * 10**0.05)
        assert level == pytest.approx(levels.dbfs(float(power[inside].sum())), abs=0.02)


def test_nothing_has_no_spectrum():
    with pytest.raises(SignalEmpty):
        third_octaves(np.zeros(10), 16_000)
