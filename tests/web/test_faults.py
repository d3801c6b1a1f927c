"""Broken wires, clients that stall, kills and refused writes at chosen system calls, on both servers."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests
import rfc8785

from corpus.keys import verify_ed25519
from protocol import tlog
from protocol.clip import Receipt

ROOT = Path(__file__).resolve().parents[2]
FLIPS = int(os.environ.get("XIANGYIN_FLIPS", "30"))  # a campaign asks for 100 and more
LOCK_S = float(os.environ.get("XIANGYIN_LOCK_S", "12"))  # and for 30: longer than a request waits
CORE = {"Tus-Resumable": "1.0.0"}


def prepared(server):
    server.start()
    server.command(
        "project", "create", "tales", "--title", "T", "--language", "nan-Hant-TW", "--orthography", "nan-Hant"
    )
    return server


@contextlib.contextmanager
def ending(server):
    try:
        yield server
    finally:
        if server.process.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.stop()
            server.process.kill()


@pytest.fixture(
    scope="module",
    params=[pytest.param(kind, marks=pytest.mark.xdist_group(kind)) for kind in ("waitress", "granian")],
)
def either(request, tmp_path_factory, server_class):
    """Each of the two servers, alive."""
    if request.param == "granian":
        pytest.importorskip("granian")
    data = tmp_path_factory.mktemp(request.param) / "data"
    with ending(prepared(server_class(data, words=("--server", request.param)))) as server:
        yield server


@pytest.fixture
def alone(tmp_path, server_class):
    """A server of the test's own, to be killed and starved."""
    with ending(prepared(server_class(tmp_path / "data"))) as server:
        yield server


def begin(speaker, clip) -> str:
    answer = speaker.ask("POST", "/api/v1/uploads", clip.headers())
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"]


def offset(speaker, location: str) -> int:
    return int(speaker.ask("HEAD", location, CORE).headers["Upload-Offset"])


def decided(speaker, clip, make) -> None:
    """The clip was heard and decided on, whole, with a receipt that holds."""

    def look():
        answer = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}")
        return answer.json() if answer.status_code == 200 else None

    found = make.wait_until(look)
    assert found["state"] in ("accepted", "refused") and found["measurement"] is not None, found
    assert found["receipt"]["details"]["sha256"] == clip.sha256
    tlog.check_receipt(
        Receipt.from_json(found["receipt"]), verify_ed25519=verify_ed25519, canonical=rfc8785.dumps
    )


def raw_patch(speaker, location: str, at: int, size: int, **changes: str) -> bytes:
    headers = {
        "Host": "x",
        **speaker.headers,
        **CORE,
        "Upload-Offset": str(at),
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(size),
        **changes,
    }
    path = re.sub(r"^https?://[^/]+", "", location)
    return "\r\n".join(
        [f"PATCH {path} HTTP/1.1", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    ).encode()


def read_answer(stream) -> tuple[int, dict[str, str]]:
    status = int(stream.readline().split()[1])
    headers = {}
    while line := stream.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    stream.read(int(headers.get("content-length", "0")))
    return status, headers


class Wire:
    """A relay to a server that changes what passes upstream: `spoil` gets each piece and its place."""

    def __init__(self, port: int, spoil, delay_s: float = 0.0) -> None:
        self._target, self._spoil, self._delay_s = port, spoil, delay_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target))
                threading.Thread(target=self._relay, args=(near, far, self._spoil), daemon=True).start()
                threading.Thread(target=self._relay, args=(far, near, None), daemon=True).start()

    def _relay(self, source: socket.socket, sink: socket.socket, spoil) -> None:
        place = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65_536):
                time.sleep(self._delay_s)
                for piece in spoil(data, place) if spoil else [data]:
                    sink.sendall(piece)
                place += len(data)
            sink.shutdown(socket.SHUT_WR)


# --- the wire ---------------------------------------------------------------------------------------


