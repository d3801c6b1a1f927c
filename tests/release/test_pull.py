"""Pulling over HTTP and from folders: exact, resumed, filtered, withdrawn voices deleted, nothing outside."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

import corpus
from corpus import header, manifest, progress, publish, pull, sources, tables, verify
from corpus.database import begin
from corpus.dataset import Wanted
from corpus.settings import load
from corpus.store import copy_blob, open_store
from tests.release.trees import tree


def test_a_pulled_copy_is_the_release_to_the_byte(served, tmp_path):
    done = pull.pull(served.source(), tmp_path / "copy")
    assert tree(tmp_path / "copy") == tree(served.world.shelf.path("r1"))
    assert (done.clips, done.fetched, done.signature) == (24, 24, "good")
    report = verify.verify(tmp_path / "copy", setting="inline")
    assert report.findings == () and report.signature == "good"


@pytest.mark.s3
@pytest.mark.xdist_group("s3")
def test_a_release_from_a_bucket_is_the_one_from_a_folder(cut_world, served_with, object_server, tmp_path):
    """Where blobs lie is a setting: nobody who pulls can tell."""
    on_disk, world = tree(cut_world.shelf.path("r1")), cut_world
    environ = load(object_server.environ(), tmp_path)
    bucket = open_store(environ)
    for digest in world.store:
        copy_blob(world.store, bucket, digest)
    shutil.rmtree(world.data / "blobs")
    world.store, world.shelf = bucket, dataclasses.replace(world.shelf, store=bucket)
    with begin(world.engine) as db:
        for table in (tables.release_clip, tables.split, tables.release):
            db.execute(sa.delete(table))
    shutil.rmtree(world.shelf.path("r1"))
    world.cut("r1")
    again = tree(world.shelf.path("r1"))
    assert {name: again[name] for name in on_disk if name.startswith(("audio/", "manifest.jsonl"))} == {
        name: data for name, data in on_disk.items() if name.startswith(("audio/", "manifest.jsonl"))
    }
    one = served_with(store_url=environ.store_url, aws=environ.aws)
    assert pull.pull(one.source(), tmp_path / "copy").fetched == 24
    assert tree(tmp_path / "copy") == again
    digest = next(iter(bucket))
    part = one.get(f"/api/v1/blobs/{digest}", Range="bytes=10-19")
    assert part.status_code == 206 and part.content == bucket.open(digest).read()[10:20]


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
        (Wanted(dialect="coast"), lambda line: line.dialect == "coast"),
        (Wanted(dialect="hills"), lambda line: False),
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


def test_a_withdrawn_voice_is_erased_from_every_release_and_copy(served, tmp_path):
    world = served.world
    served.world.clip(world.speaker(), "後來的錄音。")
    world.cut("r2")
    for name in ("r1", "r2"):
        pull.pull(served.source(), tmp_path / name, name=name)
    clip_id, digest = world.first_clip()
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
    if event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree", "sqlite3.connect"):
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
for step in range(1, steps + 1):
    data = scratch / "killed"
    shutil.copytree(source, data)
    assert erase(data, step) == 9, step
    assert erase(data, 0) == 0, step
    assert tree(data / "releases/r1") == expected, step
    shutil.rmtree(data)
print(steps)
"""


def test_a_withdrawal_that_was_killed_goes_on(cut_world, tmp_path, root):
    cut_world.withdraw(cut_world.first_clip()[0])
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
    digest = served.world.first_clip()[1]
    assert served.get("/api/v1/releases", stranger).json() == {"releases": []}
    for path in ("/api/v1/releases/r1", "/api/v1/releases/r1/manifest.jsonl", "/api/v1/releases/none"):
        assert served.get(path, stranger).status_code == 404
    assert served.get(f"/api/v1/blobs/{digest}", stranger).status_code == 404
    sound = f"audio/{digest[:2]}/{digest}.flac"
    for path in (sound, "release.json", "release.note", "README.md", "plots/snr.svg", "tombstones.jsonl"):
        assert served.get(f"/api/v1/releases/r1/{path}", stranger).status_code == 404, path
    latest = served.get("/api/v1/releases/latest.json", stranger).json()
    assert latest["releases"] == [] and latest["tombstones"]["bytes"] == 0
    assert served.get("/api/v1/releases/tombstones.jsonl", stranger).content == b""


def test_blobs_have_ranges_etags_and_immutable_caching(served):
    digest = served.world.first_clip()[1]
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


def test_a_terminal_shows_how_far_a_pull_is(served, tmp_path, xiangyin_command):
    import pty

    ours, theirs = pty.openpty()
    words = [*xiangyin_command, "pull", f"{served.url}/releases/r1", "--to", "copy"]
    env = {**os.environ, "XIANGYIN_TOKEN": served.token, "XDG_CONFIG_HOME": str(tmp_path / "config")}
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=theirs, text=True, cwd=tmp_path, env=env)
    os.close(theirs)
    shown = os.read(ours, 1 << 16).decode()
    os.close(ours)
    assert done.returncode == 0
    assert "24 of 24 sounds" in shown.split("\r")[-2] and shown.endswith("\n")
    assert "sounds," not in done.stdout


@pytest.mark.parametrize(
    ("bytes_", "elapsed_s", "says"),
    [
        (0, 0.0, "  0% [........................] 0 of 4 sounds, 0 B of 4.0 MB, 0 B/s"),
        (
            1_000_000,
            2.0,
            " 25% [######..................] 1 of 4 sounds, 1.0 MB of 4.0 MB, 500.0 kB/s, 0:06 left",
        ),
        (4_000_000, 8.0, "100% [########################] 4 of 4 sounds, 4.0 MB of 4.0 MB, 500.0 kB/s"),
    ],
)
def test_the_bar_tells_speed_and_time_left(bytes_, elapsed_s, says):
    now = pull.Progress(bytes_ // 1_000_000, 4, bytes_, 4_000_000)
    assert progress.line(now, elapsed_s) == says
