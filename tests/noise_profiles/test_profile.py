"""A profile is data that is checked; a verdict is findings with code, value, limit and sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noise_profiles import profile
from noise_profiles.measure import METHOD, Measurement
from protocol.clip import GRADES, AudioFinding

EVERYDAY = profile.load()[profile.DEFAULT_PROFILE_ID]


def clip(snr_db: float | None, half_db: float = 0.5, **changes: object) -> Measurement:
    low, high = (None, None) if snr_db is None else (snr_db - half_db, snr_db + half_db)
    figures: dict[str, object] = {
        "method": METHOD, "duration_s": 3.0, "samples": 48_000, "sample_rate_hz": 16_000, "channels": 1,
        "peak_dbfs": -6.0, "speech_dbfs": -26.0, "noise_dbfs": -50.0, "noise_dba": None,
        "noise_dba_fs": -55.0,
        "snr_db": snr_db, "snr_low_db": low, "snr_high_db": high, "speech_s": 2.0, "segments": ((0, 32_000),),
        "noise_source": "lead_in+pauses",
    }  # fmt: skip
    return Measurement(**{**figures, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "snr_db, grade",
    [(40.0, "quiet"), (25.0, "quiet"), (24.9, "moderate"), (10.0, "moderate"), (9.9, "noisy"), (0.0, "noisy"),
     (-0.1, None), (None, None)],
)  # fmt: skip
def test_the_snr_decides_the_grade(snr_db, grade):
    assert profile.grade_of(clip(snr_db), EVERYDAY) == grade


@pytest.mark.parametrize(
    "snr_db, half_db, wanted, decision, codes",
    [
        (30.0, 0.5, "quiet", "accept", []),
        (24.2, 0.5, "quiet", "accept", ["snr.below_band"]),
        (22.0, 3.5, "quiet", "accept", ["snr.below_band"]),
        (22.0, 2.5, "quiet", "refuse", ["snr.below_band"]),
        (25.9, 0.1, "moderate", "accept", ["snr.above_band"]),
        (28.0, 0.5, "moderate", "refuse", ["snr.above_band"]),
        (-3.0, 0.5, "noisy", "refuse", ["snr.below_band"]),
        (-3.0, 0.5, None, "refuse", ["snr.below_band"]),
        (18.0, 0.5, None, "accept", []),
        (None, 0.0, "noisy", "refuse", ["speech.none"]),
    ],
)
def test_margin_and_uncertainty_are_the_speakers(snr_db, half_db, wanted, decision, codes):
    said = profile.verdict(clip(snr_db, half_db), EVERYDAY, wanted)
    assert said.decision == decision
    assert [finding.code for finding in said.findings] == codes
    assert (said.profile_id, said.profile_version) == ("everyday", EVERYDAY.version)


def test_a_refusal_names_value_limit_and_the_grade_that_would_fit():
    said = profile.verdict(clip(14.0), EVERYDAY, "quiet")
    finding = said.findings[0]
    assert (finding.value, finding.limit, finding.severity) == (14.0, 25.0, "error")
    assert said.grade == "moderate" and finding.parameters["fits"] == "moderate"
    assert "14" in finding.message("en") and "25" in finding.message("zh-Hant")


def test_a_defect_that_spoils_refuses_whatever_the_snr():
    spoilt = clip(30.0, defects=(AudioFinding("level.clipped", "error", 50.0, 8.0),))
    assert profile.verdict(spoilt, EVERYDAY, "quiet").decision == "refuse"


@pytest.mark.parametrize(
    "noise_dba, code", [(35.0, "ambient.too_quiet"), (55.0, None), (62.0, "ambient.too_loud")]
)
def test_a_calibrated_room_is_guided_and_never_refused(noise_dba, code):
    said = profile.verdict(clip(15.0, noise_dba=noise_dba), EVERYDAY, "moderate")
    assert said.decision == "accept"
    assert [finding.code for finding in said.findings] == ([code] if code else [])


@given(st.floats(-10.0, 60.0), st.floats(0.3, 20.0), st.sampled_from([*GRADES, None]))
def test_refuse_means_an_error_is_among_the_findings(snr_db, half_db, wanted):
    said = profile.verdict(clip(snr_db, half_db), EVERYDAY, wanted)
    assert (said.decision == "refuse") == any(f.severity == "error" for f in said.findings)
    if said.grade is not None and said.grade == wanted:
        assert said.decision == "accept"


def test_a_profile_survives_json():
    sent = json.loads(json.dumps(EVERYDAY.as_json()))
    assert profile.NoiseProfile.from_json(sent) == EVERYDAY


GOOD = '[mine]\nversion = "1"\ntitle = "T"\n[mine.grades.quiet]\nsnr_db = [20.0, 60.0]\n'


def test_a_project_may_bring_its_own(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD, encoding="utf-8")
    mine = profile.load(path)["mine"]
    assert profile.grade_of(clip(21.0), mine) == "quiet"
    with pytest.raises(profile.ProfileInvalid, match="noisy"):
        profile.verdict(clip(5.0), mine, "noisy")


@pytest.mark.parametrize(
    "wrong, place",
    [
        ("[mine\n", "line 1"),
        (GOOD.replace('version = "1"', "version = 1"), "version"),
        (GOOD.replace("[20.0, 60.0]", "[60.0, 20.0]"), "quiet.snr_db"),
        (GOOD.replace("[20.0, 60.0]", "[nan, 60.0]"), "quiet.snr_db"),
        (GOOD.replace("[20.0, 60.0]", "20.0"), "quiet.snr_db"),
        (GOOD.replace("quiet", "silent"), "silent"),
        (GOOD.replace("title", "tilte"), "tilte"),
        (GOOD + "[mine.grades.noisy]\nsnr_db = [0.0, 30.0]\n", "overlap"),
        ("", "no profile"),
        ("mine = 3\n", "mine"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_place(tmp_path, wrong, place):
    path = tmp_path / "mine.toml"
    path.write_text(wrong, encoding="utf-8")
    with pytest.raises(profile.ProfileInvalid, match=place):
        profile.load(path)


def test_a_profile_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(profile.ProfileInvalid):
        profile.load(tmp_path / "none.toml")