def test_a_bit_flipped_anywhere_in_a_piece_is_always_seen(either, make):
    """By the piece's checksum where it has one, by the whole file's digest where it has none."""
    rng = random.Random(5)
    speaker, clip = either.join(), make.clip(make.file(make.samples(30, seconds=2.5)))
    location = begin(speaker, clip)
    head, tail = clip.data[:4000], clip.data[4000:]
    assert speaker.ask("PATCH", location, make.patch_headers(0), data=head).status_code == 204

    def flip(data: bytes, _place: int) -> list[bytes]:
        start = data.find(b"\r\n\r\n") + 4 if data.startswith(b"PATCH") else 0
        if start >= len(data):
            return [data]
        spoiled = bytearray(data)
        spoiled[rng.randrange(start, len(data))] ^= 1 << rng.randrange(8)
        return [bytes(spoiled)]

    wire = Wire(either.port, flip)
    refused = 0
    try:
        for trial in range(FLIPS):
            headers = make.patch_headers(4000)
            if trial % 10:
                headers["Upload-Checksum"] = make.checksum(tail, "sha1" if trial % 2 else "sha256")
            path = re.sub(r"^https?://[^/]+", "", location)
            answer = speaker.ask("PATCH", wire.url + path, headers, data=tail)
            assert answer.status_code == (460 if trial % 10 else 422), answer.text
            refused += 1
            if offset(speaker, location) == 0:  # the whole was wrong, so it begins anew
                assert speaker.ask("PATCH", location, make.patch_headers(0), data=head).status_code == 204
    finally:
        wire.close()
    assert refused == FLIPS
    assert speaker.ask("PATCH", location, make.patch_headers(4000), data=tail).status_code == 204
    decided(speaker, clip, make)


def test_pieces_of_ten_bytes_on_a_slow_wire_arrive(either, make):
    speaker, clip = either.join(), make.clip(make.file(make.samples(31, seconds=2.5)))
    location = begin(speaker, clip)
    path = re.sub(r"^https?://[^/]+", "", location)
    wire = Wire(either.port, lambda data, _: [data[i : i + 10] for i in range(0, len(data), 10)], 0.2)
    try:
        answer = speaker.ask("PATCH", wire.url + path, make.patch_headers(0), data=clip.data[:20_000])
        assert answer.status_code == 204
    finally:
        wire.close()
    at = 20_000
    for at in range(20_000, 20_500, 10):  # and as ten bytes a request
        piece = clip.data[at : at + 10]
        assert speaker.ask("PATCH", location, make.patch_headers(at), data=piece).status_code == 204
    rest = clip.data[at + 10 :]
    assert speaker.ask("PATCH", location, make.patch_headers(at + 10), data=rest).status_code == 204
    decided(speaker, clip, make)


def test_a_lost_answer_costs_nothing(either, make):
    """The client never hears that its piece arrived, asks, and goes on; a repeat adds nothing."""
    speaker, clip = either.join(), make.clip(make.file(make.samples(32, seconds=2.5)))
    location = begin(speaker, clip)
    half = len(clip.data) // 2
    with socket.create_connection(("127.0.0.1", either.port)) as connection:
        connection.sendall(raw_patch(speaker, location, 0, half) + clip.data[:half])
        make.wait_until(lambda: True if offset(speaker, location) == half else None)
    again = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data[:half])
    assert (again.status_code, again.headers["Upload-Offset"]) == (409, str(half))
    for _ in range(2):
        last = speaker.ask("PATCH", location, make.patch_headers(half), data=clip.data[half:])
    assert last.status_code in (204, 409)
    decided(speaker, clip, make)


def test_the_newest_request_wins_over_one_that_stalls(either, make):
    speaker, clip = either.join(), make.clip(make.file(make.samples(33, seconds=2.5)))
    location = begin(speaker, clip)
    with socket.create_connection(("127.0.0.1", either.port)) as stalled:
        stalled.sendall(raw_patch(speaker, location, 0, len(clip.data)) + clip.data[:9000])
        time.sleep(0.2)
        assert speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data[:5000]).status_code == 204
        stalled.sendall(clip.data[9000:])  # too late: its place was taken
        status, headers = read_answer(stalled.makefile("rb"))
        assert (status, headers["upload-offset"]) == (409, "5000")
    rest = clip.data[5000:]
    assert speaker.ask("PATCH", location, make.patch_headers(5000), data=rest).status_code == 204
    decided(speaker, clip, make)


