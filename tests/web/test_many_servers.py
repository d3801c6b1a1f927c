"""Several servers on one PostgreSQL, one bucket and one data folder: nothing is kept in a process."""

from __future__ import annotations

import re
import threading

import pytest
import requests
import rfc8785
import sqlalchemy as sa

from corpus.keys import verify_ed25519
from corpus.settings import load
from corpus.store import open_store
from protocol import tlog
from protocol.clip import Receipt

pytestmark = [pytest.mark.s3, pytest.mark.postgres, pytest.mark.xdist_group("s3")]


@pytest.fixture
def database(postgres_url):
    """An empty database."""
    with sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT").connect() as db:
        db.execute(sa.text("DROP SCHEMA public CASCADE"))
        db.execute(sa.text("CREATE SCHEMA public"))
    return postgres_url


def started(make, data, environ, count):
    """So many servers on one data folder; the first makes the project."""
    servers = [make.server(data, environ).start() for _ in range(count)]
    servers[0].command(
        "project", "create", make.project.id, "--title", "T", "--language", "nan-Hant-TW",
        "--orthography", "nan-Hant",
    )  # fmt: skip
    return servers


def ended(servers) -> None:
    for server in servers:
        if server.process.poll() is None:
            assert server.stop() == 0


def holds(receipt) -> tlog.Checkpoint:
    return tlog.check_receipt(
        Receipt.from_json(receipt), verify_ed25519=verify_ed25519, canonical=rfc8785.dumps
    )


def test_an_upload_begun_at_one_server_ends_at_another(database, object_server, tmp_path, make):
    """As behind a proxy that sends each request anywhere, also when one server dies in between."""
    environ = {**object_server.environ(), "XIANGYIN_DATABASE_URL": database}
    one, two = servers = started(make, tmp_path / "data", environ, 2)
    try:
        speaker = one.join()
        heads = []
        for seed in range(4):
            clip = make.clip(make.file(make.samples(seed)))
            half = len(clip.data) // 2
            here, there = (one, two) if seed % 2 else (two, one)
            location = speaker.ask("POST", here.url + "/api/v1/uploads", clip.headers()).headers["Location"]
            path = location.removeprefix(here.url)
            first = speaker.ask("PATCH", here.url + path, make.patch_headers(0), data=clip.data[:half])
            assert first.headers["Upload-Offset"] == str(half)
            asked = speaker.ask("HEAD", there.url + path, {"Tus-Resumable": "1.0.0"})
            assert asked.headers["Upload-Offset"] == str(half)
            rest = speaker.ask("PATCH", there.url + path, make.patch_headers(half), data=clip.data[half:])
            assert rest.status_code == 204, rest.text
            found = speaker.ask("GET", f"{here.url}/api/v1/clips/{clip.clip_id}").json()
            assert found["state"] == "accepted"
            heads.append(holds(found["receipt"]))
            assert speaker.ask("GET", f"{here.url}/api/v1/clips/{clip.clip_id}/audio").content == clip.data
        assert [head.size for head in heads] == [1, 2, 3, 4]  # one log
        assert len({head.origin for head in heads}) == 1

        clip = make.clip(make.file(make.samples(9)))
        location = speaker.ask("POST", one.url + "/api/v1/uploads", clip.headers()).headers["Location"]
        path = location.removeprefix(one.url)
        speaker.ask("PATCH", one.url + path, make.patch_headers(0), data=clip.data[:5000])
        one.kill()
        rest = speaker.ask("PATCH", two.url + path, make.patch_headers(5000), data=clip.data[5000:])
        assert rest.status_code == 204
        assert two.command("fsck")[-1] == {"problems": 0}
        assert two.command("ledger", "verify") == [{"entries": 5, "good": True}]
        with pytest.raises(AssertionError, match="SERVER_RUNNING"):  # a repair wants the folder to itself
            two.command("fsck", "--repair")
    finally:
        ended(servers)


def test_one_clip_sent_to_two_servers_at_once_is_taken_in_once(database, object_server, tmp_path, make):
    environ = {**object_server.environ(), "XIANGYIN_DATABASE_URL": database}
    one, two = servers = started(make, tmp_path / "data", environ, 2)
    try:
        speaker = one.join()
        clip = make.clip(make.file(make.samples(3)))
        answers = []

        def send(server) -> None:
            created = speaker.ask("POST", server.url + "/api/v1/uploads", clip.headers())
            path = created.headers["Location"].removeprefix(server.url)
            done = speaker.ask("PATCH", server.url + path, make.patch_headers(0), data=clip.data)
            answers.append((path, done.status_code))

        threads = [threading.Thread(target=send, args=(server,)) for server in servers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({path for path, _ in answers}) == 1
        assert {status for _, status in answers} <= {204, 409, 423}
        path = f"/api/v1/clips/{clip.clip_id}"
        found = make.wait_until(lambda: one_answer(speaker, two.url + path), 30)
        assert found["state"] == "accepted" and holds(found["receipt"]).size == 1
        assert one.command("ledger", "verify") == [{"entries": 1, "good": True}]
    finally:
        ended(servers)


def one_answer(speaker, address):
    answer = speaker.ask("GET", address)
    return answer.json() if answer.status_code == 200 else None


def test_the_store_dies_in_the_middle_of_a_close_and_nothing_is_lost(
    database, make_object_server, wire, tmp_path, make
):
    """Killed with the blob on its way: the uploader waits, and has the receipt when the store is back."""
    store, clip = make_object_server(), make.clip(make.file(make.samples(4)))
    name = f"PUT /corpus/.*/{clip.sha256[:2]}/{clip.sha256[2:]} ".encode()

    def kill_once(data: bytes) -> bytes | None:
        if store.process.poll() is not None or (tmp_path / "killed").exists() or not re.match(name, data):
            return data
        (tmp_path / "killed").touch()
        store.kill()
        return None

    environ = store.environ(
        XIANGYIN_DATABASE_URL=database, AWS_ENDPOINT_URL_S3=f"http://127.0.0.1:{wire(store.port, kill_once)}"
    )
    (server,) = servers = started(make, tmp_path / "data", environ, 1)
    try:
        speaker = server.join()
        location = speaker.ask("POST", "/api/v1/uploads", clip.headers()).headers["Location"]
        answer = speaker.ask("PATCH", location, make.patch_headers(0), data=clip.data)
        assert answer.status_code == 503 and answer.json()["code"] == "STORE_UNREACHABLE"
        assert store.process.poll() is not None
        assert requests.get(f"{server.url}/readyz", timeout=30).json()["store"] == "STORE_UNREACHABLE"
        assert requests.get(f"{server.url}/healthz", timeout=30).status_code == 200
        store.start()
        make.wait_until(lambda: requests.get(f"{server.url}/readyz", timeout=30).ok or None, 60)
        asked = speaker.ask("HEAD", location, {"Tus-Resumable": "1.0.0"})
        assert asked.headers["Upload-Offset"] == str(len(clip.data))
        found = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").json()
        assert found["state"] == "accepted" and holds(found["receipt"]).size == 1
        assert list(open_store(load(environ, tmp_path))) == [clip.sha256]
        assert server.command("fsck")[-1] == {"problems": 0}
    finally:
        ended(servers)
