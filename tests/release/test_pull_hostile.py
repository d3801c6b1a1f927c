"""A server that lies, sends too much or elsewhere, or breaks off: an error of its kind, nothing outside."""

from __future__ import annotations

import json
import shutil

import pytest

from corpus import header, landing, manifest, pull, sources
from corpus.dataset import CopyIncomplete, open_copy
from tests.release.trees import tree


def rewritten(change):
    """Bend the header by `change` and the digests that name it, so that the lie is consistent."""
    state: dict[str, bytes] = {}

    def bend(path, handler, status, headers, body):
        if path == "releases/latest.json":
            latest = json.loads(body)
            raw = state["raw"] = change(state_source(handler))
            latest["sha256"] = latest["releases"][0]["sha256"] = header.sha256_of(raw)
            latest["releases"][0]["bytes"] = len(raw)
            return status, headers, json.dumps(latest).encode()
        if path == "releases/r1":
            return status, headers, state["raw"]
        if path.endswith("release.note"):
            return 404, headers, b""
        return status, headers, body

    def state_source(handler):
        return bend.folder.joinpath("release.json").read_bytes()

    return bend


def evil_files(raw: bytes) -> bytes:
    head = json.loads(raw)
    head["files"]["../../evil.txt"] = head["files"].pop("README.md")
    return json.dumps(head).encode()


def evil_name(raw: bytes) -> bytes:
    return raw.replace(b'"name": "r1"', b'"name": "../r1"')


def evil_schema(raw: bytes) -> bytes:
    return raw.replace(b'"schema_version": 1', b'"schema_version": 99')


def evil_sizes(raw: bytes) -> bytes:
    head = json.loads(raw)
    head["files"]["README.md"]["bytes"] = 10**15
    return json.dumps(head).encode()


def evil_endless(raw: bytes) -> bytes:
    head = json.loads(raw)
    head["files"]["README.md"]["bytes"] = 10**30
    return json.dumps(head).encode()


def evil_twins(raw: bytes) -> bytes:
    """On a disk that ignores case one would be written over the other."""
    head = json.loads(raw)
    head["files"]["readme.md"] = head["files"]["README.md"]
    return json.dumps(head).encode()


def named(name: str):
    def change(raw: bytes) -> bytes:
        head = json.loads(raw)
        head["files"][name] = head["files"]["README.md"]
        return json.dumps(head).encode()

    return change


NO_FILES = (
    "/etc/evil.json",
    "C:/evil.json",
    "..\\\\evil.json",
    "plots/../evil.json",
    ".xiangyin/copy.json",
    "audio/evil.json",
    "changes/deep/evil.jsonl",
    "release.json",
    "latest.json",
    "copy.json",
    "con.json",
    "plots/lpt1.svg",
    "evil.py",
    "evil.sh",
    ".evil.json",
    "evil.json\n",
    "e" * 42 + ".json",
    "evil.json.",
    "evil\x00.json",
    "",
)


@pytest.mark.parametrize(
    "change",
    [evil_files, evil_name, evil_schema, evil_sizes, evil_endless, evil_twins, *map(named, NO_FILES)],
)
def test_a_header_that_lies_is_refused_and_nothing_is_written_outside(change, hostile, tmp_path):
    bend = rewritten(change)
    bend.folder = hostile.folder
    server = hostile(bend)
    around = tmp_path / "around"
    around.mkdir()
    with pytest.raises(Exception) as error:
        pull.pull(server.source, around / "deep/copy")
    assert getattr(error.value, "code", None) in (
        "RELEASE_INVALID",
        "RELEASE_NAME_INVALID",
        "RELEASE_SCHEMA_UNKNOWN",
        "DISK_FULL",
    )
    assert not list(tmp_path.rglob("evil*"))
    assert {p.name for p in around.iterdir()} == {"deep"}
    with pytest.raises((CopyIncomplete, header.ReleaseInvalid)):
        open_copy(around / "deep/copy")