def test_an_early_refusal_leaves_the_connection_in_step_or_says_that_it_closes(either, make):
    """A body that nobody read must never be taken for the next request."""
    speaker, clip = either.join(), make.clip(make.file(make.samples(34, seconds=2.5)))
    location = begin(speaker, clip)
    body = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 20_000
    for changes, wanted in (
        ({"Content-Type": "text/plain"}, {415}),
        ({"Tus-Resumable": "0.2.2"}, {412}),
        ({"Authorization": "Bearer no"}, {401}),
        ({"Upload-Offset": "77"}, {409}),
    ):
        with socket.create_connection(("127.0.0.1", either.port), timeout=20) as connection:
            stream = connection.makefile("rb")
            with contextlib.suppress(ConnectionError):  # closed in the middle of the body: it may
                connection.sendall(raw_patch(speaker, location, 0, len(body), **changes) + body)
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                status, headers = read_answer(stream)
            except ConnectionError:
                continue
            assert status in wanted
            if headers.get("connection", "").lower() != "close":
                try:
                    following = stream.readline()
                except ConnectionError:
                    following = b""
                assert following == b"" or following.split()[1] == b"200"
    assert offset(speaker, location) == 0


def test_forty_stalled_uploads_and_thirty_half_open_requests_hold_up_nobody(either, make):
    speaker, other = either.join(), either.join()
    stalled = []
    clip = make.clip(make.file(make.samples(35, seconds=2.5)))
    for number in range(40):
        location = begin(speaker, make.clip(bytes([number]) * 9_000))
        connection = socket.create_connection(("127.0.0.1", either.port))
        connection.sendall(raw_patch(speaker, location, 0, 9_000) + b"slow")
        stalled.append(connection)
    for _ in range(30):
        connection = socket.create_connection(("127.0.0.1", either.port))
        connection.sendall(b"POST /api/v1/uploads HTTP/1.1\r\nHost: x\r\nUpload-Le")
        stalled.append(connection)
    took = []
    for _ in range(40):
        start = time.monotonic()
        assert other.ask("GET", "/api/v1/project").status_code == 200
        took.append(time.monotonic() - start)
    location = begin(other, clip)
    assert other.ask("PATCH", location, make.patch_headers(0), data=clip.data).status_code == 204
    decided(other, clip, make)
    for connection in stalled:
        connection.close()
    assert sorted(took)[37] < 1.0


