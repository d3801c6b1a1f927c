"""A killed cut leaves nothing to be seen, and the same cut again goes on where it stopped."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
import sqlalchemy as sa

from corpus import soundplaces, tables
from corpus.database import begin
from corpus.release import BlobsDamaged


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


class Killed(BaseException):
    """Stands for SIGKILL: nothing is cleaned up behind it."""


def kill_after(monkeypatch, shards: int) -> list[int]:
    """Make the cut die when it has placed some shards; counts the sounds that were read."""
    read: list[int] = []
    original = soundplaces.place_sounds

    def counted(shard):
        if len(read) >= shards:
            raise Killed
        read.append(len(shard.lines))
        return original(shard)

    monkeypatch.setattr(soundplaces, "SHARD_LINES", 2)
    monkeypatch.setattr(soundplaces, "place_sounds", counted)
    return read


@pytest.fixture
def killed(world, monkeypatch):
    """A world of 24 clips whose cut was killed with 18 of them in place, of which it had heard of 12."""
    from corpus import compute, release

    world.villages()
    monkeypatch.setattr(compute.os, "cpu_count", lambda: 1)  # four shards are asked for ahead
    with monkeypatch.context() as patch:
        patch.setattr(release, "forget", lambda work: None)
        kill_after(patch, 9)
        with pytest.raises(Killed):
            world.cut()
    assert (world.shelf.folder / ".cut-r1").is_dir()
    return world


def test_sounds_that_were_verified_are_not_read_again(killed, monkeypatch, tmp_path):
    whole = type(killed)(copy_without_releases(killed, tmp_path))
    expected = tree(whole.cut().folder)
    read = kill_after(monkeypatch, 99)
    done = killed.cut()
    assert sum(read) == 12
    assert tree(done.folder) == expected
    assert {p.name for p in killed.shelf.folder.iterdir()} == {
        "r1",
        "latest.json",
        "tombstones.jsonl",
        ".lock",
    }


def copy_without_releases(world, tmp_path) -> Path:
    world.engine.dispose()
    shutil.copytree(world.data, tmp_path / "twin", ignore=shutil.ignore_patterns("releases"))
    return tmp_path / "twin"


def test_a_file_that_is_gone_since_is_placed_again(killed):
    (first, *_) = sorted((killed.shelf.folder / ".cut-r1/audio").glob("*/*.flac"))
    first.unlink()
    assert killed.cut().header.counts["clips"] == 24


def test_a_voice_that_was_withdrawn_meanwhile_is_not_in_the_folder(killed):
    with begin(killed.engine) as db:
        c = tables.clip.c
        rows = db.execute(sa.select(c.id, c.sha256)).all()
    there = {p.stem for p in (killed.shelf.folder / ".cut-r1/audio").glob("*/*.flac")}
    victim = next(row for row in rows if row.sha256 in there)
    killed.withdraw(victim.id)
    done = killed.cut()
    assert victim.sha256 not in {p.stem for p in done.folder.rglob("*.flac")}
    assert done.header.counts["clips"] == 23


def test_another_cut_and_a_withdrawal_sweep_what_was_left(killed):
    from corpus import publish

    publish.erase(killed.shelf, now_ms=1)
    assert not list(killed.shelf.folder.glob(".cut*"))


def test_a_cut_that_fails_by_itself_leaves_nothing(world):
    world.villages(3, 2)
    blob = next(world.store.folder.rglob("*"), None)
    blob = next(p for p in world.store.folder.rglob("*") if p.is_file())
    blob.unlink()
    with pytest.raises(BlobsDamaged):
        world.cut()
    assert not list(world.shelf.folder.glob(".cut*"))


SETTINGS = [
    {"XIANGYIN_COMPUTE": "inline", "LC_ALL": "C", "TZ": "Asia/Taipei", "PYTHONHASHSEED": "1"},
    {"XIANGYIN_COMPUTE": "local", "LC_ALL": "C.UTF-8", "TZ": "America/Adak", "PYTHONHASHSEED": "77"},
    {
        "XIANGYIN_COMPUTE": "local",
        "LC_ALL": "tr_TR.UTF-8",
        "TZ": "UTC",
        "PYTHONHASHSEED": "3",
        "COLUMNS": "20",
    },
]


def test_workers_place_time_and_hash_seed_move_no_byte(world, tmp_path, xiangyin_command):
    world.villages(speakers=12)
    world.engine.dispose()
    made = []
    for number, settings in enumerate(SETTINGS):
        data = tmp_path / f"copy{number}"
        shutil.copytree(world.data, data)
        words = [*xiangyin_command, "release", "cut", "tales", "r1", "--data", str(data)]
        env = {**os.environ, **settings}
        done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=env)
        assert done.returncode == 0, done.stderr
        made.append(tree(data / "releases"))
    assert made[0] == made[1] == made[2]
