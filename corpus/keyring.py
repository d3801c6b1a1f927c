"""The log's keys as its own entries tell of them: which one signs now, which ones did, who followed whom.

The database decides, asked in the transaction that signs. So a key that was replaced is not used again by
any process, however long ago it started, and a change of keys is undone with its transaction.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import keys
from corpus.keys import KeyUnsafe, Signer
from corpus.prepared import Prepared
from corpus.tables import ledger_entry
from protocol.keyring import EVENT, Handover, Ring, named_keys, ring_of
from protocol.tlog import VerifierKey

_IS_KEY = ledger_entry.c.event == sa.literal_column(f"'{EVENT}'")  # as text, so that its index is used
_NEWEST = Prepared(sa.select(ledger_entry.c.leaf).where(_IS_KEY).order_by(ledger_entry.c.seq.desc()).limit(1))


def current(db: Connection, signer: Signer) -> Signer:
    """The key that signs now; `signer` is any of the log's.

    Raises
    ------
    KeyUnsafe
        If its file is missing or damaged.
    """
    leaf = _NEWEST.scalar(db, {})
    if leaf is None:
        if not (signer.folder / keys.FIRST).exists():
            raise KeyUnsafe(file=str(signer.folder / keys.FIRST), problem="the log's only key is missing")
        return signer
    _, key, _ = named_keys(leaf)
    return signer if signer.verifier == key else keys.signer_of(signer.folder, key)


def changes(db: Connection) -> list[Handover]:
    """Every change of keys, the oldest first, as the entries tell it.

    Raises
    ------
    ReceiptInvalid
        If such an entry is not readable.
    """
    rows = db.execute(sa.select(ledger_entry.c.leaf).where(_IS_KEY).order_by(ledger_entry.c.seq)).scalars()
    return [Handover(old, new, seq + 1) for old, new, seq in map(named_keys, rows)]


def ring(db: Connection, key: VerifierKey) -> Ring:
    """All keys of the log; `key` alone, if none was ever replaced.

    Raises
    ------
    ReceiptInvalid
        If the entries are no chain.
    """
    return ring_of(changes(db), key)
