"""A real server in a process of its own: third-party clients, kills, a graceful end, a second server."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import requests
import rfc8785
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

from corpus.keys import verify_ed25519
from protocol import tlog
from protocol.clip import Receipt

KILLS = int(os.environ.get("XIANGYIN_KILLS", "4"))  # a campaign asks for 50 and more


def uploader(speaker, clip, path, **more):
    path.write_bytes(clip.data)
    client = TusClient(f"{speaker.server.url}/api/v1/uploads", headers=speaker.headers)
    return client.uploader(str(path), metadata=clip.pairs(), **more)


def verdict(speaker, path: str) -> dict[str, object] | None:
    """What the server says of a clip; None while another request, such as the sweep's, checks it."""
    answer = speaker.ask("GET", path)
    assert answer.status_code in (200, 503), answer.text
    return answer.json() if answer.status_code == 200 else None


def holds(receipt) -> tlog.Checkpoint:
    return tlog.check_receipt(
        Receipt.from_json(receipt), verify_ed25519=verify_ed25519, canonical=rfc8785.dumps
    )


def test_tuspy_uploads_is_cut_off_resumes_and_gets_its_receipt(serving, make, tmp_path):
    """The server is killed in the middle; the same client goes on where the new one says."""
    speaker, clip = serving.join(), make.clip(make.file(make.samples(seconds=8.0), "WAV"))
    sending = uploader(speaker, clip, tmp_path / "take.wav", chunk_size=20_000)
    for _ in range(3):
        sending.upload_chunk()
    serving.kill()
    with pytest.raises((TusCommunicationError, requests.RequestException)):
        sending.upload_chunk()
    serving.start()
    again = uploader(speaker, clip, tmp_path / "take.wav", chunk_size=20_000, url=sending.url)
    assert again.get_offset() == 60_000
    again.offset = again.get_offset()
    again.upload()
    found = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").json()
    assert found["state"] == "accepted"
    assert holds(found["receipt"]).size == 1
    assert serving.stop() == 0


def test_tuspy_sends_a_whole_file_in_one_piece(shared, make, tmp_path):
    speaker, clip = shared.join(), make.clip(make.file(make.samples(22)))
    uploader(speaker, clip, tmp_path / "take.flac").upload()
    assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").json()["state"] == "accepted"


def test_killed_at_any_moment_nothing_acknowledged_is_lost(serving, make, tmp_path):
    """kill -9 while receiving and at the close: after a restart every clip is there once, whole."""
    rng = random.Random(7)
    speaker = serving.join()
    clips = [make.clip(make.file(make.samples(seed, seconds=2.5))) for seed in range(1, KILLS + 1)]
    acknowledged: dict[str, int] = {}
    for clip in clips:
        killer = threading.Timer(rng.uniform(0.0, 0.25), serving.kill)
        killer.start()
        location = None
        while True:
            try:
                if serving.process.poll() is not None:
                    killer.join()
                    serving.start()
                if location is None:
                    location = speaker.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
                offset = int(
                    speaker.ask("HEAD", location, {"Tus-Resumable": "1.0.0"}).headers["Upload-Offset"]
                )
                assert offset >= acknowledged.get(clip.clip_id, 0)
                if offset == len(clip.data):
                    break
                piece = clip.data[offset : offset + 16_000]
                answer = speaker.ask("PATCH", location, make.patch_headers(offset), data=piece)
                if answer.status_code == 204:
                    acknowledged[clip.clip_id] = int(answer.headers["Upload-Offset"])
            except requests.RequestException:
                continue
        killer.join()
        if serving.process.poll() is not None:
            serving.start()
        found = make.wait_until(lambda path=f"/api/v1/clips/{clip.clip_id}": verdict(speaker, path))
        assert found["state"] in ("accepted", "refused") and found["measurement"] is not None, found
        assert found["receipt"]["details"]["sha256"] == clip.sha256
        holds(found["receipt"])
        assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio").content == clip.data
    statement = speaker.ask("GET", "/api/v1/me/statement").json()
    assert statement["accepted"] + statement["refused"] == len(clips)
    assert serving.stop() == 0
    (summary,) = serving.command("fsck")
    assert summary == {"problems": 0}
    assert serving.command("ledger", "verify")[-1] == {"entries": len(clips), "good": True}


def test_a_connection_that_breaks_leaves_the_offset_true(shared, make):
    speaker, clip = shared.join(), make.clip(make.file(make.samples(23)))
    location = speaker.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
    head = (
        f"PATCH {location} HTTP/1.1\r\nHost: x\r\nAuthorization: {speaker.headers['Authorization']}\r\n"
        "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n"
        f"Content-Length: {len(clip.data)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", shared.port)) as connection:
        connection.sendall(head.encode() + clip.data[:5000])
    at = speaker.ask("HEAD", location, {"Tus-Resumable": "1.0.0"})
    assert at.headers["Upload-Offset"] == "0"
    done = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data)
    assert done.status_code == 204


