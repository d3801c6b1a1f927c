"""A log outlives its keys: a new one is trusted for the old one's signature, and for nothing else."""

from __future__ import annotations

import json
import secrets
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from corpus import keyring, keys, ledger, ledger_check, migrate, rotation, tables
from corpus.database import begin, reading
from corpus.keys import KeyUnsafe, Signer, verify_ed25519
from protocol import tlog
from protocol.clip import Receipt
from protocol.keyring import Ring, follow
from protocol.tlog import ReceiptInvalid, VerifierKey


@pytest.fixture
def signer(tmp_path):
    return keys.signer(tmp_path / "keys")


def append(engine, signer) -> Receipt:
    """One more entry, with its receipt."""
    with begin(engine) as db:
        entry = ledger.Entry("accepted", secrets.token_hex(16), {"n": 1})
        seq = ledger.append(db, entry, salt=secrets.token_bytes(16), now_ms=1_800_000_000_000)
        return ledger.receipt(db, seq, signer, now_ms=1)


def rotate(engine, signer) -> rotation.Rotated:
    return rotation.rotate(
        engine, signer, item_id=secrets.token_hex(16), salt=secrets.token_bytes(16), now_ms=1_800_000_000_000
    )


def published(engine, signer):
    """The list as a client gets it: through JSON."""
    with reading(engine) as db:
        return json.loads(json.dumps(rotation.published(db, signer)))


def told(known: Ring, listed: object) -> Ring:
    return follow(known, listed, verify_ed25519=verify_ed25519, canonical=ledger.canonical)


def holds(receipt: Receipt) -> int:
    return tlog.check_receipt(receipt, verify_ed25519=verify_ed25519, canonical=ledger.canonical).size


def present(engine, signer) -> VerifierKey:
    with reading(engine) as db:
        return keyring.current(db, signer).verifier


def test_what_any_key_signed_holds_for_ever_with_the_published_list(engine, signer):
    receipts = [append(engine, signer)]
    for _ in range(3):
        rotate(engine, signer)
        receipts += [append(engine, signer), append(engine, signer)]
    ring = told(Ring(), published(engine, signer))
    assert len(ring.vkeys) == 4
    assert len({one.vkey for one in receipts}) == 4
    for one in receipts:
        assert ring.trusts(one.vkey, holds(one))
    with reading(engine) as db:
        assert ledger_check.check_stored(db, present(engine, signer)) == []


def test_whoever_trusts_any_one_key_learns_the_others(engine, signer):
    """Those before it as well: a puller of the newest release may want an older one."""
    for _ in range(3):
        append(engine, signer)
        rotate(engine, signer)
    whole = told(Ring(), published(engine, signer))
    for vkey in whole.vkeys:
        assert told(Ring.of([vkey]), published(engine, signer)) == whole


def test_a_process_that_started_before_signs_with_the_new_key(engine, signer):
    """No state in a process: `signer` stays what was read at the start."""
    append(engine, signer)
    made = rotate(engine, signer)
    assert append(engine, signer).vkey == str(made.new) != str(signer.verifier)
    assert present(engine, signer) == made.new


def test_a_handover_that_was_not_committed_leaves_its_key_for_the_next(engine, signer, monkeypatch):
    append(engine, signer)
    with monkeypatch.context() as patch:
        patch.setattr(ledger, "sign_head", lambda *a, **k: (_ for _ in ()).throw(KeyError("killed")))
        with pytest.raises(KeyError):
            rotate(engine, signer)
    assert append(engine, signer).vkey == str(signer.verifier)
    waiting = [path.name for path in signer.folder.glob("ledger-*.pem")]
    made = rotate(engine, signer)
    assert waiting == [f"ledger-{made.new.key_id.hex()}.pem"]


def test_one_private_key_is_left_and_for_its_owner_alone(engine, signer):
    made = rotate(engine, signer)
    (path,) = signer.folder.glob("*.pem")
    assert path.stat().st_mode & 0o777 == 0o600
    assert made.destroyed == ("ledger.pem",)
    assert keys.signer(signer.folder).verifier == made.new  # as the next start reads it


def test_a_private_key_that_is_gone_is_named_and_not_made_up_for(engine, signer):
    made = rotate(engine, signer)
    (path,) = signer.folder.glob("*.pem")
    path.unlink()
    keys._loaded.cache_clear()
    with pytest.raises(KeyUnsafe, match=made.new.key_id.hex()):
        append(engine, keys.signer(signer.folder))


