"""A body that its route would refuse costs the server neither memory nor disk, whoever sends it."""

from __future__ import annotations

import contextlib
import os
import re
import socket
from pathlib import Path

import pytest
import requests

from corpus.waiting_room import Body

MB = 1 << 20


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


@pytest.mark.parametrize("kind", ["waitress", "granian"])
def test_members_who_send_much_and_slowly_fill_nothing_and_keep_nobody_out(
    server_class, tmp_path, make, kind
):
    """Beyond the room there is for all, 503 with a time to come back; what is small goes on."""
    if kind == "granian":
        pytest.importorskip("granian")
    limits = {"XIANGYIN_MAX_BUFFERED_BYTES": str(8 * MB), "XIANGYIN_MAX_UPLOAD_BYTES": str(2 * MB)}
    server = server_class(tmp_path / "data", environ=limits, words=("--server", kind)).start()
    server.command(
        "project", "create", "tales", "--title", "T", "--language", "nan", "--orthography", "nan-Hant"
    )
    honest = server.join()
    clip = make.clip(make.file(make.samples(5, seconds=60.0), "WAV"))
    location = honest.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
    lines = []
    _, before = held(server.process.pid)
    for _ in range(5):
        hostile = server.join()
        token = f"Authorization: {hostile.headers['Authorization']}\r\n"
        for _ in range(3):
            other = make.clip(os.urandom(2 * MB))
            place = hostile.ask("POST", "/api/v1/uploads", other.headers()).headers["Location"]
            line = socket.create_connection(("127.0.0.1", server.port), timeout=30)
            head = f"PATCH {place} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n{token}"
            head += "Content-Type: application/offset+octet-stream\r\nUpload-Offset: 0\r\n"
            with contextlib.suppress(OSError):  # granian's refusal ends the connection
                line.sendall(f"{head}Content-Length: {2 * MB}\r\n\r\n".encode() + bytes(2 * MB - 1))
            lines.append(line)

    # Of another checksum, so that the piece is refused in any case and the upload stays as it is.
    damaged = make.patch_headers(0) | {"Upload-Checksum": make.checksum(b"other")}

    def refused() -> requests.Response | None:
        answer = honest.ask("PATCH", location, damaged, data=clip.data[:1_800_000])
        return answer if answer.status_code == 503 else None

    answer = make.wait_until(refused, 30)
    assert answer.json()["code"] == "BODIES_TOO_MANY" and int(answer.headers["Retry-After"]) > 0
    _, after = held(server.process.pid)
    assert after - before <= 9 * MB
    assert honest.ask("PATCH", location, make.patch_headers(0), data=clip.data[:1000]).status_code == 204
    for line in lines:
        line.close()

    def taken() -> bool | None:
        answer = honest.ask("PATCH", location, make.patch_headers(1000), data=clip.data[1000:])
        return True if answer.status_code == 204 else None

    assert make.wait_until(taken, 30)
    assert server.stop() == 0


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_piece_under_another_methods_name_arrives_whole(either, make, method):
    """By X-HTTP-Method-Override: it was dropped as no body of that method, and 204 said that all was well."""
    caller, clip = either.join(), make.clip(os.urandom(MB))
    location = caller.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
    headers = make.patch_headers(0, **{"X-HTTP-Method-Override": "PATCH"})
    answer = caller.ask(method, location, headers, data=clip.data[:-1])
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (204, str(MB - 1))


def test_a_piece_whose_sender_could_not_be_asked_for_is_refused_and_nothing_added(speaker, site, make):
    """The database was away at the door and back at the view: of the body only its length is known."""
    clip = make.clip(os.urandom(MB))
    location = speaker.create(clip).headers["Location"]
    dropped = Body(site.room, "", 1000)
    dropped.append(clip.data[:-1])
    came = {"wsgi.input": dropped, "CONTENT_LENGTH": str(len(dropped))}
    answer = speaker.ask("PATCH", location, make.patch_headers(0), environ_overrides=came)
    assert (answer.status_code, answer.get_json()["code"]) == (503, "BODIES_TOO_MANY")
    assert speaker.head(location) == 0


@pytest.mark.parametrize("kind", ["waitress", "granian"])
def test_what_a_thousand_broken_connections_held_is_given_back(server_class, tmp_path, make, kind):
    """Room for all that is filled thirty times over by pieces of one member that never come to their end."""
    if kind == "granian":
        pytest.importorskip("granian")
    limits = {"XIANGYIN_MAX_BUFFERED_BYTES": str(8 * MB), "XIANGYIN_MAX_UPLOAD_BYTES": str(4 * MB)}
    server = server_class(tmp_path / "data", environ=limits, words=("--server", kind)).start()
    server.command(
        "project", "create", "tales", "--title", "T", "--language", "nan", "--orthography", "nan-Hant"
    )
    try:
        caller, clip = server.join(), make.clip(os.urandom(3 * MB))
        location = caller.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
        head = f"PATCH {location} HTTP/1.1\r\nHost: 127.0.0.1\r\nTus-Resumable: 1.0.0\r\n"
        head += f"Authorization: {caller.headers['Authorization']}\r\nUpload-Offset: 0\r\n"
        head += "Content-Type: application/offset+octet-stream\r\n"
        for number in range(1000):
            with socket.create_connection(("127.0.0.1", server.port), timeout=30) as line:
                size = (5 if number % 3 == 0 else 3) * MB  # every third is too long at once
                with contextlib.suppress(OSError):
                    line.sendall(f"{head}Content-Length: {size}\r\n\r\n".encode() + clip.data[:250_000])

        def taken() -> bool | None:
            answer = caller.ask("PATCH", location, make.patch_headers(0), data=clip.data[:-1])
            return True if answer.status_code == 204 else None

        assert make.wait_until(taken, 30)
    finally:
        assert server.stop() == 0
