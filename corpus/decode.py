"""Hearing of strangers' files: decoding and measuring, outside of this process and within limits."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, ClassVar, TypeVar

from corpus.container import Container, refuse
from noise_profiles.fingerprint import Fingerprint
from noise_profiles.measure import Measurement
from protocol.clip import AudioFinding, ClipMeta
from protocol.errors import CodedError

T = TypeVar("T")
MESSAGE_BYTES = 4096
READY = b"ready"
_WAIT_S = 70.0  # longer than a child may live
_SPARE_BYTES = 1 << 20
_MOST_FIGURES_BYTES = 4 << 20
_FILES_A_CHILD = 100
# What a hostile file can do to a child: crash it, or use up its CPU or its disk.
_FAULTS_OF_THE_FILE = {
    -number
    for number in (
        signal.SIGSEGV,
        signal.SIGBUS,
        signal.SIGFPE,
        signal.SIGILL,
        signal.SIGABRT,
        signal.SIGXCPU,
        signal.SIGXFSZ,
    )
}


class DecoderBusy(CodedError):
    """No answer in time, for reasons that are the machine's and not the file's."""

    code: ClassVar[str] = "DECODER_BUSY"


@dataclass(frozen=True)
class Sound:
    """A decoded and measured file.

    Attributes
    ----------
    flac : bytes or None
        The same samples as FLAC of our own making; None where the file itself is as we would write it.
    measured, fingerprint : Measurement, Fingerprint or None
        None where the samples are no sound that can be measured, which `signal` then says by its code.
    """

    pcm_md5: str
    flac: bytes | None
    measured: Measurement | None
    fingerprint: Fingerprint | None
    signal: str | None = None


@dataclass
class _Child:
    """A child's socket, and how many files it has heard."""

    link: socket.socket
    files: int = 0


class Decoder:
    """Hands files to children of the decoding process, which it starts when first needed, or when it is gone.

    A child hears many files, one after another, as long as each of them was a whole sound.

    Parameters
    ----------
    at_once : int
        How many files may be heard at the same time; others wait.
    ended : callable
        Told of each hearing that did not end by itself: the signal's name, or ``fault``.
    """

    def __init__(
        self, at_once: int | None = None, *, ended: Callable[[str], object] = lambda by: None
    ) -> None:
        self._ended = ended
        self._slots = threading.BoundedSemaphore(at_once or (os.cpu_count() or 1) + 1)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._idle: list[_Child] = []

    def warm(self) -> None:
        """Start the process and a first child, and wait for it."""
        self._keep(self._child(), tired=False)

    def close(self) -> None:
        """End the process and its children."""
        with self._lock:
            self._end()

    def hear(
        self,
        file: BinaryIO,
        said: Container,
        meta: ClipMeta,
        *,
        meanwhile: Callable[[], object] = lambda: None,
    ) -> Sound:
        """Decode and measure a file whose header was inspected, and hold it to what the header says.

        Parameters
        ----------
        meanwhile : callable
            Done once while the child is at work; it must leave the file's position alone, which the child
            shares. What it raises, this raises.

        Raises
        ------
        Unreadable
            If there are fewer or more samples than the header says, the MD5 differs, or the decoder
            fails, crashes or goes beyond its limits.
        DecoderBusy
            If it did not come to an end for reasons of the machine.
        """
        with self._slots, _scratch() as figures, _scratch() as flac:
            job: dict[str, object] = {
                "bits": said.bits,
                "samples": said.samples,
                "sample_rate_hz": said.sample_rate_hz,
                "channels": said.channels,
                "bare": said.bare,
                "most_bytes": _most_bytes(said),
                "meter": {
                    "lead_in_s": meta.lead_in_s,
                    "room_tone": None if meta.room_tone is None else asdict(meta.room_tone),
                    "calibration_offset_db": meta.calibration_offset_db,
                },
            }
            child, answer = self._ask(job, (file.fileno(), figures, flac), meanwhile)
            try:
                if "ended" in answer:
                    self._ended(_name_of(int(str(answer["ended"]))))
                sound = _sound(answer, said, figures, flac)
            except BaseException:
                child.link.close()  # which ends it
                raise
            self._keep(child, tired=bool(answer.get("tired")))
        return sound

    def _ask(
        self,
        job: dict[str, object],
        descriptors: tuple[int, int, int],
        meanwhile: Callable[[], object],
    ) -> tuple[_Child, dict[str, Any]]:
        message = json.dumps(job).encode()
        for attempt in (1, 2):
            # Every child finds the file at its start, and nothing of another one's in the scratch files.
            for descriptor in descriptors:
                os.lseek(descriptor, 0, os.SEEK_SET)
            for descriptor in descriptors[1:]:
                os.ftruncate(descriptor, 0)
            child = self._child()
            child.files += 1
            sent = _reached(child, lambda link: socket.send_fds(link, [message], descriptors))
            if attempt == 1:
                try:
                    meanwhile()
                except BaseException:
                    with contextlib.suppress(DecoderBusy):  # until it is done it has its place, and the file
                        _reached(child, lambda link: link.recv(MESSAGE_BYTES))
                    child.link.close()  # which ends it
                    raise
            answer = _reached(child, lambda link: link.recv(MESSAGE_BYTES)) if sent else None
            if answer:
                return child, json.loads(answer)
            child.link.close()
            # The child and the process that forked it are both gone: killed from outside. Once more.
            if attempt == 1:
                with self._lock:
                    self._end()
        raise DecoderBusy()

    def _child(self) -> _Child:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        for _ in range(2):
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            ours.settimeout(_WAIT_S)
            try:
                with theirs, self._lock:
                    socket.send_fds(self._started(), [b"fork"], [theirs.fileno()])
                if ours.recv(MESSAGE_BYTES) == READY:
                    return _Child(ours)
            except TimeoutError as error:
                ours.close()
                raise DecoderBusy() from error
            except OSError:
                pass
            ours.close()
            with self._lock:
                self._end()
        raise DecoderBusy()

    def _keep(self, child: _Child, *, tired: bool) -> None:
        with self._lock:
            if tired or child.files >= _FILES_A_CHILD or self._control is None:
                child.link.close()
            else:
                self._idle.append(child)

    def _started(self) -> socket.socket:
        if self._control is not None and self._process is not None and self._process.poll() is None:
            return self._control
        self._end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {
            "PATH": os.environ.get("PATH", ""),
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "OPENBLAS_NUM_THREADS": "1",  # threads would not survive a fork
            "OMP_NUM_THREADS": "1",
        }
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "corpus.decode_worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env=environment,
            )
        self._control = ours
        return ours

    def _end(self) -> None:
        while self._idle:
            self._idle.pop().link.close()
        if self._control is not None:
            self._control.close()  # the process ends when it sees that
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None


