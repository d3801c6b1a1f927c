"""Counts are those of all processes, survive the end of one, and never stop the work they count."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from corpus import logs, meters
from corpus.meters import BOUNDS_S, SUM, Meters


def in_child(work) -> None:
    """Run in a process of its own, which ends without ado."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_counts_of_processes_that_ended_are_in_the_sum(tmp_path):
    """Or a counter would fall whenever a worker is replaced, which Prometheus takes for a restart."""
    ours = Meters(tmp_path / "counts")
    ours.add("problems", "NOT_FOUND")
    for number in range(3):
        in_child(lambda n=number: Meters(tmp_path / "counts").add("problems", "NOT_FOUND", amount=n + 1))
    assert ours.totals()["problems", "NOT_FOUND"][0] == 1 + 1 + 2 + 3


def test_a_fork_counts_for_itself_and_counts_nothing_twice(tmp_path):
    ours = Meters(tmp_path / "counts")
    ours.add("n")
    in_child(lambda: ours.add("n"))
    assert ours.totals()["n",][0] == 2


def test_a_server_that_starts_again_counts_from_zero(tmp_path):
    Meters(tmp_path / "counts").add("n")
    meters.clear(tmp_path / "counts")
    assert Meters(tmp_path / "counts").totals() == {}


def test_threads_lose_no_count(tmp_path):
    ours = Meters(tmp_path / "counts")

    def work() -> None:
        for _ in range(500):
            ours.observe("requests", "GET", "/", "200", seconds=0.3)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(Meters(tmp_path / "counts").totals()["requests", "GET", "/", "200"][:SUM]) == 2000


@given(st.lists(st.floats(0, 100), max_size=20))
def test_a_duration_is_in_the_first_bucket_that_is_not_below_it(durations):
    """``le`` is less or equal, as the exposition format defines it."""
    ours = Meters(Path("/nonexistent/counts"))
    for seconds in durations:
        ours.observe("d", seconds=seconds)
    found = ours.totals().get(("d",), [0.0] * 18)
    for place, bound in enumerate(BOUNDS_S):
        assert sum(found[: place + 1]) == sum(seconds <= bound for seconds in durations)
    assert abs(found[SUM] - sum(durations)) < 1e-6


def test_where_no_file_can_be_a_process_counts_for_itself(tmp_path):
    """A full disk must not end the server through its instruments."""
    (tmp_path / "counts").write_text("a file where the folder should be")
    ours = Meters(tmp_path / "counts")
    ours.add("n")
    ours.add("n")
    assert ours.totals() == {("n",): [2.0, *[0.0] * 17]}


def test_a_write_that_fails_is_not_the_requests_problem(tmp_path, monkeypatch):
    ours = Meters(tmp_path / "counts")
    ours.add("n")

    def full(*_words):
        raise OSError(28, "no space")

    monkeypatch.setattr(os, "pwrite", full)
    ours.add("n")
    assert ours.totals()["n",][0] == 2


def test_keys_do_not_grow_without_end(tmp_path):
    ours = Meters(tmp_path / "counts")
    for number in range(5000):
        ours.add("n", str(number))
    ours.add("n", "x" * 500)
    assert len(ours.totals()) == 4000


def test_a_file_that_was_cut_is_read_as_far_as_it_goes(tmp_path):
    other = Meters(tmp_path / "counts")
    for name in "abc":
        other.add(name)
    (path,) = (tmp_path / "counts").glob("*.counts")
    path.write_bytes(path.read_bytes()[:-100])
    assert set(Meters(tmp_path / "counts").totals()) == {("a",), ("b",)}


# --- lines of the log --------------------------------------------------------------------------------


def record(message: str, **more):
    import logging

    return logging.LogRecord(
        "xiangyin", logging.WARNING, __file__, 1, message, (), **{"exc_info": None} | more
    )


@given(st.text())
def test_whatever_is_logged_is_one_printable_line(message):
    import json

    for form in (logs.JsonLines(), logs.TextLines()):
        line = form.format(record(message))
        assert line.isascii() and line.isprintable()
    found = json.loads(logs.JsonLines().format(record(message)))
    assert found["message"] == message[:1000] and found["level"] == "warning"


def test_an_exception_leaves_its_class_and_place_and_not_its_words():
    """Messages quote what people wrote: a database's error, its parameters."""
    import json
    import sys

    try:
        raise ValueError("secret words")
    except ValueError:
        caught = sys.exc_info()
    line = logs.JsonLines().format(record("fault", exc_info=caught))
    found = json.loads(line)
    assert found["error"] == "ValueError"
    assert found["frames"][-1].startswith("tests/corpus/test_meters.py:")
    assert "secret" not in line
