"""A profile is data that is checked; a verdict is findings with code, value, limit and sentence."""

from __future__ import annotations

import json
import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noise_profiles import profile
from noise_profiles.measure import METHOD, Measurement
from noise_profiles.place import Place
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


WHOLE = """\
# A project's own bands.
[mine]
version = "1"
title = "T"
margin_db = 1.0

[mine.grades.quiet]
snr_db = [20.0, 60.0]
ambient_dba = [0.0, 40.0]

[mine.grades.noisy]
snr_db = [
    0.0,
    20.0,
]
ambient_dba = [60, 75]
"""


@pytest.mark.parametrize(
    "good, wrong, line, told",
    [
        ("[mine]", "[mine", 2, "table"),
        ('version = "1"', "version = 1", 3, "mine.version"),
        ('version = "1"', "", 2, "mine.version: this field is missing"),
        ('version = "1"', 'version = "1 of\\u001b[2J"', 3, "mine.version"),
        ('version = "1"', 'version = "1"\nversion = "2"', 4, "overwrite"),
        ('title = "T"', 'tilte = "T"', 4, "mine.tilte: there is no such field .did you mean title"),
        ('title = "T"', 'title = ""', 4, "mine.title"),
        ('title = "T"', 'title = """T', 4, ""),
        ('title = "T"', 'title = "T"\nid = "other"', 5, "mine.id"),
        ("margin_db = 1.0", "margin_db = -1", 5, "mine.margin_db: need a number from 0 to 10"),
        ("margin_db = 1.0", "margin_db = inf", 5, "mine.margin_db"),
        ("margin_db = 1.0", "margin_db = true", 5, "mine.margin_db"),
        ("margin_db = 1.0", "margin_db = 1" + 400 * "0", 5, "mine.margin_db"),
        ("[mine.grades.quiet]", "[mine.grades.silent]", 7, "mine.grades.silent: .* quiet, moderate, noisy"),
        ("[mine.grades.noisy]", "[mine.grades.quiet]", 11, "twice"),
        ("snr_db = [20.0, 60.0]", "snr_db = [60.0, 20.0]", 8, "mine.grades.quiet.snr_db: the low limit"),
        ("snr_db = [20.0, 60.0]", "snr_db = [nan, 60.0]", 8, "mine.grades.quiet.snr_db"),
        ("snr_db = [20.0, 60.0]", "snr_db = 20.0", 8, "need two numbers"),
        ("snr_db = [20.0, 60.0]", "snr_db = [20.0, 61.0]", 8, "from -10 to 60"),
        ("snr_db = [20.0, 60.0]", "", 7, "mine.grades.quiet.snr_db: this field is missing"),
        ("snr_db = [20.0, 60.0]", "snr_bd = [20.0, 60.0]", 8, "did you mean snr_db"),
        (
            "ambient_dba = [0.0, 40.0]",
            "ambient_dba = [0.0, 65.0]",
            16,
            "noisy.ambient_dba: it .* 65 dB.A., .* quiet",
        ),
        (
            "    20.0,",
            "    21.0,",
            12,
            "noisy.snr_db: it reaches above 20 dB, .* quiet",
        ),
        ("    20.0,", '    "20",', 12, "noisy.snr_db"),
        ("ambient_dba = [60, 75]", "ambient_dba = [60, 75", 16, ""),
    ],
)
def test_a_wrong_profile_is_refused_with_the_line_to_correct(tmp_path, good, wrong, line, told):
    """An operator has the file open in an editor: the line is what they can go to."""
    assert good in WHOLE
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE.replace(good, wrong, 1), encoding="utf-8")
    with pytest.raises(profile.ProfileInvalid, match=rf"mine\.toml, line {line}\b.*{told}") as caught:
        profile.load(path)
    assert str(caught.value).isprintable()
    for language in ("zh-Hant", "zh-Hans"):
        said = caught.value.sentence(language)
        assert f"mine.toml，第 {line} 行" in said
        if caught.value.parameters["why"] != "toml":  # what the parser says of a syntax error is its own
            assert not re.search(r"[A-Za-z]{2} [A-Za-z]{2}", said)
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.sentence("zh-Hant") == caught.value.sentence("zh-Hant")


@pytest.mark.parametrize(
    "text, told",
    [("", "no profile"), ("# nothing\n", "no profile"), ("mine = 3\n", "line 1, mine: need a table"),
     ("x = " + 5000 * "[", "nested too deeply"),
     ("[mine]\n", "line 1, mine.grades: this field is missing"),
     ('["my own"]\nversion = "1"\n', "line 1, my own: need 1 to 64 letters"),
     ('[mine]\nversion = "1"\ntitle = "T"\n[mine.grades]\n', "line 4, mine.grades: need at least one")],
)  # fmt: skip
def test_a_file_without_a_whole_profile_is_refused(tmp_path, text, told):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(profile.ProfileInvalid, match=told):
        profile.load(path)


def test_the_whole_profile_is_good_as_editors_save_it(tmp_path):
    """With the mark that Windows editors put in front, and with their ends of line."""
    path = tmp_path / "mine.toml"
    path.write_bytes(WHOLE.replace("\n", "\r\n").encode("utf-8-sig"))
    mine = profile.load(path)["mine"]
    assert (mine.grades["noisy"].snr_high_db, mine.grades["noisy"].ambient_dba) == (20.0, (60.0, 75.0))
    path.write_bytes(WHOLE.replace("T", "室").encode("big5"))
    with pytest.raises(profile.ProfileInvalid, match="line 4: this is not UTF-8"):
        profile.load(path)


@given(st.lists(st.sampled_from(["", "# note", 'x = "[mine]"', "y = [\n1,\n2]"]), unique=True, max_size=4))
def test_the_line_named_is_that_of_the_value_whatever_stands_before(before):
    text = "\n".join(["[first]", *before, "[mine]", "margin_db = 1"])
    line = text[: text.rindex("margin_db")].count("\n") + 1
    assert Place("f", ("mine", "margin_db"), text).line == line


def test_a_profile_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(profile.ProfileInvalid, match="there is no such file") as caught:
        profile.load(tmp_path / "none.toml")
    assert "沒有這個檔案" in caught.value.sentence("zh-Hant")


def test_a_statement_left_open_is_found_where_it_begins_and_quickly(tmp_path):
    """The rest of a long file then belongs to it, as far as a parser can tell."""
    path = tmp_path / "mine.toml"
    path.write_text(WHOLE + "[mine.grades.moderate]\nsnr_db = [1,\n" + 3000 * "2,\n", encoding="utf-8")
    with pytest.raises(profile.ProfileInvalid, match=r"mine\.toml, line 18\b"):
        profile.load(path)


@pytest.mark.parametrize("text", [
    'mine = {version = "1", title = "T", grades = {quiet = {snr_db = [9, 1]}}}\n',
    'mine.version = "1"\nmine.title = "T"\nmine.grades.quiet.snr_db = [9, 1]\n',
    '[mine]\ngrades.quiet = {snr_db = [9, 1]}\nversion = "1"\ntitle = "T"\n',
])  # fmt: skip
def test_any_way_to_write_a_table_is_found(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    line = next(n for n, one in enumerate(text.splitlines(), start=1) if "snr_db" in one)
    with pytest.raises(profile.ProfileInvalid, match=rf"line {line}, mine\.grades\.quiet\.snr_db"):
        profile.load(path)
