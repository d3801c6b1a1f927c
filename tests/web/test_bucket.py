"""A server whose blobs lie in a bucket: everything that works on a folder works there."""

from __future__ import annotations

import itertools
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import requests
import waitress.server
import waitress.wasyncore
from click.testing import CliRunner
from flask import Flask

import xiangyin
from corpus import erasure, withdrawal
from corpus.database import reading
from corpus.settings import load
from corpus.store import name_of, open_store
from protocol.errors import CodedError
from web import sounds

pytestmark = [pytest.mark.s3, pytest.mark.xdist_group("s3")]
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def settings(object_server, tmp_path, monkeypatch):
    """As the environment has it, for the server and for commands beside it."""
    for name, value in {**object_server.environ(), "XIANGYIN_DISK_RESERVE_BYTES": "0"}.items():
        monkeypatch.setenv(name, value)
    return load(os.environ, tmp_path / "data")


@pytest.fixture
def run(settings):
    def call(*words: str, data=None):
        words = (*words, "--data", str(data or settings.data), "--format", "json")
        done = CliRunner().invoke(xiangyin.cli, words)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done.exit_code, [json.loads(line) for line in done.stdout.splitlines()]

    return call


@pytest.fixture
def away(settings):
    """The same store with nobody at its address."""
    environ = {**os.environ, "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    return open_store(load(environ, settings.data))


@pytest.fixture
def sent(speaker, make):
    """Two accepted clips and a refused one."""
    clips = [make.clip(make.file(make.samples(n))) for n in (1, 2)] + [make.clip(b"no sound at all")]
    found = [speaker.send(clip) for clip in clips]
    assert [one["state"] for one in found] == ["accepted", "accepted", "refused"]
    return clips


def overwrite(store, digest, data: bytes) -> None:
    import obstore

    obstore.put(store._client, name_of(digest), data)


def test_clips_lie_in_the_bucket_and_nowhere_on_the_disk(sent, site, settings):
    assert sorted(site.store) == sorted(clip.sha256 for clip in sent)
    left = [path.relative_to(settings.data).as_posix() for path in settings.data.rglob("*") if path.is_file()]
    assert not [name for name in left if "blob" in name or name.startswith("uploads/")]


def test_the_sound_is_heard_whole_and_by_ranges(sent, speaker):
    """What a player asks for when somebody seeks: the right bytes, or a plain refusal."""
    clip, path = sent[0], f"/api/v1/clips/{sent[0].clip_id}/audio"
    whole = speaker.ask("GET", path)
    assert whole.data == clip.data and whole.content_length == len(clip.data)
    assert whole.headers["ETag"] == f'"{clip.sha256}"' and whole.mimetype == "audio/flac"
    for asked, start, stop in (("0-", 0, None), ("5-9", 5, 10), ("-7", len(clip.data) - 7, None)):
        part = speaker.ask("GET", path, {"Range": f"bytes={asked}"})
        assert part.status_code == 206 and part.data == clip.data[start:stop]
    assert speaker.ask("GET", path, {"Range": f"bytes={len(clip.data)}-"}).status_code == 416
    assert speaker.ask("GET", path, {"If-None-Match": f'"{clip.sha256}"'}).status_code == 304
    assert speaker.ask("HEAD", path).content_length == len(clip.data)
    assert len(speaker.ask("GET", path.replace("audio", "peaks")).get_json()["peaks"]) == 800


def test_a_check_names_the_damage_and_a_repair_brings_it_back(sent, site, run, tmp_path, settings):
    assert run("backup", str(tmp_path / "copy"))[1][0]["blobs"] == 3
    assert run("fsck") == (0, [{"problems": 0}])
    first, second = sent[0].sha256, sent[1].sha256
    overwrite(site.store, first, b"damaged")
    site.store.erase(second)
    nobodys = site.store.put_bytes(b"nobody's")
    import obstore

    obstore.put(site.store._client, "notes.txt", b"whose?")
    status, rows = run("fsck")
    found = {(row["code"], row["name"]) for row in rows[:-1] if row["code"] != "BLOB_SIZE"}
    assert status == 1 and found == {
        ("BLOB_DAMAGED", first),
        ("BLOB_MISSING", second),
        ("BLOB_UNNAMED", nobodys),
        ("FILE_STRAY", f"{site.store.where}/notes.txt"),
    }
    assert run("fsck") == (status, rows)  # looking changed nothing
    run("fsck", "--repair", "--from", str(tmp_path / "copy"))
    assert run("fsck") == (0, [{"problems": 0}])
    kept = sorted(path.read_bytes() for path in (settings.data / "quarantine").iterdir())
    assert kept == [b"damaged", b"nobody's", b"whose?"]  # nothing was deleted
    assert site.store.open(first).read() == sent[0].data


def test_a_backup_comes_back_into_another_bucket(sent, run, tmp_path, monkeypatch, object_server):
    run("backup", str(tmp_path / "copy"))
    monkeypatch.setenv("XIANGYIN_STORE_URL", object_server.environ()["XIANGYIN_STORE_URL"])
    assert run("fsck")[1][-1]["problems"] == 3  # the new prefix holds nothing
    assert run("restore", str(tmp_path / "copy"), data=tmp_path / "again")[1][0]["blobs"] == 3
    assert run("fsck", data=tmp_path / "again") == (0, [{"problems": 0}])


def test_a_withdrawn_voice_is_gone_from_the_bucket(sent, site, speaker, run):
    path = f"/api/v1/clips/{sent[0].clip_id}"
    assert speaker.ask("DELETE", path).status_code == 200
    assert sent[0].sha256 not in site.store and sent[1].sha256 in site.store
    assert speaker.ask("GET", f"{path}/audio").status_code == 404
    assert run("withdraw", "--session", "s1")[0] == 0
    assert list(site.store) == [] and run("fsck") == (0, [{"problems": 0}])


def test_history_is_measured_anew(sent, run):
    status, rows = run("remeasure")
    assert status == 0 and [row["changed"] for row in rows] == [False, False]


def test_the_doctor_and_readiness_look_at_the_store(site, app, run, monkeypatch):
    client = app.test_client()
    assert client.get("/readyz").get_json()["store"] == "ok"
    (line,) = [row for row in run("doctor")[1] if row["part"] == "store"]
    assert line["ok"] and site.store.where in line["says"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "guessed")
    (line,) = [row for row in run("doctor")[1] if row["part"] == "store"]
    assert not line["ok"] and "STORE_REFUSED" in line["says"]


def test_a_server_whose_store_is_away_is_not_ready_and_tells_uploaders_to_wait(
    site, app, speaker, make, away
):
    """503 with Retry-After, the bytes kept: when the store is back, asking is enough for the receipt."""
    good, clip = site.store, make.clip(make.file(make.samples(5)))
    location = speaker.create(clip).headers["Location"]
    object.__setattr__(site.intake, "store", away)
    object.__setattr__(site, "store", away)
    assert app.test_client().get("/readyz").status_code == 503
    answer = speaker.patch(location, 0, clip.data)
    assert answer.status_code == 503 and int(answer.headers["Retry-After"]) > 0
    assert answer.get_json()["code"] == "STORE_UNREACHABLE"
    assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").status_code == 503
    object.__setattr__(site.intake, "store", good)
    assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").get_json()["state"] == "accepted"
    assert speaker.head(location) == len(clip.data) and clip.sha256 in good


def test_a_voice_is_withdrawn_at_once_and_erased_as_soon_as_the_store_answers(sent, site, speaker, away):
    """Nobody hears it from the first try on, and the answer does not say that it is gone before it is."""
    path, good = f"/api/v1/clips/{sent[0].clip_id}", site.store
    object.__setattr__(site.custody.shelf, "store", away)
    assert speaker.ask("DELETE", path).status_code == 503
    assert speaker.ask("GET", f"{path}/audio").status_code == 404
    object.__setattr__(site.custody.shelf, "store", good)
    assert sent[0].sha256 in good
    assert speaker.ask("DELETE", path).status_code == 200
    assert sent[0].sha256 not in good


def test_the_server_erases_by_itself_when_the_store_is_back(sent, site, speaker, app, run, object_server):
    """The store's process ends and starts again; meanwhile the wait grows, and everybody is told."""
    clip, now_ms = sent[0], site.clock_ms()

    def figures() -> dict[str, float]:
        text = app.test_client().get("/metrics").text
        return {k: float(v) for k, v in re.findall(r"^(\S*(?:erasure)\S*) (\S+)$", text, re.MULTILINE)}

    def at(minutes: float):
        return replace(site.custody, clock_ms=lambda: now_ms + int(60_000 * minutes))

    def waits() -> erasure.Waiting:
        with reading(site.engine) as db:
            (one,) = erasure.waiting(db)
        return one

    object_server.kill()
    try:
        assert speaker.ask("DELETE", f"/api/v1/clips/{clip.clip_id}").status_code == 503
        assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio").status_code == 404
        assert waits().tries == 1 and waits().problem == "STORE_UNREACHABLE"
        assert withdrawal.sweep(at(0.5)) == 0 and waits().tries == 1  # not yet again
        for tries, minutes in ((2, 1.1), (3, 4)):
            with pytest.raises(CodedError):
                withdrawal.sweep(at(minutes))
            assert waits().tries == tries
        assert figures()["xiangyin_erasures_waiting"] == 1
    finally:
        object_server.start()
    assert clip.sha256 in site.store
    _, rows = run("fsck", "--only", "blobs")
    (told,) = [row for row in rows if row.get("code") == "BLOB_OF_WITHDRAWN"]
    assert told["name"] == clip.sha256 and "STORE_UNREACHABLE" in told["problem"]
    assert withdrawal.sweep(at(70)) == 1  # within an hour of the last try
    assert clip.sha256 not in site.store
    assert figures()["xiangyin_erasures_waiting"] == 0
    assert run("fsck") == (0, [{"problems": 0}])
    assert withdrawal.sweep(at(200)) == 0


def test_a_store_that_is_slow_to_give_a_sound_holds_up_nobody_else(object_server, wire, tmp_path):
    """waitress reads an open file on in the thread of all connections; a distant one must not be."""
    held, asked, count = threading.Event(), threading.Event(), itertools.count(1)

    def slowly(data: bytes) -> bytes:
        if data.startswith(b"GET ") and next(count) == 10:  # by then far more was sent than sockets hold
            asked.set()
            held.wait(30)
        return data

    port = wire(object_server.port, slowly)
    environ = object_server.environ(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{port}")
    store, data = open_store(load(environ, tmp_path)), os.urandom(16 << 20)
    kept = store.put_bytes(data)
    app = Flask("sounds")
    app.add_url_rule("/sound", view_func=lambda: sounds.reply(store, kept, "x.flac", caching="no-store"))
    app.add_url_rule("/other", "other", view_func=lambda: "ok")
    server = waitress.server.create_server(app, host="127.0.0.1", port=0, threads=2)
    address = f"127.0.0.1:{server.effective_port}"
    threading.Thread(target=server.run, daemon=True).start()
    with socket.create_connection(("127.0.0.1", server.effective_port)) as hearing:
        hearing.sendall(f"GET /sound HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n".encode())
        time.sleep(1)  # until the sockets are full, and what waits to be sent waits for this one
        heard = hearing.makefile("rb")
        with ThreadPoolExecutor(1) as pool:
            rest = pool.submit(heard.read)
            assert asked.wait(30)
            try:
                assert requests.get(f"http://{address}/other", timeout=10).text == "ok"
            finally:
                held.set()
            assert rest.result().endswith(data)
    everything = server._map  # closed in the loop's own thread: under its select it would be an error there
    server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(everything, ignore_all=True))


def prepare(server, make) -> None:
    server.command(
        "project", "create", make.project.id, "--title", "T", "--language", "nan-Hant-TW",
        "--orthography", "nan-Hant",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"XIANGYIN_STORE_URL": "s3://no-such-bucket/x"}, "NoSuchBucket"),
        ({"AWS_SECRET_ACCESS_KEY": "guessed"}, "SignatureDoesNotMatch"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}, "NoConnection"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "AWS_SECRET_ACCESS_KEY"),
        ({"XIANGYIN_STORE_URL": "s3://versioned/x"}, "keeps old versions"),
    ],
    ids=["bucket", "secret", "endpoint", "no secret", "versions"],
)
def test_a_server_does_not_start_on_a_store_that_is_wrong(object_server, tmp_path, wrong, says):
    """One line and status 2 at once, not the first speaker's upload, tell of a mistyped variable."""
    words = ("serve", "--data", str(tmp_path / "data"), "--port", "0")
    done = subprocess.run(
        [sys.executable, "-m", "xiangyin", *words],
        capture_output=True, text=True, cwd=ROOT, timeout=60,
        env={**os.environ, **object_server.environ(), **wrong},
    )  # fmt: skip
    assert done.returncode == 2 and "Ready" not in done.stdout
    assert says in done.stderr and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "words", [("--workers", "2"), ("--server", "granian", "--workers", "2")], ids=" ".join
)
def test_processes_of_one_server_all_reach_the_store(object_server, tmp_path, make, words):
    """The store's client does not live through a fork, so that none may be used before."""
    if "granian" in words:
        pytest.importorskip("granian")
    server = make.server(tmp_path / "data", object_server.environ(), words).start()
    try:
        prepare(server, make)
        speaker = server.join()
        for seed in range(6):
            clip = make.clip(make.file(make.samples(seed)))
            location = speaker.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
            answer = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data)
            assert answer.status_code == 204, answer.text
            found = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio")
            assert found.content == clip.data
    finally:
        server.stop()
