"""The process that decodes: it forks one bounded child for each file. Run by `corpus.decode` alone.

It imports numpy and soundfile once, listens on a socket that it inherits, and forks a child a job, which
costs milliseconds where a new interpreter costs a fifth of a second. The child may use little memory,
CPU, time and disk, opens nothing, and reports through a socket of its own; if a file makes it crash or run
wild, the system ends it, and this process says by which signal.
"""

from __future__ import annotations

import contextlib
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

MESSAGE_BYTES = 4096
_BLOCK_FRAMES = 1 << 16
_MEMORY_BYTES = 256 << 20
_CPU_S = 15
_WALL_S = 60


def main(descriptor: int) -> None:
    """Serve jobs until the other end of the socket is gone."""
    control = socket.socket(fileno=descriptor)
    woken, wake = socket.socketpair()
    woken.setblocking(False)
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the server's to handle; we end with its socket
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    selector.register(woken, selectors.EVENT_READ)
    replies: dict[int, socket.socket] = {}
    while True:
        ready = {key.fileobj for key, _ in selector.select()}
        if woken in ready:
            with contextlib.suppress(BlockingIOError):
                woken.recv(4096)
            _reap(replies)
        if control in ready:
            message, descriptors, _, _ = socket.recv_fds(control, MESSAGE_BYTES, 4)
            if not message:
                return
            _start(json.loads(message), descriptors, replies)


def _start(job: dict[str, Any], descriptors: list[int], replies: dict[int, socket.socket]) -> None:
    source, pcm, flac, reply_fd = descriptors
    reply = socket.socket(fileno=reply_fd)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            _bound(int(job["most_bytes"]))
            reply.sendall(json.dumps(decode(job, source, pcm, flac)).encode())
            status = 0
        except BaseException:
            traceback.print_exc()  # a fault of ours: the parent learns of it by the exit status
            raise
        finally:
            os._exit(status)
    for open_file in (source, pcm, flac):
        os.close(open_file)
    replies[pid] = reply


def _reap(replies: dict[int, socket.socket]) -> None:
    while replies:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        reply = replies.pop(pid, None)
        if reply is None:
            continue
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            with contextlib.suppress(OSError):  # perhaps nobody waits for it any more
                reply.sendall(json.dumps({"ended": code}).encode())
        reply.close()


def _bound(most_bytes: int) -> None:
    with open("/proc/self/statm") if os.path.exists("/proc/self/statm") else open(os.devnull) as file:  # noqa: PTH110, PTH123
        words = file.read().split()
    if words:
        now_bytes = int(words[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now_bytes + _MEMORY_BYTES,) * 2)
    resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S + 1))  # SIGXCPU first, then SIGKILL
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(_WALL_S)


def decode(job: dict[str, Any], source: int, pcm: int, flac: int) -> dict[str, Any]:
    """Decode the file at descriptor `source`: samples to `pcm`, and the same as FLAC to `flac`.

    Parameters
    ----------
    job : dict
        ``bits``, ``samples``, ``sample_rate_hz``, ``channels`` as the header says.

    Returns
    -------
    dict
        ``samples`` counted (never more than one beyond what the header says) and ``pcm_md5``; or
        ``error`` where the decoder gives up.
    """
    wide = job["bits"] == 24
    subtype = "PCM_24" if wide else "PCM_16"
    md5 = hashlib.md5(usedforsecurity=False)
    count = 0
    try:
        with soundfile.SoundFile(source, closefd=False) as sound:
            if (sound.samplerate, sound.channels, sound.subtype) != (
                job["sample_rate_hz"],
                job["channels"],
                subtype,
            ):
                return {"error": "the decoder reads another format than the header says"}
            with soundfile.SoundFile(
                flac, "w", sound.samplerate, sound.channels, subtype, format="FLAC", closefd=False
            ) as encoder:
                while count <= job["samples"]:
                    block = sound.read(
                        min(_BLOCK_FRAMES, job["samples"] + 1 - count),
                        dtype="int32" if wide else "int16",
                        always_2d=True,
                    )
                    if not len(block):
                        break
                    count += len(block)
                    raw = np.ascontiguousarray(block).astype("<i4" if wide else "<i2", copy=False)
                    # libsndfile puts 24 bits into the upper ones of 32; FLAC's MD5 is over three bytes each.
                    md5.update(raw.view(np.uint8).reshape(-1, 4)[:, 1:].tobytes() if wide else raw.tobytes())
                    _write(pcm, raw.tobytes())
                    encoder.write(block)
    except (soundfile.SoundFileRuntimeError, MemoryError) as error:
        return {"error": str(error) or type(error).__name__}
    return {"samples": count, "pcm_md5": md5.hexdigest()}


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    main(int(sys.argv[1]))
