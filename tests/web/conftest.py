"""A real site in a temporary folder, members who joined over HTTP, sound made at run time, a real server."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import numpy as np
import pytest
import requests
import soundfile

from corpus import closing, people, projects, prompts
from corpus.database import DatabaseBusy, begin
from corpus.settings import Settings
from noise_profiles import signals

ROOT = Path(__file__).resolve().parents[2]
START_S = 90.0
RATE_HZ = 16_000
VOICE = {"gender": "female", "age_band": "30-39", "region": "Tainan", "native_language": "nan"}
PROJECT = projects.Project(
    id="tales",
    title="Tales 故事",
    language="nan-Hant-TW",
    orthography="nan-Hant",
    profile_id="everyday",
    terms=projects.DEFAULT_TERMS,
    consent=projects.DEFAULT_CONSENT,
    created_ms=1,
)


def samples(seed: int = 1, snr_db: float = 30.0, seconds: float = 3.0, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Speech-like sound in pink noise, 16 bits."""
    count = int(seconds * rate_hz)
    speech = signals.speech_like(count, rate_hz, seed, lead_in_s=1.0)
    mixture = signals.mix(speech, signals.pink_noise(count, rate_hz, seed + 1000), snr_db, rate_hz)
    return np.round(mixture.samples * 32767).astype(np.int16)


def sound_file(x: np.ndarray, form: str = "FLAC", rate_hz: int = RATE_HZ, subtype: str = "PCM_16") -> bytes:
    """The samples as bytes of a file."""
    out = io.BytesIO()
    soundfile.write(out, x, rate_hz, format=form, subtype=subtype)
    return out.getvalue()


def meta(**changes: object) -> dict[str, object]:
    """What a recorder says of a clip."""
    return {
        "session_id": "s1",
        "recording_id": "r1",
        "style": "monologue",
        "grade": "quiet",
        "consent_version": PROJECT.consent["version"],
        "recorded_at": "2026-01-31T08:00:00Z",
        "lead_in_s": 1.0,
        **changes,
    }


@dataclass
class Clip:
    """A file to send, with the headers that declare it."""

    data: bytes
    clip_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    meta: dict[str, object] = field(default_factory=meta)
    sha256: str = ""

    def __post_init__(self) -> None:
        self.sha256 = self.sha256 or hashlib.sha256(self.data).hexdigest()

    def pairs(self) -> dict[str, str]:
        return {
            "clip_id": self.clip_id,
            "sha256": self.sha256,
            "filename": "take.flac",
            "meta": json.dumps(self.meta),
        }

    def headers(self, **changes: str) -> dict[str, str]:
        encoded = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in self.pairs().items())
        return {
            "Tus-Resumable": "1.0.0",
            "Upload-Length": str(len(self.data)),
            "Upload-Metadata": encoded,
            **changes,
        }


def patch_headers(offset: int, **changes: str) -> dict[str, str]:
    return {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": str(offset),
        "Content-Type": "application/offset+octet-stream",
        **changes,
    }


def checksum(data: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm} {base64.b64encode(hashlib.new(algorithm, data).digest()).decode()}"


@pytest.fixture
def settings(tmp_path):
    return Settings(data=tmp_path / "data", disk_reserve_bytes=0)


@pytest.fixture
def site(settings):
    import server

    made = server.open_site(settings)
    with begin(made.engine) as db:
        projects.create(db, PROJECT)
        prompts.add(db, PROJECT.id, [("p1", "你食飽未", "你食飽未")])
    yield made
    made.intake.decoder.close()
    made.engine.dispose()


@pytest.fixture
def app(settings, site):
    import server

    return server.create_app(settings, site)


def invitation(site, role: str, project_id: str | None = PROJECT.id) -> str:
    secret = secrets.token_urlsafe(24)
    now_ms = site.clock_ms()
    with begin(site.engine) as db:
        people.invite(
            db, secret, project_id=project_id, role=role, now_ms=now_ms, expires_ms=now_ms + 3_600_000
        )
    return secret


class Caller:
    """A member with a token, over Flask's test client."""

    def __init__(self, app, site, role: str, project_id: str | None = PROJECT.id) -> None:
        self.client = app.test_client()
        body = {"invite": invitation(site, role, project_id)}
        if role == "speaker":
            consent = {"version": PROJECT.consent["version"], "yes": True}
            body |= {"consent": consent, "attributes": VOICE, "display_name": "阿美"}
        answer = self.client.post("/api/v1/join", json=body)
        assert answer.status_code == 201, answer.text
        self.joined = answer.get_json()
        self.token = self.joined["token"]

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more):
        return self.client.open(
            path, method=method, headers={"Authorization": f"Bearer {self.token}", **(headers or {})}, **more
        )

    def create(self, clip: Clip, **changes: str):
        return self.ask("POST", "/api/v1/uploads", clip.headers(**changes))

    def patch(self, location: str, offset: int, data: bytes, **changes: str):
        return self.ask("PATCH", location, patch_headers(offset, **changes), data=data)

    def head(self, location: str) -> int:
        answer = self.ask("HEAD", location, {"Tus-Resumable": "1.0.0"})
        assert answer.status_code == 200
        return int(answer.headers["Upload-Offset"])

    def send(self, clip: Clip) -> dict[str, object]:
        """Create, add everything, and say what became of it."""
        created = self.create(clip)
        assert created.status_code == 201, created.text
        answer = self.patch(created.headers["Location"], 0, clip.data)
        assert answer.status_code == 204, answer.text
        return self.ask("GET", f"/api/v1/clips/{clip.clip_id}").get_json()


