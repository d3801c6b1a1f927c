"""Sound that is made, spools, a real sound server, a real intake server."""

from __future__ import annotations

import contextlib
import ctypes.util
import json
import os
import secrets
import shutil
import socket
import struct
import subprocess
import sys
import textwrap
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

from noise_profiles import profile as profiles
from noise_profiles import signals
from protocol.clip import ClipId, ClipMeta
from recorder import joining
from recorder.credentials import Membership
from recorder.spool import Spool

RATE_HZ = 16_000


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return open_spool(tmp_path)


def open_spool(folder: Path) -> Spool:
    return Spool(folder / "spool", folder / "receipts", new_id=lambda: ClipId(str(uuid.uuid4())))


@pytest.fixture
def meta() -> ClipMeta:
    return ClipMeta(
        session_id="ses-1",
        recording_id="rec-1",
        style="monologue",
        grade="moderate",
        consent_version="consent-1",
        recorded_at="2026-01-31T08:00:00Z",
    )


@pytest.fixture(scope="session")
def everyday():
    return profiles.load()["everyday"]


def talk(
    utterances: int = 3,
    *,
    rate_hz: int = RATE_HZ,
    snr_db: float = 18.0,
    lead_s: float = 2.2,
    pause_s: float = 1.0,
    seed: int = 1,
) -> np.ndarray:
    """Room tone, then utterances of about two seconds with pauses, in steady noise; int16."""
    quiet = [np.zeros(round(lead_s * rate_hz), np.float32)]
    for number in range(utterances):
        quiet.append(signals.speech_like(round(2.4 * rate_hz), rate_hz, seed + number))
        quiet.append(np.zeros(round(pause_s * rate_hz), np.float32))
    voice = np.concatenate(quiet)
    noise = signals.pink_noise(voice.size, rate_hz, seed + 99)
    mixed = signals.mix(voice, noise, snr_db, rate_hz)
    return np.clip(np.rint(mixed.samples * 32768), -32768, 32767).astype(np.int16)


@pytest.fixture(scope="session")
def talk_samples() -> np.ndarray:
    return talk()


@pytest.fixture(scope="session")
def make_talk() -> Callable[..., np.ndarray]:
    return talk


@pytest.fixture
def write_sound(tmp_path: Path) -> Callable[..., Path]:
    def write(name: str, samples: np.ndarray, rate_hz: int = RATE_HZ, **more: str) -> Path:
        path = tmp_path / name
        soundfile.write(path, samples, rate_hz, **more)
        return path

    return write


