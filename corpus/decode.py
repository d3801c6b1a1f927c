"""Decoding of strangers' files, outside of this process and within limits."""

from __future__ import annotations

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
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, ClassVar

from corpus.container import Container, refuse
from corpus.decode_worker import MESSAGE_BYTES
from protocol.errors import CodedError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WAIT_S = 70.0  # longer than a child may live
_SPARE_BYTES = 1 << 20
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
    """A decoded file.

    Attributes
    ----------
    samples : ndarray of int16 or int32, shape (n, channels)
        24-bit samples stand in the upper bits.
    flac : bytes
        The same samples as FLAC of our own making.
    """

    samples: NDArray[np.int16] | NDArray[np.int32]
    pcm_md5: str
    flac: bytes


class Decoder:
    """Hands files to the decoding process, which it starts when first needed and again when it is gone.

    Parameters
    ----------
    at_once : int
        How many files may be decoded at the same time; others wait.
    ended : callable
        Told of each decoding that did not end by itself: the signal's name, or ``fault``.
    """

    def __init__(
        self, at_once: int | None = None, *, ended: Callable[[str], object] = lambda by: None
    ) -> None:
        self._ended = ended
        self._slots = threading.BoundedSemaphore(at_once or (os.cpu_count() or 1) + 1)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def warm(self) -> None:
        """Start the process."""
        with self._lock:
            self._started()

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def decode(self, file: BinaryIO, said: Container) -> Sound:
        """Decode a file whose header was inspected, and hold it to what the header says.

        Raises
        ------
        Unreadable
            If there are fewer or more samples than the header says, the MD5 differs, or the decoder
            fails, crashes or goes beyond its limits.
        DecoderBusy
            If it did not come to an end for reasons of the machine.
        """
        import numpy as np

        width_bytes = 4 if said.bits == 24 else 2
        pcm_bytes = (said.samples + 1) * said.channels * width_bytes
        with self._slots, _scratch() as pcm, _scratch() as flac:
            job: dict[str, object] = {
                "bits": said.bits,
                "samples": said.samples,
                "sample_rate_hz": said.sample_rate_hz,
                "channels": said.channels,
                "most_bytes": 2 * pcm_bytes + _SPARE_BYTES,
            }
            os.lseek(file.fileno(), 0, os.SEEK_SET)  # file.seek may stay within its own buffer
            answer = self._ask(job, (file.fileno(), pcm, flac))
            if "ended" in answer:
                self._ended(_name_of(int(str(answer["ended"]))))
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
            raw = os.pread(pcm, count * said.channels * width_bytes, 0)
            samples = np.frombuffer(raw, dtype="<i4" if width_bytes == 4 else "<i2").reshape(
                count, said.channels
            )
            coded = os.pread(flac, os.fstat(flac).st_size, 0)
        return Sound(samples, str(answer["pcm_md5"]), coded)

    def _ask(self, job: dict[str, object], descriptors: tuple[int, int, int]) -> dict[str, object]:
        message = json.dumps(job).encode()
        for attempt in (1, 2):
            ours, theirs = socket.socketpair()
            with ours:
                ours.settimeout(_WAIT_S)
                with theirs, self._lock:
                    try:
                        socket.send_fds(self._started(), [message], [*descriptors, theirs.fileno()])
                    except OSError:
                        self._end()
                        continue
                try:
                    answer = ours.recv(MESSAGE_BYTES)
                except TimeoutError as error:
                    raise DecoderBusy() from error
                if answer:
                    found: dict[str, object] = json.loads(answer)
                    return found
            # The child and the process that forked it are both gone: killed from outside. Once more.
            if attempt == 1:
                with self._lock:
                    self._end()
        raise DecoderBusy()

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


def _name_of(status: int) -> str:
    return signal.Signals(-status).name if -status in set(signal.Signals) else "fault"


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
