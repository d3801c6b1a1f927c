"""The process that hears strangers' files: it forks bounded children that decode and measure.

Run by `corpus.decode` alone. It imports numpy, soundfile and the measuring once, listens on a socket that it
inherits, and forks a child for each socket that comes, which costs milliseconds where a new interpreter costs
a second. A child takes one file after another from its socket; for each it may use little memory, CPU, time
and disk, and it opens nothing. If a file makes it crash or run wild, the system ends it, and this process
says by which signal. Its owner ends a child with any file that was not a whole sound, so that none that met
something odd hears another one.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import gc
import hashlib
import json
import os
import resource
import selectors
import signal
import socket
import sys
import traceback
from typing import Any

import numpy as np
import soundfile

from corpus.decode import MESSAGE_BYTES, READY
from corpus.frame_end import FrameEnd
from noise_profiles import measure
from noise_profiles.fingerprint import fingerprint
from noise_profiles.samples import as_samples
from protocol.clip import RoomTone

_BLOCK_FRAMES = 1 << 16
_MEMORY_BYTES = 256 << 20
_CPU_S = 15
_CPU_OF_CHILD_S = 120
_WALL_S = 60
_MOST_FILE_BYTES = 1 << 30
_MOST_DESCRIPTORS = 64


def main(descriptor: int) -> None:
    """Serve until the other end of the socket is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle; we end with its socket
    measure.warm(live=False)  # here once, instead of in each child
    fingerprint(np.zeros(4800, dtype=np.float32), 48_000)
    # What is here now stays for ever: children need not look through it, and so never copy its pages.
    gc.collect()
    gc.freeze()
    control = socket.socket(fileno=descriptor)
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    links: dict[int, socket.socket] = {}
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                woken.recv(4096)
            _reap(links)
        if control in ready:
            message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 1)
            if not message:
                return
            _fork(socket.socket(fileno=descriptors[0]), links)


def _fork(link: socket.socket, links: dict[int, socket.socket]) -> None:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            os.closerange(3, link.fileno())  # the control, and what belongs to the other children
            os.closerange(link.fileno() + 1, 4096)
            _bound()
            _hear_all(link)
            status = 0
        except BaseException:
            traceback.print_exc()  # a fault of ours: the parent learns of it by the exit status
            raise
        finally:
            os._exit(status)
    links[pid] = link


def _reap(links: dict[int, socket.socket]) -> None:
    while links:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        link = links.pop(pid, None)
        if link is None:
            continue
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            with contextlib.suppress(OSError):  # perhaps nobody waits for it any more
                link.sendall(json.dumps({"ended": code}).encode())
        link.close()


def _bound() -> None:
    """Limits of a child's whole life; those of one file lie within them."""
    with open("/proc/self/statm") if os.path.exists("/proc/self/statm") else open(os.devnull) as file:  # noqa: PTH110, PTH123
        words = file.read().split()
    if words:
        now_bytes = int(words[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now_bytes + _MEMORY_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_MOST_DESCRIPTORS,) * 2)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _hear_all(link: socket.socket) -> None:
    link.sendall(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(link, MESSAGE_BYTES, 3)
        if not message:
            return
        job = json.loads(message)
        used_s = int(_used_s()) + 1
        limit_s = min(used_s + _CPU_S, _CPU_OF_CHILD_S)
        resource.setrlimit(resource.RLIMIT_CPU, (limit_s, _CPU_OF_CHILD_S + 1))  # SIGXCPU, then SIGKILL
        most_bytes = min(int(job["most_bytes"]), _MOST_FILE_BYTES)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, _MOST_FILE_BYTES))
        signal.alarm(_WALL_S)
        answer = hear(job, *descriptors)
        signal.alarm(0)
        for descriptor in descriptors:
            os.close(descriptor)
        answer["tired"] = _used_s() + 2 * _CPU_S > _CPU_OF_CHILD_S  # the next file needs a fresh child
        link.sendall(json.dumps(answer).encode())