# --- a sound server ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SoundServer:
    """A PulseAudio server of the test's own, and the environment in which PortAudio speaks to it."""

    folder: Path
    environment: dict[str, str]

    @property
    def microphone_raw(self) -> Path:
        """What the device ``mic_wav`` plays from its first sample at each opening: raw 16-bit, 48 kHz."""
        return self.folder / "speech48k_mono_s16.raw"

    def run(self, code: str, timeout_s: float = 60.0) -> str:
        """Run Python in a process of its own: PortAudio reads its environment once."""
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def sound_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundServer]:
    missing = [name for name in ("pulseaudio", "pactl") if shutil.which(name) is None]
    missing += [] if ctypes.util.find_library("portaudio") else ["libportaudio2"]
    missing += (
        []
        if list(Path("/usr/lib").glob("**/alsa-lib/libasound_module_pcm_pulse.so"))
        else ["libasound2-plugins"]
    )
    if missing:
        pytest.skip(f"this machine lacks {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("pulse")
    folder.chmod(0o700)
    socket = folder / "pulse.sock"
    environment = {
        **os.environ,
        "XDG_RUNTIME_DIR": str(folder),
        "HOME": str(folder),
        "PULSE_RUNTIME_PATH": str(folder / "pulse"),
        "PULSE_STATE_PATH": str(folder / "state"),
        "DBUS_SESSION_BUS_ADDRESS": "disabled:",
        "PULSE_SERVER": f"unix:{socket}",
        "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
    }
    environment.pop("XDG_CONFIG_HOME", None)
    (folder / "asound.conf").write_text(_ASOUND.replace("$D", str(folder)))
    np.zeros(48_000, "<i2").tofile(folder / "speech48k_mono_s16.raw")
    sink = "format=s16le rate=48000 channels=1"
    server = subprocess.Popen(
        [
            "pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--disallow-exit",
            "--use-pid-file=no", "--disable-shm=yes", "--realtime=no", "--high-priority=no",
            "--log-target=stderr", "--log-level=error",
            "-L", f"module-native-protocol-unix auth-anonymous=1 auth-cookie-enabled=0 socket={socket}",
            "-L", f"module-null-sink sink_name=mic norewinds=1 {sink}",
            "-L", f"module-null-sink sink_name=room norewinds=1 {sink}",
            "-L", "module-null-source source_name=clock rate=48000 channels=1",
        ],
        env=environment,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        for _ in range(100):
            if (
                subprocess.run(
                    ["pactl", "info"], env=environment, capture_output=True, check=False
                ).returncode
                == 0
            ):
                break
            if server.poll() is not None:
                pytest.skip(f"PulseAudio does not start here (exit status {server.returncode})")
            time.sleep(0.1)
        else:
            pytest.skip("PulseAudio does not answer here")
        yield SoundServer(folder, environment)
    finally:
        server.terminate()
        server.wait(timeout=10)


_ASOUND = """\
</usr/share/alsa/alsa.conf>
pcm.vmic { type pulse server "unix:$D/pulse.sock" device "mic.monitor" }
pcm.vspk { type pulse server "unix:$D/pulse.sock" device "room" }
pcm.vear { type pulse server "unix:$D/pulse.sock" device "room.monitor" }
pcm.mic_wav {
  type file
  slave.pcm { type pulse server "unix:$D/pulse.sock" device "clock" }
  file "/dev/null"
  infile "$D/speech48k_mono_s16.raw"
  format "raw"
}
ctl.!default { type pulse server "unix:$D/pulse.sock" }
pcm.!default { type asym playback.pcm "vspk" capture.pcm "vmic" }
"""


# --- an intake server ---------------------------------------------------------------------------------


@dataclass
class IntakeServer:
    """The real server in a process of its own."""

    folder: Path
    command: list[str]
    process: subprocess.Popen[str] | None = None
    url: str = ""

    def start(self, port: int = 0) -> None:
        log = (self.folder.parent / "serve.log").open("a")
        self.process = subprocess.Popen(
            [*self.command, "serve", "--data", str(self.folder), "--port", str(port)],
            stdout=subprocess.PIPE, stderr=log, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("Ready at "):
                self.url = line.split()[-1].rstrip("/")
                return
        raise AssertionError((self.folder.parent / "serve.log").read_text())

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def run(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self.command, *arguments, "--data", str(self.folder)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def invitations(self, count: int, role: str = "speaker") -> list[str]:
        out = self.run("invite", "street", "--role", role, "--count", str(count), "--format", "json")
        return [json.loads(line)["url"] for line in out.splitlines()]


@pytest.fixture(scope="session")
def intake(tmp_path_factory: pytest.TempPathFactory, xiangyin_command: list[str]) -> Iterator[IntakeServer]:
    server = IntakeServer(tmp_path_factory.mktemp("intake") / "data", xiangyin_command)
    server.start()
    try:
        server.run(
            "project", "create", "street", "--title", "臺語街談",
            "--language", "nan-Hant-TW", "--orthography", "nan-Hant",
        )  # fmt: skip
        yield server
    finally:
        server.kill()


@pytest.fixture(scope="session")
def invitations(intake: IntakeServer) -> Iterator[str]:
    """Unused speakers' invitations."""
    return iter(intake.invitations(200))


SPEAKER = {"gender": "female", "age_band": "30-39", "region": "臺南", "native_language": "nan-Hant-TW"}


@pytest.fixture
def member(invitations: Iterator[str], tmp_path: Path) -> Membership:
    """A speaker who has just joined."""
    return join_as(next(invitations), tmp_path / "config")


def join_as(url: str, folder: Path) -> Membership:
    return joining.join(
        url,
        folder,
        lambda asked: SPEAKER,
        new_nonce=lambda: secrets.token_hex(16),
        now_utc=lambda: "2026-01-31T08:00:00Z",
        language="en",
    )[0]


# --- a bad network -------------------------------------------------------------------------------------


class BadNetwork:
    """A TCP proxy that cuts, damages or swallows what passes.

    Attributes
    ----------
    cut_after : list of int
        For each coming connection: after how many bytes from the client it is reset.
    lose_answers : set of int
        Numbers of the connections whose answer never comes back.
    flip_at : set of int
        Positions, counted over all bytes from the client, whose lowest bit is turned.
    """

    def __init__(self, port: int) -> None:
        self._server_port = port
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.cut_after: list[int] = []
        self.lose_answers: set[int] = set()
        self.flip_at: set[int] = set()
        self.connections = 0
        self.from_client = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        self._socket.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return
            number, self.connections = self.connections, self.connections + 1
            budget = self.cut_after.pop(0) if self.cut_after else None
            threading.Thread(target=self._serve, args=(client, number, budget), daemon=True).start()

    def _serve(self, client: socket.socket, number: int, budget: int | None) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            self._reset(client)
            return
        back = threading.Thread(target=self._answers, args=(server, client, number), daemon=True)
        back.start()
        try:
            while data := client.recv(4096):
                if budget is not None and budget < len(data):
                    server.sendall(data[:budget])
                    self._reset(client)
                    server.close()
                    return
                budget = None if budget is None else budget - len(data)
                server.sendall(self._damaged(data))
            server.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # the other side is gone: that is what a bad network does

    def _damaged(self, data: bytes) -> bytes:
        raw = bytearray(data)
        for position in list(self.flip_at):
            if 0 <= position - self.from_client < len(raw):
                raw[position - self.from_client] ^= 1
                self.flip_at.discard(position)
        self.from_client += len(raw)
        return bytes(raw)

    def _answers(self, server: socket.socket, client: socket.socket, number: int) -> None:
        try:
            while data := server.recv(4096):
                if number in self.lose_answers:
                    self._reset(client)
                    return
                client.sendall(data)
            client.close()
        except OSError:
            pass  # as above

    @staticmethod
    def _reset(client: socket.socket) -> None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)  # wakes the thread that waits in recv; only then close resets
        client.close()


@pytest.fixture
def network(intake: IntakeServer) -> Iterator[BadNetwork]:
    found = BadNetwork(intake.port)
    yield found
    found.close()
