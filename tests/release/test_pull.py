"""Pulling over HTTP and from folders: exact, resumed, filtered, withdrawn voices deleted, nothing outside."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
import waitress.server
import waitress.wasyncore

import corpus
from corpus import header, manifest, people, publish, pull, rotation, sources, tables, verify
from corpus.database import begin, reading
from corpus.dataset import CopyIncomplete, Wanted, open_copy
from corpus.settings import Settings
from server import create_app


def tree(folder: Path) -> dict[str, bytes]:
    found = {p.relative_to(folder).as_posix(): p for p in sorted(folder.rglob("*")) if p.is_file()}
    return {name: p.read_bytes() for name, p in found.items() if not name.startswith(".xiangyin/")}


class Served:
    """A world behind the real application and the real server."""

    def __init__(self, world) -> None:
        self.world = world
        self.app = create_app(Settings(data=world.data, compute="inline"))
        self.server = waitress.server.create_server(self.app, host="127.0.0.1", port=0, threads=8)
        self.url = f"http://127.0.0.1:{self.server.effective_port}"
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        self.token = self.member("consumer")

    def member(self, role: str, project: str | None = "tales") -> str:
        number = next(self.world.numbers)
        secret = f"token-{role}-{number}"
        self.world.add(
            tables.person,
            id=f"p{number}",
            speaker_id=None,
            display_name=None,
            attributes={},
            created_ms=0,
        )
        self.world.add(
            tables.membership,
            id=f"m{number}",
            person_id=f"p{number}",
            project_id=project,
            role=role,
            created_ms=0,
        )
        with begin(self.world.engine) as db:
            people.add_token(db, secret, f"m{number}", kind="bearer", now_ms=0, expires_ms=2**53)
        return secret

    def source(self, token: str | None = None) -> sources.HttpSource:
        return sources.HttpSource(f"{self.url}/api/v1", token or self.token, wait=lambda _s: None)

    def get(self, path: str, token: str | None = None, **headers: str) -> requests.Response:
        given = {"Authorization": f"Bearer {token or self.token}", **headers}
        return requests.get(self.url + path, headers=given, timeout=30, allow_redirects=False)

    def close(self) -> None:
        # In the loop's own thread: a socket closed under its select is an error there.
        everything = self.server._map
        self.server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(everything, ignore_all=True))
        self.thread.join(10)
        self.server.task_dispatcher.shutdown()


@pytest.fixture
def served(cut_world) -> Iterator[Served]:
    one = Served(cut_world)
    yield one
    one.close()


def test_a_pulled_copy_is_the_release_to_the_byte(served, tmp_path):
    done = pull.pull(served.source(), tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(served.world.shelf.path("r1"))
    assert (done.clips, done.fetched, done.signature) == (24, 24, "good")
    report = verify.verify(tmp_path / "copy", setting="inline")
    assert report.findings == () and report.signature == "good"


def test_an_up_to_date_copy_costs_one_small_request(served, tmp_path):
    pull.pull(served.source(), tmp_path / "copy")
    before = tree(tmp_path / "copy")
    source = served.source()
    asked: list[str] = []
    original = source._get
    source._get = lambda url, headers: asked.append(url) or original(url, headers)
    done = pull.pull(source, tmp_path / "copy")
    assert done.up_to_date and done.fetched == 0
    assert [url.rpartition("/")[2] for url in asked] == ["latest.json"]
    assert tree(tmp_path / "copy") == before


@pytest.mark.parametrize(
    ("wanted", "keeps"),
    [
        (Wanted(split="train"), lambda line: line.split == "train"),
        (Wanted(grade="noisy"), lambda line: line.grade == "noisy"),
        (Wanted(min_snr_db=40.0), lambda line: False),
        (Wanted(language="cmn-Hant", split="test"), lambda line: line.split == "test"),
        (Wanted(language="nan"), lambda line: False),
    ],
)
def test_a_filter_takes_what_it_says_and_the_rest_is_not_fetched(wanted, keeps, served, tmp_path):
    copy = tmp_path / "copy"
    pull.pull(served.source(), copy, wanted=wanted)
    whole = list(manifest.read(served.world.shelf.path("r1") / "manifest.jsonl"))
    expected = [line for line in whole if keeps(line)]
    assert list(manifest.read(copy / "manifest.jsonl")) == expected
    assert {p.stem for p in copy.glob("audio/*/*")} == {line.sha256 for line in expected}
    assert verify.verify(copy, setting="inline").findings == ()
    pull.pull(served.source(), copy)  # and now all of it
    assert tree(copy) == tree(served.world.shelf.path("r1"))


def test_loading_gives_texts_and_samples_without_the_server(served, tmp_path):
    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    clips = list(corpus.load(copy, split="train", grade="quiet"))
    assert clips and all(clip.line.grade == "quiet" and clip.line.split == "train" for clip in clips)
    assert clips[0].samples.shape == (clips[0].line.samples,)
    script = (
        "import sys, corpus\n"
        f"n = sum(1 for clip in corpus.load({str(copy)!r}))\n"
        "bad = [m for m in ('flask', 'sqlalchemy', 'numpy', 'librosa') if m in sys.modules]\n"
        "print(n, bad)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=Path.cwd())
    assert done.stdout.split(maxsplit=1) == ["24", "[]\n"], done.stderr


def test_a_later_release_fetches_only_what_is_new(served, tmp_path):
    pull.pull(served.source(), tmp_path / "copy")
    served.world.clip(served.world.speaker(), "後來的錄音。")
    served.world.cut("r2")
    done = pull.pull(served.source(), tmp_path / "copy")
    assert (done.name, done.fetched) == ("r2", 1)
    assert tree(tmp_path / "copy") == tree(served.world.shelf.path("r2"))
    done = pull.pull(served.source(), tmp_path / "copy", name="r1")
    assert (done.name, done.fetched, done.deleted) == ("r1", 0, 1)
    assert tree(tmp_path / "copy") == tree(served.world.shelf.path("r1"))


def first_clip(world) -> tuple[str, str]:
    with reading(world.engine) as db:
        row = db.execute(sa.select(tables.clip.c.id, tables.clip.c.sha256).order_by(tables.clip.c.id)).first()
    return row.id, row.sha256


def test_a_withdrawn_voice_is_erased_from_every_release_and_copy(served, tmp_path):
    world = served.world
    served.world.clip(world.speaker(), "後來的錄音。")
    world.cut("r2")
    for name in ("r1", "r2"):
        pull.pull(served.source(), tmp_path / name, name=name)
    clip_id, digest = first_clip(world)
    assert served.get(f"/api/v1/blobs/{digest}").status_code == 200
    world.withdraw(clip_id)
    assert served.get(f"/api/v1/blobs/{digest}").status_code == 410  # at once, before releases are rebuilt
    world.store.erase(digest)
    erased = publish.erase(world.shelf, now_ms=1_900_000_000_000)
    assert [(one.name, one.revision, one.clips) for one in erased] == [("r1", 2, 1), ("r2", 2, 1)]
    assert publish.erase(world.shelf, now_ms=1_900_000_000_001) == []
    for name in ("r1", "r2"):
        folder = world.shelf.path(name)
        report = verify.verify(folder, setting="inline")
        assert report.findings == () and report.revision == 2
        assert digest not in "".join(p.name for p in folder.rglob("*"))
        stones = header.parse_tombstones((folder / "tombstones.jsonl").read_bytes(), "t")
        assert [stone.sha256 for stone in stones] == [digest]
        line_id = stones[0].id
        assert line_id in (folder / "changes/withdrawn.jsonl").read_text()
        assert line_id not in (folder / "manifest.jsonl").read_text()
        done = pull.pull(served.source(), tmp_path / name, name=name)
        assert (done.revision, done.fetched, done.deleted) == (2, 0, 1)
        assert tree(tmp_path / name) == tree(folder)
    later = world.cut("r3")
    assert later.header.counts["tombstones"] == 1
    assert digest not in (later.folder / "manifest.jsonl").read_text()


def test_every_clip_of_a_release_can_be_withdrawn(world):
    world.project()
    ann = world.speaker()
    clips = [world.clip(ann), world.clip(ann)]
    world.cut("r1")
    for clip in clips:
        world.withdraw(clip)
    publish.erase(world.shelf, now_ms=1)
    report = verify.verify(world.shelf.path("r1"), setting="inline")
    assert report.findings == () and report.clips == 0


KILLED = """
import os, shutil, sys
from pathlib import Path
from corpus import keys, publish
from corpus.database import open_engine
from corpus.shelf import Shelf
from corpus.store import LocalStore

