"""A cluster does the same work to the same bytes, whichever of its workers is killed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from corpus import compute, soundplaces, verify

distributed = pytest.importorskip("distributed", reason="Dask is the extra `dask`")
cloudpickle = pytest.importorskip("cloudpickle")


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def die_once(job: tuple[int, str]) -> int:
    """Kills its worker the first time that it sees shard 5."""
    number, scratch = job
    mark = Path(scratch) / "died"
    if number == 5 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module")
def cluster(root):
    """A scheduler and two workers on this machine, which import the tree under test."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    path = os.pathsep.join([str(root), os.environ.get("PYTHONPATH", "")])
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = path  # a worker is a fresh process
    try:
        with distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1"
        ) as made:
            yield made
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before


@pytest.fixture
def setting(cluster) -> str:
    return cluster.scheduler_address.replace("tcp://", "dask://")


def test_a_killed_worker_costs_a_second_run_and_nothing_else(setting, tmp_path):
    jobs = [(n, str(tmp_path)) for n in range(30)]
    assert list(compute.run(setting, die_once, jobs)) == list(range(30))
    assert (tmp_path / "died").exists()


def test_a_cut_whose_worker_is_killed_in_the_middle_has_the_same_bytes(
    cluster, setting, world, tmp_path, monkeypatch
):
    monkeypatch.setattr(soundplaces, "SHARD_LINES", 1)
    world.villages(speakers=12)
    world.engine.dispose()
    shutil.copytree(world.data, tmp_path / "twin")
    twin = type(world)(tmp_path / "twin")
    expected = tree(twin.cut().folder)

    journal = world.shelf.folder / ".cut-r1.placed"
    placed_at_kill: list[int] = []

    def kill_one() -> None:
        while not journal.exists() or not journal.read_bytes():
            time.sleep(0.001)
        placed_at_kill.append(len(journal.read_text().splitlines()))
        os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)

    killer = threading.Thread(target=kill_one)
    killer.start()
    world.shelf = replace(world.shelf, setting=setting)
    done = world.cut()
    killer.join()
    assert placed_at_kill and placed_at_kill[0] < 36
    assert tree(done.folder) == expected
    assert verify.verify(done.folder, setting=setting).findings == ()


def test_no_scheduler_is_a_clear_error(monkeypatch):
    monkeypatch.setattr(compute, "_CONNECT_S", 0.5)
    with pytest.raises(compute.ComputeUnreachable, match="dask scheduler"):
        list(compute.run("dask://127.0.0.1:9", die, range(3)))


def test_work_that_always_kills_its_worker_is_given_up(setting):  # last: it leaves the cluster in pieces
    with pytest.raises(compute.ComputeFailed):
        list(compute.run(setting, die, range(2)))
