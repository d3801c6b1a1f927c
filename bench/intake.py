"""Clips a second that the server takes in whole, beside servers that do less, in one run.

    python bench/intake.py [--rounds 5] [--clips 40] [--clients 1,8,32] [--kb 160,1000] [--flat 10000]
        [--label-studio PROGRAM]

Ours decodes, measures, decides, logs, signs and syncs every clip, and the client fetches verdict and
receipt; "bytes only" is the same server for an upload that is created and sent but for its last byte.
Beside it: a bare WSGI handler under the same server that writes the body and syncs it (the limit of this
design); @tus/server where `make clients` could install it, which takes the same bytes and syncs nothing;
Label Studio's import where its program is named. Rounds are interleaved; medians are printed with the
slowest and the fastest round, and the processor time of the server and its children for a clip.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import http.client
import io
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from bench import label_studio
from bench.ending import end
from noise_profiles import signals

ROOT = Path(__file__).resolve().parents[1]
PIECE = "application/offset+octet-stream"
_FASTEST = 1.3
_BORNE = 8  # with more clients Label Studio drops connections
VOICE = {"gender": "female", "age_band": "30-39", "region": "x", "native_language": "nan"}
BARE = """
import os, sys, secrets, waitress
folder = sys.argv[1]
def app(environ, start):
    size = int(environ["CONTENT_LENGTH"])
    path = os.path.join(folder, secrets.token_hex(16))
    with open(path, "xb") as file:
        file.write(environ["wsgi.input"].read(size))
        file.flush()
        os.fsync(file.fileno())
    start("200 OK", [("Content-Length", "0")])
    return [b""]
