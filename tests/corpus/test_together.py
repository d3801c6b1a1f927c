"""Changes that share a transaction: each is there once, and nobody pays for another's mistake."""

from __future__ import annotations

import sqlite3
import threading

import pytest
import sqlalchemy as sa

from corpus import database, keys, ledger, ledger_check, tables, together
from corpus.database import DatabaseBusy, begin, reading
from corpus.keys import verify_ed25519
from corpus.together import Change, Together
from protocol import tlog


@pytest.fixture
def signer(tmp_path):
    return keys.signer(tmp_path / "keys")


def all_at_once(row: Together, works) -> list[object]:
    """Bring the works while the row is held up, so that they meet; each one's result or error."""
    outcomes: list[object] = [None] * len(works)
    held, go = threading.Event(), threading.Event()

    def hold(_change: Change) -> None:
        held.set()
        go.wait(10)

    def bring(place: int) -> None:
        try:
            outcomes[place] = row.run(works[place])
        except Exception as error:  # noqa: BLE001  # it is what the test looks at
            outcomes[place] = error

    first = threading.Thread(target=row.run, args=(hold,))
    first.start()
    held.wait(10)
    threads = [threading.Thread(target=bring, args=(place,)) for place in range(len(works))]
    for thread in threads:
        thread.start()
    while len(row._row) < len(works):
        pass
    go.set()
    for thread in (first, *threads):
        thread.join()
    return outcomes


def logs(number: int, signer, seen: list):
    def work(change: Change) -> int:
        entry = ledger.Entry("accepted", f"item{number}", {"n": number})
        logged = change.tail.append(entry, salt=bytes([number]) * 16, now_ms=number)
        change.at_the_end(lambda: seen.append(change.tail.receipt(logged, signer, now_ms=1)))
        return logged.seq

    return work


def test_entries_that_come_together_have_one_head_and_a_receipt_each_that_holds(engine, signer):
    row, seen = Together(engine), []
    for number in range(5):  # a tree whose right edge has several parts
        row.run(logs(number, signer, seen))
    places = all_at_once(row, [logs(10 + number, signer, seen) for number in range(7)])
    assert sorted(places) == list(range(5, 12))
    for receipt in seen:
        tlog.check_receipt(receipt, verify_ed25519=verify_ed25519, canonical=ledger.canonical)
    with reading(engine) as db:
        heads = list(
            db.execute(sa.select(tables.ledger_head.c.size).order_by(tables.ledger_head.c.size)).scalars()
        )
        assert heads == [1, 2, 3, 4, 5, 12]
        assert ledger_check.check_stored(db, signer.verifier) == []


def test_one_that_fails_is_told_alone_and_leaves_nothing_of_itself(engine, signer):
    row, seen = Together(engine), []

    def fails(change: Change) -> None:
        change.tail.append(ledger.Entry("refused", "bad", {}), salt=bytes(16), now_ms=1)
        raise KeyError("mine")

    outcomes = all_at_once(row, [logs(1, signer, seen), fails, logs(2, signer, seen)])
    assert isinstance(outcomes[1], KeyError)
    assert sorted([outcomes[0], outcomes[2]]) == [0, 1]
    with reading(engine) as db:
        events = list(db.execute(sa.select(tables.ledger_entry.c.event)).scalars())
        assert events == ["accepted", "accepted"]
        assert ledger_check.check_stored(db, signer.verifier) == []


def test_a_database_that_somebody_holds_is_told_to_all_who_wait(tmp_path, monkeypatch):
    """Nobody waits without end, and who was refused is not done later behind their back."""
    for module in (database, together):
        monkeypatch.setattr(module, "BUSY_S", 0.3)
    path = tmp_path / "x.sqlite"
    engine = database.open_engine(f"sqlite:///{path}")
    tables.metadata.create_all(engine)
    row = Together(engine)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    outcomes: list[Exception] = []

    def bring() -> None:
        try:
            row.run(
                lambda change: change.tail.append(ledger.Entry("accepted", "x", {}), salt=bytes(16), now_ms=1)
            )
        except DatabaseBusy as error:
            outcomes.append(error)

    threads = [threading.Thread(target=bring) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    holder.execute("ROLLBACK")
    holder.close()
    assert len(outcomes) == 4
    with begin(engine) as db:
        assert ledger.size(db) == 0
    engine.dispose()


def test_one_that_must_be_synced_has_all_beside_it_synced(tmp_path):
    """Whoever shares a transaction with a receipt cannot make it less durable."""
    engine = database.open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    row, held, go, levels = Together(engine), threading.Event(), threading.Event(), []

    def hold(_change: Change) -> None:
        held.set()
        go.wait(10)

    def look(change: Change) -> None:
        levels.append(change.db.exec_driver_sql("PRAGMA synchronous").scalar())

    threads = [threading.Thread(target=row.run, args=(hold,), kwargs={"synced": False})]
    threads[0].start()
    held.wait(10)
    for synced in (False, True):
        threads.append(threading.Thread(target=row.run, args=(look,), kwargs={"synced": synced}))
        threads[-1].start()
    while len(row._row) < 2:
        pass
    go.set()
    for thread in threads:
        thread.join()
    row.run(look, synced=False)
    assert levels == [2, 2, 1]