def test_creations_of_one_clip_at_once_are_one_upload(either, make):
    speaker, clip = either.join(), make.clip(make.file(make.samples(36, seconds=2.5)))
    places: list[str] = []
    callers = [threading.Thread(target=lambda: places.append(begin(speaker, clip))) for _ in range(12)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert len(places) == 12 and len(set(places)) == 1


def test_a_connection_is_kept_between_pieces(either, make):
    """Else each piece costs a new connection, and over 800 ms of latency two round trips more."""
    speaker, clip = either.join(), make.clip(make.file(make.samples(37, seconds=2.5)))
    location = begin(speaker, clip)
    with socket.create_connection(("127.0.0.1", either.port), timeout=20) as connection:
        stream = connection.makefile("rb")
        for at in range(0, 3000, 1000):
            connection.sendall(raw_patch(speaker, location, at, 1000) + clip.data[at : at + 1000])
            status, headers = read_answer(stream)
            assert (status, headers["upload-offset"]) == (204, str(at + 1000))
            assert "content-length" not in headers and headers.get("connection", "") != "close"


# --- a third-party client ---------------------------------------------------------------------------


@pytest.mark.node
def test_tus_js_client_uploads_is_cut_off_and_resumes(either, make, tmp_path):
    node, clients = shutil.which("node"), ROOT / "tools" / "clients"
    clients = Path(os.environ.get("XIANGYIN_CLIENTS") or clients)
    if node is None or not (clients / "node_modules" / "tus-js-client").is_dir():
        pytest.skip("tus-js-client is not installed; make it with `make clients` (needs npm)")
    speaker, clip = either.join(), make.clip(make.file(make.samples(38, seconds=6.0), "WAV"))
    path = tmp_path / "take.wav"
    path.write_bytes(clip.data)
    words = [
        node, str(clients / "send.mjs"), f"{either.url}/api/v1/uploads",
        speaker.headers["Authorization"].removeprefix("Bearer "), str(path), "40000",
        json.dumps(clip.pairs()), str(tmp_path / "urls.json"),
    ]  # fmt: skip
    first = subprocess.run([*words, "80000"], capture_output=True, text=True, timeout=60)
    assert first.returncode == 3, first.stderr
    second = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert second.returncode == 0, second.stderr
    assert second.stdout.split("\n")[:2] == ["resuming", "accepted 120000"]
    decided(speaker, clip, make)


# --- kills and refused calls ------------------------------------------------------------------------


@contextlib.contextmanager
def traced(server, *words: str, log: Path | None = None):
    """strace on the running server; skips where that cannot be."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace is not installed")
    out = log or server.data.parent / "strace.log"
    tracer = subprocess.Popen(
        [strace, "-f", "-y", "-q", "-o", str(out), "-p", str(server.process.pid), *words],
        stderr=subprocess.PIPE,
        text=True,
    )
    status = Path(f"/proc/{server.process.pid}/status")
    for _ in range(200):
        if re.search(r"TracerPid:\t[1-9]", status.read_text()):
            break
        if tracer.poll() is not None:
            pytest.skip(f"strace may not trace here: {tracer.stderr.read().strip()[:100]}")
        time.sleep(0.02)
    time.sleep(0.2)  # its threads are attached one by one
    try:
        yield out
    finally:
        tracer.send_signal(signal.SIGINT)
        try:
            tracer.wait(timeout=10)
        except subprocess.TimeoutExpired:  # interrupted while the server dies, it may wait for ever
            tracer.kill()
            tracer.wait()


@pytest.mark.strace
def test_killed_at_each_sync_of_a_close_the_clip_is_there_once(alone, make):
    """Before and after the blob's data, its name and the row: wherever kill -9 falls, nothing is lost."""
    speaker = alone.join()
    survived = 0
    # strace counts each call by itself: data and folder are the first two of one, the row one of the other.
    moments = (("fsync", 1), ("fsync", 2), ("fdatasync", 1), ("fsync", 3), ("fdatasync", 2))
    for seed, (call, number) in enumerate(moments, start=41):
        clip = make.clip(make.file(make.samples(seed, seconds=2.5)))
        location = begin(speaker, clip)
        inject = f"inject={call}:signal=SIGKILL:when={number}"
        with traced(alone, "-e", "trace=fsync,fdatasync", "-e", inject):
            try:
                answer = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data)
                assert answer.status_code == 204
                survived += 1
            except requests.RequestException:
                alone.process.wait(timeout=10)
        if alone.process.poll() is not None:
            alone.start()
        assert offset(speaker, location) == len(clip.data)
        decided(speaker, clip, make)
    assert survived <= 2, "the kills never fell into a close"
    statement = speaker.ask("GET", "/api/v1/me/statement").json()
    assert statement["accepted"] + statement["refused"] == 5
    assert alone.stop() == 0
    assert alone.command("fsck")[-1]["problems"] == 0


@pytest.mark.strace
@pytest.mark.parametrize(
    ("call", "error", "codes"),
    [
        ("pwrite64", "ENOSPC", {"DISK_FULL"}),
        ("write", "ENOSPC", {"DISK_FULL"}),
        ("fsync", "EIO", {"STORE_SUSPECT"}),
        ("fdatasync", "EIO", {"STORE_SUSPECT"}),
    ],
)
def test_a_write_or_sync_that_fails_is_never_acknowledged(alone, make, call, error, codes):
    speaker, clip = alone.join(), make.clip(make.file(make.samples(50, seconds=2.5)))
    location = begin(speaker, clip)
    failed = 0
    path = "blobs" if call in ("write", "fsync") else None
    for number in (1, 2):
        words = ["-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={number}"]
        if path:
            words += [w for p in [alone.data / path] for w in ("-P", str(p))] if call == "fsync" else []
        with traced(alone, *words):
            at = offset(speaker, location)
            answer = speaker.ask("PATCH", location, make.patch_headers(at), data=clip.data[at:])
        if answer.status_code >= 500:
            failed += 1
            assert answer.json()["code"] in codes | {"DISK_FULL", "STORE_SUSPECT", "DATABASE_UNUSABLE"}
            assert offset(speaker, location) in (0, len(clip.data))
    at = offset(speaker, location)
    last = speaker.ask("PATCH", location, make.patch_headers(at), data=clip.data[at:])
    assert last.status_code == 204
    decided(speaker, clip, make)


