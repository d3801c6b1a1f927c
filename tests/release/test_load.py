"""`corpus.load`: a release as a sequence of clips, from a folder or an address, with no server library."""

from __future__ import annotations

import importlib.metadata
import os
import pickle
import re
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
import soundfile

import corpus
from corpus import loading, manifest, publish
from corpus.dataset import open_copy
from corpus.header import ReleaseInvalid


@pytest.fixture
def folder(cut_world) -> Path:
    return cut_world.shelf.path("r1")


def test_it_counts_iterates_indexes_and_slices_what_is_wanted(folder):
    lines = [line for line in manifest.read(folder / "manifest.jsonl") if line.split == "train"]
    clips = corpus.load(folder, split="train")
    assert [clip.line for clip in clips] == lines and len(clips) == len(lines)
    assert [clips[place].line for place in (0, 3, -1)] == [lines[0], lines[3], lines[-1]]
    assert [clip.line for clip in clips[1:9:2]] == lines[1:9:2]
    assert [clip.line for clip in clips] == lines  # again, now by the index
    with pytest.raises(IndexError):
        clips[len(lines)]


def test_a_filter_is_any_function_of_a_line_before_and_after_counting(folder):
    whole = corpus.load(folder)

    def wanted(line: manifest.Line) -> bool:
        return line.grade == "noisy"

    expected = [clip.id for clip in whole if wanted(clip.line)]
    assert [clip.id for clip in corpus.load(folder).filter(wanted)] == expected
    assert len(whole) == 24
    assert [clip.id for clip in whole.filter(wanted)] == expected
    both = whole.filter(wanted).filter(lambda line: line.split == "train")
    assert [clip.id for clip in both] == [
        clip.id for clip in corpus.load(folder, split="train", grade="noisy")
    ]


def test_a_line_that_is_not_one_is_named_when_clips_are_counted(folder):
    with (folder / "manifest.jsonl").open("ab") as file:
        file.write(b"not a line\n")
    with pytest.raises(manifest.ManifestInvalid, match="line 25"):
        len(corpus.load(folder))


def test_sound_is_an_array_of_the_samples_that_were_recorded(folder):
    clip = corpus.load(folder)[5]
    expected, rate = soundfile.read(folder / clip.line.audio, dtype="int16")
    assert clip.audio.dtype == np.float32 and clip.sample_rate_hz == rate
    assert np.array_equal(np.round(clip.audio * 32768).astype(np.int16), expected)
    assert clip.duration_s == len(expected) / rate


def test_a_damaged_sound_is_an_error_and_never_a_shorter_array(folder):
    clip = corpus.load(folder)[0]
    clip.path.write_bytes(clip.path.read_bytes()[:-600])
    with pytest.raises(ReleaseInvalid):
        _ = clip.audio


def test_nothing_is_read_before_it_is_needed(folder):
    """A team opens a release of a million clips to look at three of them."""
    clips = corpus.load(folder)
    with (folder / "manifest.jsonl").open("ab") as file:
        file.write(b"not a line\n")
    assert next(iter(clips)).text


def test_it_goes_into_a_data_loaders_workers(folder):
    clips = corpus.load(folder).filter(lambda line: line.split == "train")
    there = pickle.loads(pickle.dumps(clips))
    assert [clip.line for clip in there] == [clip.line for clip in clips]


def test_an_address_is_pulled_once_and_followed_after(served, tmp_path, monkeypatch):
    monkeypatch.setenv("XIANGYIN_TOKEN", served.token)
    monkeypatch.setenv("XIANGYIN_CACHE", str(tmp_path / "cache"))
    url = f"{served.url}/releases/r1"
    clips = corpus.load(url, grade="quiet")
    assert {clip.line.grade for clip in clips} == {"quiet"} and clips[0].audio.shape == (4000,)
    assert len(list((tmp_path / "cache").rglob("*.flac"))) == len(clips)  # no other grade was fetched
    assert corpus.load(url, grade="quiet").copy.folder == clips.copy.folder
    clip_id, digest = served.world.first_clip()
    served.world.withdraw(clip_id)
    served.world.store.erase(digest)
    publish.erase(served.world.shelf, now_ms=1_900_000_000_000)
    later = corpus.load(url, grade="quiet")
    assert len(later) == len(clips) - 1 and later.release.revision == 2
    assert not list((tmp_path / "cache").rglob(f"{digest}*"))


