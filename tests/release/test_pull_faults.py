"""Pulls that are killed, meet a full disk, an older state or another key: what was whole stays whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import pytest

import corpus
from corpus import http_source, publish, pull, sources
from corpus.dataset import CopyIncomplete, open_copy
from tests.release.trees import tree


def test_an_older_revision_than_the_copy_is_refused(served, tmp_path):
    copy = tmp_path / "copy"
    old = tmp_path / "old"
    shutil.copytree(served.world.shelf.path("r1"), old)
    served.world.withdraw(served.world.first_clip()[0])
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
        "import sys, time\nfrom pathlib import Path\nfrom corpus import http_source, pull, sources\n"
        "original = http_source.HttpSource.blob\n"
        "def slow(self, *a):\n    original(self, *a); print('got', flush=True); time.sleep(0.2)\n"
        "http_source.HttpSource.blob = slow\n"
        f"source = http_source.HttpSource({served.url + '/api/v1'!r}, {served.token!r})\n"
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


def test_nobody_at_the_other_end_is_said(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    source = http_source.HttpSource(f"http://127.0.0.1:{port}/api/v1", None, wait=lambda _s: None)
    with pytest.raises(sources.PullFailed):
        pull.pull(source, tmp_path / "copy")


STEPS = """
import os, shutil, sys
from pathlib import Path
from corpus import pull, sources
from corpus.dataset import CopyIncomplete, Wanted, open_copy
from corpus.header import ReleaseInvalid
from tests.release.trees import tree

shelf, scratch = Path(sys.argv[1]), Path(sys.argv[2])
count = limit = 0

def hook(event, args):
    global count
    if event in ("os.rename", "os.mkdir", "os.link", "os.remove", "os.rmdir", "shutil.rmtree"):
        count += 1
        if count == limit:
            os._exit(9)

sys.addaudithook(hook)

def fetch(copy, name, wanted, step):
    child = os.fork()
    if child == 0:
        global count, limit
        count, limit = 0, step
        pull.pull(sources.FolderSource(shelf), copy, name=name, wanted=wanted, jobs=1)
        (scratch / "steps").write_text(str(count))
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

def state(copy):
    try:
        return open_copy(copy).header.name
    except (CopyIncomplete, ReleaseInvalid):
        return None

killed = 0
for wanted in (Wanted(), Wanted(split="train")):
    whole = {}
    for name in ("r1", "r2"):
        assert fetch(scratch / name, name, wanted, 0) == 0
        whole[name] = tree(scratch / name)
    shutil.copytree(scratch / "r1", scratch / "probe")
    assert fetch(scratch / "probe", "r2", wanted, 0) == 0
    steps = int((scratch / "steps").read_text())
    for step in range(1, steps + 1):
        copy = scratch / "killed"
        shutil.copytree(scratch / "r1", copy)
        assert fetch(copy, "r2", wanted, step) == 9, step
        now = state(copy)
        assert now is None or tree(copy).items() >= whole[now].items(), (step, now)
        assert fetch(copy, "r2", wanted, 0) == 0, step
        assert state(copy) == "r2" and tree(copy) == whole["r2"], step
        shutil.rmtree(copy)
        killed += 1
    for name in ("probe", "r1", "r2"):
        shutil.rmtree(scratch / name)
print(killed)
"""


def test_killed_between_any_two_steps_a_copy_is_the_old_the_new_or_says_it_is_not_whole(
    cut_world, tmp_path, root
):
    """Training on a mixture of two releases would never be noticed."""
    cut_world.clip(cut_world.speaker(), "後來的錄音。")
    cut_world.cut("r2")
    cut_world.engine.dispose()
    (tmp_path / "scratch").mkdir()
    words = [sys.executable, "-c", STEPS, str(cut_world.shelf.folder), str(tmp_path / "scratch")]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 30


LIMITED = """
import resource, sys
from pathlib import Path
from corpus import http_source, pull
from protocol.errors import CodedError

resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
try:
    pull.pull(http_source.HttpSource(sys.argv[1], sys.argv[2]), Path(sys.argv[3]))
except CodedError as error:
    print(error.code)
