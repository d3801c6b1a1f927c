"""`xiangyin measure`: a line a file, whatever the files are."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from noise_profiles import measure, signals
from noise_profiles.cli import measure as command

RATE_HZ = 16_000
SPEECH = signals.speech_like(4 * RATE_HZ, RATE_HZ, 1, lead_in_s=0.7)


@pytest.fixture(scope="module")
def takes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("takes")
    for snr_db in (5, 17, 35):
        noise = signals.pink_noise(SPEECH.size, RATE_HZ, 2)
        sound = signals.mix(SPEECH, noise, snr_db, RATE_HZ).samples
        soundfile.write(folder / f"at{snr_db}.flac", sound, RATE_HZ)
    return folder


def run(*args: object) -> tuple[int, list[dict]]:
    done = CliRunner().invoke(command, [*map(str, args), "--format", "json"])
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, [json.loads(line) for line in done.output.splitlines()]


FIELDS = {
    "file", "duration_s", "sample_rate_hz", "channels", "peak_dbfs", "speech_dbfs", "noise_dbfs", "noise_dba",
    "snr_db", "snr_low_db", "snr_high_db", "speech_s", "segments", "grade", "verdict", "findings", "method",
}  # fmt: skip


def test_a_folder_gives_a_line_a_file_in_order(takes):
    status, lines = run(takes, "--lead-in-s", 0.7)
    assert status == 0
    assert [Path(line["file"]).name for line in lines] == ["at17.flac", "at35.flac", "at5.flac"]
    assert [line["grade"] for line in lines] == ["moderate", "quiet", "noisy"]
    assert all(set(line) >= FIELDS and line["method"] == measure.METHOD for line in lines)


def test_the_command_and_the_function_give_the_same_figures(takes):
    sound, _ = soundfile.read(takes / "at17.flac", dtype="int16")
    figures = measure.measure(sound, RATE_HZ, lead_in_s=0.7).as_json()
    _, (line,) = run(takes / "at17.flac", "--lead-in-s", 0.7)
    assert {name: line[name] for name in FIELDS & set(figures)} == {
        name: figures[name] for name in FIELDS & set(figures)
    }


def test_a_clip_outside_its_band_is_status_1(takes):
    status, (line,) = run(takes / "at17.flac", "--grade", "quiet", "--language", "zh-Hant")
    assert (status, line["verdict"]) == (1, "refuse")
    finding = next(f for f in line["findings"] if f["code"] == "snr.below_band")
    assert finding["limit"] == 25.0 and "噪音" in finding["message"]


def test_bad_files_are_lines_and_the_others_are_measured(takes, tmp_path):
    (tmp_path / "text.wav").write_text("no sound", encoding="utf-8")
    (tmp_path / "nothing.wav").write_bytes(b"")
    whole = (takes / "at5.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(whole[: len(whole) // 2])
    nan = np.zeros((100, 8))
    nan[7] = np.nan
    soundfile.write(tmp_path / "nan.wav", nan, RATE_HZ, subtype="FLOAT")
    soundfile.write(tmp_path / "slow.wav", np.zeros(100), 4_000)
    names = ["text.wav", "nothing.wav", "cut.flac", "nan.wav", "slow.wav", "missing.wav"]
    status, lines = run(*(tmp_path / name for name in names), takes / "at35.flac")
    assert status == 2
    assert [line["error"]["code"] for line in lines[:-1]] == [
        "AUDIO_UNREADABLE",
        "AUDIO_UNREADABLE",
        "AUDIO_UNREADABLE",
        "SIGNAL_NOT_FINITE",
        "SIGNAL_RATE",
        "FILE_UNREADABLE",
    ]
    assert lines[-1]["verdict"] == "accept"


def test_the_table_tells_a_person_what_to_do(takes):
    done = CliRunner().invoke(command, [str(takes / "at5.flac"), "--grade", "quiet"])
    assert "refuse" in done.output and "Move closer to the microphone" in done.output


def test_an_unknown_profile_names_those_there_are(takes):
    done = CliRunner().invoke(command, [str(takes), "--profile", "studio"])
    assert "everyday" in str(done.exception)


@pytest.mark.parametrize("subtype, suffix", [("PCM_16", "wav"), ("PCM_24", "wav"), ("FLOAT", "wav")])
def test_any_sample_format_reads_the_same(tmp_path, subtype, suffix):
    path = tmp_path / f"take.{suffix}"
    soundfile.write(path, SPEECH + 0.001 * signals.pink_noise(SPEECH.size, RATE_HZ, 1), RATE_HZ, subtype)
    _, (line,) = run(path)
    assert line["speech_dbfs"] == pytest.approx(-26.0, abs=0.5)


def test_the_table_for_spreadsheets_has_a_row_a_file(takes, tmp_path):
    bad, table = tmp_path / "壞檔.wav", tmp_path / "table.csv"
    bad.write_bytes(b"no sound")
    status, lines = run(takes, bad, "--lead-in-s", 0.7, "--csv", table)
    with table.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert status == 2
    assert [row["file"] for row in rows] == [line["file"] for line in lines]
    assert [float(row["snr_db"]) for row in rows[:3]] == [line["snr_db"] for line in lines[:3]]
    assert [row["grade"] for row in rows] == ["moderate", "quiet", "noisy", ""]
    assert (rows[3]["verdict"], rows[3]["findings"]) == ("not measured", "AUDIO_UNREADABLE")


def test_a_table_that_cannot_be_written_is_said_by_its_name(takes, tmp_path):
    done = CliRunner().invoke(command, [str(takes), "--csv", str(tmp_path / "nowhere" / "table.csv")])
    assert getattr(done.exception, "code", None) == "TABLE_UNWRITABLE"
