"""``xiangyin serve``: one process or several on one socket; ready when it says so, gone on SIGTERM."""

from __future__ import annotations

import functools
import logging
import multiprocessing
import os
import secrets
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, ClassVar

import click

from corpus import filelocks, logs, meters, servers_cli
from protocol.errors import CodedError

if TYPE_CHECKING:
    from corpus.settings import Settings
    from web.context import Site

ADDRESS_FILE = "address"
DEFAULT_PORT = 8000


class ServerRunning(CodedError):
    """The data folder has a server already."""

    code: ClassVar[str] = "SERVER_RUNNING"


class AddressInUse(CodedError):
    """The server cannot listen where it was told to."""

    code: ClassVar[str] = "ADDRESS_IN_USE"


@click.command(
    epilog="Example:  xiangyin serve --data corpus-data --port 8000",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option("--data", type=click.Path(path_type=Path), help="Folder of everything that is kept.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=DEFAULT_PORT, show_default=True, type=click.IntRange(0, 65535), help="0: a free one."
)
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64), help="Server processes.")
@click.option(
    "--server",
    "kind",
    default="waitress",
    show_default=True,
    type=click.Choice(["waitress", "granian"]),
    help="granian gives more throughput; install it with the extra 'throughput'.",
)
def serve(data: Path | None, host: str, port: int, workers: int, kind: str) -> None:
    """Run the intake server and its pages until SIGTERM or Ctrl-C.

    Makes and migrates the data folder. On its first start it prints, once, a link with which the
    operator signs in. The line "Ready at …" means that requests are answered.
    """
    from corpus.settings import load

    settings = load(os.environ, data)
    logs.install(settings.log_format, requests=bool(settings.access_log))
    signal.signal(signal.SIGTERM, _stop)
    lone = settings.engine_url.startswith("sqlite")
    with (
        alone(settings, among_others=not lone),
        _listening(host, port) as listener,
    ):
        import server

        _check_store(settings)
        if lone:  # servers that share a database count on where the others are
            meters.clear(settings.meters)
        site = server.open_site(settings)
        shown = f"[{host}]" if ":" in host else host
        address = settings.public_url or f"http://{shown}:{listener.getsockname()[1]}"
        link = operator_link(site, address)
        (settings.data / ADDRESS_FILE).write_text(address, encoding="utf-8")
        try:
            if link is not None:
                click.echo(f"Operator's sign-in, usable once: {link}")
            if kind == "granian":
                bound = listener.getsockname()[1]
                listener.close()  # it binds the port itself
                servers_cli.granian(
                    settings, site, host, bound, workers, lambda: click.echo(f"Ready at {address}")
                )
            elif workers > 1:
                _run_many(settings, site, listener, address, workers)
            else:
                servers_cli.waitress(site, listener, lambda: click.echo(f"Ready at {address}"))
        finally:
            _forget(settings.data / ADDRESS_FILE, address)


def _check_store(settings: Settings) -> None:
    """Refuse to start on a store that is not as it must be.

    In a process of its own: what asks an object store must not be forked afterwards, and this one may be.
    """
    from concurrent.futures import ProcessPoolExecutor

    if settings.store_url.startswith("s3://"):
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as pool:
            pool.submit(_look_at_store, settings).result()


def _look_at_store(settings: Settings) -> None:
    from corpus.store import open_store

    logging.disable()  # in this process alone: the line that the command ends with says it all
    open_store(settings).check()


def operator_link(site: Site, address: str) -> str | None:
    """A link with which the operator signs in, if nobody operates this server and none was ever made."""
    from corpus import people
    from corpus.database import begin

    now_ms = site.clock_ms()
    with begin(site.engine) as db:
        if people.has_operator(db):
            return None
        secret = secrets.token_urlsafe(24)
        expires_ms = now_ms + 1000 * site.settings.invitation_expires_s
        people.invite(db, secret, project_id=None, role="operator", now_ms=now_ms, expires_ms=expires_ms)
    return f"{address.rstrip('/')}/join/{secret}"


def _run_many(settings: Settings, site: Site, listener: socket.socket, address: str, workers: int) -> None:
    """Processes that accept from one socket; one that dies is replaced, and all end with this one."""
    import server

    site.engine.dispose()  # a connection must not be shared over a fork
    children: set[int] = set()
    told = False
    try:
        while True:
            while len(children) < workers:
                readable, writable = os.pipe()
                pid = os.fork()
                if pid == 0:
                    os.close(readable)
                    signal.signal(signal.SIGTERM, _stop)
                    servers_cli.waitress(
                        server.open_site(settings), listener, functools.partial(os.close, writable)
                    )
                    os._exit(0)
                os.close(writable)
                os.read(readable, 1)  # end of file: it answers, or it died and is replaced
                os.close(readable)
                children.add(pid)
            if not told:
                click.echo(f"Ready at {address}")
                sys.stdout.flush()
                told = True
            pid, _ = os.wait()
            children.discard(pid)
    except (SystemExit, KeyboardInterrupt):
        for pid in children:
            os.kill(pid, signal.SIGTERM)
        for pid in children:
            os.waitpid(pid, 0)


@contextmanager
def alone(settings: Settings, *, among_others: bool = False) -> Iterator[None]:
    """Hold the data folder, so that a second server on it refuses to start.

    Servers of one PostgreSQL may hold it `among_others` of their kind; a repair may not.
    """
    from corpus.disk import disk_errors

    with disk_errors():
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    filelocks.check(settings.data)
    how = filelocks.AMONG_OTHERS if among_others else filelocks.ALONE
    with disk_errors():
        file = (settings.data / "server.lock").open("a")
    with file:
        try:
            filelocks.take(file.fileno(), how | filelocks.AT_ONCE)
        except BlockingIOError as error:
            raise ServerRunning(data=str(settings.data)) from error
        yield


def _forget(path: Path, address: str) -> None:
    """Remove the file of the address, unless another server wrote its own since."""
    try:
        if path.read_text(encoding="utf-8") == address:
            path.unlink()
    except FileNotFoundError:
        pass


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise AddressInUse(address=f"{host}:{port}", problem=error.strerror or str(error)) from error
        yield listener


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)
