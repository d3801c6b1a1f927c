"""Speakers upload while transcribers work: nothing may be lost, fail or keep anybody waiting.

    python bench/crowd.py [--speakers 8] [--transcribers 4] [--seconds 180] [--pause 0] [--think 0.2]

Speakers send one clip after another, each to its verdict and receipt. Transcribers open the desk, take a
clip, hear it, save drafts and hand in. At the end every clip that was sent must be in the log and in its
speaker's statement, the store must be sound, and no answer may have been a fault of the server.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from bench import intake

GOOD = "我明天要去市場買菜。"
PAGES = ("desk", "page", "lease", "sound", "draft", "submit")


class Transcriber:
    """One who works at the desk; keeps how long each answer took."""

    def __init__(self, data: Path, port: int, took: dict[str, list[float]], think_s: float) -> None:
        invite = intake.command(data, "invite", "bench", "--role", "transcriber")["invite"]
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        body = json.dumps({"invite": invite}).encode()
        headers = {"Content-Type": "application/json"}
        _, said = intake.ask(self._connection, "POST", "/api/v1/join", body, headers, 201)
        self._headers = {"Authorization": f"Bearer {json.loads(said)['token']}"}
        self._took, self._think_s = took, think_s
        self.submitted = 0
        self.odd: list[str] = []

    def work(self, until: float) -> None:
        """Take clips and hand them in until the time is over."""
        while time.monotonic() < until:
            self._ask("desk", "GET", "/desk")
            held = self._ask("lease", "POST", "/api/v1/assignments")
            if held:
                self._transcribe(json.loads(held))
            time.sleep(self._think_s)

    def _transcribe(self, held: dict[str, Any]) -> None:
        path = f"/api/v1/assignments/{held['id']}"
        self._ask("page", "GET", f"/desk/{held['id']}")
        self._ask("sound", "GET", f"/api/v1/clips/{held['clip_id']}/audio")
        version = held["version"]
        for length in (3, 7, len(GOOD)):
            time.sleep(self._think_s)
            saved = self._ask("draft", "PUT", path, {"text": GOOD[:length], "version": version})
            if not saved:
                return
            version = json.loads(saved)["version"]
        if self._ask("submit", "POST", f"{path}/submit", {"text": GOOD, "version": version}):
            self.submitted += 1

    def _ask(self, what: str, method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        headers = dict(self._headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        data = b"" if body is None else json.dumps(body).encode()
        start = time.perf_counter()
        self._connection.request(method, path, data, headers)
        answer = self._connection.getresponse()
        said = answer.read()
        self._took[what].append(time.perf_counter() - start)
        if answer.status >= 400:
            self.odd.append(f"{method} {what}: {answer.status} {said[:200]!r}")
            return b""
        return said


def speak(port: int, token: str, clips: list[bytes], until: float, pause_s: float, sent: list[float]) -> None:
    """Send clips until the time is over; `sent` gets how long each took."""
    send = intake.to_ours(token)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
    for data in clips:
        if time.monotonic() > until:
            return
        start = time.perf_counter()
        send(connection, data)
        sent.append(time.perf_counter() - start)
        time.sleep(pause_s)
    raise SystemExit("ran out of clips: name a longer --pause or fewer seconds")


def percentile_ms(took: list[float], share: float) -> float:
    """A percentile of seconds, in ms."""
    return 1000 * sorted(took)[min(len(took) - 1, int(share * len(took)))]


def ask_statement(port: int, token: str) -> dict[str, Any]:
    """What the log says of a speaker."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    headers = {"Authorization": f"Bearer {token}"}
    _, said = intake.ask(connection, "GET", "/api/v1/me/statement", b"", headers, 200)
    return dict(json.loads(said))


def crowd(args: argparse.Namespace, data: Path, port: int, pid: int) -> None:
    """Let them all work, and say what came of it."""
    sound = intake.Sound(1000 * args.kb)
    tokens = [intake.joined(data, port) for _ in range(args.speakers)]
    pages: dict[str, list[float]] = defaultdict(list)
    desk = [Transcriber(data, port, pages, args.think) for _ in range(args.transcribers)]
    shares = [sound.clips(args.most) for _ in tokens]
    sent: list[list[float]] = [[] for _ in tokens]
    before_mb = intake.memory_mb(pid)
    until = time.monotonic() + args.seconds
    people = [
        threading.Thread(target=speak, args=(port, token, share, until, args.pause, took))
        for token, share, took in zip(tokens, shares, sent, strict=True)
    ] + [threading.Thread(target=one.work, args=(until,)) for one in desk]
    for one in people:
        one.start()
    for one in people:
        one.join()
    every = [took for share in sent for took in share]
    print(
        f"{len(every)} clips of {sound.size_bytes / 1000:.0f} kB, {len(every) / args.seconds:.1f} a second;"
        f" p50 {1000 * statistics.median(every):.0f} ms, p99 {percentile_ms(every, 0.99):.0f} ms"
    )
    pages["all"] = [took for what in PAGES for took in pages[what]]
    for what in (*PAGES, "all"):
        if took := pages[what]:
            p50, p95 = percentile_ms(took, 0.5), percentile_ms(took, 0.95)
            print(f"{what:7s} {len(took):5d}  p50 {p50:5.0f}  p95 {p95:5.0f} ms")
    print(f"{sum(one.submitted for one in desk)} texts handed in")
    print(f"memory {before_mb:.0f} MB before, {intake.memory_mb(pid):.0f} MB after")
    odd = [line for one in desk for line in one.odd]
    print(f"{len(odd)} refused or failed answers", *odd[:5], sep="\n  ")
    counted = [ask_statement(port, token) for token in tokens]
    for number, (told, share) in enumerate(zip(counted, sent, strict=True)):
        if told["accepted"] + told["refused"] != len(share):
            raise SystemExit(f"speaker {number}: sent {len(share)}, the statement tells of {told}")
    print("every clip is in its speaker's statement")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speakers", type=int, default=8)
    parser.add_argument("--transcribers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--pause", type=float, default=0.0, help="seconds between a speaker's clips")
    parser.add_argument("--think", type=float, default=0.2, help="seconds between a transcriber's steps")
    parser.add_argument("--kb", type=int, default=60)
    parser.add_argument("--most", type=int, default=600, help="clips made for each speaker beforehand")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="crowd-") as place:
        data = Path(place) / "data"
        with contextlib.ExitStack() as stack:
            peer = intake.ours("waitress", data, "1", args.speakers, stack)["ours on waitress"]
            crowd(args, data, peer.port, peer.pid)
        for words in (["fsck"], ["ledger", "verify"]):
            done = subprocess.run(
                [sys.executable, "-m", "xiangyin", *words, "--data", str(data), "--format", "json"],
                capture_output=True, text=True, cwd=intake.ROOT,
            )  # fmt: skip
            print(" ".join(words), done.stdout.splitlines()[-1] if done.stdout else done.stderr)


if __name__ == "__main__":
    main()
