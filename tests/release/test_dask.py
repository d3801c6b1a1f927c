"""A cluster does the same work to the same bytes, whichever of its workers is killed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
import time
from concurrent.futures import BrokenExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from corpus import cluster as clusters
from corpus import compute, soundplaces, verify
from tests.release import dying
from tests.release.dying import die, die_once
from tests.release.trees import tree

distributed = pytest.importorskip("distributed", reason="Dask is the extra `dask`")
cloudpickle = pytest.importorskip("cloudpickle")


def time_out(number: int) -> int:
    raise TimeoutError("of the work")


@pytest.fixture(scope="module")
def cluster(root):
    """A scheduler and two workers on this machine, which import the tree under test."""
    for module in (sys.modules[__name__], dying):
        cloudpickle.register_pickle_by_value(module)
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
    monkeypatch.setattr(clusters, "_CONNECT_S", 0.5)
    with pytest.raises(clusters.ComputeUnreachable, match="dask scheduler"):
        list(compute.run("dask://127.0.0.1:9", die, range(3)))


def test_a_cluster_without_workers_is_an_error_and_not_a_wait_for_ever(monkeypatch):
    monkeypatch.setattr(clusters, "_LOOK_S", 0.1)
    monkeypatch.setattr(clusters, "_WORKERLESS_S", 0.5)
    with distributed.LocalCluster(
        n_workers=0, processes=True, dashboard_address=":0", host="127.0.0.1"
    ) as empty:
        setting = empty.scheduler_address.replace("tcp://", "dask://")
        with pytest.raises(clusters.ComputeWorkerless, match="dask worker"):
            list(compute.run(setting, die, range(3)))


def test_an_error_of_the_work_is_raised_even_if_it_looks_like_ours(setting):
    with pytest.raises(TimeoutError, match="of the work"):
        list(compute.run(setting, time_out, range(3)))


def live_once(scratch: str) -> int:
    """Answers the first time, and kills its worker ever after."""
    mark = Path(scratch) / "answered"
    if mark.exists():
        os.kill(os.getpid(), signal.SIGKILL)
    mark.touch()
    return os.getpid()


def test_an_answer_that_dies_with_its_worker_and_cannot_be_had_again_is_an_error(cluster, setting, tmp_path):
    """Dask's own Executor would wait for ever: the second run fails while answers are collected."""
    with clusters.connect(setting.removeprefix("dask://")) as there:
        answer = there.submit(live_once, str(tmp_path))
        while not (tmp_path / "answered").exists():
            time.sleep(0.01)
        while answer._future.status != "finished":
            time.sleep(0.01)
        with distributed.Client(cluster.scheduler_address, set_as_default=False) as client:
            (holder,) = client.who_has()[answer._future.key]
            pid = client.run(os.getpid, workers=[holder])[holder]
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(BrokenExecutor):
            answer.result()


def test_a_scheduler_that_goes_away_is_an_error(tmp_path):
    alone = distributed.LocalCluster(n_workers=0, dashboard_address=":0", host="127.0.0.1")
    address = alone.scheduler_address.removeprefix("tcp://")
    with clusters.connect(address) as there:
        answer = there.submit(live_once, str(tmp_path))
        alone.close()
        with pytest.raises(clusters.ComputeUnreachable):
            answer.result()


def test_work_that_always_kills_its_worker_is_given_up(setting, monkeypatch):
    """Last, since it leaves the cluster in pieces: Dask starts no worker again that died while it started."""
    monkeypatch.setattr(clusters, "_WORKERLESS_S", 20)
    with pytest.raises((compute.ComputeFailed, clusters.ComputeWorkerless)):
        list(compute.run(setting, die, range(2)))
