"""The estimate on sound whose truth is known by construction."""

from __future__ import annotations

import pytest

from noise_profiles import measure, profile, signals

RATE_HZ = 16_000
SPEECH = signals.speech_like(8 * RATE_HZ, RATE_HZ, 1, lead_in_s=0.7)


@pytest.mark.parametrize("noise", ["white", "pink", "fan"])
@pytest.mark.parametrize("snr_db", [5.0, 15.0, 25.0, 35.0])
def test_a_known_mixture_measures_as_it_was_made(noise, snr_db):
    bed = signals.NOISES[noise](SPEECH.size, RATE_HZ, 7)
    mixture = signals.mix(SPEECH, bed, snr_db, RATE_HZ)
    heard = measure.measure(mixture.samples, RATE_HZ, lead_in_s=0.7)
    assert heard.snr_db == pytest.approx(snr_db, abs=1.0)
    assert heard.noise_dbfs == pytest.approx(mixture.noise_dbfs, abs=1.0)
    assert heard.speech_dbfs == pytest.approx(mixture.speech_dbfs, abs=1.0)


def test_a_measurement_survives_json():
    heard = measure.measure(SPEECH, RATE_HZ)
    again = measure.Measurement.from_json(heard.as_json())
    assert again.segments == heard.segments
    assert again.as_json() == heard.as_json()


def test_the_three_grades_are_there():
    assert set(profile.load()[profile.DEFAULT_PROFILE_ID].grades) == {"quiet", "moderate", "noisy"}
