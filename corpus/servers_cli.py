"""The two servers that `serve` can run the application on, each set so that slow clients hold up nobody.

waitress takes a request in whole before a thread sees it. granian hands bodies over as they come, so it
has many threads, and each stalled client keeps one.
"""

from __future__ import annotations

import functools
import gc
import http.client
import logging
import multiprocessing
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from protocol.errors import CodedError

if TYPE_CHECKING:
    from corpus.settings import Settings
    from web.context import Site

SWEEP_S = 60.0
GRANIAN_THREADS = 64  # with 16 and fewer, 40 slow uploads held up everybody
_STOP_S = 12
_RECEIVED_BYTES = 1 << 17  # waitress asks for 8 kB at a time, each time after a look at all connections
_log = logging.getLogger("xiangyin.serve")


class ServerMissing(CodedError):
    """A server that was asked for is not installed."""

    code: ClassVar[str] = "SERVER_MISSING"


def waitress(site: Site, listener: socket.socket, ready: Callable[[], object]) -> None:
    """Serve on waitress until SystemExit or KeyboardInterrupt; ends after the requests at work."""
    import waitress.channel  # type: ignore[import-untyped]
    import waitress.server  # type: ignore[import-untyped]
    import waitress.task  # type: ignore[import-untyped]

    from corpus import capped
    from web import auth, bodies

    class KeepingTask(waitress.task.WSGITask):  # type: ignore[misc]
        """Keeps the connection after a 204, as HTTP/1.1 does.

        waitress closes it after every reply that names no length; but a 204 must name none and has its end
        in its header. Each piece of an upload is answered with one, so each would need a new connection.
        """

        def set_close_on_finish(self) -> None:
            asked = self.request.headers.get("CONNECTION", "").lower() == "close"
            if self.version == "1.1" and not asked and self.complete and not self.has_body:
                return
            super().set_close_on_finish()

    class KeepingChannel(waitress.channel.HTTPChannel):  # type: ignore[misc]
        task_class = KeepingTask
        parser_class = capped.parser_class(
            bodies.kept(site.settings.max_upload_bytes, auth.at_the_door(site)), site.room
        )

    settings = site.settings
    serving = waitress.create_server(
        _application(site),
        sockets=[listener],
        threads=settings.threads,
        ident="xiangyin",
        connection_limit=1000,
        channel_timeout=120,
        recv_bytes=_RECEIVED_BYTES,
        max_request_body_size=settings.max_upload_bytes + (1 << 20),
        clear_untrusted_proxy_headers=False,  # `web.forwarded` does, for both servers
    )
    serving.channel_class = KeepingChannel
    ended = threading.Event()
    sweeper = threading.Thread(target=_sweep, args=(site, ended), name="sweep", daemon=True)
    sweeper.start()
    ready()
    sys.stdout.flush()
    try:
        serving.run()
    finally:
        ended.set()
        serving.close()
        sweeper.join(timeout=5)
        site.intake.decoder.close()
        site.engine.dispose()


def granian(
    settings: Settings, site: Site, host: str, port: int, workers: int, ready: Callable[[], object]
) -> None:
    """Serve on granian until SIGTERM or Ctrl-C.

    Raises
    ------
    ServerMissing
        If it is not installed.
    """
    try:
        from granian import Granian
        from granian.constants import Interfaces
    except ImportError as error:
        raise ServerMissing(server="granian", extra="throughput") from error
    site.engine.dispose()  # a connection must not be shared over a fork
    serving = Granian(
        "server",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=GRANIAN_THREADS,
        log_enabled=False,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_S,
        websockets=False,
    )
    # A process, not a thread: granian forks, and a lock that a thread held just then stays shut in a worker.
    sys.stdout.flush()
    waiting = multiprocessing.get_context("fork").Process(
        target=_when_answering, args=(host, port, os.getpid(), ready), daemon=True
    )
    waiting.start()
    serving.serve(target_loader=functools.partial(_in_worker, settings), wrap_loader=False)


def _in_worker(settings: Settings) -> Any:
    import server
    from corpus import logs

    logs.install(settings.log_format, requests=bool(settings.access_log))  # granian sets its own for a worker
    site = server.open_site(settings)
    application = _closing(_application(site))
    threading.Thread(target=_sweep, args=(site, threading.Event()), name="sweep", daemon=True).start()
    return application


def _closing(application: Any) -> Any:
    """Say that the connection ends where a refusal leaves a body unread: granian ends it without a word."""

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        counted = environ["wsgi.input"] = _Counted(environ["wsgi.input"])
        announced = environ.get("CONTENT_LENGTH") or "0"
        chunked = "HTTP_TRANSFER_ENCODING" in environ

        def start(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            if chunked or (announced.isdigit() and counted.count < int(announced)):
                headers = [*headers, ("Connection", "close")]
            return start_response(status, headers, *more)

        return application(environ, start)

    return answer


class _Counted:
    """A body, and how much of it was read."""

    def __init__(self, body: Any) -> None:
        self._body, self.count = body, 0

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        return self._add(self._body.read(size))

    def readline(self, size: int = -1) -> bytes:
        """As a file's."""
        return self._add(self._body.readline(size))

    def __iter__(self) -> Any:
        return map(self._add, self._body)

    def _add(self, data: bytes) -> bytes:
        self.count += len(data)
        return data


def _application(site: Site) -> Any:
    import server

    site.intake.decoder.warm()  # the first speaker must not wait for imports
    application = server.create_app(site.settings, site)
    gc.collect()
    gc.freeze()  # it lives as long as the process: looking through it took 60 ms each time
    return application


def _when_answering(host: str, port: int, server_pid: int, ready: Callable[[], object]) -> None:
    """Tell once the server answers; give up if it ends before."""
    while os.getppid() == server_pid:
        try:
            connection = http.client.HTTPConnection(host, port, timeout=5)
            connection.request("GET", "/healthz")
            connection.getresponse().read()
            connection.close()
        except OSError:
            time.sleep(0.05)
            continue
        ready()
        sys.stdout.flush()
        return


def _sweep(site: Site, ended: threading.Event) -> None:
    """Every minute: what nobody asks for.

    Complete uploads are closed and expired ones dropped, what withdrawals left is erased, and appeals that
    nobody decided in time are accepted.
    """
    from corpus import review, withdrawal

    def settle() -> object:
        return review.settle_silent(
            site.engine, site.signer, random_hex=site.random_hex, now_ms=site.clock_ms()
        )

    while True:
        for work in (site.intake.sweep, functools.partial(withdrawal.sweep, site.custody), settle):
            try:
                work()
            except CodedError as error:
                _log.warning("sweep: %s", error.code)
            except Exception:  # noqa: BLE001  # a fault of ours: the next sweep must come all the same
                _log.exception("sweep")
        if ended.wait(SWEEP_S):
            return
