"""Heavy work on a Dask cluster: every question about it ends, whatever becomes of its workers.

Dask's own Executor is not used: when a worker dies between an answer and its collection, and the second run
fails, the error is lost there (`distributed.cfexecutor`) and the caller waits for ever.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

from protocol.errors import CodedError

P = ParamSpec("P")
T = TypeVar("T")
_CONNECT_S = 20
_LOOK_S = 5.0
_WORKERLESS_S = 300.0  # a batch system may need minutes to start one


class ComputeMissing(CodedError):
    """The library that the setting needs is not installed."""

    code: ClassVar[str] = "LIBRARY_MISSING"


class ComputeUnreachable(CodedError):
    """No scheduler answers at the address."""

    code: ClassVar[str] = "COMPUTE_UNREACHABLE"


class ComputeWorkerless(CodedError):
    """The scheduler answers, and has no worker."""

    code: ClassVar[str] = "COMPUTE_WORKERLESS"


class Cluster:
    """What work is given to, as to an Executor."""

    def __init__(self, distributed: Any, client: Any, address: str) -> None:
        self._distributed, self._client, self._address = distributed, client, address

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Answer[T]:
        """Have a worker call `function`."""
        return Answer(self, self._client.submit(function, *args, pure=False, **kwargs))

    def wait(self, future: Any) -> Any:
        """The answer behind Dask's `future`.

        Raises
        ------
        BrokenExecutor
            If workers died again and again while they had this work.
        ComputeUnreachable
            If the scheduler went away.
        ComputeWorkerless
            If nobody is left who could do it, and nobody comes.
        """
        alone_since_s: float | None = None
        while True:
            try:
                return future.result(timeout=_LOOK_S)
            except self._distributed.KilledWorker as error:
                raise BrokenExecutor(str(error)) from error
            except CancelledError as error:
                raise ComputeUnreachable(address=self._address) from error
            except TimeoutError:
                if future.status == "error":  # it is the work's own
                    raise
            if self._has_workers():
                alone_since_s = None
                continue
            now_s = time.monotonic()
            alone_since_s = now_s if alone_since_s is None else alone_since_s
            if now_s - alone_since_s >= _WORKERLESS_S:
                raise ComputeWorkerless(address=self._address, seconds=round(_WORKERLESS_S))

    def _has_workers(self) -> bool:
        try:
            return bool(self._client.nthreads())
        except OSError as error:
            raise ComputeUnreachable(address=self._address) from error


class Answer(Generic[T]):
    """What becomes of one call."""

    def __init__(self, cluster: Cluster, future: Any) -> None:
        self._cluster, self._future = cluster, future

    def result(self) -> T:
        """Wait for it."""
        answer: T = self._cluster.wait(self._future)
        return answer


@contextmanager
def connect(address: str) -> Iterator[Cluster]:
    """The cluster whose scheduler is at ``host:port``.

    Raises
    ------
    ComputeMissing
        If Dask is not installed.
    ComputeUnreachable
        If no scheduler answers.
    """
    try:
        distributed = importlib.import_module("distributed")
    except ModuleNotFoundError as error:
        raise ComputeMissing(library="dask.distributed", command="pip install xiangyin[dask]") from error
    try:
        client = distributed.Client("tcp://" + address, timeout=_CONNECT_S, set_as_default=False)
    except OSError as error:
        raise ComputeUnreachable(address=address) from error
    with client:
        yield Cluster(distributed, client, address)
