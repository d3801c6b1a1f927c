"""An object store that is slow, loses its answer, or did not keep what it said: no receipt rests on it."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests

from corpus.settings import load
from corpus.store import name_of, open_store

pytestmark = [pytest.mark.s3, pytest.mark.xdist_group("s3")]


@pytest.fixture
def settings(object_server, tmp_path, monkeypatch):
    for name, value in {**object_server.environ(), "XIANGYIN_DISK_RESERVE_BYTES": "0"}.items():
        monkeypatch.setenv(name, value)
    return load(os.environ, tmp_path / "data")


def through(site, port: int):
    """Let the intake reach its store by another port; the store that it had."""
    environ = {**os.environ, "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{port}"}
    had = site.intake.store
    object.__setattr__(site.intake, "store", open_store(load(environ, site.settings.data)))
    return had


def puts(clip) -> bytes:
    return f"/{name_of(clip.sha256)} ".encode()


def test_the_answer_to_the_speaker_waits_for_the_stores_answer(site, speaker, make, wire, object_server):
    """The object is there already, but nobody has said so: until then there is no clip and no receipt."""
    clip, asked, answered, told = make.clip(make.file(make.samples(1))), *(threading.Event() for _ in "123")

    def pass_on(data: bytes) -> bytes:
        if data.startswith(b"PUT ") and puts(clip) in data:
            asked.set()
        return data

    def hold_back(data: bytes) -> bytes:
        if asked.is_set():
            told.set()
            answered.wait(20)
        return data

    good = through(site, wire(object_server.port, pass_on, answer=hold_back))
    location = speaker.create(clip).headers["Location"]
    statuses: list[int] = []
    sending = threading.Thread(
        target=lambda: statuses.append(speaker.patch(location, 0, clip.data).status_code)
    )
    sending.start()
    assert told.wait(20) and clip.sha256 in good
    asking = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}")
    assert statuses == [] and (asking.status_code, asking.get_json()["code"]) == (503, "CLIP_BEING_CHECKED")
    answered.set()
    sending.join()
    assert statuses == [204]
    assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").get_json()["state"] == "accepted"


def test_an_answer_that_is_lost_after_the_object_was_kept_costs_nothing(
    site, speaker, make, wire, object_server
):
    """The request is made again and finds its own object, whole."""
    clip, asked, lost = make.clip(make.file(make.samples(2))), threading.Event(), threading.Event()

    def pass_on(data: bytes) -> bytes:
        if data.startswith(b"PUT ") and puts(clip) in data:
            asked.set()
        return data

    def lose(data: bytes) -> bytes | None:
        if asked.is_set() and not lost.is_set():
            lost.set()
            return None
        return data

    good = through(site, wire(object_server.port, pass_on, answer=lose))
    assert speaker.send(clip)["state"] == "accepted" and lost.is_set()
    assert list(good) == [clip.sha256] and good.open(clip.sha256).read() == clip.data


@pytest.mark.parametrize("kept", [None, 0, 1000], ids=["nothing", "no bytes", "a part"])
def test_a_store_that_says_200_and_did_not_keep_it_is_not_believed(site, speaker, make, kept):
    class Lying(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(200, 0)

        def do_HEAD(self) -> None:
            self.answer(404 if kept is None else 200, kept or 0)

        def answer(self, status: int, size_bytes: int) -> None:
            self.send_response(status)
            self.send_header("ETag", '"0"')
            self.send_header("Last-Modified", "Sat, 31 Jan 2026 08:00:00 GMT")
            self.send_header("Content-Length", str(size_bytes))
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    lying = ThreadingHTTPServer(("127.0.0.1", 0), Lying)
    threading.Thread(target=lying.serve_forever, daemon=True).start()
    clip = make.clip(make.file(make.samples(3)))
    try:
        good = through(site, lying.server_port)
        location = speaker.create(clip).headers["Location"]
        answer = speaker.patch(location, 0, clip.data)
        assert (answer.status_code, answer.get_json()["code"]) == (503, "STORE_UNREACHABLE")
        assert answer.headers["Retry-After"]
    finally:
        lying.shutdown()
        lying.server_close()
    object.__setattr__(site.intake, "store", good)
    assert speaker.head(location) == len(clip.data)  # its bytes were kept, and asking closes it
    assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio").data == clip.data


def test_an_object_that_rotted_is_mended_by_the_same_clip_of_another(site, speaker, join, make):
    import obstore

    clip = make.clip(make.file(make.samples(4)))
    assert speaker.send(clip)["state"] == "accepted"
    obstore.put(site.store._client, name_of(clip.sha256), clip.data[:-1] + b"?")
    other = make.clip(clip.data)
    join("speaker").send(other)
    assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio").data == clip.data


def test_a_store_that_takes_its_time_with_one_clip_holds_up_no_other(object_server, wire, tmp_path, make):
    slow, asked, free = make.clip(make.file(make.samples(5))), threading.Event(), threading.Event()

    def hold(data: bytes) -> bytes:
        if data.startswith(b"PUT ") and puts(slow) in data:
            asked.set()
            free.wait(25)
        return data

    port = wire(object_server.port, hold)
    environ = object_server.environ(AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{port}")
    server = make.server(tmp_path / "data", environ).start()
    try:
        server.command(
            "project", "create", make.project.id, "--title", "T", "--language", "nan-Hant-TW",
            "--orthography", "nan-Hant",
        )  # fmt: skip
        speaker, other = server.join(), server.join()
        answers: list[int] = []

        def send(who, clip) -> int:
            location = who.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
            return who.ask("PATCH", location, make.patch_headers(0), data=clip.data).status_code

        sending = threading.Thread(target=lambda: answers.append(send(speaker, slow)))
        sending.start()
        assert asked.wait(20)
        for path in ("/healthz", "/readyz"):
            assert requests.get(server.url + path, timeout=10).status_code == 200
        for seed in (6, 7):
            assert send(other, make.clip(make.file(make.samples(seed)))) == 204
        assert answers == []
        free.set()
        sending.join()
        assert answers == [204]
    finally:
        free.set()
        assert server.stop() == 0
