"""Label Studio as a peer of the intake benchmark: started from an environment of its own, never from ours.

It takes one clip a request into a project (``/import``), checks nothing in it and syncs nothing.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import socket
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.ending import end

START_S = 600  # its first start migrates an empty database, two minutes on a free machine
_CONFIG = (
    '<View><Audio name="a" value="$audio"/><TextArea name="t" toName="a"/></View>'  # any that has a sound
)


@dataclass(frozen=True)
class Running:
    """A server that answers: its port, its process and how a clip is sent to it."""

    port: int
    pid: int
    send: Callable[[http.client.HTTPConnection, bytes], None]


@contextlib.contextmanager
def serving(program: str, folder: Path) -> Iterator[Running]:
    """Start ``label-studio`` over an empty folder, with one project.

    Raises
    ------
    SystemExit
        If it does not come to answer.
    """
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    token = secrets.token_hex(20)
    words = [
        program, "start", "--no-browser", "--port", str(port), "--data-dir", str(folder),
        "--username", "bench@example.org", "--password", secrets.token_hex(8), "--user-token", token,
    ]  # fmt: skip
    environ = {**os.environ, "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true", "COLLECT_ANALYTICS": "false"}
    environ |= {"PYTHONPATH": ""}
    with (folder.parent / "label-studio.log").open("wb") as log:
        started = subprocess.Popen(words, stdout=log, stderr=log, env=environ, cwd=folder)
    try:
        project = _project(port, token, started)

        def send(connection: http.client.HTTPConnection, data: bytes) -> None:
            boundary = uuid.uuid4().hex
            head = (
                f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{boundary}.flac"\r\n'
                "Content-Type: audio/flac\r\n\r\n"
            )
            body = head.encode() + data + f"\r\n--{boundary}--\r\n".encode()
            headers = {
                "Authorization": f"Token {token}",
                "Content-Type": f"multipart/form-data; boundary={boundary}",
            }
            connection.request("POST", f"/api/projects/{project}/import", body, headers)
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 201:
                raise SystemExit(f"Label Studio: {answer.status} {said[:300]!r}")

        yield Running(port, started.pid, send)
    finally:
        end(started)


def _project(port: int, token: str, started: subprocess.Popen[bytes]) -> int:
    until = time.monotonic() + START_S
    body = json.dumps({"title": "bench", "label_config": _CONFIG}).encode()
    headers = {"Authorization": f"Token {token}", "Content-Type": "application/json"}
    said = b""
    while time.monotonic() < until and started.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", "/api/projects", body, headers)
            answer = connection.getresponse()
            said = answer.read()
        except OSError:
            time.sleep(0.5)
            continue
        finally:
            connection.close()
        if answer.status == 201:
            return int(json.loads(said)["id"])
        time.sleep(1)
    raise SystemExit(f"Label Studio did not start: {said[:300]!r}")
