"""How files leave: by the server's own wrapper or by nginx, the same bytes, ranges and conditions."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import subprocess
import time

import pytest
import requests

from corpus import pull, sources
from tests.release.trees import tree

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def direct(served):
    return served.url, served


@pytest.fixture
def through_nginx(served_with, tmp_path, root):
    """nginx with the location of the deploy page in front of a server that hands files over."""
    if NGINX is None:
        pytest.skip("nginx is not installed")
    served = served_with(sendfile="/_files")
    text = (root / "deploy/nginx.conf").read_text("utf-8")
    [location] = re.findall(r"^ +location /_files/ \{.*?^ +\}\n", text, re.S | re.M)
    port = free_port()
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"""
daemon off; pid {tmp_path}/nginx.pid; error_log {tmp_path}/error.log;
{"user root;" if os.getuid() == 0 else ""}
events {{ }}
http {{
  access_log off; types {{ }} default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port};
{location.replace("/var/lib/xiangyin", str(served.world.data))}
    location / {{ proxy_pass {served.url}; proxy_set_header Host $http_host; }}
  }}
}}
""",
        encoding="utf-8",
    )
    process = subprocess.Popen([NGINX, "-c", str(config), "-e", str(tmp_path / "error.log")])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.05)
    yield f"http://127.0.0.1:{port}", served
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(params=["direct", "through_nginx"])
def site(request):
    return request.getfixturevalue(request.param)


def test_a_sound_comes_whole_in_ranges_and_not_again(site):
    url, served = site
    _, digest = served.world.first_clip()
    path = f"{url}/api/v1/blobs/{digest}"

    def get(**headers: str) -> requests.Response:
        given = {"Authorization": f"Bearer {served.token}", **headers}
        return requests.get(path, headers=given, timeout=30)

    whole = get()
    assert hashlib.sha256(whole.content).hexdigest() == digest
    assert whole.headers["ETag"] == f'"{digest}"' and whole.headers["Content-Type"] == "audio/flac"
    assert "immutable" in whole.headers["Cache-Control"]
    assert whole.headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'self'" in whole.headers["Content-Security-Policy"]
    size = len(whole.content)
    for start, stop in ((0, 1), (100, size), (size - 1, size)):
        part = get(Range=f"bytes={start}-{stop - 1}", **{"If-Range": f'"{digest}"'})
        assert (part.status_code, part.content) == (206, whole.content[start:stop])
        assert part.headers["Content-Range"] == f"bytes {start}-{stop - 1}/{size}"
    assert get(Range="bytes=-7").content == whole.content[-7:]
    other = get(Range="bytes=5-9", **{"If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, whole.content)
    assert get(**{"If-None-Match": f'"{digest}"'}).status_code == 304
    assert get(Range=f"bytes={size}-").status_code == 416
    head = requests.head(path, headers={"Authorization": f"Bearer {served.token}"}, timeout=30)
    assert head.status_code == 200 and head.content == b""


def test_a_release_is_pulled_to_the_byte(site, tmp_path):
    url, served = site
    source, name = sources.parse(f"{url}/releases/r1", served.token)
    pull.pull(source, tmp_path / "copy", name=name)
    assert tree(tmp_path / "copy") == tree(served.world.shelf.path("r1"))


def test_what_is_handed_over_is_decided_by_us(through_nginx):
    """The inner address must not open the data folder, nor a withdrawn voice, to anybody."""
    url, served = through_nginx
    clip_id, digest = served.world.first_clip()
    bearer = {"Authorization": f"Bearer {served.token}"}
    inner = f"{url}/_files/blobs/{digest[:2]}/{digest[2:]}"
    assert requests.get(inner, headers=bearer, timeout=30).status_code == 404
    assert requests.get(f"{url}/api/v1/blobs/{digest}", timeout=30).status_code == 401
    served.world.withdraw(clip_id)
    assert requests.get(f"{url}/api/v1/blobs/{digest}", headers=bearer, timeout=30).status_code == 410


def test_no_view_reads_a_file_that_the_proxy_sends(served_with):
    served = served_with(sendfile="/_files")
    _, digest = served.world.first_clip()
    reply = served.get(f"/api/v1/blobs/{digest}")
    assert reply.headers["X-Accel-Redirect"] == f"/_files/blobs/{digest[:2]}/{digest[2:]}"
    assert reply.content == b""
    manifest = served.get("/api/v1/releases/r1/manifest.jsonl")
    assert manifest.headers["X-Accel-Redirect"] == "/_files/releases/r1/manifest.jsonl"


def test_a_server_without_a_wrapper_sends_the_same(served):
    """granian and the like: the same range, read in pieces."""
    client = served.app.test_client()
    _, digest = served.world.first_clip()
    bearer = {"Authorization": f"Bearer {served.token}"}
    whole = client.get(f"/api/v1/blobs/{digest}", headers=bearer)
    assert hashlib.sha256(whole.data).hexdigest() == digest
    part = client.get(f"/api/v1/blobs/{digest}", headers={**bearer, "Range": "bytes=50-99"})
    assert (part.status_code, part.data) == (206, whole.data[50:100])