def _used_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def hear(job: dict[str, Any], source: int, figures: int, flac: int) -> dict[str, Any]:
    """Decode the file at descriptor `source`, measure it, and write it as FLAC where that is needed.

    Parameters
    ----------
    job : dict
        ``bits``, ``samples``, ``sample_rate_hz``, ``channels`` as the header says; ``bare`` if the file
        is FLAC with nothing beside its sound; ``meter``: what `noise_profiles.measure.Meter` is told.
    figures, flac : int
        Descriptors of empty files, for measurement and fingerprint as JSON and for the FLAC.

    Returns
    -------
    dict
        ``samples`` counted (never more than one beyond what the header says), ``pcm_md5``, ``kept``
        where the file itself is as we would write it; ``signal`` where the samples are no sound to
        measure; or ``error`` where the decoder gives up.
    """
    wide = job["bits"] == 24
    subtype = "PCM_24" if wide else "PCM_16"
    md5 = hashlib.md5(usedforsecurity=False)
    heard = _Ear(job)
    count, wanted = 0, int(job["samples"])
    try:
        end = FrameEnd(source) if job["bare"] else None
        with soundfile.SoundFile(source if end is None else end, closefd=False) as sound:
            if (sound.samplerate, sound.channels, sound.subtype) != (
                job["sample_rate_hz"],
                job["channels"],
                subtype,
            ):
                return {"error": "the decoder reads another format than the header says"}
            with contextlib.ExitStack() as stack:
                encoder = None
                if end is None:
                    encoder = stack.enter_context(_flac(flac, sound))
                while count <= wanted:
                    # Up to the last sample and no further, so that `end` knows what that one needed.
                    block = sound.read(
                        min(_BLOCK_FRAMES, wanted - count) or 1,
                        dtype="int32" if wide else "int16",
                        always_2d=True,
                    )
                    if not len(block):
                        break
                    count += len(block)
                    kept = end is not None and end.reached
                    raw = np.ascontiguousarray(block).astype("<i4" if wide else "<i2", copy=False)
                    # libsndfile puts 24 bits into the upper ones of 32; FLAC's MD5 is over three bytes each.
                    md5.update(raw.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes() if wide else raw.data)
                    heard.feed(block)
                    if encoder is not None:
                        encoder.write(block)
        if count == wanted and end is not None and not kept:
            _encode_again(source, flac)
    except (soundfile.SoundFileRuntimeError, MemoryError) as error:
        return {"error": str(error) or type(error).__name__}
    answer: dict[str, Any] = {"samples": count, "pcm_md5": md5.hexdigest()}
    if count == wanted:
        answer["kept"] = end is not None and kept
        heard.finish(figures, answer)
    return answer


class _Ear:
    """Measures what the decoder gives; a sound that cannot be measured is decoded to its end all the same."""

    def __init__(self, job: dict[str, Any]) -> None:
        said = dict(job["meter"])
        tone = said.pop("room_tone")
        self._meter: measure.Meter | None = measure.Meter(
            job["sample_rate_hz"], job["channels"], room_tone=tone and RoomTone(**tone), **said
        )
        self._signal: str | None = None
        self._rate_hz: int = job["sample_rate_hz"]
        self._mean: list[np.ndarray] = []

    def feed(self, block: np.ndarray) -> None:
        if self._meter is not None:
            try:
                sound = as_samples(block)
                self._meter.feed_samples(sound)
                # NumPy takes long over the means of rows of one.
                self._mean.append(sound[:, 0] if sound.shape[1] == 1 else sound.mean(axis=1))
            except measure.SignalError as error:
                self._meter, self._signal = None, error.code

    def finish(self, figures: int, answer: dict[str, Any]) -> None:
        if self._meter is not None:
            try:
                found = dataclasses.asdict(self._meter.finish())
                printed = fingerprint(np.concatenate(self._mean), self._rate_hz).to_bytes()
            except measure.SignalError as error:
                self._signal = error.code
            else:
                both = {"measured": found, "fingerprint": base64.b64encode(printed).decode()}
                _write(figures, json.dumps(both, default=float).encode())
        if self._signal is not None:
            answer["signal"] = self._signal


def _flac(descriptor: int, like: soundfile.SoundFile) -> soundfile.SoundFile:
    return soundfile.SoundFile(
        descriptor, "w", like.samplerate, like.channels, like.subtype, format="FLAC", closefd=False
    )


def _encode_again(source: int, flac: int) -> None:
    """Write the sound of a FLAC anew: what lies behind its last frame is left behind."""
    os.lseek(source, 0, os.SEEK_SET)
    with soundfile.SoundFile(source, closefd=False) as sound, _flac(flac, sound) as encoder:
        wide = sound.subtype == "PCM_24"
        for block in sound.blocks(_BLOCK_FRAMES, dtype="int32" if wide else "int16", always_2d=True):
            encoder.write(block)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(int(sys.argv[1]))