def test_two_rotations_at_once_are_one_after_the_other(engine, signer):
    made: list[rotation.Rotated] = []
    threads = [threading.Thread(target=lambda: made.append(rotate(engine, signer))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(told(Ring.of([str(signer.verifier)]), published(engine, signer)).vkeys) == 4


def test_entries_and_heads_keep_their_order_while_keys_change(engine, signer):
    """Each head is by the key that was current when the log was so long, whoever asked for it."""
    stop = threading.Event()
    found: list[Receipt] = []

    def work() -> None:
        while not stop.is_set():
            found.append(append(engine, signer))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        rotate(engine, signer)
    stop.set()
    for thread in threads:
        thread.join()
    ring = told(Ring(), published(engine, signer))
    assert all(ring.trusts(one.vkey, holds(one)) for one in found)
    with reading(engine) as db:
        assert ledger_check.check_stored(db, present(engine, signer)) == []


def test_an_exported_log_extends_a_head_of_an_earlier_key(engine, signer):
    append(engine, signer)
    with begin(engine) as db:
        older = ledger.sign_head(db, signer, now_ms=1)
    rotate(engine, signer)
    append(engine, signer)
    with begin(engine) as db:
        lines, note = list(ledger.leaves(db)), ledger.sign_head(db, signer, now_ms=1)
    assert ledger_check.verify(lines, note, present(engine, signer), older).size == 3
    with pytest.raises(ReceiptInvalid):
        ledger_check.verify(lines, note, signer.verifier)


def test_a_head_by_a_retired_key_over_a_longer_log_is_refused(engine, signer):
    """What a thief of the old key could still sign."""
    append(engine, signer)
    rotate(engine, signer)
    ring = told(Ring.of([str(signer.verifier)]), published(engine, signer))
    later = tlog.Checkpoint(signer.verifier.name, 9, bytes(32))
    forged = tlog.sign_note(later.text(), signer.verifier, signer.sign)
    with pytest.raises(ReceiptInvalid, match="replaced"):
        ring.open_checkpoint(forged, verify_ed25519)
    with begin(engine) as db:
        db.execute(sa.insert(tables.ledger_head).values(size=9, note=forged, signed_ms=1))
        assert any("replaced" in text for text in ledger_check.check_stored(db, present(engine, signer)))


# --- lists that lie ----------------------------------------------------------------------------------


def other(signer: Signer, tmp_path, name: str = "other") -> Signer:
    """A stranger's key under this log's name."""
    made = keys.signer(tmp_path / name)
    return replace(made, verifier=VerifierKey(signer.verifier.name, made.verifier.public_key))


def forged(engine, old: Signer, new: Signer, *, says: str, event: str = "key") -> Receipt:
    """A handover as somebody would make it who has only some of the keys."""
    said = {"old_vkey": says, "vkey": str(new.verifier)}
    with begin(engine) as db:
        entry = ledger.Entry(event, secrets.token_hex(16), said, more=said)
        seq = ledger.append(db, entry, salt=bytes(16), now_ms=1)
        note = ledger.sign_head(db, old, now_ms=1, successor=new)
        return ledger._receipt(db, seq, seq + 1, note, old.verifier)


@pytest.fixture
def stranger(tmp_path):
    """Another database, in which a thief makes a log of their own."""
    from corpus.database import open_engine

    made = open_engine(f"sqlite:///{tmp_path / 'thief.sqlite'}")
    migrate.upgrade(made)
    yield made
    made.dispose()


def test_a_new_key_that_nobody_handed_over_to_is_refused(signer, tmp_path):
    thief = other(signer, tmp_path)
    pinned = Ring.of([str(signer.verifier)])
    for listed in (
        {"vkeys": [str(thief.verifier)]},
        {"vkeys": [str(thief.verifier), str(signer.verifier)], "handovers": []},
    ):
        with pytest.raises(ReceiptInvalid, match="no handover leads"):
            told(pinned, listed)


def test_a_handover_signed_by_the_new_key_alone_is_refused(stranger, signer, tmp_path):
    thief, helper = other(signer, tmp_path), other(signer, tmp_path, "helper")
    receipt = forged(stranger, helper, thief, says=str(signer.verifier))
    for row in (receipt, replace(receipt, vkey=str(signer.verifier))):
        with pytest.raises(ReceiptInvalid):
            told(
                Ring.of([str(signer.verifier)]),
                {"vkeys": [str(thief.verifier)], "handovers": [row.as_json()]},
            )


def test_a_handover_that_the_new_key_did_not_sign_is_refused(engine, signer, tmp_path):
    """Or a stranger's key could be said to be the next one without its owner's knowledge."""
    made = rotate(engine, signer)
    listed = published(engine, signer)
    row = listed["handovers"][0]
    note = row["proof"].rstrip("\n").rpartition("\n")
    row["proof"] = note[0] + "\n"
    with pytest.raises(ReceiptInvalid, match="not signed by this key"):
        told(Ring.of([str(made.old)]), listed)


def test_an_ordinary_receipt_is_no_handover(engine, signer):
    receipt = append(engine, signer)
    with pytest.raises(ReceiptInvalid, match="not about a key"):
        told(
            Ring.of([str(signer.verifier)]),
            {"vkeys": [str(signer.verifier)], "handovers": [receipt.as_json()]},
        )


def test_a_second_successor_of_a_retired_key_is_refused(engine, stranger, signer, tmp_path):
    """Who stole the old key after it gave way cannot lead anybody away who followed it."""
    append(engine, signer)
    rotate(engine, signer)
    ring = told(Ring.of([str(signer.verifier)]), published(engine, signer))
    thief = other(signer, tmp_path)
    receipt = forged(stranger, signer, thief, says=str(signer.verifier))
    listed = {"vkeys": [str(thief.verifier)], "handovers": [receipt.as_json()]}
    with pytest.raises(ReceiptInvalid, match=r"no handover leads|given way"):
        told(ring, listed)


def test_a_key_that_gave_way_earlier_or_later_than_before_is_a_contradiction(engine, signer):
    append(engine, signer)
    rotate(engine, signer)
    listed = published(engine, signer)
    ring = told(Ring(), listed)
    first = ring.vkeys[0]
    with pytest.raises(ReceiptInvalid, match="given way"):
        told(Ring({**ring.last_sizes, first: 99}), listed)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda listed: None,
        lambda listed: [],
        lambda listed: {},
        lambda listed: {**listed, "vkeys": "x"},
        lambda listed: {**listed, "vkeys": []},
        lambda listed: {**listed, "vkeys": [7]},
        lambda listed: {**listed, "vkeys": ["x"]},
        lambda listed: {**listed, "vkeys": [listed["vkeys"][0].replace("+", "-")]},
        lambda listed: {**listed, "vkeys": listed["vkeys"][::-1]},
        lambda listed: {**listed, "handovers": {}},
        lambda listed: {**listed, "handovers": [None]},
        lambda listed: {**listed, "handovers": listed["handovers"][::-1]},
        lambda listed: {**listed, "handovers": listed["handovers"][:1]},
        lambda listed: {**listed, "handovers": listed["handovers"][1:]},
        lambda listed: {**listed, "handovers": listed["handovers"] * 2},
        lambda listed: {**listed, "handovers": listed["handovers"] * 500},
        lambda listed: {
            **listed,
            "handovers": [{**listed["handovers"][0], "salt": "00" * 16}, listed["handovers"][1]],
        },
        lambda listed: {
            **listed,
            "handovers": [
                {**row, "entry": row["entry"].replace('"event":"key"', '"event":"paid"')}
                for row in listed["handovers"]
            ],
        },
    ],
)
def test_a_list_that_is_not_whole_and_in_order_is_refused(engine, signer, spoil):
    append(engine, signer)
    rotate(engine, signer)
    append(engine, signer)
    rotate(engine, signer)
    listed = published(engine, signer)
    pinned = Ring.of([str(signer.verifier)])
    assert len(told(pinned, listed).vkeys) == 3
    with pytest.raises(ReceiptInvalid):
        told(pinned, spoil(listed))


def test_the_chain_is_checked_with_the_store(engine, signer):
    """A row that names another key is as much damage as a wrong hash."""
    append(engine, signer)
    rotate(engine, signer)
    key = present(engine, signer)
    e, h = tables.ledger_entry, tables.ledger_head
    for change in (
        sa.update(e).where(e.c.event == "key").values(event="paid"),
        sa.delete(h).where(h.c.size == 2),
        sa.update(h).where(h.c.size == 2).values(note=h.c.note + "x"),
    ):
        with engine.connect() as db:
            db.execute(change)
            assert ledger_check.check_stored(db, key)
            db.rollback()
