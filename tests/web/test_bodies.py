"""A body that its route would refuse costs the server neither memory nor disk, whoever sends it."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st

from corpus.capped import CappedBuffer

MB = 1 << 20


@given(st.lists(st.binary(max_size=40)), st.integers(0, 100))
def test_a_buffer_keeps_all_or_nothing_and_counts_everything(pieces, most):
    buffer = CappedBuffer(16, most)
    for piece in pieces:
        buffer.append(piece)
    whole = b"".join(pieces)
    assert len(buffer) == len(whole)
    assert buffer.getfile().read() == (whole if len(whole) <= most else b"")


@pytest.fixture(scope="module", params=["waitress", "granian"])
def either(request, tmp_path_factory, server_class):
    if request.param == "granian":
        pytest.importorskip("granian")
    made = server_class(tmp_path_factory.mktemp("bodies") / "data", words=("--server", request.param)).start()
    made.command(
        "project", "create", "tales", "--title", "T", "--language", "nan", "--orthography", "nan-Hant"
    )
    yield made
    if made.process.poll() is None:
        made.stop()


def processes(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in processes(int(child)))]


def held(pid: int) -> tuple[int, int]:
    """Bytes of memory of its own, and of files without a name, of a server and its processes."""
    memory = disk = 0
    for one in processes(pid):
        found = re.search(r"RssAnon:\s+(\d+)", Path(f"/proc/{one}/status").read_text())
        memory += 1024 * int(found[1]) if found else 0  # none of one that ended
        for descriptor in Path(f"/proc/{one}/fd").iterdir():
            try:
                if "(deleted)" in str(descriptor.readlink()) and "memfd" not in str(descriptor.readlink()):
                    disk += descriptor.stat().st_blocks * 512
            except OSError:
                continue
    return memory, disk


def begun(url: str, path: str, size: int, *, chunked: bool, more: str = "") -> socket.socket:
    """A request whose body lacks its last byte, or as much of it as the server takes."""
    host, port = url.removeprefix("http://").split(":")
    line = socket.create_connection((host, int(port)), timeout=30)
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n{more}"
    line.sendall(f"{head}{length}\r\n\r\n".encode())
    try:
        if chunked:
            line.sendall(b"%x\r\n%s" % (size, bytes(size - 1)))
        else:
            line.sendall(bytes(size - 1))
    except OSError:
        return line  # it was refused and closed meanwhile, as granian does
    return line


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs Linux's /proc")
@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize(
    ("path", "more"),
    [
        ("/api/v1/lint", ""),
        ("/sign-in", ""),
        ("/api/v1/uploads", ""),
        ("/api/v1/uploads", f"Authorization: Bearer xy_{'0' * 64}\r\n"),
        ("/api/v1/uploads", f"Cookie: xiangyin_session=xy_{'0' * 64}\r\n"),
        ("/nothing", ""),
    ],
    ids=["lint", "sign-in", "uploads", "false token", "false session", "nothing"],
)
def test_strangers_who_send_much_fill_nothing(either, path, more, chunked):
    requests.get(either.url + "/healthz", timeout=30)
    memory, _ = held(either.process.pid)
    lines = [begun(either.url, path, 8 * MB, chunked=chunked, more=more) for _ in range(12)]
    after, disk = held(either.process.pid)
    for line in lines:
        line.close()
    # Of 96 MB that were sent; a few hundred kilobytes a connection may be on their way.
    assert disk <= MB and after - memory <= 24 * MB
    assert requests.get(either.url + "/healthz", timeout=30).status_code == 200


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunked"])
def test_a_member_whose_body_is_too_long_is_told_so_in_our_words(either, chunked):
    caller = either.join()
    body = b'{"text":"' + b"x" * (300 * 1024) + b'","ruleset":"nan-Hant"}'
    data = iter([body]) if chunked else body
    answer = caller.ask("POST", "/api/v1/lint", {"Content-Type": "application/json"}, data=data)
    told = (answer.status_code, answer.json()["code"])
    # granian passes a body on as it comes, and what is refused there is that it names no length.
    assert told == (413, "REQUEST_TOO_LARGE") or (chunked and told == (411, "LENGTH_REQUIRED"))
    assert answer.headers["X-Request-Id"]


def test_the_connection_goes_on_or_says_that_it_does_not(either):
    caller = either.join()
    with requests.Session() as session:
        for _ in range(3):
            answer = session.post(
                either.url + "/api/v1/lint",
                data=b"x" * (300 * 1024),
                headers={**caller.headers, "Content-Type": "application/json"},
                timeout=30,
            )
            assert answer.status_code == 413
            good = session.post(
                either.url + "/api/v1/lint",
                json={"text": "好。", "ruleset": "nan-Hant"},
                headers=caller.headers,
                timeout=30,
            )
            assert good.status_code == 200


def test_the_longest_body_that_is_allowed_arrives(either, make):
    """A member's whole clip in one piece: beyond what other routes take."""
    caller = either.join()
    clip = make.clip(make.file(make.samples(3, seconds=40.0), "WAV"))
    assert len(clip.data) > MB
    location = caller.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
    assert caller.ask("PATCH", location, make.patch_headers(0), data=clip.data).status_code == 204
    body = f'{{"text":"{"好" * (80 * 1024)}","ruleset":"nan-Hant"}}'.encode()  # 240 kB
    answer = caller.ask("POST", "/api/v1/lint", {"Content-Type": "application/json"}, data=body)
    assert answer.json()["code"] == "REQUEST_INVALID"  # longer than the field may be, and read to its end
