"""The log against itself: entries, subtree hashes, signed heads, the chain of keys.

Nothing here writes but `rebuild_nodes`, which makes the subtree hashes again from signed entries.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import rfc8785
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import keyring, ledger
from corpus.keys import verify_ed25519
from corpus.tables import ledger_detail, ledger_entry, ledger_head, ledger_node
from protocol import tlog
from protocol.keyring import EVENT, Handover, Ring, named_keys, read_handover, ring_of
from protocol.tlog import Checkpoint, ReceiptInvalid, VerifierKey


def verify(entries: Sequence[str], note: str, key: VerifierKey, older_note: str | None = None) -> Checkpoint:
    """Check an exported log against its signed head, and that it begins with an older one.

    Raises
    ------
    ReceiptInvalid
        Saying what does not hold: an edited, dropped, inserted or moved entry, another root, a log that
        is shorter than or differs from what was signed before, by this key or by those before it.
    """
    head = tlog.open_checkpoint(note, key, verify_ed25519)
    changes = []
    for seq, text in enumerate(entries):
        if _check_entry(seq, text) == EVENT:
            old, new, _ = named_keys(text)
            changes.append(Handover(old, new, seq + 1))
    if head.size != len(entries):
        raise ReceiptInvalid(problem=f"the log has {len(entries)} entries, its head says {head.size}")
    read = tlog.tree_of([text.encode("utf-8") for text in entries])
    if tlog.root(head.size, read) != head.root:
        raise ReceiptInvalid(problem="the entries are not those that were signed")
    if older_note is not None:
        older, _ = ring_of(changes, key).open_checkpoint(older_note, verify_ed25519)
        if older.size > head.size:
            raise ReceiptInvalid(problem=f"the log was rolled back from {older.size} to {head.size} entries")
        if tlog.root(older.size, read) != older.root:
            raise ReceiptInvalid(problem=f"the first {older.size} entries differ from those signed before")
    return head


def check_stored(db: Connection, key: VerifierKey) -> list[str]:
    """Compare the log's rows with each other: entries, subtree hashes, commitments, every signed head."""
    problems: list[str] = []
    entries = list(ledger.leaves(db))
    for seq, text in enumerate(entries):
        try:
            _check_entry(seq, text)
        except ReceiptInvalid as error:
            problems.append(str(error.parameters["problem"]))
    read = tlog.tree_of([text.encode("utf-8") for text in entries])
    problems += [
        f"the hash at level {level}, place {position} does not fit the entries"
        for level, position, _ in wrong_nodes(db)
    ]
    problems += _wrong_columns(db)
    ring, wrong = _ring(db, key)
    problems += wrong
    for row in db.execute(sa.select(ledger_head).order_by(ledger_head.c.size)):
        try:
            head, _ = ring.open_checkpoint(row.note, verify_ed25519)
        except ReceiptInvalid as error:
            problems.append(f"the head of size {row.size}: {error.parameters['problem']}")
            continue
        if head.size != row.size or head.size > len(entries) or tlog.root(head.size, read) != head.root:
            problems.append(f"the head of size {row.size} does not fit the entries")
    for row in db.execute(
        sa.select(ledger_detail, ledger_entry.c.leaf).join(
            ledger_entry, ledger_entry.c.seq == ledger_detail.c.seq
        )
    ):
        try:
            made = tlog.commitment(bytes.fromhex(row.salt), ledger.canonical(row.details))
            same = json.loads(row.leaf).get("commitment") == made
        except (ValueError, AttributeError, TypeError, RecursionError):
            same = False
        if not same:
            problems.append(f"the details of entry {row.seq} are not those that were logged")
    return problems


def _ring(db: Connection, key: VerifierKey) -> tuple[Ring, list[str]]:
    """The log's keys, and what is wrong with their chain; `key` must be its end."""
    try:
        ring = keyring.ring(db, key)
        for one in ledger.handovers(db):
            read_handover(one, verify_ed25519=verify_ed25519, canonical=ledger.canonical)
    except (ReceiptInvalid, sa.exc.NoResultFound) as error:
        says = error.parameters["problem"] if isinstance(error, ReceiptInvalid) else "a part is missing"
        return Ring.of([str(key)]), [f"the handover of the log's keys: {says}"]
    if ring.vkeys[-1] != str(key):
        return ring, ["the key in the folder is not the one that the log names last"]
    return ring, []


def wrong_nodes(db: Connection) -> list[tuple[int, int, str | None]]:
    """Subtree hashes that are missing or wrong, with the right one; None for one that must not be there."""
    made: dict[tuple[int, int], bytes] = {}
    for seq, text in enumerate(ledger.leaves(db)):
        for level, at, value in tlog.new_nodes(
            seq, tlog.leaf_hash(text.encode("utf-8")), lambda *place: made[place]
        ):
            made[level, at] = value
    wrong: list[tuple[int, int, str | None]] = []
    for row in db.execute(sa.select(ledger_node).order_by(ledger_node.c.level, ledger_node.c.position)):
        right = made.pop((row.level, row.position), None)
        if right is None or right.hex() != row.hash:
            wrong.append((row.level, row.position, None if right is None else right.hex()))
    return wrong + [(level, at, value.hex()) for (level, at), value in made.items()]


def rebuild_nodes(db: Connection, key: VerifierKey) -> int:
    """Write wrong subtree hashes anew from the entries; how many there were.

    Raises
    ------
    ReceiptInvalid
        If the entries are not those of the newest signed head: then the entries are what is damaged.
    """
    note = ledger.latest_head(db)
    if note is None:
        raise ReceiptInvalid(problem="no head was ever signed")
    head, _ = keyring.ring(db, key).open_checkpoint(note, verify_ed25519)
    entries = [text.encode("utf-8") for text in ledger.leaves(db)]
    if head.size > len(entries) or tlog.root(head.size, tlog.tree_of(entries)) != head.root:
        raise ReceiptInvalid(problem="the entries are not those that were signed")
    wrong = wrong_nodes(db)
    for level, position, value in wrong:
        db.execute(
            sa.delete(ledger_node).where(ledger_node.c.level == level, ledger_node.c.position == position)
        )
        if value is not None:
            db.execute(sa.insert(ledger_node).values(level=level, position=position, hash=value))
    return len(wrong)


def _wrong_columns(db: Connection) -> list[str]:
    """Entries whose columns, by which they are found, are not what their leaf says."""
    wrong = []
    query = sa.select(ledger_entry).order_by(ledger_entry.c.seq)
    for row in db.execute(query, execution_options={"yield_per": 1000}):
        try:
            entry = json.loads(row.leaf)
            said = (entry["seq"], entry["item"], entry["event"], entry["time"])
        except (ValueError, KeyError, TypeError, RecursionError):
            continue  # told as an entry that is not readable
        if said != (row.seq, row.item_id, row.event, ledger.rfc3339(row.time_ms)):
            wrong.append(f"the columns of entry {row.seq} are not what its leaf says")
    return wrong


def _check_entry(seq: int, text: str) -> str:
    """The entry's event, if it is canonical JSON of that place."""
    try:
        entry = json.loads(text)
        canonical = rfc8785.dumps(entry).decode("utf-8") == text
    except (ValueError, RecursionError) as error:
        raise ReceiptInvalid(problem=f"entry {seq} is not JSON") from error
    if not canonical or not isinstance(entry, dict) or entry.get("seq") != seq:
        raise ReceiptInvalid(problem=f"entry {seq} is not canonical JSON of that place")
    return str(entry.get("event"))
