"""What every test may use, and the rule that a machine which has a part must test it."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import pwd
import secrets
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from obstore.store import S3Store

ROOT = Path(__file__).resolve().parent.parent
Change = Callable[[bytes], bytes | None]
REQUIRED = {name for name in os.environ.get("XIANGYIN_REQUIRE", "").split(",") if name}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):
    """Where XIANGYIN_REQUIRE names a marker, skipping its tests is failing them."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail"):
        demanded = sorted(REQUIRED & {mark.name for mark in item.iter_markers()})
        if demanded:
            report.outcome = "failed"
            report.longrepr = f"{demanded[0]} tests are required here, but: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def xiangyin_command() -> list[str]:
    """The installed command, as a person would call it."""
    name = "xiangyin.exe" if sys.platform == "win32" else "xiangyin"
    return [str(Path(sys.executable).with_name(name))]


CHROMIUM = os.environ.get("XIANGYIN_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


@pytest.fixture(scope="session")
def chromium():
    """Debian's Chromium, driven by Playwright."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium: apt-get install chromium, or name one in XIANGYIN_CHROMIUM")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


_POSTGRES = (
    sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if Path("/usr/lib/postgresql").is_dir() else []
)


@pytest.fixture(scope="session")
def postgres_url():
    """A PostgreSQL server of our own, run by a user that is not root, as it demands."""
    found = shutil.which("initdb") or (str(_POSTGRES[-1]) if _POSTGRES else None)
    if found is None:
        pytest.skip("PostgreSQL's server programs (initdb, pg_ctl) are not installed")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = Path(found).parent
    folder = Path(tempfile.mkdtemp(prefix="xiangyin-pg-"))
    as_user: list[str] = []
    if os.getuid() == 0:
        try:
            user = pwd.getpwnam("nobody")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user nobody")
        if shutil.which("setpriv") is None:
            pytest.skip("PostgreSQL does not run as root, and setpriv is not installed")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]

    def run(*words: str) -> None:
        subprocess.run([*as_user, *words], check=True, capture_output=True, cwd=folder, timeout=60)

    data = str(folder / "data")
    run(
        str(programs / "initdb"), "-D", data, "-U", "corpus", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
        "--no-sync",
    )  # fmt: skip
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off"
    run(str(programs / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql+psycopg://corpus@/postgres?host={folder}"
    run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


KEY = {"name": "corpus", "credentials": [{"accessKey": "corpus-key", "secretKey": "corpus-secret"}]}
READER = {"name": "reader", "credentials": [{"accessKey": "reader-key", "secretKey": "reader-secret"}]}


@dataclass
class ObjectServer:
    """SeaweedFS on this machine, with the buckets ``corpus`` and ``versioned``: to be killed and started."""

    folder: Path
    port: int = 0
    filer_port: int = 0
    process: subprocess.Popen[bytes] | None = None
    _words: tuple[str, ...] = ()
    _filled: bool = False

    def prepare(self) -> ObjectServer:
        ports = dict(zip(("master", "volume", "filer", "s3"), _free_ports(4), strict=True))
        hidden = dict(zip(ports, _free_ports(4), strict=True))
        rights = {"actions": ["Read:corpus", "List:corpus"]}, {"actions": ["Read", "Write", "List"]}
        config = self.folder / "s3.json"
        config.write_text(json.dumps({"identities": [READER | rights[0], KEY | rights[1]]}))
        (self.folder / "data").mkdir()
        self._words = (
            "server", f"-dir={self.folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3",
            *(f"-{name}.port={port}" for name, port in ports.items()),
            *(f"-{name}.port.grpc={port}" for name, port in hidden.items()),
            "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false", f"-s3.config={config}",
            "-master.volumeSizeLimitMB=64", "-volume.max=64", "-master.electionTimeout=1s",
            "-master.telemetry=false",
        )  # fmt: skip
        self.port, self.filer_port = ports["s3"], ports["filer"]
        self.start()
        made = "s3.bucket.create -name corpus\ns3.bucket.create -name versioned\n"
        subprocess.run(
            [_weed(), "shell", f"-master=127.0.0.1:{ports['master']}.{hidden['master']}",
             f"-filer=127.0.0.1:{ports['filer']}.{hidden['filer']}"],
            input=f"{made}s3.bucket.versioning -name versioned -enable\n".encode(),
            check=True, capture_output=True, cwd=self.folder, timeout=60,
        )  # fmt: skip
        self._own().put("kept", b"kept")
        self._filled = True
        return self

    def start(self) -> None:
        """Start it, and wait until it answers and gives out again what it kept."""
        held = (
            ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
        )  # never outlives the tests
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*held, _weed(), *self._words], stdout=log, stderr=log, cwd=self.folder
            )
        end = time.monotonic() + 90
        while True:
            with contextlib.suppress(OSError):
                asked = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
                asked.request("GET", "/healthz")
                # It says that it is well before it has found its volumes.
                if asked.getresponse().status == 200 and self._gives():
                    return
            assert self.process.poll() is None and time.monotonic() < end, (self.folder / "log").read_text()
            time.sleep(0.1)

    def _own(self) -> S3Store:
        from obstore.store import S3Store

        return S3Store(
            "corpus",
            prefix="of-the-server",
            config={
                "access_key_id": "corpus-key",
                "secret_access_key": "corpus-secret",
                "region": "us-east-1",
                "endpoint": f"http://127.0.0.1:{self.port}",
            },
            client_options={"allow_http": True, "timeout": "5s"},
            retry_config={"max_retries": 0, "retry_timeout": timedelta(seconds=5)},
        )

    def _gives(self) -> bool:
        """Whether what was put before the first end can be read; until then there is nothing to read."""
        from obstore.exceptions import BaseError

        if not self._filled:
            return True
        try:
            return bytes(self._own().get("kept").bytes()) == b"kept"
        except BaseError:
            return False

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def environ(self, **changes: str) -> dict[str, str]:
        """The usual variables, and a store of one's own."""
        return {
            "XIANGYIN_STORE_URL": f"s3://corpus/{secrets.token_hex(8)}/blobs",
            "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{self.port}",
            "AWS_ACCESS_KEY_ID": "corpus-key",
            "AWS_SECRET_ACCESS_KEY": "corpus-secret",
            **changes,
        }


def _weed() -> str:
    return str(Path(sys.executable).with_name("weed"))


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        taken = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in taken]


