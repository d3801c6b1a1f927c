"""Sending to the real server over networks that fail: nothing is lost, nothing is there twice."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import numpy as np
import pytest

from protocol.errors import CodedError
from protocol.tlog import VerifierKey
from recorder import outbox
from recorder.api import Api
from recorder.judge import commit, judge
from recorder.upload import Patience, Uploader, upload_metadata

RATE_HZ = 16_000
CHUNK = 16_384


@pytest.fixture
def record(spool, meta, everyday, member, make_talk):
    """Puts a clip of five seconds into the spool; each call gives other words: copies are refused."""
    rng = np.random.default_rng(time.time_ns())

    def put(**more):
        own = replace(meta, session_id=f"ses-{rng.integers(1 << 40)}", lead_in_s=1.5, **more)
        samples = make_talk(2, seed=int(rng.integers(1, 1 << 30)))[: 5 * RATE_HZ]
        take = spool.open_take(own, RATE_HZ, member.name, tail=samples)
        return commit(spool, take, judge(samples, RATE_HZ, own, everyday))

    return put


def send(spool, member, url=None, *, patience=None, waits=None):
    """Send everything; waiting is only written down."""
    slept = [] if waits is None else waits

    def uploader_for(one):
        api = Api(url or one.server, one.token)
        api.session.headers["Connection"] = "close"  # one request a connection, so that cuts can be counted
        return Uploader(api, sleep=slept.append, patience=patience or Patience(), chunk_bytes=CHUNK)

    return list(outbox.send_all(spool, {member.name: member}, uploader_for))


def account(member):
    return Api(member.server, member.token).get("/api/v1/me/statement")


def test_a_take_is_forgotten_for_its_receipt(spool, member, record):
    take = record()
    (sent,) = send(spool, member)
    assert (sent.clip_id, sent.state, sent.error) == (take.clip_id, "accepted", None)
    assert spool.takes() == []
    (row,) = outbox.status(spool)
    assert (row["clip_id"], row["state"]) == (take.clip_id, "accepted")


def test_the_server_measures_what_the_laptop_measured(spool, member, record):
    take = record()
    api = Api(member.server, member.token)
    answer = Uploader(api, sleep=lambda s: None).send(take)
    assert answer["measurement"] == dict(take.measurement)
    assert answer["verdict"] == take.verdict["decision"]


def test_a_refusal_has_a_receipt_with_its_figures(spool, member, record):
    record(grade="quiet")
    (sent,) = send(spool, member)
    assert sent.state == "refused"
    assert [(r.code, r.limit) for r in sent.reasons] == [("snr.below_band", 25.0)]
    assert [r["code"] for r in outbox.status(spool)[0]["reasons"]] == ["snr.below_band"]


@pytest.mark.parametrize("cuts", [[100], [3000] * 5, [900, 20_000, 5, 17_000, 0, 16_000], [30_000] * 3])
def test_cut_connections_are_gone_on_from(spool, member, record, network, cuts):
    take = record()
    size = take.flac.stat().st_size
    network.cut_after = list(cuts)
    (sent,) = send(spool, member, network.url)
    assert sent.state == "accepted" and spool.takes() == []
    overhead = 3000 * network.connections
    assert network.from_client <= size + CHUNK * len(cuts) + overhead, "at most one piece again for each cut"
    assert account(member)["accepted"] == 1


@pytest.mark.parametrize("lost", [{0}, {1}, {2}, {3}, {4}, {0, 2, 4}, {5}, {6}, {7}, {8}, set(range(7))])
def test_lost_answers_change_nothing(spool, member, record, network, lost):
    """The server did its work and the client never heard of it: repeating has one effect."""
    take = record()
    network.lose_answers = lost
    (sent,) = send(spool, member, network.url, patience=Patience(tries=12))
    assert sent.state == "accepted"
    statement = account(member)
    assert [clip["clip_id"] for clip in statement["clips"]] == [take.clip_id]


def test_bits_that_turn_on_the_way_are_noticed_and_sent_again(spool, member, record, network):
    take = record()
    network.flip_at = {4000, 25_000, 45_000}
    (sent,) = send(spool, member, network.url, patience=Patience(tries=12))
    assert sent.state == "accepted" and not network.flip_at
    assert [clip["clip_id"] for clip in account(member)["clips"]] == [take.clip_id]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork to kill")
def test_a_client_killed_at_any_step_sends_the_take_once(spool, member, record):
    takes = [record() for _ in range(4)]
    for step in range(8):
        child = os.fork()
        if child == 0:
            left = [step]

            def die(sent, total, left=left):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            try:
                api = Api(member.server, member.token)
                uploader = Uploader(api, sleep=lambda s: None, chunk_bytes=CHUNK)
                list(outbox.send_all(spool, {member.name: member}, lambda m, u=uploader: u, die))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        receipted = {path.name.split(".")[0] for path in spool.receipt_files()}
        here = {take.clip_id for take in spool.takes()}
        assert receipted | here == {take.clip_id for take in takes}, "never no copy"
    assert {one.state for one in send(spool, member)} <= {"accepted"}
    clips = [clip["clip_id"] for clip in account(member)["clips"]]
    assert sorted(clips) == sorted(take.clip_id for take in takes)


def test_no_server_no_loss_and_waits_that_grow(spool, member, record, network):
    record()
    network.close()
    waits: list[float] = []
    (sent,) = send(spool, member, network.url, patience=Patience(tries=8), waits=waits)
    assert waits == [0.5, 1, 2, 4, 8, 16, 30]
    assert sent.state == "spooled" and sent.error is not None and sent.error.code == "UPLOAD_GAVE_UP"
    assert len(spool.takes()) == 1


def test_a_server_that_is_unreachable_is_not_asked_for_every_take(spool, member, record, network):
    for _ in range(3):
        record()
    network.close()
    waits: list[float] = []
    sent = send(spool, member, network.url, patience=Patience(tries=3), waits=waits)
    assert [one.state for one in sent] == ["spooled"] * 3 and len(waits) == 2


def test_a_token_that_is_no_longer_good_keeps_everything(spool, member, record):
    record()
    (sent,) = send(spool, replace(member, token="xy_" + "0" * 64))
    assert sent.error is not None and sent.error.code == "CREDENTIAL_REFUSED"
    assert len(spool.takes()) == 1


def test_a_receipt_by_a_key_that_was_not_pinned_keeps_the_take(spool, member, record):
    record()
    other = VerifierKey("somebody/else", bytes(range(32)))
    (sent,) = send(spool, replace(member, vkeys=(str(other),)))
    assert sent.error is not None and sent.error.code == "RECEIPT_MISMATCH"
    assert len(spool.takes()) == 1
    assert outbox.status(spool)[-1]["error"]["code"] == "RECEIPT_MISMATCH"
    assert [one.state for one in send(spool, member)] == ["accepted"], "the right key mends it"


def test_one_damaged_take_does_not_hold_up_the_others(spool, member, record):
    bad, good = record(), record()
    raw = bytearray(bad.flac.read_bytes())
    raw[-9] ^= 4
    bad.flac.write_bytes(raw)
    sent = {one.clip_id: one for one in send(spool, member)}
    assert sent[good.clip_id].state == "accepted"
    assert sent[bad.clip_id].error.code == "SPOOL_DAMAGED"
    assert bad.folder.exists()


def test_a_server_killed_in_the_middle_and_started_again(intake, spool, member, record):
    """kill -9 after some pieces; the same folder and port come back; the upload goes on."""
    take = record()
    state = {"killed": False}

    def progress(sent, total):
        if sent >= 2 * CHUNK and not state["killed"]:
            state["killed"] = True
            intake.kill()

    def sleep(_seconds):
        if intake.process is None or intake.process.poll() is not None:
            intake.start(intake.port)

    uploader = Uploader(Api(member.server, member.token), sleep=sleep, chunk_bytes=CHUNK)
    (sent,) = outbox.send_all(spool, {member.name: member}, lambda m: uploader, progress)
    assert state["killed"] and sent.state == "accepted"
    assert [clip["clip_id"] for clip in account(member)["clips"]] == [take.clip_id]


def test_two_senders_do_not_share_a_spool(spool, member, record):
    record()
    first = outbox.send_all(spool, {member.name: member}, lambda m: pytest.fail("not yet"))
    from recorder.locks import FileLock

    with FileLock(spool.folder / ".send.lock"), pytest.raises(CodedError, match="already sending"):
        next(first)


def test_metadata_is_base64_by_key():
    assert upload_metadata(clip_id="a", meta='{"x":"臺"}') == "clip_id YQ==,meta eyJ4Ijoi6Ie6In0="
