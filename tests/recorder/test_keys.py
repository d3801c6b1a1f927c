"""A server changes its key while speakers work: they follow the old key's word, and nobody else's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from protocol.tlog import VerifierKey


@pytest.fixture
def running(intake, xiangyin_command, tmp_path):
    """A server of the test's own with a speaker who has joined, and the speaker's commands."""
    server = type(intake)(tmp_path / "served" / "data", xiangyin_command)
    server.folder.parent.mkdir()
    server.start()
    environment = {
        **os.environ,
        "XDG_CONFIG_HOME": str(tmp_path / "config-home"),
        "XIANGYIN_RECORDER_DATA": str(tmp_path / "data"),
        "XIANGYIN_LANGUAGE": "en",
    }

    def call(*words):
        return subprocess.run(
            [*xiangyin_command, *map(str, words)],
            env=environment, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path,
        )  # fmt: skip

    try:
        server.run(
            "project", "create", "street", "--title", "臺語街談",
            "--language", "nan-Hant-TW", "--orthography", "nan-Hant",
        )  # fmt: skip
        (link,) = server.invitations(1)
        joined = call(
            "join", link, "--yes", "--gender", "male", "--age-band", "40-49", "--region", "台北",
            "--native-language", "cmn-Hant-TW",
        )  # fmt: skip
        assert joined.returncode == 0, joined.stderr
        yield server, call
    finally:
        server.kill()


def recorded(call, path):
    done = call("record", "--grade", "moderate", "--source", path, "--no-screen")
    assert done.returncode == 0, done.stderr


def membership(tmp_path):
    (path,) = (tmp_path / "config-home").rglob("memberships/*.json")
    return path, json.loads(path.read_text())


def test_sending_goes_on_with_the_new_key_and_old_receipts_stay_good(
    running, write_sound, talk_samples, tmp_path
):
    server, call = running
    path = write_sound("talk.wav", talk_samples)
    recorded(call, path)
    assert call("send").returncode == 0
    first = json.loads(server.run("keys", "rotate", "--format", "json"))
    second = json.loads(server.run("keys", "rotate", "--format", "json"))
    recorded(call, write_sound("more.wav", talk_samples[::-1].copy()))
    sent = call("send", "--format", "json")
    assert sent.returncode in (0, 1), sent.stderr  # sound that runs backwards may be refused, with a receipt
    assert {json.loads(line)["state"] for line in sent.stdout.splitlines()} <= {"accepted", "refused"}
    _, kept = membership(tmp_path)
    assert kept["vkeys"] == [first["old_vkey"], first["vkey"], second["vkey"]]
    assert kept["retired"] == {first["old_vkey"]: first["size"], first["vkey"]: second["size"]}
    receipts = sorted((tmp_path / "data" / "receipts").glob("*.receipt.json"))
    checked = call("receipts", "verify", *receipts, "--online", "--format", "json")
    assert checked.returncode == 0, checked.stdout
    rows = [json.loads(line) for line in checked.stdout.splitlines()]
    assert {row["vkey"] for row in rows} == {first["old_vkey"], second["vkey"]}
    assert all(row["good"] and row["pinned"] for row in rows)
    listed = [json.loads(line) for line in server.run("keys", "list", "--format", "json").splitlines()]
    assert [row["vkey"] for row in listed] == kept["vkeys"][::-1]
    fsck = subprocess.run(
        [*server.command, "fsck", "--data", str(server.folder)], capture_output=True, text=True, check=False
    )
    assert fsck.returncode == 0, fsck.stdout


def test_a_key_that_the_pinned_one_did_not_hand_over_to_gets_nothing(
    running, write_sound, talk_samples, tmp_path
):
    """The server was replaced by another one: what is recorded stays here."""
    server, call = running
    recorded(call, write_sound("talk.wav", talk_samples))
    path, kept = membership(tmp_path)
    origin = VerifierKey.parse(kept["vkeys"][0]).name
    path.write_text(json.dumps({**kept, "vkeys": [str(VerifierKey(origin, bytes(range(32))))]}))
    server.run("keys", "rotate")
    sent = call("send", "--format", "json")
    assert sent.returncode == 2
    errors = [json.loads(line)["error"]["code"] for line in sent.stdout.splitlines()]
    assert set(errors) == {"KEY_UNTRUSTED"}
    left = call("status", "--offline", "--format", "json")
    states = [json.loads(line)["state"] for line in left.stdout.splitlines()]
    assert states and set(states) <= {"spooled", "kept"}


def restored(server, folder):
    """Put the server back to a copy of its data, as a restored backup does."""
    server.kill()
    shutil.rmtree(server.folder)
    shutil.copytree(folder, server.folder)
    (server.folder / "server.lock").unlink(missing_ok=True)
    server.start(server.port)


def test_the_status_tells_of_a_log_that_was_rolled_back(running, write_sound, talk_samples, tmp_path):
    """A speaker who only looks must learn it too, before the clips here are thought safe there."""
    server, call = running
    server.kill()
    shutil.copytree(server.folder, tmp_path / "old")
    server.start(server.port)
    recorded(call, write_sound("talk.wav", talk_samples))
    assert call("send").returncode == 0
    good = call("status", "--format", "json")
    assert good.returncode == 0 and '"server"' not in good.stdout
    restored(server, tmp_path / "old")
    told = call("status", "--format", "json")
    assert told.returncode == 1
    assert json.loads(told.stdout.splitlines()[-1])["error"]["code"] == "LEDGER_ROLLED_BACK"
    assert call("status", "--offline").returncode == 0
    server.kill()
    assert call("status").returncode == 0  # without a network it says what is here


def test_new_terms_are_shown_and_agreed_to_before_further_work(running, write_sound, talk_samples, tmp_path):
    server, call = running
    path = write_sound("talk.wav", talk_samples)
    recorded(call, path)
    terms = tmp_path / "terms-2.json"
    told = {"version": "t2", "text": "Pay is doubled.", "currency": "TWD", "rate_per_s": "2.5"}
    terms.write_text(json.dumps(told))
    server.run("project", "terms", "street", str(terms))
    sent = call("send")
    assert sent.returncode == 0 and "t2" in sent.stdout  # what was recorded before goes as it was agreed
    for words in (("record", "--source", path, "--no-screen"), ("import", path, "--consent", "x")):
        stopped = call(*words)
        assert stopped.returncode == 2 and "TERMS_NEW" in stopped.stderr
        assert "Pay is doubled." in stopped.stdout and "2.5" in stopped.stdout
    wrong = call("record", "--source", path, "--no-screen", "--agree-terms", "t1")
    assert wrong.returncode == 2
    words = ("record", "--grade", "moderate", "--source", path, "--no-screen")
    agreed = call(*words, "--agree-terms", "t2")
    assert agreed.returncode == 0, agreed.stderr
    assert call(*words).returncode == 0  # asked once
    assert membership(tmp_path)[1]["terms_agreed"] == "t2"