@pytest.mark.strace
def test_bytes_that_the_disk_did_not_keep_are_asked_for_again(alone, make):
    """A second sync of the same file may succeed although its pages are lost, so what failed is dropped."""
    speaker, clip = alone.join(), make.clip(make.file(make.samples(52, seconds=2.5)))
    location = begin(speaker, clip)
    with traced(alone, "-e", "trace=fsync", "-e", "inject=fsync:error=EIO:when=1") as log:
        answer = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data)
    assert answer.status_code >= 500 and answer.json()["code"] == "STORE_SUSPECT"
    assert re.search(r"fsync\(\d+<[^>]*/uploads/[0-9a-f]{32}\.part>\) *= -1 EIO", log.read_text())
    assert offset(speaker, location) == 0
    assert speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data).status_code == 204
    decided(speaker, clip, make)


@pytest.mark.strace
@pytest.mark.parametrize("error", ["ENOLCK", "EOPNOTSUPP"])
def test_a_lock_that_the_file_system_refuses_ends_the_request_and_nothing_else(alone, make, error):
    """As on a network's file system whose lock server went away: told with a code, not gone on without."""
    speaker, clip = alone.join(), make.clip(make.file(make.samples(53, seconds=2.5)))
    location = begin(speaker, clip)
    half = len(clip.data) // 2
    assert speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data[:half]).status_code == 204
    with traced(alone, "-e", "trace=flock", "-e", f"inject=flock:error={error}"):
        for answer in (
            speaker.ask("PATCH", location, make.patch_headers(half), data=clip.data[half:]),
            speaker.ask("DELETE", location, CORE),
        ):
            assert (answer.status_code, answer.json()["code"]) == (503, "LOCKS_UNUSABLE")
            assert answer.headers["Retry-After"]
    assert offset(speaker, location) == half
    # And at the close itself, whose first lock is of the file and whose second is of the blob.
    with traced(alone, "-e", "trace=flock", "-e", f"inject=flock:error={error}:when=2+"):
        answer = speaker.ask("PATCH", location, make.patch_headers(half), data=clip.data[half:])
    assert answer.status_code in (204, 503), answer.text
    assert offset(speaker, location) == len(clip.data)
    decided(speaker, clip, make)


def ended(words: list[str]) -> tuple[int, str, str]:
    """Status and words of a command that must end; whatever it started ends with it."""
    process = subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True
    )
    try:
        said, problem = process.communicate(timeout=60)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, said, problem