server = waitress.create_server(app, host="127.0.0.1", port=0, threads=16, connection_limit=1000)
print(server.effective_port, flush=True)
server.run()
"""


@dataclass(frozen=True)
class Round:
    """One client count at one peer."""

    clips_per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float


class Sound:
    """Endless different clips of about the wished size.

    A few voices at ever other speeds: copies would be refused, and to speak each anew takes a second.
    """

    def __init__(self, size_bytes: int) -> None:
        self.rate_hz = 48_000 if size_bytes > 500_000 else 16_000
        self.seconds = 3.0
        self._chance = np.random.default_rng(1)
        while True:
            self._voices = [self._voice(seed) for seed in range(1, 2)]
            self.size_bytes = len(self._clip())
            if abs(self.size_bytes / size_bytes - 1) < 0.15:
                break
            self.seconds = min(self.seconds * size_bytes / self.size_bytes, 119.0)
        self._voices += [self._voice(seed) for seed in range(2, 7)]

    def _voice(self, seed: int) -> np.ndarray:
        count = int(_FASTEST * self.seconds * self.rate_hz) + 2
        speech = signals.speech_like(count, self.rate_hz, seed, lead_in_s=1.1 * _FASTEST)
        return signals.mix(speech, signals.pink_noise(count, self.rate_hz, seed), 30.0, self.rate_hz).samples

    def _clip(self) -> bytes:
        voice = self._voices[self._chance.integers(len(self._voices))]
        times = np.arange(int(self.seconds * self.rate_hz)) * self._chance.uniform(1 / _FASTEST, _FASTEST)
        samples = np.round(np.interp(times, np.arange(len(voice)), voice) * 32767).astype(np.int16)
        out = io.BytesIO()
        soundfile.write(out, samples, self.rate_hz, format="FLAC", subtype="PCM_16")
        return out.getvalue()

    def clips(self, count: int) -> list[bytes]:
        return [self._clip() for _ in range(count)]


Send = Callable[[http.client.HTTPConnection, bytes], None]


def ask(connection, method: str, path: str, body: bytes, headers: dict[str, str], wanted: int):  # type: ignore[no-untyped-def]
    connection.request(method, path, body, headers)
    answer = connection.getresponse()
    said = answer.read()
    if answer.status != wanted:
        raise SystemExit(f"{method} {path}: {answer.status} {said[:300]!r}")
    return answer, said


def to_bare(connection: http.client.HTTPConnection, data: bytes) -> None:
    ask(connection, "POST", "/", data, {}, 200)


META = {
    "session_id": "s1", "recording_id": "r1", "style": "monologue", "grade": "quiet",
    "consent_version": "consent-1", "recorded_at": "2026-01-31T08:00:00Z", "lead_in_s": 1.0,
}  # fmt: skip


def by_tus(
    connection: http.client.HTTPConnection, path: str, data: bytes, core: dict[str, str], *, but: int = 0
) -> tuple[str, str]:
    """Create an upload `but` bytes longer than `data` and send that: the clip's id and the data's digest.

    Every server is told the same, also one that has no use for it.
    """
    clip_id, digest = str(uuid.uuid4()), hashlib.sha256(data)
    pairs = {
        "clip_id": clip_id,
        "sha256": digest.hexdigest(),
        "filename": "a.flac",
        "meta": json.dumps(META),
    }
    said = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in pairs.items())
    length = {"Upload-Length": str(len(data) + but), "Upload-Metadata": said}
    made, _ = ask(connection, "POST", path, b"", {**core, **length}, 201)
    check = "sha256 " + base64.b64encode(digest.digest()).decode()
    piece = {"Upload-Offset": "0", "Content-Type": PIECE, "Upload-Checksum": check}
    place = re.sub(r"^https?://[^/]+", "", made.headers["Location"])
    ask(connection, "PATCH", place, data, {**core, **piece}, 204)
    return clip_id, digest.hexdigest()


def to_peer(connection: http.client.HTTPConnection, data: bytes) -> None:
    by_tus(connection, "/files", data, {"Tus-Resumable": "1.0.0"})


def to_ours(token: str, *, bytes_only: bool = False) -> Send:
    core = {"Tus-Resumable": "1.0.0", "Authorization": f"Bearer {token}"}

    def send(connection: http.client.HTTPConnection, data: bytes) -> None:
        clip_id, digest = by_tus(connection, "/api/v1/uploads", data, core, but=int(bytes_only))
        if not bytes_only:
            _, body = ask(connection, "GET", f"/api/v1/clips/{clip_id}", b"", core, 200)
            if json.loads(body)["receipt"]["details"]["sha256"] != digest:
                raise SystemExit("a receipt for another file")

    return send


def measure(port: int, pid: int, sends: list[Send], clips: list[bytes]) -> Round:
    """Send the clips by as many clients as there are senders."""
    took: list[float] = []

    def client(send: Send, share: list[bytes]) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        for data in share:
            start = time.perf_counter()
            send(connection, data)
            took.append(time.perf_counter() - start)
        connection.close()

    clients = [
        threading.Thread(target=client, args=(send, clips[n :: len(sends)])) for n, send in enumerate(sends)
    ]
    before_s = processor_s(pid)
    start = time.perf_counter()
    for one in clients:
        one.start()
    for one in clients:
        one.join()
    whole_s = time.perf_counter() - start
    if len(took) != len(clips):
        raise SystemExit("a client failed")
    took.sort()
    p99 = took[min(len(took) - 1, int(0.99 * len(took)))]
    cpu_ms = 1000 * (processor_s(pid) - before_s) / len(clips)
    return Round(len(clips) / whole_s, 1000 * statistics.median(took), 1000 * p99, cpu_ms)


@contextlib.contextmanager
def process(*words: str, pattern: str, environ: dict[str, str] | None = None) -> Iterator[tuple[int, int]]:
    """A server in a process of its own, without a line for each request: its port and its pid."""
    env = {**os.environ, "XIANGYIN_ACCESS_LOG": "0", **(environ or {})}
    started = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=env)
    assert started.stdout is not None
    try:
        for line in started.stdout:
            if found := re.search(pattern, line):
                yield int(found[1]), started.pid
                return
        raise SystemExit(f"{words[0]} did not start")
    finally:
        end(started)


def command(data: Path, *words: str) -> dict[str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "xiangyin", *words, "--data", str(data), "--format", "json"],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    return json.loads(done.stdout.splitlines()[-1]) if done.stdout else {}


def joined(data: Path, port: int) -> str:
    invite = command(data, "invite", "bench", "--role", "speaker")["invite"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    body = {"invite": invite, "consent": {"version": "consent-1", "yes": True}, "attributes": VOICE}
    _, said = ask(
        connection,
        "POST",
        "/api/v1/join",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
        201,
    )
    return str(json.loads(said)["token"])


def family(pid: int) -> list[int]:
    """A process and all that came of it."""
    found = [pid]
    for one in found:  # it grows as it is read
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found


def processor_s(pid: int) -> float:
    """Processor time of a server, its children, and those of them that have ended."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError):
            ticks += sum(map(int, Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int, *, alone: bool = False) -> float:
    """Memory of a server and, unless `alone`, its children; what they share is counted once."""
    total = 0
    for one in [pid] if alone else family(pid):
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{one}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+)", text, re.MULTILINE)
            total += int(found[1]) if found else 0
    return total / 1024


@dataclass(frozen=True)
class Peer:
    """A server that takes clips, and what sends them to it: one sender for each client that it bears."""

    port: int
    pid: int
    senders: list[Send]


def ours(kind: str, data: Path, workers: str, most: int, stack: contextlib.ExitStack) -> dict[str, Peer]:
    """Our server, and the same one for uploads that are never finished."""
    words = [sys.executable, "-m", "xiangyin", "serve", "--data", str(data), "--port", "0"]
    words += ["--server", kind, "--workers", workers]
    limits = {"XIANGYIN_MAX_OPEN_UPLOADS": "1000000", "XIANGYIN_MAX_OPEN_BYTES": str(1 << 40)}
    limits |= {"XIANGYIN_MAX_CREATIONS_PER_HOUR": "1000000"}
    found = process(*words, pattern=r"Ready at http://[^:]+:(\d+)", environ=limits)
    port, pid = stack.enter_context(found)
    command(
        data, "project", "create", "bench", "--title", "B", "--language", "nan-Hant-TW",
        "--orthography", "nan-Hant",
    )  # fmt: skip
    tokens = [joined(data, port) for _ in range(min(4, most))]
    mine = [tokens[n % len(tokens)] for n in range(most)]
    return {
        f"ours on {kind}": Peer(port, pid, [to_ours(token) for token in mine]),
        "ours, bytes only": Peer(port, pid, [to_ours(token, bytes_only=True) for token in mine]),
    }