def _reached(child: _Child, act: Callable[[socket.socket], T]) -> T | None:
    """What `act` gives; None where the child is gone."""
    try:
        return act(child.link)
    except TimeoutError as error:
        child.link.close()
        raise DecoderBusy() from error
    except OSError:
        return None


def _name_of(status: int) -> str:
    return signal.Signals(-status).name if -status in set(signal.Signals) else "fault"


def _most_bytes(said: Container) -> int:
    """More than any honest FLAC of this sound takes."""
    return 2 * (said.samples + 1) * said.channels * said.bits // 8 + _SPARE_BYTES


def _sound(answer: dict[str, Any], said: Container, figures: int, flac: int) -> Sound:
    """What a child answered, checked: it had a stranger's file in its hands."""
    if "ended" in answer and answer["ended"] not in _FAULTS_OF_THE_FILE:
        raise DecoderBusy()
    if "samples" not in answer:
        refuse("container.damaged")
    count = int(str(answer["samples"]))
    if count < said.samples:
        refuse("container.truncated", count, said.samples)
    if count > said.samples:
        refuse("container.lying_size", count, said.samples)
    if said.pcm_md5 is not None and answer["pcm_md5"] != said.pcm_md5:
        refuse("container.checksum")
    coded = None if answer["kept"] and said.bare else os.pread(flac, _most_bytes(said), 0)
    if "signal" in answer:
        return Sound(str(answer["pcm_md5"]), coded, None, None, str(answer["signal"]))
    found = json.loads(os.pread(figures, _MOST_FIGURES_BYTES, 0))
    row = found["measured"]
    row["segments"] = tuple((first, last) for first, last in row["segments"])
    row["defects"] = tuple(AudioFinding(**one) for one in row["defects"])
    printed = Fingerprint.from_bytes(base64.b64decode(found["fingerprint"]))
    return Sound(str(answer["pcm_md5"]), coded, Measurement(**row), printed)


@contextmanager
def _scratch() -> Iterator[int]:
    """A file without a name, in memory where the system can."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("xiangyin")
        try:
            yield descriptor
        finally:
            os.close(descriptor)
    else:
        with tempfile.TemporaryFile() as file:
            yield file.fileno()
