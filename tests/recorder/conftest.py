"""Sound that is made, spools, a real sound server, a real intake server."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
import textwrap
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