@pytest.mark.strace
@pytest.mark.parametrize("how", ["error=ENOLCK", "error=EOPNOTSUPP", "retval=0"])
def test_a_server_does_not_start_where_files_are_not_locked(tmp_path, how):
    """Refused, or said yes to without effect: two servers would each believe to be alone."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    words = [sys.executable, "-m", "xiangyin", "serve", "--data", str(tmp_path / "data"), "--port", "0"]
    tracer = [
        "strace",
        "-f",
        "-q",
        "-o",
        str(tmp_path / "log"),
        "-e",
        "trace=flock",
        "-e",
        f"inject=flock:{how}",
    ]
    status, said, problem = ended([*tracer, *words])
    if "ptrace" in problem:
        pytest.skip(f"strace may not trace here: {problem.strip()[:100]}")
    assert status == 2 and "Ready" not in said
    assert problem.startswith("LOCKS_UNUSABLE: ") and problem.count("\n") == 1
    words[3] = "doctor"
    _, said, _ = ended([*tracer, *words[:6]])
    assert re.search(r"^NOT +locks +LOCKS_UNUSABLE", said, re.MULTILINE), said


@pytest.mark.strace
def test_killed_between_a_blob_and_its_row_an_ended_upload_leaves_no_sound(alone, make):
    """A WAV is kept as a FLAC whose digest no upload declares; its bytes are lost, as in a power cut."""
    speaker, clip = alone.join(), make.clip(make.file(make.samples(54, seconds=2.5), "WAV"))
    location = begin(speaker, clip)
    blobs = alone.data / "blobs"
    with (
        traced(alone, "-e", "trace=fsync", "-e", "inject=fsync:signal=SIGKILL:when=3"),
        contextlib.suppress(requests.RequestException),
    ):
        try:
            speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data)
        finally:
            alone.process.wait(timeout=10)
    assert [path for path in blobs.rglob("*") if path.is_file()]
    (alone.data / "uploads" / f"{location[-32:]}.part").write_bytes(b"")
    alone.start()
    assert speaker.ask("DELETE", location, CORE).status_code == 204
    make.wait_until(lambda: None if [path for path in blobs.rglob("*") if path.is_file()] else True, 30)
    assert alone.stop() == 0
    assert alone.command("fsck")[-1]["problems"] == 0


@pytest.mark.strace
def test_all_is_synced_before_the_acknowledgement_is_sent(alone, make):
    """Data, name, folder, row, in this order, and only then the answer."""
    speaker, clip = alone.join(), make.clip(make.file(make.samples(60, seconds=2.5)))
    location = begin(speaker, clip)
    calls = "trace=fsync,fdatasync,rename,renameat,renameat2,pwrite64,sendto"
    with traced(alone, "-s", "40", "-e", calls) as log:
        assert speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data).status_code == 204
    lines = log.read_text().splitlines()

    def last(pattern: str) -> int:
        found = [n for n, line in enumerate(lines) if re.search(pattern, line)]
        assert found, pattern
        return found[-1]

    data = last(r"f(data)?sync\(\d+<[^>]*/blobs/\.[0-9a-f]+\.part>")
    name = last(r"rename(at2?)?\(.*\.part")
    folder = last(r"fsync\(\d+<[^>]*/blobs/[0-9a-f]{2}>")
    row_written = last(r"pwrite64\(\d+<[^>]*xiangyin\.sqlite-wal>")
    row_synced = last(r"f(data)?sync\(\d+<[^>]*xiangyin\.sqlite-wal>")
    answered = last(r"sendto\(.*HTTP/1\.1 204")
    assert data < name < folder < row_written < row_synced < answered


@pytest.mark.strace
@pytest.mark.parametrize("form", ["WAV", "FLAC"], ids=["coded anew", "in the store already"])
def test_every_way_into_the_store_is_synced_before_the_answer(alone, make, form):
    """A WAV becomes another file; of bytes that another clip has, the name may not have been synced yet."""
    data = make.file(make.samples(64, seconds=2.5), form)
    if form == "FLAC":
        other, same = alone.join(), make.clip(data)
        assert other.ask("PATCH", begin(other, same), make.patch_headers(0), data=data).status_code == 204
    speaker, clip = alone.join(), make.clip(data)
    location = begin(speaker, clip)
    with traced(alone, "-s", "40", "-e", "trace=fsync,fdatasync,rename,pwrite64,sendto") as log:
        assert speaker.ask("PATCH", location, make.patch_headers(0), data=data).status_code == 204
    lines = log.read_text().splitlines()

    def places(pattern: str) -> list[int]:
        return [n for n, line in enumerate(lines) if re.search(pattern, line)]

    contents, names = places(r"fsync\(\d+<[^>]*/blobs/\.[0-9a-f]+\.part>"), places(r"rename\(.*/blobs/")
    assert (len(contents), len(names)) == ((1, 1) if form == "WAV" else (0, 0))
    order = [*contents, *names, *places(r"fsync\(\d+<[^>]*/blobs/[0-9a-f]{2}>")]
    order += [places(r"pwrite64\(\d+<[^>]*xiangyin\.sqlite-wal>")[-1]]
    order += [places(r"f(?:data)?sync\(\d+<[^>]*xiangyin\.sqlite-wal>")[-1]]
    order += [places(r"sendto\(.*HTTP/1\.1 204")[-1]]
    assert order == sorted(order) and len(order) >= 4
    decided(speaker, clip, make)


def test_an_end_and_a_piece_that_come_while_a_clip_is_closed_change_nothing(alone, make):
    """While the database keeps the close waiting, its upload is busy for everybody else."""
    speaker, clip = alone.join(), make.clip(make.file(make.samples(65, seconds=2.5)))
    location = begin(speaker, clip)
    holder = sqlite3.connect(alone.data / "xiangyin.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    answers: list[int] = []
    sending = threading.Thread(
        target=lambda: answers.append(
            speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data).status_code
        )
    )
    sending.start()
    make.wait_until(lambda: offset(speaker, location) == len(clip.data) or None)
    ended = speaker.ask("DELETE", location, CORE)
    piece = speaker.ask("PATCH", location, make.patch_headers(len(clip.data)), data=b"")
    assert (ended.status_code, ended.json()["code"]) == (409, "UPLOAD_BUSY")
    assert piece.status_code == 409
    holder.execute("ROLLBACK")
    holder.close()
    sending.join()
    assert answers == [204]
    decided(speaker, clip, make)
    assert speaker.ask("DELETE", location, CORE).json()["code"] == "UPLOAD_FINISHED"


@pytest.mark.strace
def test_killed_between_a_withdrawal_and_its_erasure_the_server_erases_when_it_is_back(alone, make):
    """Also while another member has declared the same file: its digest stands in every release's manifest."""
    speaker, clip = alone.join(), make.clip(make.file(make.samples(66, seconds=2.5)))
    place = begin(speaker, clip)
    assert speaker.ask("PATCH", place, make.patch_headers(0), data=clip.data).status_code == 204
    begin(alone.join(), make.clip(clip.data))
    blob = alone.data / "blobs" / clip.sha256[:2] / clip.sha256[2:]
    assert blob.is_file()
    with (
        traced(alone, "-e", "trace=unlink,unlinkat", "-e", "inject=unlink,unlinkat:signal=SIGKILL:when=1"),
        contextlib.suppress(requests.RequestException),
    ):
        try:
            speaker.ask("DELETE", f"/api/v1/clips/{clip.clip_id}")
        finally:
            alone.process.wait(timeout=10)
    alone.start()
    make.wait_until(lambda: True if not blob.exists() else None, 30)
    make.wait_until(
        lambda: True if "erasures_waiting 0" in requests.get(f"{alone.url}/metrics").text else None
    )
    assert alone.stop() == 0
    assert alone.command("fsck")[-1]["problems"] == 0


