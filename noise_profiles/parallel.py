"""Many files on all cores: answers in the order of the files, whatever happens to one of them."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import forkserver
from multiprocessing.context import BaseContext

from noise_profiles.files import AudioUnreadable, Heard, Item, Order, hear, problem

# Less than this is measured before the processes have started.
WORTH_BYTES = 64_000_000
_AHEAD = 4  # files handed out for each process


def cores() -> int:
    """How many processes can run at once here."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def heard(
    items: Sequence[Item], order: Order, jobs: int | None, progress: Callable[[float], None] | None = None
) -> Generator[Heard, None, None]:
    """Every item's answer, in order.

    Parameters
    ----------
    jobs : int or None
        How many processes; None means all cores where there is enough to do, otherwise none but this one.
    progress : callable or None
        Told what share of the current file is done, where this process measures it.
    """
    wanted = jobs if jobs is not None else cores() if sum(one.bytes for one in items) > WORTH_BYTES else 1
    wanted = min(wanted, len(items))
    if wanted < 2:
        for item in items:
            yield hear(item, order, progress)
        return
    at = 0
    while at < len(items):
        handed_out = at
        try:
            with _pool(wanted) as pool:
                pending: deque[Future[Heard]] = deque()
                while at < len(items):
                    while handed_out < len(items) and len(pending) < _AHEAD * wanted:
                        with _undisturbed():  # the first one starts the processes
                            pending.append(pool.submit(hear, items[handed_out], order))
                        handed_out += 1
                    answer = pending.popleft().result()
                    at += 1
                    yield answer
        except BrokenProcessPool:
            # One of those handed out ended its process, and took the others' answers with it.
            for item in items[at:handed_out]:
                yield _alone(item, order)
            at = handed_out


def _alone(item: Item, order: Order) -> Heard:
    """One file in a process of its own, which it may end without harm to others."""
    try:
        with _pool(1) as pool:
            return pool.submit(hear, item, order).result()
    except BrokenProcessPool:
        return Heard.failed(item.name, AudioUnreadable(file=item.name, **problem("crashed")))


@contextmanager
def _pool(processes: int) -> Iterator[ProcessPoolExecutor]:
    """A pool that leaves no process behind, however it is left."""
    before = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(processes, mp_context=_context(), initializer=_begin)
    try:
        yield pool
        pool.shutdown()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in set(multiprocessing.active_children()) - before:
            process.terminate()


def _context() -> BaseContext:
    """Forks of a clean process: this one's numerical libraries may hold threads, which a fork would break."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["noise_profiles.files"])
    # The keyboard's interrupt goes to every process of the terminal; one that is just starting would print
    # a traceback. What is blocked here stays blocked in the clean process and in its forks.
    with _undisturbed():
        forkserver.ensure_running()
    return context


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put the keyboard's interrupt off: a pool that is half started cannot be ended in good order."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def _begin() -> None:
    """In each new process: the keyboard's interrupt is the parent's to handle, and so is the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