def test_stalled_uploads_hold_up_nobody(shared, make):
    speaker, clip = shared.join(), make.clip(make.file(make.samples(24)))
    stalled = []
    for _ in range(40):
        connection = socket.create_connection(("127.0.0.1", shared.port))
        connection.sendall(
            b"PATCH /api/v1/uploads/0 HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nslow"
        )
        stalled.append(connection)
    begun = time.monotonic()
    assert speaker.ask("POST", "/api/v1/uploads", clip.headers()).status_code == 201
    assert time.monotonic() - begun < 10
    for connection in stalled:
        connection.close()


def test_the_same_close_from_many_at_once_happens_once(shared, make):
    speaker, clip = shared.join(), make.clip(make.file(make.samples(21)))
    location = speaker.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
    answers: list[int] = []

    def send() -> None:
        answer = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data)
        answers.append(answer.status_code)

    senders = [threading.Thread(target=send) for _ in range(6)]
    for sender in senders:
        sender.start()
    for sender in senders:
        sender.join()
    assert answers.count(204) >= 1 and set(answers) <= {204, 409}
    found = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").json()
    assert found["state"] == "accepted"
    assert speaker.ask("GET", "/api/v1/me/statement").json()["accepted"] == 1  # this speaker's only clip


def test_several_processes_serve_one_store(make, tmp_path):
    server = make.server(tmp_path / "data", words=("--workers", "2")).start()
    try:
        server.command(
            "project", "create", "tales", "--title", "T", "--language", "nan", "--orthography", "nan-Hant"
        )
        speaker = server.join()
        clips = [make.clip(make.file(make.samples(n, seconds=2.5))) for n in range(1, 7)]
        sizes = set()
        for clip in clips:
            location = speaker.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
            half = len(clip.data) // 2
            for a, b in ((0, half), (half, len(clip.data))):
                answer = speaker.ask("PATCH", location, make.patch_headers(a), data=clip.data[a:b])
                assert answer.status_code == 204
            found = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").json()
            sizes.add(holds(found["receipt"]).size)
        assert sizes == set(range(1, 7))
    finally:
        assert server.stop() == 0


def test_a_second_server_on_one_folder_refuses_to_start(shared):
    second = subprocess.run(
        [sys.executable, "-m", "xiangyin", "serve", "--data", str(shared.data), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 2
    assert second.stderr.startswith("SERVER_RUNNING: ")


def test_a_port_that_is_taken_is_said_in_one_line(shared, tmp_path):
    second = subprocess.run(
        [
            sys.executable,
            "-m",
            "xiangyin",
            "serve",
            "--data",
            str(tmp_path / "b"),
            "--port",
            str(shared.port),
        ],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert second.returncode == 2
    assert second.stderr.startswith("ADDRESS_IN_USE: ") and second.stderr.count("\n") == 1


def test_a_server_ends_cleanly_while_uploads_are_under_way(serving, make):
    speaker, clip = serving.join(), make.clip()
    location = speaker.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
    speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data[:1000])
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(timeout=15) == 0
    serving.start()
    assert speaker.ask("HEAD", location, {"Tus-Resumable": "1.0.0"}).headers["Upload-Offset"] == "1000"


def test_the_operators_link_is_printed_once_and_signs_in(serving):
    (line,) = [line for line in serving.told if "sign-in" in line]
    link = line.rpartition(" ")[2]
    page = requests.get(link, timeout=30)
    assert page.status_code == 200
    serving.stop()
    serving.told.clear()
    serving.start()
    assert not [line for line in serving.told if "sign-in" in line]
    assert [line for line in serving.told if line.startswith("Ready at http://")]


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda data: (data / "xiangyin.sqlite").write_bytes(b"not a database" * 1000), "DATABASE_UNUSABLE"),
        (lambda data: (data / "keys" / "ledger.pem").chmod(0o644), "KEY_UNSAFE"),
        (lambda data: (data / "keys" / "secret").write_text("short"), "KEY_UNSAFE"),
        (lambda data: (data / "xiangyin.toml").write_text("threads = 'many'"), "SETTING_INVALID"),
        (lambda data: (data / "xiangyin.toml").write_text("trusted_proxy = 'proxy'"), "SETTING_INVALID"),
    ],
    ids=["corrupt database", "readable key", "weak secret", "bad setting", "a proxy's name"],
)
def test_what_is_wrong_at_the_start_is_one_line_with_a_code(serving, spoil, code):
    serving.stop()
    for path in serving.data.glob("xiangyin.sqlite-*"):
        path.unlink()
    spoil(serving.data)
    again = subprocess.run(
        [sys.executable, "-m", "xiangyin", "serve", "--data", str(serving.data), "--port", "0"],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert again.returncode == 2
    assert again.stderr.startswith(f"{code}: ") and again.stderr.count("\n") == 1, again.stderr


def test_a_full_disk_at_the_start_is_said_and_leaves_nothing_broken(tmp_path, make):
    """A limit on file size stands for the full disk: no write beyond it succeeds."""
    small = f"ulimit -f 8; exec {sys.executable} -m xiangyin serve --data {tmp_path / 'data'} --port 0"
    done = subprocess.run(["bash", "-c", small], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr.startswith(("DISK_FULL: ", "STORE_SUSPECT: ")), done.stderr
    server = make.server(tmp_path / "data").start()
    assert server.stop() == 0