def test_a_database_locked_by_another_program_is_said_and_passes(alone, make):
    """Reading goes on meanwhile; the bytes of the clip are kept, and it is closed afterwards."""
    speaker, clip = alone.join(), make.clip(make.file(make.samples(61, seconds=2.5)))
    location = begin(speaker, clip)
    half = len(clip.data) // 2
    holder = sqlite3.connect(alone.data / "xiangyin.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    piece = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data[:half])
    assert piece.status_code == 204  # a piece needs no row
    answers: list[requests.Response] = []
    closing = threading.Thread(
        target=lambda: answers.append(
            speaker.ask("PATCH", location, make.patch_headers(half), data=clip.data[half:])
        )
    )
    closing.start()
    assert speaker.ask("GET", "/api/v1/project").status_code == 200
    closing.join()
    assert (answers[0].status_code, answers[0].json()["code"]) == (503, "DATABASE_BUSY")
    assert answers[0].headers["Retry-After"]
    holder.execute("ROLLBACK")
    holder.close()
    assert offset(speaker, location) == len(clip.data)
    decided(speaker, clip, make)


def test_clips_that_come_while_the_database_is_held_for_long_are_all_there_afterwards(alone, make):
    """Several closes wait together, are refused together and lose nothing; asking again is enough."""
    speaker = alone.join()
    sent = [make.clip(make.file(make.samples(90 + n, seconds=2.5))) for n in range(5)]
    places = [begin(speaker, clip) for clip in sent]
    statuses: list[list[int]] = [[] for _ in sent]
    until = time.monotonic() + LOCK_S

    def insist(place: int) -> None:
        clip, said = sent[place], statuses[place]
        said.append(speaker.ask("PATCH", places[place], make.patch_headers(0), data=clip.data).status_code)
        while said[-1] == 503:
            time.sleep(0.5)
            said.append(speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").status_code)

    holder = sqlite3.connect(alone.data / "xiangyin.sqlite", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    clients = [threading.Thread(target=insist, args=(place,)) for place in range(len(sent))]
    for client in clients:
        client.start()
    while time.monotonic() < until:
        assert speaker.ask("GET", "/api/v1/project").status_code == 200  # reading goes on
        time.sleep(0.5)
    holder.execute("ROLLBACK")
    holder.close()
    for client in clients:
        client.join()
    assert all(said[-1] in (200, 204) and set(said[:-1]) <= {503} for said in statuses), statuses
    for clip in sent:
        decided(speaker, clip, make)
    assert alone.stop() == 0
    assert alone.command("fsck")[-1]["problems"] == 0


def test_a_disk_that_is_really_full_gives_507_and_goes_on_when_there_is_room(tmp_path, server_class, make):
    """On a file system of its own, filled to the last byte by somebody else."""
    place = tmp_path / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"may not mount here: {mounted.stderr.strip()[:100]}")
    server = server_class(place / "data", environ={"XIANGYIN_DISK_RESERVE_BYTES": str(1 << 20)})
    try:
        prepared(server)
        speaker, clip = server.join(), make.clip(make.file(make.samples(62, seconds=8.0), "WAV"))
        location = begin(speaker, clip)
        head = clip.data[:50_000]
        assert speaker.ask("PATCH", location, make.patch_headers(0), data=head).status_code == 204
        with (place / "filler").open("wb", buffering=0) as filler, contextlib.suppress(OSError):
            while True:
                filler.write(bytes(4096))
        rest = clip.data[50_000:]
        for _ in range(3):
            full = speaker.ask("PATCH", location, make.patch_headers(50_000), data=rest)
            assert (full.status_code, full.json()["code"]) == (507, "DISK_FULL")
            assert offset(speaker, location) == 50_000
        assert speaker.ask("POST", "/api/v1/uploads", make.clip(b"x").headers()).status_code == 507
        assert speaker.ask("GET", "/api/v1/me/statement").status_code == 200
        (place / "filler").unlink()
        assert speaker.ask("PATCH", location, make.patch_headers(50_000), data=rest).status_code == 204
        decided(speaker, clip, make)
        statuses = set()  # and now until only the reserve is left
        for number in range(60):
            more = make.clip(bytes([number]) * 250_000)
            made = speaker.ask("POST", "/api/v1/uploads", more.headers())
            statuses.add(made.status_code)
            if made.status_code != 201:
                break
            sent = speaker.ask("PATCH", made.headers["Location"], make.patch_headers(0), data=more.data[:-1])
            statuses.add(sent.status_code)
        assert statuses == {201, 204, 507}
        assert shutil.disk_usage(place).free >= 1 << 19  # the database could still grow
        statement = speaker.ask("GET", "/api/v1/me/statement").json()
        assert statement["accepted"] + statement["refused"] == 1
        assert server.stop() == 0
        assert server.command("fsck")[-1]["problems"] == 0
    finally:
        if server.process is not None and server.process.poll() is None:
            server.process.kill()
            server.process.wait()
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_limit_on_file_sizes_is_a_full_disk_too(alone, make):
    if shutil.which("prlimit") is None:
        pytest.skip("prlimit is not installed")
    speaker, clip = alone.join(), make.clip(make.file(make.samples(63, seconds=8.0), "WAV"))
    location = begin(speaker, clip)
    pid = str(alone.process.pid)
    subprocess.run(["prlimit", "--pid", pid, "--fsize=100000:unlimited"], check=True)
    answer = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data)
    assert (answer.status_code, answer.json()["code"]) == (507, "DISK_FULL")
    assert offset(speaker, location) == 0
    subprocess.run(["prlimit", "--pid", pid, "--fsize=unlimited:unlimited"], check=True)
    assert speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data).status_code == 204
    decided(speaker, clip, make)