def with_manifest(evil: bytes, folder):
    """Everything as it is, but another manifest, which the header agrees with."""

    def change(raw: bytes) -> bytes:
        head = json.loads(raw)
        head["files"]["manifest.jsonl"] = {"sha256": header.sha256_of(evil), "bytes": len(evil)}
        return json.dumps(head).encode()

    inner = rewritten(change)
    inner.folder = folder

    def bend(path, handler, status, headers, body):
        if path == "releases/r1/manifest.jsonl":
            return 200, headers, evil
        return inner(path, handler, status, headers, body)

    return bend


def test_a_manifest_row_that_points_outside_is_refused(hostile, tmp_path):
    good = (hostile.folder / "manifest.jsonl").read_bytes()
    first = json.loads(good.splitlines()[0])
    evil = good.replace(first["audio"].encode(), b"../../../evil.flac")
    bend = with_manifest(evil, hostile.folder)
    with pytest.raises(manifest.ManifestInvalid, match="line 1"):
        pull.pull(hostile(bend).source, tmp_path / "copy")
    assert not list(tmp_path.rglob("evil*"))


def with_file(folder, name: str, data: bytes) -> None:
    """Let the release in `folder` be one of a later version, which lists another file."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    head = json.loads((folder / "release.json").read_bytes())
    head["files"][name] = {"sha256": header.sha256_of(data), "bytes": len(data)}
    head["added_later"] = {"deep": [1, 2]}
    (folder / "release.json").write_text(json.dumps(head), encoding="utf-8")


@pytest.mark.parametrize("name", ["speech-rates.parquet", "plots/pitch.svg", "changes/moved.jsonl"])
def test_a_release_of_a_later_version_is_pulled_whole_and_its_files_go_with_it(name, cut_world, tmp_path):
    """Who keeps an older puller must not be cut off, and must not keep what a withdrawal took back."""
    release, copy = tmp_path / "release", tmp_path / "copy"
    shutil.copytree(cut_world.shelf.path("r1"), release)
    before = (release / "release.json").read_bytes()
    with_file(release, name, b"unknown here")
    (release / "release.note").unlink(missing_ok=True)
    source = sources.FolderSource(release)
    pull.pull(source, copy)
    assert tree(copy) == tree(release)
    mine = copy / "notes.json"
    mine.write_text("mine")
    (release / "release.json").write_bytes(before.replace(b'"revision": 1', b'"revision": 2'))
    pull.pull(source, copy)
    assert not (copy / name).exists() and mine.read_text() == "mine"


def test_a_file_that_is_not_known_is_verified_like_the_others(hostile, tmp_path):
    inner = rewritten(named("later.json"))
    inner.folder = hostile.folder

    def bend(path, handler, status, headers, body):
        if path == "releases/r1/later.json":
            good = (hostile.folder / "README.md").read_bytes()
            return 200, headers, bytes([good[0] ^ 1]) + good[1:]
        return inner(path, handler, status, headers, body)

    with pytest.raises(sources.DigestWrong):
        pull.pull(hostile(bend).source, tmp_path / "copy")
    assert not list((tmp_path / "copy").rglob("later.json"))


@pytest.mark.parametrize(
    "bend_line",
    [
        lambda raw: raw.replace(b'"split":', b'"colour":"red","split":'),
        lambda raw: raw.replace(b'"split":', b'"x":' + b"[" * 50_000 + b',"split":'),
        lambda raw: raw[:-40],
        lambda raw: raw + b" " * (1 << 20),
        lambda raw: raw.replace(b'"channels":1', b'"channels":-1'),
        lambda raw: raw.replace(b'"channels":1', b'"channels":1,"channels":1'),
        lambda raw: raw.replace(b'"id":"S', b'"id":"../S'),
        lambda raw: b"\xff" + raw,
    ],
    ids=["unknown field", "deep", "cut off", "too long", "negative", "twice", "path", "not UTF-8"],
)
def test_a_line_that_this_version_does_not_write_is_named_and_nothing_of_it_is_fetched(
    bend_line, hostile, tmp_path
):
    lines = (hostile.folder / "manifest.jsonl").read_bytes().splitlines(keepends=True)
    evil = b"".join([*lines[:2], bend_line(lines[2].rstrip(b"\n")) + b"\n", *lines[3:]])
    bend = with_manifest(evil, hostile.folder)
    server = hostile(bend)
    with pytest.raises(manifest.ManifestInvalid, match="line 3"):
        pull.pull(server.source, tmp_path / "copy")
    assert not any(path.startswith("blobs/") for path, _ in server.asked)


def spoil_manifest(path, handler, status, headers, body):
    if path.endswith("manifest.jsonl"):
        body = (
            body.replace("天氣".encode(), "壞氣".encode(), 1)
            if "天氣".encode() in body
            else body[:-2] + b"x\n"
        )
    return status, headers, body


def spoil_blobs(path, handler, status, headers, body):
    return status, headers, bytes([body[0] ^ 1]) + body[1:] if path.startswith("blobs/") else body


def longer_blobs(path, handler, status, headers, body):
    return status, headers, body + b"more" if path.startswith("blobs/") else body


def spoil_latest(path, handler, status, headers, body):
    return status, headers, b"{]" if path.endswith("latest.json") else body


def deep_latest(path, handler, status, headers, body):
    return status, headers, b"[" * 100_000 if path.endswith("latest.json") else body


def huge_latest(path, handler, status, headers, body):
    return status, headers, b" " * (5 << 20) if path.endswith("latest.json") else body


def to_loopback(path, handler, status, headers, body):
    if path.startswith("blobs/"):
        return 302, {"Location": "http://127.0.0.1:9/secret"}, b""
    return status, headers, body


def endless(path, handler, status, headers, body):
    if not path.startswith("blobs/"):
        return status, headers, body
    handler.send_response(200)
    handler.end_headers()
    try:
        while True:
            handler.wfile.write(b"\0" * 65536)
    except OSError:
        handler.close_connection = True
    return None, None, None


def packed(path, handler, status, headers, body):
    return status, {"Content-Encoding": "gzip"} if path.startswith("blobs/") else {}, body


def broken(path, handler, status, headers, body):
    return (500, {}, b"no") if path.startswith("blobs/") else (status, headers, body)


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (spoil_manifest, "PULL_DIGEST_WRONG"),
        (spoil_blobs, "PULL_DIGEST_WRONG"),
        (longer_blobs, "PULL_DIGEST_WRONG"),
        (endless, "PULL_DIGEST_WRONG"),
        (spoil_latest, "RELEASE_INVALID"),
        (deep_latest, "RELEASE_INVALID"),
        (huge_latest, "PULL_FAILED"),
        (to_loopback, "PULL_FAILED"),
        (packed, "PULL_FAILED"),
        (broken, "PULL_FAILED"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_hostile_server_gets_an_error_of_its_kind_and_no_complete_copy(bend, code, hostile, tmp_path):
    server = hostile(bend)
    with pytest.raises(Exception) as error:
        pull.pull(server.source, tmp_path / "copy", jobs=2)
    assert getattr(error.value, "code", None) == code, error.value
    with pytest.raises((CopyIncomplete, header.ReleaseInvalid)):
        open_copy(tmp_path / "copy")
    assert not list((tmp_path / "copy").glob("audio/*/*")) or bend is not spoil_blobs
    good = hostile(lambda path, handler, status, headers, body: (status, headers, body))
    pull.pull(good.source, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(hostile.folder)


def test_a_line_that_is_cut_again_and_again_is_resumed_by_ranges(hostile, tmp_path):
    """Each reply brings 1000 bytes and breaks off; the next request goes on from there."""

    def bend(path, handler, status, headers, body):
        if not path.startswith("blobs/"):
            return status, headers, body
        start = 0
        given = handler.headers.get("Range")
        if given:
            start = int(given.removeprefix("bytes=").rstrip("-"))
            handler.send_response(206)
            handler.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            handler.send_response(200)
        handler.send_header("Content-Length", str(len(body) - start))
        handler.end_headers()
        handler.wfile.write(body[start : start + 1000])
        handler.close_connection = True
        return None, None, None

    server = hostile(bend)
    pull.pull(server.source, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(hostile.folder)
    resumed = [headers["Range"] for path, headers in server.asked if "Range" in headers]
    assert resumed and all(one != "bytes=0-" for one in resumed)


def test_a_server_without_ranges_restarts_the_file(hostile, tmp_path):
    good = hostile(lambda path, handler, status, headers, body: (status, headers, body))
    line = next(manifest.read(hostile.folder / "manifest.jsonl"))
    parts = tmp_path / "copy/.xiangyin/parts"
    parts.mkdir(parents=True)
    (parts / f"{line.sha256}.part").write_bytes(b"wrong beginning")
    pull.pull(good.source, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(hostile.folder)


def test_a_redirect_to_this_machine_is_not_followed_and_the_token_goes_nowhere(hostile, tmp_path):
    """A server must not make the puller's machine ask its own services, nor hand its token around."""
    inner = hostile(lambda path, handler, status, headers, body: (status, headers, body))
    target = inner.source.api

    def bend(path, handler, status, headers, body):
        return 302, {"Location": f"{target}/{path}"}, b""

    with pytest.raises(sources.PullFailed, match="elsewhere"):
        pull.pull(hostile(bend).source, tmp_path / "copy")
    assert inner.asked == []