source, scratch, count, limit = Path(sys.argv[1]), Path(sys.argv[2]), 0, 0

def hook(event, args):
    global count
    if event in ("os.rename", "os.mkdir", "shutil.rmtree", "sqlite3.connect"):
        count += 1
        if count == limit:
            os._exit(9)

sys.addaudithook(hook)

def erase(data, step):
    child = os.fork()
    if child == 0:
        global count, limit
        engine = open_engine(f"sqlite:///{data / 'xiangyin.sqlite'}")
        signer, store = keys.signer(data / "keys"), LocalStore(data / "blobs")
        count, limit = 0, step
        publish.erase(Shelf(engine, store, data / "releases", signer, "inline"), now_ms=1900000000000)
        (data / "steps").write_text(str(count))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def tree(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}

data = scratch / "whole"
shutil.copytree(source, data)
assert erase(data, 0) == 0
expected, steps = tree(data / "releases/r1"), int((data / "steps").read_text())
for step in [*range(1, steps - 6, max(1, steps // 6)), *range(steps - 6, steps + 1)]:
    data = scratch / "killed"
    shutil.copytree(source, data)
    assert erase(data, step) == 9, step
    assert erase(data, 0) == 0, step
    assert tree(data / "releases/r1") == expected, step
    shutil.rmtree(data)
print(steps)
"""


def test_a_withdrawal_that_was_killed_goes_on(cut_world, tmp_path, root):
    cut_world.withdraw(first_clip(cut_world)[0])
    cut_world.engine.dispose()
    (tmp_path / "scratch").mkdir()
    words = [sys.executable, "-c", KILLED, str(cut_world.data), str(tmp_path / "scratch")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


def test_a_release_taken_back_is_refused_with_its_reason(served, tmp_path):
    publish.set_status(served.world.shelf, "r1", "withdrawn")
    with pytest.raises(pull.ReleaseWithdrawn):
        pull.pull(served.source(), tmp_path / "copy", name="r1")
    assert served.get("/api/v1/releases/r1").status_code == 410
    publish.set_status(served.world.shelf, "r1", "published")
    assert pull.pull(served.source(), tmp_path / "copy", name="r1").clips == 24


@pytest.mark.parametrize("role", ["speaker", "transcriber", "reviewer"])
def test_other_roles_get_nothing(role, served, tmp_path):
    with pytest.raises(sources.PullRefused):
        pull.pull(served.source(served.member(role)), tmp_path / "copy")
    with pytest.raises(sources.PullRefused):
        pull.pull(served.source("no such token"), tmp_path / "copy2")


def test_another_project_looks_as_if_it_were_not_there(served):
    served.world.project("songs", "Songs")
    stranger = served.member("consumer", "songs")
    digest = first_clip(served.world)[1]
    assert served.get("/api/v1/releases", stranger).json() == {"releases": []}
    for path in ("/api/v1/releases/r1", "/api/v1/releases/r1/manifest.jsonl", "/api/v1/releases/none"):
        assert served.get(path, stranger).status_code == 404
    assert served.get(f"/api/v1/blobs/{digest}", stranger).status_code == 404


def test_blobs_have_ranges_etags_and_immutable_caching(served):
    digest = first_clip(served.world)[1]
    whole = served.get(f"/api/v1/blobs/{digest}")
    assert whole.headers["ETag"] == f'"{digest}"' and "immutable" in whole.headers["Cache-Control"]
    part = served.get(f"/api/v1/blobs/{digest}", Range="bytes=10-19", **{"If-Range": f'"{digest}"'})
    assert part.status_code == 206 and part.content == whole.content[10:20]
    assert part.headers["Content-Range"] == f"bytes 10-19/{len(whole.content)}"
    stale = served.get(f"/api/v1/blobs/{digest}", Range="bytes=10-19", **{"If-Range": '"other"'})
    assert stale.status_code == 200 and stale.content == whole.content
    assert served.get(f"/api/v1/blobs/{digest}", **{"If-None-Match": f'"{digest}"'}).status_code == 304
    far = served.get(f"/api/v1/blobs/{digest}", Range=f"bytes={len(whole.content)}-")
    assert far.status_code == 416


@pytest.mark.parametrize(
    "path",
    [
        "../keys/ledger.pem",
        "..%2f..%2fkeys/secret",
        "audio/%2e%2e/release.json",
        ".lock",
        "nothing",
        "/etc/passwd",
    ],
)
def test_only_files_of_the_release_are_given(path, served):
    assert served.get(f"/api/v1/releases/r1/{path}").status_code in (308, 400, 404)


def test_the_page_shows_cards_samples_and_lines_to_copy(served):
    page = served.get("/releases", **{"Accept-Language": "zh-TW"})
    assert page.status_code == 200
    assert "發行版" in page.text and f"xiangyin pull {served.url}/api/v1/releases/r1 --to r1" in page.text
    assert page.text.count("<audio") == 6
    assert served.get("/releases", served.member("speaker")).status_code == 403


def test_the_command_pulls_exports_and_says_so(served, tmp_path, xiangyin_command):
    url = f"{served.url}/api/v1/releases/r1"
    words = [
        *xiangyin_command,
        "pull",
        url,
        "--to",
        "copy",
        "--split",
        "train",
        "--format",
        "kaldi,lhotse,json",
    ]
    env = {**os.environ, "XIANGYIN_TOKEN": served.token, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert rows[0]["name"] == "r1" and rows[0]["clips"] == rows[1]["utterances"] == rows[2]["utterances"]
    assert (tmp_path / "copy/export/kaldi/train/wav.scp").is_file()
    check = subprocess.run(
        [*xiangyin_command, "release", "verify", "copy"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=env,
    )
    assert check.returncode == 0 and "all as it should be" in check.stdout, check.stdout + check.stderr
    env.pop("XIANGYIN_TOKEN")
    done = subprocess.run([*words[:-2]], capture_output=True, text=True, cwd=tmp_path, env=env)
    assert done.returncode == 2 and done.stderr.startswith("PULL_REFUSED")
    assert len(done.stderr.splitlines()) == 1


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_is_pulled_like_a_server(cut_world, tmp_path):
    release, shelf = cut_world.shelf.path("r1"), cut_world.shelf.folder
    shutil.copytree(release, tmp_path / "alone")
    for number, address in enumerate((tmp_path / "alone", shelf, release)):
        source, name = sources.parse(str(address), None)
        copy = tmp_path / f"copy{number}"
        pull.pull(source, copy, name=name)
        assert tree(copy) == tree(release)
        assert pull.pull(source, copy, name=name).up_to_date


def test_a_folder_with_other_things_is_left_alone(cut_world, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    with pytest.raises(pull.TargetTaken):
        pull.pull(sources.FolderSource(cut_world.shelf.path("r1")), tmp_path / "mine")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["notes.txt"]


# --- a bad line, a bad server --------------------------------------------------------------------


class Hostile:
    """Serves a good release with one thing changed by `bend`, which sees each reply before it is sent."""

    def __init__(self, folder: Path, bend) -> None:
        outer = self
        self.asked: list[tuple[str, dict[str, str]]] = []
        files = sources.FolderSource(folder)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                path = self.path.removeprefix("/api/v1/")
                outer.asked.append((path, dict(self.headers)))
                status, headers, body = 200, {}, b""
                if path == "releases/latest.json":
                    body = files.latest(None)[0]
                elif path.startswith("blobs/"):
                    digest = path.removeprefix("blobs/")
                    found = folder / manifest.audio_path(digest)
                    body = found.read_bytes() if found.is_file() else b""
                elif path.startswith("releases/"):
                    name = path.removeprefix("releases/")
                    name = "r1/release.json" if name == "r1" else name
                    body = files.small(name, 1 << 30) or b""
                    status = 200 if body or name.endswith(".jsonl") else 404
                else:
                    status = 404
                status, headers, body = bend(path, self, status, headers, body)
                if status is None:
                    return
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.source = sources.HttpSource(
            f"http://127.0.0.1:{self.server.server_port}/api/v1", "t", wait=lambda _s: None
        )

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hostile(cut_world) -> Iterator:
    folder = cut_world.shelf.path("r1")
    made = []

    def start(bend) -> Hostile:
        made.append(Hostile(folder, bend))
        return made[-1]

    start.folder = folder
    yield start
    for one in made:
        one.close()


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


@pytest.mark.parametrize("change", [evil_files, evil_name, evil_schema, evil_sizes])
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


def test_a_manifest_row_that_points_outside_is_refused(hostile, tmp_path):
    good = (hostile.folder / "manifest.jsonl").read_bytes()
    first = json.loads(good.splitlines()[0])
    evil = good.replace(first["audio"].encode(), b"../../../evil.flac")

    def change(raw: bytes) -> bytes:
        head = json.loads(raw)
        head["files"]["manifest.jsonl"] = {"sha256": header.sha256_of(evil), "bytes": len(evil)}
        return json.dumps(head).encode()

    inner = rewritten(change)
    inner.folder = hostile.folder

    def bend(path, handler, status, headers, body):
        if path == "releases/r1/manifest.jsonl":
            return 200, headers, evil
        return inner(path, handler, status, headers, body)

    with pytest.raises(manifest.ManifestInvalid, match="line 1"):
        pull.pull(hostile(bend).source, tmp_path / "copy")
    assert not list(tmp_path.rglob("evil*"))


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


def test_an_older_revision_than_the_copy_is_refused(served, tmp_path):
    copy = tmp_path / "copy"
    old = tmp_path / "old"
    shutil.copytree(served.world.shelf.path("r1"), old)
    served.world.withdraw(first_clip(served.world)[0])
    publish.erase(served.world.shelf, now_ms=1_900_000_000_000)
    pull.pull(served.source(), copy)
    with pytest.raises(pull.SignatureWrong, match="older"):
        pull.pull(sources.FolderSource(old), copy)


def test_a_signature_by_another_key_is_refused(served, tmp_path):
    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    mark = json.loads((copy / ".xiangyin/copy.json").read_text())
    from corpus import keys

    other = str(keys.signer(tmp_path / "keys").verifier)
    mark |= {"vkey": other, "newest_vkey": other, "latest_etag": None, "sha256": "0" * 64}
    (copy / ".xiangyin/copy.json").write_text(json.dumps(mark))
    with pytest.raises(pull.SignatureWrong):
        pull.pull(served.source(), copy)


def test_a_pull_that_is_killed_goes_on_where_it_stopped(served, tmp_path, root):
    copy = tmp_path / "copy"
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom corpus import pull, sources\n"
        "original = sources.HttpSource.blob\n"
        "def slow(self, *a):\n    original(self, *a); print('got', flush=True); time.sleep(0.2)\n"
        "sources.HttpSource.blob = slow\n"
        f"source = sources.HttpSource({served.url + '/api/v1'!r}, {served.token!r})\n"
        f"pull.pull(source, Path({str(copy)!r}), jobs=1)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=root)
    for _ in range(5):
        assert child.stdout.readline() == "got\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    with pytest.raises(CopyIncomplete):
        open_copy(copy)
    with pytest.raises(CopyIncomplete):
        list(corpus.load(copy))
    done = pull.pull(served.source(), copy)
    assert 24 - 6 <= done.fetched <= 24 - 4
    assert tree(copy) == tree(served.world.shelf.path("r1"))


def test_two_pulls_into_one_folder_do_not_mix(served, tmp_path):
    import fcntl

    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    with (copy / ".xiangyin/lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(pull.CopyBusy):
            pull.pull(served.source(), copy)


def test_a_full_disk_is_said_and_what_was_there_stays(served, tmp_path, monkeypatch):
    from collections import namedtuple

    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    before = tree(copy)
    served.world.clip(served.world.speaker(), "後來的錄音。")
    served.world.cut("r2")
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _p: usage(1, 1, 0))
    with pytest.raises(Exception) as error:
        pull.pull(served.source(), copy)
    assert error.value.code == "DISK_FULL"
    assert tree(copy) == before and open_copy(copy).header.name == "r1"


def test_nobody_at_the_other_end_is_said_in_one_line(tmp_path, xiangyin_command):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = sources.HttpSource(f"http://127.0.0.1:{port}/api/v1", None, wait=lambda _s: None)
    started = time.monotonic()
    with pytest.raises(sources.PullFailed):
        pull.pull(source, tmp_path / "copy")
    assert time.monotonic() - started < 60


def rotated(served, number: int = 1) -> str:
    """Let a new key follow; its vkey."""
    made = rotation.rotate(
        served.world.engine, served.world.shelf.signer, item_id="ab" * 16, salt=bytes(16), now_ms=number
    )
    return str(made.new)


def test_a_new_key_is_learnt_from_the_old_one_and_old_releases_stay_good(served, tmp_path):
    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    newest = rotated(served)
    served.world.withdraw(first_clip(served.world)[0])
    publish.erase(served.world.shelf, now_ms=1_900_000_000_000)  # a revision that the new key signs
    assert pull.pull(served.source(), copy).signature == "good"
    mark = json.loads((copy / ".xiangyin/copy.json").read_text())
    assert mark["vkey"] == mark["newest_vkey"] == newest
    assert verify.verify(copy, setting="inline").signature == "good"


def test_a_release_from_before_the_new_key_can_be_pulled_by_who_knows_the_new_one(served, tmp_path):
    old = str(served.world.shelf.signer.verifier)
    newest = rotated(served)
    copy = tmp_path / "copy"
    assert pull.pull(served.source(), copy).signature == "good"
    mark = json.loads((copy / ".xiangyin/copy.json").read_text())
    assert (mark["vkey"], mark["newest_vkey"]) == (old, newest)
    assert verify.verify(copy, setting="inline").signature == "good"


def test_a_key_that_the_pinned_one_did_not_hand_over_to_is_refused(served, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    before = tree(copy)
    newest = rotated(served)
    served.world.withdraw(first_clip(served.world)[0])
    publish.erase(served.world.shelf, now_ms=1_900_000_000_000)
    for listed in ({"vkeys": [newest]}, {"vkeys": []}, ["x"], None):
        monkeypatch.setattr(sources.HttpSource, "keys", lambda self, answer=listed: answer)
        with pytest.raises(pull.SignatureWrong):
            pull.pull(served.source(), copy)
    after = tree(copy)
    assert after.items() <= before.items()  # only the withdrawn sound is gone
