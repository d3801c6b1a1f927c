"""The append-only log: entries, signed heads, receipts.

An entry holds no personal data. What it commits to lies in ``ledger_detail`` with a salt, and can be
erased. Entries are appended inside the transaction of what they tell of, so that they are there if
and only if it is; on PostgreSQL an advisory lock makes appending one at a time, as SQLite's write lock
does anyway. Append late in a transaction: the lock is held from there to its end.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, cast

import rfc8785
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import keyring
from corpus.database import is_sqlite
from corpus.keys import Signer
from corpus.prepared import Prepared
from corpus.tables import ledger_detail, ledger_entry, ledger_head, ledger_node
from protocol import tlog
from protocol.clip import Receipt
from protocol.tlog import Checkpoint, VerifierKey

Event = Literal["received", "accepted", "refused", "appealed", "decided", "paid", "withdrawn", "key"]
_ADD_ENTRY, _ADD_DETAIL = Prepared(sa.insert(ledger_entry)), Prepared(sa.insert(ledger_detail))
_ADD_NODE, _ADD_HEAD = Prepared(sa.insert(ledger_node)), Prepared(sa.insert(ledger_head))
_EDGE = sa.select(ledger_node).where(
    sa.tuple_(ledger_node.c.level, ledger_node.c.position).in_(sa.bindparam("places", expanding=True))
)
_SIZE = Prepared(sa.select(sa.func.max(ledger_entry.c.seq).label("last")))
_APPEND_LOCK = 0x7869616E67796970  # any number that nothing else in the database locks


@dataclass(frozen=True)
class Entry:
    """What is to be logged.

    Attributes
    ----------
    item_id : str
        The random name of the thing it is about.
    details : mapping
        JSON that the entry commits to and that can be erased.
    """

    event: Event
    item_id: str
    details: Mapping[str, Any]
    reasons: Sequence[str] = ()
    profile: str | None = None
    terms: str | None = None
    rules: str | None = None
    more: Mapping[str, str] = field(default_factory=dict)


def canonical(value: object) -> bytes:
    """RFC 8785 canonical JSON; `ValueError` for what it cannot hold."""
    return rfc8785.dumps(cast(Any, value))


def rfc3339(time_ms: int) -> str:
    """``2026-01-31T08:00:00.000Z``."""
    moment = datetime.fromtimestamp(time_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{time_ms % 1000:03d}Z"


@dataclass(frozen=True)
class Logged:
    """An entry that was appended, with what it commits to."""

    seq: int
    leaf: str
    salt: bytes
    details: Mapping[str, Any]


class Tail:
    """The end of the log, held by one transaction from here to its end.

    It reads the tree's right edge once. What is appended and proved after that asks the database no more,
    and any number of entries share one signed head.
    """

    def __init__(self, db: Connection) -> None:
        _alone(db)
        self._db = db
        self._size = size(db)
        self._signed: tuple[int, str] = (-1, "")
        self._signing: Signer | None = None
        self._stored = reader(db)
        edge = [(level, (self._size >> level) - 1) for level in range(64) if self._size >> level & 1]
        self._nodes = {
            (row.level, row.position): bytes.fromhex(row.hash) for row in db.execute(_EDGE, {"places": edge})
        }

    def append(self, entry: Entry, *, salt: bytes, now_ms: int) -> Logged:
        """Append one entry."""
        seq = self._size
        details = dict(entry.details)
        leaf = rfc8785.dumps(
            {
                **entry.more,
                "seq": seq,
                "time": rfc3339(now_ms),
                "event": entry.event,
                "item": entry.item_id,
                "reasons": list(entry.reasons),
                "profile": entry.profile,
                "terms": entry.terms,
                "rules": entry.rules,
                "commitment": tlog.commitment(salt, rfc8785.dumps(details)),
            }
        )
        logged = Logged(seq, leaf.decode("utf-8"), salt, details)
        row = {"seq": seq, "item_id": entry.item_id, "event": entry.event, "leaf": logged.leaf}
        _ADD_ENTRY.run(self._db, {**row, "time_ms": now_ms})
        _ADD_DETAIL.run(self._db, {"seq": seq, "salt": salt.hex(), "details": details})
        nodes = tlog.new_nodes(seq, tlog.leaf_hash(leaf), self._read)
        _ADD_NODE.run_many(
            self._db, [{"level": level, "position": at, "hash": h.hex()} for level, at, h in nodes]
        )
        self._nodes.update(((level, at), value) for level, at, value in nodes)
        self._size += 1
        return logged

    def receipt(self, logged: Logged, signer: Signer, *, now_ms: int) -> Receipt:
        """A receipt for an entry appended here, under the head over all of them so far."""
        if self._signing is None:
            self._signing = keyring.current(self._db, signer)
        if self._signed[0] != self._size:
            note = _sign(self._db, self._signing, self._size, tlog.root(self._size, self._read), now_ms)
            self._signed = (self._size, note)
        hashes = tlog.inclusion_proof(logged.seq, self._size, self._read)
        proof = tlog.proof_text(logged.seq, hashes, self._signed[1])
        verifier = self._signing.verifier
        return Receipt(logged.leaf, dict(logged.details), logged.salt.hex(), proof, str(verifier))

    def _read(self, level: int, position: int) -> bytes:
        return self._nodes.get((level, position)) or self._stored(level, position)


def append(db: Connection, entry: Entry, *, salt: bytes, now_ms: int) -> int:
    """Append one entry and return its place in the log."""
    return Tail(db).append(entry, salt=salt, now_ms=now_ms).seq


def size(db: Connection) -> int:
    """How many entries there are."""
    last = _SIZE.scalar(db, {})
    return 0 if last is None else last + 1


def _alone(db: Connection) -> None:
    """One at a time; SQLite's write lock sees to that by itself."""
    if not is_sqlite(db):
        db.execute(sa.select(sa.func.pg_advisory_xact_lock(_APPEND_LOCK)))


