"""The newest head of a server's log that this machine has seen, held against what the server shows now.

Receipts carry signed heads. A log that is shorter than one of them, or that does not begin with it, was
rolled back or rewritten. Nothing of the spool is touched then: it may be the better copy.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from protocol import tlog
from protocol.errors import CodedError
from protocol.keyring import Ring
from protocol.tlog import Checkpoint, ReceiptInvalid, VerifierKey
from recorder import durable, receipts
from recorder.api import ServerAnswerUnexpected, ServerRefused

if TYPE_CHECKING:
    from recorder.api import Api

_HEAD, _PROOF = "/api/v1/ledger/head", "/api/v1/ledger/proof"


class LedgerRolledBack(CodedError):
    """The server's log is shorter than one that it signed before."""

    code = "LEDGER_ROLLED_BACK"


class LedgerRewritten(CodedError):
    """The server's log does not begin with one that it signed before."""

    code = "LEDGER_REWRITTEN"


class KeyUntrusted(CodedError):
    """The log is signed by a key that nothing trusted leads to."""

    code = "KEY_UNTRUSTED"


def newest(
    folder: Path, trusted: Ring | Iterable[str], files: Iterable[Path]
) -> tuple[str, Checkpoint] | None:
    """The longest head by a trusted key among receipts and what `watch` kept: its note and what it says."""
    ring = Ring.of(trusted)
    notes: list[str] = []
    for vkey in ring.vkeys:
        kept = _kept(folder, VerifierKey.parse(vkey))
        if kept.is_file():
            notes.append(kept.read_text(encoding="utf-8"))
    for path in files:
        try:
            found = receipts.check(receipts.read_file(path), ring)
        except ReceiptInvalid:
            continue  # `receipts verify` and `status` tell of it
        if found.pinned:
            notes.append(tlog.parse_proof(found.receipt.proof)[2])
    best: tuple[str, Checkpoint] | None = None
    for note in notes:
        try:
            head, _ = ring.open_checkpoint(note, receipts.verify_ed25519)
        except ReceiptInvalid:
            continue
        if best is None or head.size > best[1].size:
            best = (note, head)
    return best


def watch(api: Api, trusted: Ring | Iterable[str], folder: Path, files: Iterable[Path]) -> Checkpoint | None:
    """Compare the server's newest head with the newest one seen here, and keep it if it extends that.

    Parameters
    ----------
    trusted : Ring or iterable of str
        The keys that were pinned for this server.
    folder : Path
        Where heads are kept.
    files : iterable of Path
        Receipts, whose heads count as seen.

    Returns
    -------
    Checkpoint or None
        The head now kept; None where the server shows none.

    Raises
    ------
    LedgerRolledBack, LedgerRewritten
        If the server contradicts what it signed.
    KeyUntrusted
        If the head is by a key that was not pinned, or that had given way to another before.
    ServerAnswerUnexpected, ServerUnreachable
        If it cannot be asked.
    """
    ring = Ring.of(trusted)
    seen = newest(folder, ring, files)
    try:
        answer = api.get(_HEAD)
    except ServerRefused as error:
        if error.parameters["reason"] == "NOT_FOUND":
            return None  # a server of before these addresses
        raise
    note, vkey = answer.get("head"), answer.get("vkey")
    if note is None:
        if seen is not None:
            raise LedgerRolledBack(server=api.server, older=seen[1].size, newer=0)
        return None
    if not isinstance(note, str) or not isinstance(vkey, str):
        raise ServerAnswerUnexpected(server=api.server, problem="its head has a wrong form")
    if vkey not in ring:
        raise KeyUntrusted(server=api.server, problem="it is not one that this machine knows")
    key = VerifierKey.parse(vkey)
    try:
        head = tlog.open_checkpoint(note, key, receipts.verify_ed25519)
    except ReceiptInvalid as error:
        problem = str(error.parameters["problem"])
        raise ServerAnswerUnexpected(server=api.server, problem=problem) from error
    if not ring.trusts(vkey, head.size):
        raise KeyUntrusted(server=api.server, problem="it had given way to another before")
    if seen is not None:
        _compare(api, seen[1], head)
    durable.make_folder(folder)
    durable.write_bytes(_kept(folder, key), note.encode())
    return head


def _compare(api: Api, older: Checkpoint, newer: Checkpoint) -> None:
    if newer.size < older.size:
        raise LedgerRolledBack(server=api.server, older=older.size, newer=newer.size)
    hashes: list[bytes] = []
    if older.size < newer.size:
        answer = api.get(f"{_PROOF}?from={older.size}&to={newer.size}")
        try:
            hashes = [base64.b64decode(text, validate=True) for text in answer["hashes"]]
        except (KeyError, TypeError, ValueError, binascii.Error) as error:
            raise ServerAnswerUnexpected(server=api.server, problem="the proof has a wrong form") from error
    if not tlog.verify_consistency(older.size, newer.size, hashes, older.root, newer.root):
        raise LedgerRewritten(server=api.server, older=older.size)


def _kept(folder: Path, key: VerifierKey) -> Path:
    return folder / f"{key.key_id.hex()}.head.txt"
