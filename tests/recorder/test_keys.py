"""A server changes its key while speakers work: they follow the old key's word, and nobody else's."""

from __future__ import annotations

import json
import os
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
    states = [json.loads(line)["state"] for line in call("status", "--format", "json").stdout.splitlines()]
    assert states and set(states) <= {"spooled", "kept"}