@pytest.fixture(scope="session")
def make_object_server():
    """Object stores of a test's own, gone at the end."""
    if not Path(_weed()).exists():
        pytest.skip(
            "SeaweedFS is not installed; it is among the locked test dependencies, where it has wheels"
        )
    pytest.importorskip("obstore", reason="obstore is not installed")
    with contextlib.ExitStack() as ended:

        def make() -> ObjectServer:
            folder = Path(ended.enter_context(tempfile.TemporaryDirectory(prefix="xiangyin-s3-")))
            server = ObjectServer(folder)
            ended.callback(lambda: server.process and server.kill())
            return server.prepare()

        yield make


@pytest.fixture(scope="session")
def object_server(make_object_server):
    """An object store that all tests share; none of them stops it."""
    return make_object_server()


@pytest.fixture
def wire():
    """A wire to a local port: `change` sees what is sent and gives what goes on, or None to cut it.

    So does `answer` with what comes back.
    """
    with contextlib.ExitStack() as ended:

        def lay(
            port: int, change: Change, tls: ssl.SSLContext | None = None, answer: Change = lambda data: data
        ) -> int:
            listener = ended.enter_context(socket.create_server(("127.0.0.1", 0)))
            if tls is not None:
                listener = ended.enter_context(tls.wrap_socket(listener, server_side=True))
            threading.Thread(target=_accept, args=(listener, port, change, answer), daemon=True).start()
            return listener.getsockname()[1]

        yield lay


def _accept(listener: socket.socket, port: int, change: Change, answer: Change) -> None:
    while True:
        try:
            ours, _ = listener.accept()
        except ssl.SSLError:
            continue  # whoever called does not trust us
        except OSError:
            return
        try:
            theirs = socket.create_connection(("127.0.0.1", port))
        except OSError:
            ours.close()
            continue
        threading.Thread(target=_carry, args=(ours, theirs, change), daemon=True).start()
        threading.Thread(target=_carry, args=(theirs, ours, answer), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket, change: Change) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            passed = change(data)
            if passed is None:
                break
            sink.sendall(passed)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