def everybody(args: argparse.Namespace, top: Path, most: int, stack: contextlib.ExitStack) -> dict[str, Peer]:
    """Start all that are to be compared."""
    peers: dict[str, Peer] = {}
    for folder in ("bare", "peer", "label-studio"):
        (top / folder).mkdir()
    (top / "bare.py").write_text(BARE)
    words = [sys.executable, str(top / "bare.py"), str(top / "bare")]
    port, pid = stack.enter_context(process(*words, pattern=r"(\d+)"))
    peers["bare"] = Peer(port, pid, [to_bare] * most)
    node, peer = shutil.which("node"), ROOT / "tools" / "clients"
    if node and (peer / "node_modules" / "@tus" / "server").is_dir():
        found = process(node, str(peer / "peer.mjs"), str(top / "peer"), pattern=r"^(\d+)$")
        port, pid = stack.enter_context(found)
        peers["@tus/server"] = Peer(port, pid, [to_peer] * most)
    else:
        print("@tus/server: not here (make clients)")
    if args.label_studio:
        running = stack.enter_context(label_studio.serving(args.label_studio, top / "label-studio"))
        peers["Label Studio"] = Peer(running.port, running.pid, [running.send] * min(most, _BORNE))
    for kind in args.server.split(","):
        peers |= ours(kind, top / kind, args.workers, most, stack)
    return peers


def compare(peers: dict[str, Peer], sound: Sound, clients: int, args: argparse.Namespace) -> None:
    """Interleaved rounds of one client count, and a line for each peer."""
    peers = {name: peer for name, peer in peers.items() if len(peer.senders) >= clients}
    rounds: dict[str, list[Round]] = {name: [] for name in peers}
    for _ in range(args.rounds):
        for name, peer in peers.items():  # interleaved, so that all share the machine's moods
            clips = sound.clips(max(args.clips, 2 * clients))
            rounds[name].append(measure(peer.port, peer.pid, peer.senders[:clients], clips))
    limit = statistics.median(r.clips_per_s for r in rounds["bare"])
    for name, results in rounds.items():
        rates = sorted(r.clips_per_s for r in results)
        middle = statistics.median(rates)
        print(
            f"{clients:3d} clients  {name:17s} {middle:7.1f} clips/s"
            f" ({rates[0]:.1f} to {rates[-1]:.1f})"
            f"  p50 {statistics.median(r.p50_ms for r in results):6.1f} ms"
            f"  p99 {statistics.median(r.p99_ms for r in results):6.1f} ms"
            f"  {100 * middle / limit:4.0f} % of bare"
            f"  {statistics.median(r.cpu_ms for r in results):5.1f} ms of processor",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=40)
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--kb", default="160,1000")
    parser.add_argument("--flat", type=int, default=0, help="then send so many clips and watch memory")
    parser.add_argument("--server", default="waitress,granian")
    parser.add_argument("--workers", default="1", help="server processes of ours")
    parser.add_argument("--label-studio", default="", help="the program in an environment of its own")
    args = parser.parse_args()
    counts = [int(n) for n in args.clients.split(",")]
    with tempfile.TemporaryDirectory(prefix="intake-") as place, contextlib.ExitStack() as stack:
        peers = everybody(args, Path(place), max(*counts, 8), stack)
        for kb in map(int, args.kb.split(",")) if args.rounds else ():
            sound = Sound(1000 * kb)
            print(f"\n{sound.size_bytes / 1000:.0f} kB a clip ({sound.seconds:.1f} s at {sound.rate_hz} Hz)")
            for clients in counts:
                compare(peers, sound, clients, args)
        if args.flat:
            name = next(n for n in peers if n.startswith("ours"))
            peer, sound = peers[name], Sound(60_000)
            share = max(1, args.flat // 20)
            print(f"before the first clip: {memory_mb(peer.pid):.0f} MB in {name}", flush=True)
            for sent in range(share, args.flat + 1, share):
                done = measure(peer.port, peer.pid, peer.senders[:8], sound.clips(share))
                print(
                    f"after {sent} clips: {memory_mb(peer.pid):.0f} MB in {name},"
                    f" {memory_mb(peer.pid, alone=True):.0f} MB of it the server;"
                    f" {done.clips_per_s:.1f} clips/s, p50 {done.p50_ms:.0f} ms, p99 {done.p99_ms:.0f} ms,"
                    f" {done.cpu_ms:.0f} ms of processor",
                    flush=True,
                )


if __name__ == "__main__":
    main()