def test_processes_that_ask_at_once_share_one_pull(served, tmp_path, root):
    """Training starts a process for each device, and each opens the data by itself."""
    script = f"import corpus; print(len(corpus.load({served.url + '/releases/r1'!r}, split='train')))"
    env = {
        **os.environ,
        "XIANGYIN_TOKEN": served.token,
        "XIANGYIN_CACHE": str(tmp_path / "cache"),
        "PYTHONPATH": str(root),
    }
    several = [
        subprocess.Popen([sys.executable, "-c", script], env=env, stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    expected = len(corpus.load(served.world.shelf.path("r1"), split="train"))
    assert [process.communicate(timeout=60)[0] for process in several] == [f"{expected}\n"] * 4
    [copy] = (tmp_path / "cache").iterdir()
    assert open_copy(copy).mark.complete


def test_the_cache_is_where_the_system_keeps_such_things(monkeypatch, tmp_path):
    monkeypatch.delenv("XIANGYIN_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert loading.cache_folder() == tmp_path / "xiangyin"
    assert loading.cache_folder(tmp_path / "mine") == tmp_path / "mine"


def example(root: Path) -> str:
    """The example of the page, as it stands."""
    found = re.search(r"```python\n(.+?)```", (root / "docs/python.md").read_text("utf-8"), re.S)
    assert found is not None
    return found[1]


def closure(root: Path, extra: str) -> set[str]:
    """The distributions that installing the wheel with `extra` would bring, by their own metadata."""
    import tomllib

    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    wanted, found = [*project["dependencies"], *project["optional-dependencies"][extra]], set()
    while wanted:
        need = wanted.pop()
        name = re.split(r"[<>=!~\[ ;(]", need)[0].lower().replace("_", "-")
        if "extra ==" in need or name in found:
            continue
        try:
            more = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system
        found.add(name)
        wanted += more
    return found


@pytest.fixture(scope="module")
def team_python(root, tmp_path_factory) -> Path:
    """An environment that holds the wheel and what the extra ``pull`` brings, and nothing else."""
    made = tmp_path_factory.mktemp("team")
    build = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(made)]
    subprocess.run([*build, str(root)], check=True, capture_output=True, cwd=made)
    [wheel] = made.glob("xiangyin-*.whl")
    venv.create(made / "env", symlinks=True)
    python = made / "env/bin/python"
    where = [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"]
    site = Path(subprocess.run(where, capture_output=True, text=True, check=True).stdout.strip())
    unpack = [sys.executable, "-m", "zipfile", "-e", str(wheel), str(site)]
    subprocess.run(unpack, check=True)
    for name in closure(root, "pull"):
        dist = importlib.metadata.distribution(name)
        tops = {file.parts[0] for file in dist.files or () if file.parts[0] != ".."} - {"__pycache__"}
        for top in tops:
            if not (site / top).exists():
                (site / top).symlink_to(Path(str(dist.locate_file(top))))
    return python


def test_an_asr_team_needs_only_the_extra_pull(team_python, served, tmp_path, root):
    """The page's own example, in an environment without Flask, SQLAlchemy or librosa."""
    script = example(root).replace("https://voices.example.org/releases/2026.1", f"{served.url}/releases/r1")
    missing = "import importlib.util as u\n" + "".join(
        f"assert u.find_spec({name!r}) is None\n" for name in ("flask", "sqlalchemy", "librosa", "pyarrow")
    )
    check = "assert len(long_ones) == len(clips) and first.id < last.id and len(half) > 1\n"
    env = {"XIANGYIN_TOKEN": served.token, "XIANGYIN_CACHE": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [str(team_python), "-c", missing + script + check],
        capture_output=True,
        text=True,
        env=env,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr
    told = done.stdout.splitlines()
    assert told[0].endswith("clips of Tales of the coast") and "(4000,) 16000" in told[1]


def test_the_commands_of_a_team_need_only_the_extra_pull(team_python, served, tmp_path):
    words = [
        "pull",
        f"{served.url}/releases/r1",
        "--to",
        "copy",
        "--format",
        "lhotse,hf,kaldi,nemo,webdataset",
    ]
    env = {"XIANGYIN_TOKEN": served.token, "PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    done = subprocess.run(
        [str(team_python), "-m", "xiangyin", *words], capture_output=True, text=True, env=env, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""  # no bar where nobody looks
    assert "24 clips" in done.stdout and "signature good" in done.stdout
    assert "next: from lhotse import CutSet" in done.stdout.splitlines()[-1]