def sign_head(db: Connection, signer: Signer, *, now_ms: int, successor: Signer | None = None) -> str:
    """The signed head over every entry so far; signed once, by the key that is current, and kept.

    The head of a handover, whose last entry names `successor`, is signed by that one too.
    """
    _alone(db)
    count = size(db)
    stored = db.execute(sa.select(ledger_head.c.note).where(ledger_head.c.size == count)).scalar()
    if stored is not None:
        return str(stored)
    signing = signer if successor is not None else keyring.current(db, signer)
    return _sign(db, signing, count, tlog.root(count, reader(db)), now_ms, successor)


def _sign(
    db: Connection, signer: Signer, count: int, root: bytes, now_ms: int, successor: Signer | None = None
) -> str:
    text = Checkpoint(signer.verifier.name, count, root).text()
    note = tlog.sign_note(text, signer.verifier, signer.sign)
    if successor is not None:
        note += tlog.signature_line(text, successor.verifier, successor.sign)
    _ADD_HEAD.run(db, {"size": count, "note": note, "signed_ms": now_ms})
    return note


def latest_head(db: Connection) -> str | None:
    """The newest signed head."""
    query = sa.select(ledger_head.c.note).order_by(ledger_head.c.size.desc()).limit(1)
    return db.execute(query).scalar()


def receipt(db: Connection, seq: int, signer: Signer, *, now_ms: int) -> Receipt:
    """A receipt for entry `seq` under the present head."""
    note = sign_head(db, signer, now_ms=now_ms)
    return _receipt(db, seq, size(db), note, keyring.current(db, signer).verifier)


def _receipt(db: Connection, seq: int, count: int, note: str, key: VerifierKey) -> Receipt:
    detail = db.execute(
        sa.select(ledger_entry.c.leaf, ledger_detail.c.salt, ledger_detail.c.details)
        .join(ledger_detail, ledger_detail.c.seq == ledger_entry.c.seq)
        .where(ledger_entry.c.seq == seq)
    ).one()
    hashes = tlog.inclusion_proof(seq, count, reader(db))
    return Receipt(
        entry=detail.leaf,
        details=detail.details,
        salt=detail.salt,
        proof=tlog.proof_text(seq, hashes, note),
        vkey=str(key),
    )


def handovers(db: Connection) -> list[Receipt]:
    """The receipt of every change of keys, under the head that both keys signed; the oldest first."""
    found = []
    for one in keyring.changes(db):
        note = db.execute(sa.select(ledger_head.c.note).where(ledger_head.c.size == one.size)).scalar_one()
        found.append(_receipt(db, one.size - 1, one.size, note, one.old))
    return found


def receipts(db: Connection, item_id: str, signer: Signer, *, now_ms: int) -> list[Receipt]:
    """A receipt for every entry about an item whose details were not erased, oldest first."""
    query = (
        sa.select(ledger_entry.c.seq)
        .join(ledger_detail, ledger_detail.c.seq == ledger_entry.c.seq)
        .where(ledger_entry.c.item_id == item_id)
        .order_by(ledger_entry.c.seq)
    )
    return [receipt(db, seq, signer, now_ms=now_ms) for seq in db.execute(query).scalars().all()]


def consistency(db: Connection, old: int, new: int) -> list[bytes]:
    """Hashes that show the log of `new` entries to begin with that of `old`."""
    return tlog.consistency_proof(old, new, reader(db))


def leaves(db: Connection) -> Iterator[str]:
    """Every entry's exact text, in order."""
    query = sa.select(ledger_entry.c.leaf).order_by(ledger_entry.c.seq)
    for row in db.execute(query, execution_options={"yield_per": 1000}):
        yield row.leaf


def leaves_between(db: Connection, start: int, end: int) -> list[str]:
    """The exact texts of the entries from place `start` up to, not with, `end`."""
    query = sa.select(ledger_entry.c.leaf).where(ledger_entry.c.seq >= start, ledger_entry.c.seq < end)
    return list(db.execute(query.order_by(ledger_entry.c.seq)).scalars())


def erase_details(db: Connection, item_id: str) -> None:
    """Erase what the entries about an item commit to; the entries stay and say nothing any more."""
    about = sa.select(ledger_entry.c.seq).where(ledger_entry.c.item_id == item_id)
    db.execute(sa.delete(ledger_detail).where(ledger_detail.c.seq.in_(about)))


def about(db: Connection, item_ids: Sequence[str]) -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """Entries and details (None where erased) about these items, in the order of the log."""
    found: list[tuple[dict[str, Any], dict[str, Any] | None]] = []
    for start in range(0, len(item_ids), 500):
        query = (
            sa.select(ledger_entry.c.leaf, ledger_detail.c.details)
            .outerjoin(ledger_detail, ledger_detail.c.seq == ledger_entry.c.seq)
            .where(ledger_entry.c.item_id.in_(item_ids[start : start + 500]))
        )
        found += [
            (json.loads(row.leaf), cast("dict[str, Any] | None", row.details)) for row in db.execute(query)
        ]
    return sorted(found, key=lambda pair: pair[0]["seq"])


def reader(db: Connection) -> tlog.NodeReader:
    """Reads the stored hash of a subtree."""

    def read(level: int, position: int) -> bytes:
        query = sa.select(ledger_node.c.hash).where(
            ledger_node.c.level == level, ledger_node.c.position == position
        )
        return bytes.fromhex(db.execute(query).scalar_one())

    return read