@pytest.fixture
def join(app, site):
    """Make a member of a role."""
    return lambda role, project_id=PROJECT.id: Caller(app, site, role, project_id)


@pytest.fixture
def speaker(join):
    return join("speaker")


@pytest.fixture
def good():
    return Clip(sound_file(samples()))


# --- a server in a process of its own --------------------------------------------------------------


@dataclass
class Server:
    """``xiangyin serve`` on a free port, to be killed and started again."""

    data: Path
    environ: dict[str, str] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    process: subprocess.Popen[str] | None = None
    url: str = ""
    port: int = 0
    told: list[str] = field(default_factory=list)
    said: TextIO | None = None

    def start(self) -> Server:
        command = [
            sys.executable,
            "-m",
            "xiangyin",
            "serve",
            "--data",
            str(self.data),
            "--port",
            str(self.port),
        ]
        said = self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115  # it lives as long as the server
        self.process = subprocess.Popen(
            [*command, *self.words],
            stdout=subprocess.PIPE,
            stderr=said,  # a pipe that nobody reads may fill and block
            text=True,
            cwd=ROOT,
            env={**os.environ, "XIANGYIN_DISK_RESERVE_BYTES": "0", **self.environ},
        )
        given_up = threading.Timer(START_S, self.process.kill)  # one that never answers fails its test
        given_up.start()
        for line in self.process.stdout:
            self.told.append(line.strip())
            if found := re.match(r"Ready at (http://\S+:(\d+))", line):
                given_up.cancel()
                self.url, self.port = found[1], int(found[2])
                return self
        given_up.cancel()
        said.seek(0)
        raise AssertionError(said.read())

    def log(self) -> list[str]:
        """The lines on its stderr so far."""
        with os.fdopen(os.dup(self.said.fileno())) as copy:
            return os.pread(copy.fileno(), 1 << 24, 0).decode().splitlines()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def command(self, *words: str) -> list[dict[str, object]]:
        """Another command on the same data; its JSON lines."""
        done = subprocess.run(
            [sys.executable, "-m", "xiangyin", *words, "--data", str(self.data), "--format", "json"],
            capture_output=True,
            text=True,
            cwd=ROOT,
            env={**os.environ, **self.environ},
            timeout=120,
        )
        assert done.returncode in (0, 1), done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    def join(self, role: str = "speaker") -> RemoteCaller:
        (made,) = self.command("invite", PROJECT.id, "--role", role)
        return RemoteCaller(self, made["invite"], role)


class RemoteCaller:
    """A speaker over real HTTP, who asks again when the server is away."""

    def __init__(self, server: Server, invite: str, role: str) -> None:
        self.server = server
        body = {"invite": invite}
        if role == "speaker":
            body |= {"consent": {"version": PROJECT.consent["version"], "yes": True}, "attributes": VOICE}
        answer = requests.post(f"{server.url}/api/v1/join", json=body, timeout=30)
        assert answer.status_code == 201, answer.text
        self.headers = {"Authorization": f"Bearer {answer.json()['token']}"}

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, **more) -> requests.Response:
        address = path if path.startswith("http") else self.server.url + path
        return requests.request(
            method, address, headers={**self.headers, **(headers or {})}, timeout=30, **more
        )


def begun(data: Path) -> Server:
    made = Server(data).start()
    made.command(
        "project", "create", PROJECT.id, "--title", PROJECT.title, "--language", PROJECT.language,
        "--orthography", PROJECT.orthography,
    )  # fmt: skip
    return made


def ended(made: Server) -> None:
    if made.process.poll() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            made.stop()
        made.process.kill()


@pytest.fixture
def serving(tmp_path):
    """A running server with the project, the test's own to kill."""
    made = begun(tmp_path / "data")
    yield made
    ended(made)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A running server for tests that leave it alive."""
    made = begun(tmp_path_factory.mktemp("shared") / "data")
    yield made
    ended(made)


def wait_until(holds, seconds: float = 10.0):
    """Ask until it holds; the answer."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (answer := holds()) is not None:
            return answer
        time.sleep(0.02)
    raise AssertionError("it never came to hold")


@pytest.fixture(scope="session")
def server_class():
    """The server in a process of its own, for fixtures of a wider scope."""
    return Server


@pytest.fixture
def closed_half_way(site, monkeypatch):
    """An upload whose blob is in the store, and whose row the database had no time for; its address."""

    def begin(speaker, clip) -> str:
        location = speaker.create(clip).headers["Location"]

        def busy(*args, **more):
            raise DatabaseBusy()

        with monkeypatch.context() as patch:
            patch.setattr(closing, "record", busy)
            assert speaker.patch(location, 0, clip.data).status_code == 503
        (blob,) = site.store
        is_wav = clip.data.startswith(b"RIFF")  # kept as a FLAC, whose digest no upload declares
        assert (blob != clip.sha256) == is_wav
        return location

    return begin


@pytest.fixture
def make():
    """The makers of this file, for test modules that cannot import it."""
    import types

    return types.SimpleNamespace(
        samples=samples,
        file=sound_file,
        meta=meta,
        clip=lambda data=None, **more: Clip(sound_file(samples()) if data is None else data, **more),
        patch_headers=patch_headers,
        checksum=checksum,
        invitation=invitation,
        project=PROJECT,
        server=Server,
        wait_until=wait_until,
        rate_hz=RATE_HZ,
    )