@pytest.mark.parametrize("kind", ["waitress", "granian"])
def test_asked_to_end_under_load_a_server_ends_in_time_and_loses_nothing(tmp_path, server_class, make, kind):
    if kind == "granian":
        pytest.importorskip("granian")
    with ending(prepared(server_class(tmp_path / "data", words=("--server", kind)))) as server:
        speaker = server.join()
        clips = [make.clip(make.file(make.samples(70 + n, seconds=2.5))) for n in range(6)]
        places = {clip.clip_id: begin(speaker, clip) for clip in clips}
        stalled = socket.create_connection(("127.0.0.1", server.port))
        stalled.sendall(raw_patch(speaker, places[clips[0].clip_id], 0, 9000) + b"slow")
        done: set[str] = set()

        def send(clip) -> None:
            with contextlib.suppress(requests.RequestException):
                headers = make.patch_headers(0)
                if speaker.ask("PATCH", places[clip.clip_id], headers, data=clip.data).status_code == 204:
                    done.add(clip.clip_id)

        senders = [threading.Thread(target=send, args=(clip,)) for clip in clips]
        for sender in senders:
            sender.start()
        time.sleep(0.1)
        assert server.stop() == 0
        for sender in senders:
            sender.join()
        stalled.close()
        server.start()
        for clip in clips:
            if clip.clip_id in done:
                decided(speaker, clip, make)
            else:
                at = offset(speaker, places[clip.clip_id])
                assert at in (0, len(clip.data))
