"""Where heavy work runs: here, in local processes, or on a cluster, by a setting and never by a code change.

Work is cut into shards. A shard is pure and idempotent: a function of its arguments that may write
files by rename and answers with a few numbers, so that a lost worker costs a second run and nothing else.
"""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from itertools import islice
from typing import ClassVar, ParamSpec, TypeVar

from corpus import cluster
from protocol.errors import CodedError

P = ParamSpec("P")
T = TypeVar("T")
S = TypeVar("S")
_TRIES = 3


class ComputeFailed(CodedError):
    """Workers died again and again on the same work."""

    code: ClassVar[str] = "COMPUTE_FAILED"


class InlineExecutor(Executor):
    """Runs each call at once, in the caller's thread: for tests, debuggers and small work."""

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Call `fn` now; the answer or the error lies in the future."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:
            future.set_exception(error)
            if not isinstance(error, Exception):
                raise
        return future


@contextmanager
def executor(setting: str) -> Iterator[Executor | cluster.Cluster]:
    """What runs work for ``inline``, ``local`` or ``dask://host:port``, closed at the end."""
    if setting == "inline":
        yield InlineExecutor()
    elif setting.startswith("dask://"):
        with cluster.connect(setting.removeprefix("dask://")) as there:
            yield there
    else:
        # A forked child would inherit the server's threads and locks; a spawned one starts clean.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(
            os.process_cpu_count() if hasattr(os, "process_cpu_count") else os.cpu_count(), mp_context=context
        ) as pool:
            yield pool


def run(setting: str, function: Callable[[S], T], shards: Iterable[S]) -> Iterator[T]:
    """The answers of `function` for each shard, in the order of the shards, few in flight at a time.

    A single shard runs here, since starting a process costs more. When a worker is killed, the shards in
    flight run again: in a new pool here, by the scheduler on a cluster.

    Raises
    ------
    ComputeFailed
        If workers die three times in a row without an answer.
    ComputeMissing, ComputeUnreachable, ComputeWorkerless
        If the cluster of the setting cannot be used; see `corpus.cluster`.
    """
    source = iter(shards)
    head = list(islice(source, 2))
    if len(head) < 2:
        yield from map(function, head)
        return
    waiting: deque[S] = deque(head)
    failures = 0
    while waiting:
        answered = False
        try:
            with executor(setting) as pool:
                for answer in _ordered(pool, function, waiting, source):
                    failures = 0
                    answered = True
                    yield answer
        except BrokenExecutor as error:
            failures += 1
            # A cluster has tried the same work as often already; it may have blamed what only stood in line.
            if failures == _TRIES or (setting.startswith("dask://") and not answered):
                raise ComputeFailed(tries=_TRIES) from error


def _ordered(
    pool: Executor | cluster.Cluster, function: Callable[[S], T], waiting: deque[S], source: Iterator[S]
) -> Iterator[T]:
    """Answers in order; `waiting` always holds the shards that have not been answered."""
    ahead = 4 * (os.cpu_count() or 1)
    waiting.extend(islice(source, max(0, ahead - len(waiting))))
    futures: deque[Future[T] | cluster.Answer[T]] = deque(pool.submit(function, shard) for shard in waiting)
    while futures:
        answer = futures[0].result()
        futures.popleft()
        waiting.popleft()
        yield answer  # before anything is asked of the pool, which may have broken meanwhile
        for shard in islice(source, 1):
            waiting.append(shard)
            futures.append(pool.submit(function, shard))


def chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Lists of `size` items, the last one shorter."""
    source = iter(items)
    while chunk := list(islice(source, size)):
        yield chunk