def test_a_busy_server_is_asked_again_later(hostile, tmp_path):
    refused: dict[str, int] = {}

    def bend(path, handler, status, headers, body):
        refused[path] = refused.get(path, 0) + 1
        return (503, {}, b"") if refused[path] == 1 else (status, headers, body)

    pull.pull(hostile(bend).source, tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(hostile.folder)


def test_after_the_first_error_nothing_more_is_asked(hostile, tmp_path):
    """A release of a million clips must not be asked for one by one from a server that has lost them."""

    def bend(path, handler, status, headers, body):
        return (404, {}, b"") if path.startswith("blobs/") else (status, headers, body)

    server = hostile(bend)
    with pytest.raises(sources.PullFailed):
        pull.pull(server.source, tmp_path / "copy", jobs=1)
    assert sum(path.startswith("blobs/") for path, _ in server.asked) <= 3


@pytest.mark.parametrize(
    "place",
    [
        ".xiangyin",
        "audio",
        "audio/00",
        "plots",
        "changes",
        "export",
        ".xiangyin/next",
        ".xiangyin/next/plots",
        ".xiangyin/parts",
    ],
)
def test_a_link_in_the_folder_leads_nothing_outside(place, cut_world, tmp_path):
    """Who may write beside the copy must not make a pull write or delete where the puller may."""
    outside = tmp_path / "outside"
    (outside / "ab").mkdir(parents=True)
    (outside / "ab/mine.flac").write_text("mine")
    (outside / "README.md").write_text("mine")
    before = tree(outside)
    copy = tmp_path / "copy"
    (copy / ".xiangyin/next").mkdir(parents=True)
    (copy / "audio").mkdir()
    target = copy / place
    if target.is_dir():
        shutil.rmtree(target)
    target.symlink_to(outside)
    with pytest.raises(landing.CopyLinked, match=place):
        pull.pull(sources.FolderSource(cut_world.shelf.path("r1")), copy)
    assert tree(outside) == before


@pytest.mark.parametrize(
    "name", ["copy.json", "lock", "next/release.json", "parts/{}.part", "manifest.jsonl"]
)
def test_a_linked_file_is_not_written_through(name, cut_world, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("mine")
    digest = json.loads((cut_world.shelf.path("r1") / "manifest.jsonl").read_bytes().splitlines()[0])[
        "sha256"
    ]
    link = tmp_path / "copy/.xiangyin" / name.format(digest)
    link.parent.mkdir(parents=True)
    link.symlink_to(victim)
    with pytest.raises(landing.CopyLinked):
        pull.pull(sources.FolderSource(cut_world.shelf.path("r1")), tmp_path / "copy")
    assert victim.read_text() == "mine"
