"""A server that lies: each answer becomes an error of its kind, and no take is lost or sent elsewhere."""

from __future__ import annotations

import json
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from protocol.errors import CodedError
from protocol.tlog import VerifierKey
from recorder import api, joining, outbox
from recorder.api import Api
from recorder.judge import commit, judge
from recorder.upload import Patience, Uploader

RATE_HZ = 16_000
UPLOAD = "/api/v1/uploads/" + "0" * 32


class Liar:
    """Answers each method and path as the test says."""

    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Callable[[BaseHTTPRequestHandler], None]] = {}
        self.asked: list[str] = []
        liar = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                liar.asked.append(f"{self.command} {self.path}")
                found = liar.answers.get((self.command, self.path)) or liar.answers.get((self.command, "*"))
                (found or answer(404, {"code": "NOT_FOUND", "detail": "no"}))(self)

            do_GET = do_POST = do_HEAD = do_PATCH = handle_any  # noqa: N815

            def log_message(self, *_: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


def answer(status: int, body: object = b"", **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()

    def send(to: BaseHTTPRequestHandler) -> None:
        to.send_response(status)
        for name, value in headers.items():
            to.send_header(name.replace("_", "-"), value)
        to.send_header("Content-Length", str(len(data)))
        to.end_headers()
        if to.command != "HEAD":
            to.wfile.write(data)

    return send


def endless(to: BaseHTTPRequestHandler) -> None:
    to.send_response(200)
    to.send_header("Transfer-Encoding", "chunked")
    to.end_headers()
    piece = b"a" * 65_536
    try:
        while True:
            to.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    except OSError:
        return


@pytest.fixture
def liar() -> Iterator[Liar]:
    made = Liar()
    yield made
    made.server.shutdown()
    made.server.server_close()


DEEP = b"[" * 100_000 + b"]" * 100_000


@pytest.mark.parametrize(
    "said", [DEEP, b'{"a":' + b"1" * 6000 + b"}", b"[]", b"\0", b"", b"\xff\xfe{}", b'"x"', b"{"]
)
def test_an_answer_that_is_no_json_object_is_told_so(liar, said):
    liar.answers["GET", "/x"] = answer(200, said)
    with pytest.raises(CodedError) as told:
        Api(liar.url).get("/x")
    assert told.value.code == "SERVER_ANSWER_UNEXPECTED"
    liar.answers["GET", "/x"] = answer(410, said)
    with pytest.raises(CodedError) as told:
        Api(liar.url).get("/x")
    assert told.value.code == "SERVER_ANSWER_UNEXPECTED"


def test_an_answer_without_end_is_left(liar, monkeypatch):
    liar.answers["GET", "/x"] = endless
    monkeypatch.setattr(api, "MOST_ANSWER_BYTES", 1 << 20)
    with pytest.raises(CodedError) as told:
        Api(liar.url).get("/x")
    assert told.value.code == "SERVER_ANSWER_UNEXPECTED"


def test_nothing_that_a_server_says_commands_the_terminal(liar):
    liar.answers["GET", "/x"] = answer(200, {"t\x1b": ["\x1b]0;x\x07", {"b": "one\n\ttwo 三\x9b2J"}]})
    assert Api(liar.url).get("/x") == {"t\ufffd": ["\ufffd]0;x\ufffd", {"b": "one\n\ttwo 三\ufffd2J"}]}
    liar.answers["GET", "/x"] = answer(410, {"code": "X\x1b[31m", "detail": "\x1b[2J"})
    with pytest.raises(CodedError) as told:
        Api(liar.url).get("/x")
    assert "\x1b" not in str(told.value)


VKEY = str(VerifierKey("xiangyin/x", bytes(32)))
GOOD = {"token": "xy_t", "person_id": "p" * 32, "role": "speaker", "project": "tales"}


@pytest.mark.parametrize(
    "change",
    [
        {"person_id": "../../../x"},
        {"person_id": ["x"]},
        {"role": "../../r"},
        {"role": None},
        {"token": {}},
        {"token": "a\r\nX: y"},
        {"project": {"a": 1}},
    ],
)
def test_a_membership_of_a_wrong_form_is_not_kept(liar, tmp_path, change):
    liar.answers["POST", "/api/v1/join"] = answer(201, {**GOOD, **change})
    liar.answers["GET", "/.well-known/xiangyin-keys.json"] = answer(200, {"vkeys": [VKEY]})
    liar.answers["GET", "/api/v1/project"] = answer(200, {})
    with pytest.raises(CodedError) as told:
        joined(liar, tmp_path)
    assert told.value.code == "SERVER_ANSWER_UNEXPECTED"
    assert not list(tmp_path.rglob("memberships/*"))


@pytest.mark.parametrize("consent", ["x", None, []])
def test_a_consent_of_a_wrong_form_does_not_end_joining(liar, tmp_path, consent):
    liar.answers["POST", "/api/v1/join"] = answer(201, GOOD)
    liar.answers["GET", "/.well-known/xiangyin-keys.json"] = answer(200, {"vkeys": [VKEY]})
    liar.answers["GET", "/api/v1/project"] = answer(200, {"consent": consent})
    member, _ = joined(liar, tmp_path)
    assert member.consent.version == ""


def joined(liar, folder):
    return joining.join(
        f"{liar.url}/join/{'A' * 32}",
        folder,
        lambda asked: None,
        new_nonce=lambda: secrets.token_hex(16),
        now_utc=lambda: "2026-01-31T08:00:00Z",
        language="en",
    )


@pytest.fixture
def outcome(spool, meta, everyday, talk_samples, liar):
    """What sending one take to the liar comes to; the take must still be here."""
    samples = talk_samples[: 5 * RATE_HZ].astype(np.int16)
    own = replace(meta, lead_in_s=1.5)
    commit(spool, spool.open_take(own, RATE_HZ, "m", tail=samples), judge(samples, RATE_HZ, own, everyday))
    liar.answers["POST", "*"] = answer(201, Location=UPLOAD)
    liar.answers["HEAD", "*"] = answer(200, Upload_Offset="0")

    def send() -> CodedError:
        uploader = Uploader(
            Api(liar.url, "xy_t"), sleep=lambda s: None, patience=Patience(tries=4), chunk_bytes=16_384
        )
        (take,) = spool.takes()
        with pytest.raises(CodedError) as told:
            uploader.send(take)
        assert [one.clip_id for one in spool.takes()] == [take.clip_id]
        return told.value

    return send


@pytest.mark.parametrize(
    "location", ["http://[", "mailto:@other.example/x", "data:.other.example/x", "", "x:"]
)
def test_an_upload_lies_on_the_server_that_was_joined(liar, outcome, location):
    liar.answers["POST", "*"] = answer(201, Location=location)
    assert outcome().code == "SERVER_ANSWER_UNEXPECTED"


@pytest.mark.parametrize("reply", [answer(204, Upload_Offset="0"), answer(409, Upload_Offset="1")])
def test_a_server_that_takes_nothing_is_given_up(liar, outcome, reply):
    liar.answers["PATCH", "*"] = reply
    liar.answers["HEAD", "*"] = answer(200, Upload_Offset="1")
    assert outcome().code == "UPLOAD_GAVE_UP"
    assert len(liar.asked) < 20


@pytest.mark.parametrize(
    "receipt", [None, {}, [], {"entry": "[]", "details": {}, "salt": "", "proof": "", "vkey": ""}]
)
def test_a_take_is_kept_where_its_receipt_is_none(liar, spool, outcome, receipt):
    (take,) = spool.takes()
    size = take.flac.stat().st_size
    liar.answers["HEAD", "*"] = answer(200, Upload_Offset=str(size))
    liar.answers["GET", "*"] = answer(200, {"receipt": receipt})
    from recorder.credentials import Membership

    member = Membership("m", liar.url, "p", "speaker", "x", "xy_t", (), "2026-01-31T08:00:00Z", None, {})
    (sent,) = outbox.send_all(
        spool, {"m": member}, lambda one: Uploader(Api(one.server, one.token), sleep=lambda s: None)
    )
    assert sent.state == "kept" and sent.error.code in (
        "RECEIPT_MISMATCH",
        "RECEIPT_INVALID",
        "metadata.invalid",
    )
    assert len(spool.takes()) == 1
