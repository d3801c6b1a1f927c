"""nginx with exactly the file of the deploy page, in front of the real server, over TLS."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests

CONFIG = Path(__file__).resolve().parents[2] / "deploy" / "nginx.conf"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def proxy(shared, tmp_path):
    """The address over TLS; only ports, the certificate and the pid file are this test's."""
    if NGINX is None or shutil.which("openssl") is None:
        pytest.skip("nginx or openssl is not installed")
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
         "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-keyout", key, "-out", certificate],
        check=True, capture_output=True,
    )  # fmt: skip
    port, plain = free_port(), free_port()
    text = CONFIG.read_text(encoding="utf-8")
    for old, new in (
        ("pid /run/nginx.pid;", f"pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;"),
        ("/etc/ssl/xiangyin/fullchain.pem", str(certificate)),
        ("/etc/ssl/xiangyin/key.pem", str(key)),
        ("http://127.0.0.1:8000", shared.url),
    ):
        assert old in text
        text = text.replace(old, new)
    config = tmp_path / "nginx.conf"
    config.write_text(text, encoding="utf-8")
    as_root = ["-g", "user root;"] if os.getuid() == 0 else []  # the folder of a test is its owner's alone
    run = [NGINX, "-c", str(config), "-e", str(tmp_path / "error.log"), *as_root]
    subprocess.run([*run, "-t"], check=True, capture_output=True)
    stay = "daemon off; user root;" if as_root else "daemon off;"
    process = subprocess.Popen([*run[:5], "-g", stay])
    address = f"https://localhost:{port}"
    for _ in range(100):
        try:
            requests.get(f"{address}/healthz", verify=certificate, timeout=10)
            break
        except requests.ConnectionError:
            time.sleep(0.05)
    yield address, f"http://127.0.0.1:{plain}", str(certificate)
    process.terminate()
    process.wait(timeout=20)


def test_a_clip_arrives_through_the_proxy_in_pieces(proxy, shared, make):
    """Through TLS, unbuffered, with relative addresses; and the operator's instruments stay inside."""
    address, plain, certificate = proxy
    speaker, clip = shared.join(), make.clip(make.file(make.samples(71)))
    ask = {"verify": certificate}
    created = speaker.ask("POST", f"{address}/api/v1/uploads", clip.headers(), **ask)
    assert created.status_code == 201, created.text
    location = requests.compat.urljoin(address, created.headers["Location"])
    assert location.startswith(address)
    half = len(clip.data) // 2
    for start, piece in ((0, clip.data[:half]), (half, clip.data[half:])):
        headers = make.patch_headers(start, **{"Upload-Checksum": make.checksum(piece)})
        answer = speaker.ask("PATCH", location, headers, data=piece, **ask)
        assert answer.status_code == 204, answer.text
    found = speaker.ask("GET", f"{address}/api/v1/clips/{clip.clip_id}", **ask).json()
    assert found["state"] == "accepted" and found["receipt"]["vkey"]
    for path in ("/metrics", "/readyz"):
        assert requests.get(address + path, timeout=10, **ask).status_code == 404
    moved = requests.get(f"{plain}/studio", timeout=10, allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (301, "https://collect.example/studio")
    large = speaker.ask("PATCH", location, make.patch_headers(0), data=bytes(71 << 20), **ask)
    assert large.status_code == 413


@pytest.mark.parametrize("kind", ["waitress", "granian"])
@pytest.mark.parametrize("trusted", ["127.0.0.1", "127.0.0.9"], ids=["the proxy", "another"])
def test_only_the_proxy_says_who_asks_and_over_what(server_class, tmp_path, kind, trusted):
    """Otherwise all callers share one limit behind a proxy, or everybody writes themselves a fresh one."""
    if kind == "granian":
        pytest.importorskip("granian")
    environ = {"XIANGYIN_TRUSTED_PROXY": trusted}
    server = server_class(tmp_path / "data", environ=environ, words=("--server", kind)).start()
    try:
        statuses = []
        for number in range(70):  # beyond the sixty wrong ones that an address has
            answer = requests.post(
                f"{server.url}/api/v1/join",
                json={"invite": "0" * 32},
                headers={"X-Forwarded-For": f"203.0.113.{number}"},
                timeout=30,
            )
            statuses.append(answer.status_code)
        believed = trusted == "127.0.0.1"
        assert (429 in statuses) is not believed
        answer = requests.get(
            f"{server.url}/?lang=en",
            headers={"X-Forwarded-Proto": "https"},
            timeout=30,
            allow_redirects=False,
        )
        assert ("Secure" in answer.headers["Set-Cookie"]) is believed
    finally:
        assert server.stop() == 0
