"""The log on both databases: one order, receipts, tampering seen, details that can be erased."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa

from corpus import keys, ledger, ledger_check, tables
from corpus.database import begin, reading
from corpus.keys import KeyUnsafe, verify_ed25519
from protocol import tlog
from protocol.tlog import ReceiptInvalid


@pytest.fixture
def signer(tmp_path):
    return keys.signer(tmp_path / "keys")


def append(engine, number: int, **details: object) -> int:
    with begin(engine) as db:
        return ledger.append(
            db,
            ledger.Entry("accepted", f"item{number}", {"n": number, **details}),
            salt=bytes([number % 256]) * 16,
            now_ms=1_800_000_000_000 + number,
        )


def exported(engine, signer) -> tuple[list[str], str]:
    with begin(engine) as db:
        return list(ledger.leaves(db)), ledger.sign_head(db, signer, now_ms=1)


def test_every_receipt_holds_whenever_it_is_made(engine, signer):
    for number in range(9):
        assert append(engine, number) == number
        with begin(engine) as db:
            for seq in range(number + 1):
                receipt = ledger.receipt(db, seq, signer, now_ms=1)
                head = tlog.check_receipt(receipt, verify_ed25519=verify_ed25519, canonical=ledger.canonical)
                assert head.size == number + 1
    with reading(engine) as db:
        assert ledger_check.check_stored(db, signer.verifier) == []


def test_appends_from_many_threads_make_one_order_without_gaps(engine, signer):
    def run(start: int) -> None:
        for number in range(start, start + 8):
            append(engine, number)

    threads = [threading.Thread(target=run, args=(8 * n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines, note = exported(engine, signer)
    assert ledger_check.verify(lines, note, signer.verifier).size == 32


def test_an_entry_that_is_rolled_back_was_never_there(engine, signer):
    append(engine, 0)
    with pytest.raises(KeyError), begin(engine) as db:
        ledger.append(db, ledger.Entry("accepted", "x", {}), salt=bytes(16), now_ms=1)
        raise KeyError
    assert append(engine, 1) == 1
    assert ledger_check.verify(*exported(engine, signer), signer.verifier).size == 2


@pytest.mark.parametrize(
    ("tamper", "says"),
    [
        (lambda e: [*e[:2], e[2].replace("accepted", "refused"), *e[3:]], "not those that were signed"),
        (lambda e: e[:-1], "its head says"),
        (lambda e: [e[0], e[0], *e[1:]], "entry 1"),
        (lambda e: [e[1], e[0], *e[2:]], "entry 0"),
        (lambda e: [*e[:4], " " + e[4]], "entry 4"),
        (lambda e: [*e[:4], "{"], "entry 4"),
    ],
    ids=["edit", "drop", "insert", "reorder", "respace", "garble"],
)
def test_tampering_with_an_exported_log_is_seen(engine, signer, tamper, says):
    for number in range(5):
        append(engine, number)
    lines, note = exported(engine, signer)
    with pytest.raises(ReceiptInvalid, match=says):
        ledger_check.verify(tamper(lines), note, signer.verifier)


def test_a_rollback_is_seen_by_whoever_kept_a_newer_head(engine, signer):
    for number in range(3):
        append(engine, number)
    short, old_note = exported(engine, signer)
    append(engine, 3)
    _, new_note = exported(engine, signer)
    with pytest.raises(ReceiptInvalid, match="rolled back from 4 to 3"):
        ledger_check.verify(short, old_note, signer.verifier, new_note)
    assert ledger_check.verify(*exported(engine, signer), signer.verifier, old_note).size == 4


def test_tampering_with_the_database_is_seen(engine, signer):
    for number in range(6):
        append(engine, number)
    exported(engine, signer)
    e, n, d = tables.ledger_entry, tables.ledger_node, tables.ledger_detail
    for change in (
        sa.update(e).where(e.c.seq == 2).values(leaf=e.c.leaf + " "),
        sa.update(n).where(n.c.level == 1, n.c.position == 0).values(hash="00" * 32),
        sa.update(d).where(d.c.seq == 3).values(salt="00" * 16),
    ):
        with engine.connect() as db:
            db.execute(change)
            assert ledger_check.check_stored(db, signer.verifier)
            db.rollback()
    with reading(engine) as db:
        assert ledger_check.check_stored(db, signer.verifier) == []


def test_erased_details_leave_a_log_that_holds_and_says_nothing(engine, signer):
    for number in range(3):
        append(engine, number, voice="secret words")
    with begin(engine) as db:
        ledger.erase_details(db, "item1")
        assert [d for _, d in ledger.about(db, ["item1"])] == [None]
        assert ledger_check.check_stored(db, signer.verifier) == []
    lines, note = exported(engine, signer)
    assert ledger_check.verify(lines, note, signer.verifier).size == 3
    assert "secret words" not in "".join(lines)


def test_keys_are_made_once_and_for_their_owner_alone(tmp_path):
    first = keys.signer(tmp_path / "keys")
    assert keys.signer(tmp_path / "keys").verifier == first.verifier
    assert (tmp_path / "keys" / "ledger.pem").stat().st_mode & 0o777 == 0o600
    assert keys.secret(tmp_path / "keys" / "secret") == keys.secret(tmp_path / "keys" / "secret")
    assert keys.signer(tmp_path / "other").verifier.name != first.verifier.name


@pytest.mark.parametrize("content", [b"", b"short", b"a" * 64, b"-----BEGIN"])
def test_a_key_that_is_weak_or_no_key_is_refused(tmp_path, content):
    for name, read in (("secret", keys.secret), ("ledger.pem", lambda p: keys.signer(p.parent))):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "ledger.origin").write_text("xiangyin/x")
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)
        with pytest.raises(KeyUnsafe):
            read(folder / name)
