"""Work is done once for each shard, in order, on whatever runs it, even if a worker is killed."""

from __future__ import annotations

import contextlib
import itertools
import os
from concurrent.futures.process import BrokenProcessPool

import pytest

from corpus import cluster, compute
from tests.release.dying import die, die_once


def double(value: int) -> int:
    return 2 * value


def fail(value: int) -> int:
    raise ZeroDivisionError(value)


@pytest.mark.parametrize("setting", ["inline", "local"])
@pytest.mark.parametrize("count", [0, 1, 2, 100])
def test_answers_come_in_the_order_of_the_shards(setting, count):
    assert list(compute.run(setting, double, range(count))) == [2 * n for n in range(count)]


@pytest.mark.parametrize("setting", ["inline", "local"])
def test_an_error_of_the_work_is_raised(setting):
    with pytest.raises(ZeroDivisionError):
        list(compute.run(setting, fail, range(4)))


def test_a_killed_worker_costs_a_second_run_and_nothing_else(tmp_path):
    jobs = [(n, str(tmp_path)) for n in range(20)]
    assert list(compute.run("local", die_once, jobs)) == list(range(20))
    assert (tmp_path / "died").exists()


def test_an_answer_that_came_before_the_pool_broke_is_not_lost(monkeypatch):
    """A worker may die between an answer and the next question."""
    ahead = 4 * (os.cpu_count() or 1)
    questions = itertools.count()

    class BreaksOnce(compute.InlineExecutor):
        def submit(self, fn, /, *args, **kwargs):
            if next(questions) == ahead:
                raise BrokenProcessPool
            return super().submit(fn, *args, **kwargs)

    monkeypatch.setattr(compute, "executor", lambda setting: contextlib.nullcontext(BreaksOnce()))
    assert list(compute.run("local", double, range(3 * ahead))) == [2 * n for n in range(3 * ahead)]


def test_work_that_always_kills_its_worker_is_given_up():
    with pytest.raises(compute.ComputeFailed):
        list(compute.run("local", die, range(4)))


def test_few_shards_are_taken_ahead_of_their_answers():
    taken = []

    def shards():
        for n in range(1000):
            taken.append(n)
            yield n

    answers = compute.run("inline", double, shards())
    assert next(answers) == 0
    assert len(taken) < 100


def test_a_cluster_that_is_not_installed_is_said(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(cluster.ComputeMissing, match="distributed"):
        list(compute.run("dask://127.0.0.1:1", double, range(4)))
