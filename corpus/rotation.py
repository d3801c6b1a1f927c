"""A new key for the log: one entry that names both, one head that both sign, one transaction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from corpus import keyring, keys, ledger
from corpus.database import Connection, Engine, begin, reading
from corpus.keys import Signer
from protocol.tlog import VerifierKey


@dataclass(frozen=True)
class Rotated:
    """What was done.

    Attributes
    ----------
    size : int
        Length of the last log whose head the old key signed.
    destroyed : tuple of str
        Files of private keys that were deleted.
    """

    old: VerifierKey
    new: VerifierKey
    size: int
    destroyed: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """For ``--format json``."""
        return {
            "old_vkey": str(self.old),
            "vkey": str(self.new),
            "size": self.size,
            "destroyed": list(self.destroyed),
        }


def rotate(engine: Engine, signer: Signer, *, item_id: str, salt: bytes, now_ms: int) -> Rotated:
    """Let a new key follow the present one, whose private half is deleted then.

    The private key is on the disk before the entry that names it is committed; killed before that, the
    next try takes the same key. Servers at work sign with the new one from their next transaction on.
    """

    def announced(key: VerifierKey) -> bool:
        with reading(engine) as db:
            return str(key) in keyring.ring(db, keyring.current(db, signer).verifier)

    with keys.successor(signer.folder, announced) as fresh:
        with begin(engine) as db:
            old = keyring.current(db, signer)
            said = {"old_vkey": str(old.verifier), "vkey": str(fresh.verifier)}
            entry = ledger.Entry(event="key", item_id=item_id, details=said, more=said)
            seq = ledger.append(db, entry, salt=salt, now_ms=now_ms)
            ledger.sign_head(db, old, now_ms=now_ms, successor=fresh)
        destroyed = keys.destroy(signer.folder, fresh.verifier)
    return Rotated(old.verifier, fresh.verifier, seq + 1, tuple(destroyed))


def published(db: Connection, signer: Signer) -> dict[str, Any]:
    """What ``/.well-known/xiangyin-keys.json`` says: the keys, the present one first, and each handover.

    ``to_size`` is the length of the longest log whose head a key signed; a longer one is not its work.
    """
    present = keyring.current(db, signer).verifier
    handovers = ledger.handovers(db)
    times = [json.loads(one.entry)["time"] for one in handovers]
    last_sizes = keyring.ring(db, present).last_sizes
    rows = [
        {
            "vkey": vkey,
            "state": "current" if last is None else "retired",
            "from": since,
            "until": until,
            "to_size": last,
        }
        for (vkey, last), since, until in zip(last_sizes.items(), [None, *times], [*times, None], strict=True)
    ]
    return {
        "origin": present.name,
        "vkeys": [row["vkey"] for row in reversed(rows)],
        "keys": rows[::-1],
        "handovers": [one.as_json() for one in handovers],
        "head": ledger.latest_head(db),
    }