"""


def test_a_file_that_the_disk_does_not_take_is_said_and_the_copy_stays(served, tmp_path, root):
    """The system refuses in the middle of a file, after the room was found to be enough."""
    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    before = tree(copy)
    served.world.clip(served.world.speaker(), "後來的錄音。")
    served.world.cut("r2")
    words = [sys.executable, "-c", LIMITED, f"{served.url}/api/v1", served.token, str(copy)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=root)
    assert done.stdout == "DISK_FULL\n", done.stderr
    assert tree(copy) == before and open_copy(copy).header.name == "r1"
    pull.pull(served.source(), copy)
    assert tree(copy) == tree(served.world.shelf.path("r2"))


def test_a_disk_without_room_is_said_before_anything_is_fetched(served, tmp_path, root):
    mounted = tmp_path / "small"
    mounted.mkdir()
    script = (
        "from corpus import http_source, pull\nfrom pathlib import Path\n"
        f"source = http_source.HttpSource({served.url + '/api/v1'!r}, {served.token!r})\n"
        f"pull.pull(source, Path({str(mounted / 'copy')!r}))\n"
    )
    mount = f'mount -t tmpfs -o size=1m tmpfs {mounted} || exit 77; exec {sys.executable} -c "$0"'
    words = ["unshare", "-m", "sh", "-c", mount, script]
    if shutil.which("unshare") is None:
        pytest.skip("this machine mounts no tmpfs for us")
    done = subprocess.run(words, capture_output=True, text=True, cwd=root)
    if done.returncode == 77 or done.stderr.startswith("unshare:"):
        pytest.skip("this machine mounts no tmpfs for us")
    assert "DiskFull" in done.stderr, done.stderr


def test_a_sound_withdrawn_while_it_is_pulled_is_left_out_once_the_publisher_is_done(served, tmp_path):
    """The server answers 410 from the moment of the withdrawal; the renewed release comes a little later."""
    clip_id, digest = served.world.first_clip()
    served.world.withdraw(clip_id)
    waits = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:
            served.world.store.erase(digest)
            publish.erase(served.world.shelf, now_ms=1_900_000_000_000)

    done = pull.pull(served.source(), tmp_path / "copy", wait=wait)
    assert (done.revision, done.clips, len(waits)) == (2, 23, 2)
    assert tree(tmp_path / "copy") == tree(served.world.shelf.path("r1"))


def test_a_release_renewed_in_the_middle_of_a_pull_is_pulled_as_it_is_now(served, tmp_path):
    source = served.source()
    original, renewed = source.file, []

    def file(release, path, entry, part):
        if path == "manifest.jsonl" and not renewed:
            renewed.append(path)
            served.world.withdraw(served.world.first_clip()[0])
            publish.erase(served.world.shelf, now_ms=1_900_000_000_000)
        original(release, path, entry, part)

    source.file = file
    done = pull.pull(source, tmp_path / "copy", wait=lambda _s: None)
    assert (done.revision, renewed) == (2, ["manifest.jsonl"])
    assert tree(tmp_path / "copy") == tree(served.world.shelf.path("r1"))


def test_a_withdrawn_voice_leaves_exports_at_once_and_the_command_writes_them_anew(
    served, tmp_path, xiangyin_command
):
    env = {**os.environ, "XIANGYIN_TOKEN": served.token, "XDG_CONFIG_HOME": str(tmp_path / "config")}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*xiangyin_command, "pull", f"{served.url}/releases/r1", "--to", "copy", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)

    first = run("--format", "hf,kaldi")
    assert first.returncode == 0, first.stderr
    clip_id, _ = served.world.first_clip()
    key = clip_id.replace("-", "")
    [gone] = (tmp_path / "copy/export/hf").rglob(f"*{key}.flac")
    served.world.withdraw(clip_id)
    publish.erase(served.world.shelf, now_ms=1_900_000_000_000)
    done = run()
    assert done.returncode == 0, done.stderr
    assert not gone.exists()
    assert "hf: 23 utterances" in done.stdout and "kaldi: 23 utterances" in done.stdout
    texts = [p.read_text() for p in (tmp_path / "copy/export/kaldi").rglob("*") if p.is_file()]
    assert texts and not any(key in text for text in texts)
