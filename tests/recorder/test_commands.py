"""The commands as a person runs them: what is printed, where it lands, the exit status."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time

import numpy as np
import pytest
import soundfile

RATE_HZ = 16_000


@pytest.fixture
def run(xiangyin_command, tmp_path, invitations):
    """Runs `xiangyin` for a speaker who has joined; gives exit status, lines and stderr."""
    environment = {
        **os.environ,
        "XDG_CONFIG_HOME": str(tmp_path / "config-home"),
        "XIANGYIN_RECORDER_DATA": str(tmp_path / "data"),
        "XIANGYIN_LANGUAGE": "en",
    }

    def call(*arguments, language=None, **more):
        return subprocess.run(
            [*xiangyin_command, *map(str, arguments)],
            env={**environment, **({"XIANGYIN_LANGUAGE": language} if language else {})},
            capture_output=True, text=True, timeout=120, check=False, **more,
        )  # fmt: skip

    call.environment = environment
    voice = [
        "--gender",
        "male",
        "--age-band",
        "40-49",
        "--region",
        "台北",
        "--native-language",
        "cmn-Hant-TW",
    ]
    joined = call("join", next(invitations), "--yes", *voice, "--format", "json")
    assert joined.returncode == 0, joined.stderr
    call.joined = json.loads(joined.stdout)
    return call


def rows(done):
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_record_send_status_statement_and_receipts(run, write_sound, talk_samples, tmp_path):
    path = write_sound("talk.wav", talk_samples)
    done = run("record", "--grade", "moderate", "--source", path, "--no-screen", "--format", "json")
    assert done.returncode == 0, done.stderr
    takes = rows(done)
    for row in takes:
        assert row["verdict"] == "accept" and row["grade"] == "moderate" and row["file"] == str(path)
        assert row["snr_low_db"] <= row["snr_db"] <= row["snr_high_db"]
        assert row["findings"] == [] and row["room_tone"]["duration_s"] >= 1.5
    states = rows(run("status", "--format", "json"))
    assert [(s["clip_id"], s["state"]) for s in states] == [(t["clip_id"], "spooled") for t in takes]
    sent = run("send", "--format", "json")
    assert sent.returncode == 0, sent.stderr
    assert [(s["clip_id"], s["state"]) for s in rows(sent)] == [(t["clip_id"], "accepted") for t in takes]
    assert {s["state"] for s in rows(run("status", "--format", "json"))} == {"accepted"}
    (statement,) = rows(run("statement", "--format", "json"))
    assert statement["accepted"] == len(takes)
    receipts = sorted((tmp_path / "data" / "receipts").glob("*.receipt.json"))
    checked = run("receipts", "verify", *receipts, "--format", "json")
    assert checked.returncode == 0
    assert {(r["good"], r["pinned"]) for r in rows(checked)} == {(True, True)}


def test_a_changed_receipt_is_found_out(run, write_sound, talk_samples, tmp_path):
    run("record", "--grade", "moderate", "--source", write_sound("a.wav", talk_samples), "--no-screen")
    run("send")  # accepted or refused: both are receipted
    path = next((tmp_path / "data" / "receipts").iterdir())
    receipt = json.loads(path.read_text())
    for change in (
        {"payable_ms": 10**9},
        {"sha256": "0" * 64},
        {"clip_id": receipt["details"]["clip_id"][::-1]},
    ):
        bad = tmp_path / "bad.json"
        bad.write_text(json.dumps({**receipt, "details": {**receipt["details"], **change}}))
        done = run("receipts", "verify", bad, path)
        assert done.returncode == 1
        assert "not those that were logged" in done.stdout.splitlines()[0]
        assert "good" in done.stdout.splitlines()[1]


def test_bad_files_get_their_error_and_the_others_go_on(run, write_sound, talk_samples, tmp_path):
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    one = write_sound("one.wav", talk_samples[:1])
    wide = write_sound("wide.wav", np.stack([np.roll(talk_samples, k) for k in range(8)], axis=1))
    good = write_sound("good.wav", talk_samples)
    files = [tmp_path / "text.wav", tmp_path / "empty.wav", one, wide, tmp_path / "missing.wav", good]
    done = run("record", "--grade", "moderate", "--source", *files, "--no-screen", "--format", "json")
    assert done.returncode == 2
    found = rows(done)
    errors = [row["error"]["code"] for row in found if "error" in row]
    assert errors == ["NOT_AUDIO", "AUDIO_EMPTY", "AUDIO_TOO_SHORT", "CHANNEL_UNDECIDED", "FILE_UNREADABLE"]
    assert [row["file"] for row in found if "verdict" in row] == [str(good)] * (len(found) - 5)
    assert len(found) > 5 and len(done.stderr.splitlines()) == 5


def test_a_refused_take_says_why_in_the_speakers_language(run, write_sound, talk_samples):
    path = write_sound("talk.wav", talk_samples)
    done = run("record", "--grade", "quiet", "--source", path, "--no-screen", language="zh-Hant")
    assert done.returncode == 1
    assert "會被退回" in done.stdout and "snr.below_band" in done.stdout and "環境聲" in done.stdout


def test_silence_is_told_and_nothing_is_kept(run, write_sound):
    hiss = np.random.default_rng(1).integers(-20, 20, 4 * RATE_HZ).astype(np.int16)
    done = run("record", "--source", write_sound("hiss.wav", hiss), "--no-screen")
    assert done.returncode == 1 and "no speech was found" in done.stdout
    assert rows(run("status", "--format", "json")) == []


@pytest.mark.parametrize(("words", "language"), [(("--language", "zh-Hant"), None), ((), "zh_TW.UTF-8")])
def test_an_error_speaks_the_speakers_language(run, words, language):
    done = run("record", "--source", "no-such.wav", "--no-screen", *words, language=language)
    assert done.returncode == 2 and "請" in done.stderr


def test_without_joining_nothing_is_recorded(xiangyin_command, tmp_path, write_sound, talk_samples):
    done = subprocess.run(
        [*xiangyin_command, "record", "--source", str(write_sound("a.wav", talk_samples)), "--no-screen"],
        env={**os.environ, "XDG_CONFIG_HOME": str(tmp_path), "XIANGYIN_RECORDER_DATA": str(tmp_path / "d")},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2 and done.stderr.startswith("NOT_JOINED: ")


def recording_of(folder):
    """All takes of the spool, in order, as one array; holes and overlaps fail."""
    takes = [json.loads((p / "take.json").read_text()) | {"at": p} for p in folder.iterdir() if p.is_dir()]
    takes.sort(key=lambda t: t["meta"]["start_sample"])
    at, pieces = takes[0]["meta"]["start_sample"] if takes else 0, []
    for take in takes:
        assert take["meta"]["start_sample"] == at, "a hole or an overlap"
        pieces.append(soundfile.read(take["at"] / "take.flac", dtype="int16")[0])
        at += take["samples"]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize("moment", [0, 2, 5])
def test_killed_while_recording_the_next_start_brings_everything_back(
    run, xiangyin_command, write_sound, talk_samples, tmp_path, moment
):
    long = np.concatenate([talk_samples] + [talk_samples[2 * RATE_HZ :]] * 6)
    path = write_sound("long.wav", long)
    child = subprocess.Popen(
        [*xiangyin_command, "record", "--grade", "moderate", "--source", str(path), "--no-screen",
         "--format", "json"],
        env=run.environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    told = [json.loads(child.stdout.readline()) for _ in range(1 + moment)]
    time.sleep(0.02 * moment)
    child.send_signal(signal.SIGKILL)
    child.wait()
    spool = tmp_path / "data" / "spool"
    open_bytes = sum(p.stat().st_size for p in spool.glob("*.part/take.pcm"))
    again = run("record", "--source", tmp_path / "missing.wav", "--no-screen")
    assert again.returncode == 2
    back = recording_of(spool)
    assert np.array_equal(back, long[: back.size])
    assert back.size >= told[-1]["start_sample"] + told[-1]["samples"]
    if open_bytes:
        assert "brought back" in again.stdout
    assert not list(spool.glob("*.part"))


@pytest.mark.parametrize("rate_hz", [16_000, 44_100])
def test_an_import_loses_no_sample_of_any_channel(run, write_sound, talk_samples, tmp_path, rate_hz):
    left, right = talk_samples, np.roll(talk_samples[::-1], 777)
    path = write_sound("two.flac", np.stack([left, right], axis=1), rate_hz)
    done = run("import", path, "--consent", "consent-1", "--grade", "moderate", "--format", "json")
    assert done.returncode in (0, 1), done.stderr
    for channel, samples in enumerate((left, right)):
        clips = sorted((r for r in rows(done) if r["channel"] == channel), key=lambda r: r["start_sample"])
        at = 0
        for row in clips:
            heard, heard_hz = soundfile.read(row["path"], dtype="int16")
            assert row["start_sample"] == at and heard_hz == rate_hz
            assert np.array_equal(heard, samples[at : at + heard.size])
            at += heard.size
        assert at == samples.size
    again = run("import", path, "--consent", "consent-1", "--format", "json")
    assert {row.get("known") for row in rows(again)} == {True}


def test_an_import_needs_the_consent_that_was_given(run, write_sound, talk_samples):
    done = run("import", write_sound("a.wav", talk_samples), "--consent", "other-1")
    assert done.returncode == 2 and done.stderr.startswith("CONSENT_UNKNOWN: ")


def test_a_device_is_calibrated_from_a_recording_of_the_reference(run, write_sound, tmp_path):
    t = np.arange(6 * RATE_HZ) / RATE_HZ
    tone = (0.1 * 32768 * np.sin(2 * np.pi * 1000 * t)).astype(np.int16)  # -20 dBFS
    done = run("calibrate", "--device", "Mic", "--source", write_sound("tone.wav", tone), "--format", "json")
    assert done.returncode == 0, done.stderr
    (row,) = rows(done)
    assert row["offset_db"] == pytest.approx(114.0, abs=0.1) and row["method"] == "calibrator"
    assert json.loads((tmp_path / "data" / "calibrations.json").read_text())["Mic"]["reference_db"] == 94.0
    rising = (tone * np.linspace(0.1, 1, tone.size)).astype(np.int16)
    done = run("calibrate", "--source", write_sound("rising.wav", rising))
    assert done.returncode == 2 and "CALIBRATION_IMPOSSIBLE" in done.stderr


def test_sending_without_a_network_keeps_everything(
    run, xiangyin_command, write_sound, talk_samples, tmp_path
):
    run("record", "--grade", "moderate", "--source", write_sound("a.wav", talk_samples), "--no-screen")
    (path,) = (tmp_path / "config-home" / "xiangyin" / "memberships").iterdir()
    path.write_text(json.dumps({**json.loads(path.read_text()), "server": "http://127.0.0.1:9"}))
    before = rows(run("status", "--format", "json"))
    child = subprocess.Popen(
        [*xiangyin_command, "send"], env=run.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(2.0)
    child.kill()
    child.wait()
    assert rows(run("status", "--format", "json")) == before
