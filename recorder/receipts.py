"""Receipts: checked offline against keys that were pinned when the project was joined."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from protocol import tlog
from protocol.clip import AudioFinding, ClipId, Receipt, Sha256
from protocol.clip import clip_id as parse_clip_id
from protocol.clip import sha256 as parse_sha256
from protocol.errors import CodedError
from protocol.keyring import Ring
from protocol.tlog import ReceiptInvalid, VerifierKey


class ReceiptMismatch(CodedError):
    """A receipt that holds, but for something else."""

    code = "RECEIPT_MISMATCH"


@dataclass(frozen=True)
class CheckedReceipt:
    """A receipt whose proof and signature hold.

    Attributes
    ----------
    clip_id, sha256
        Of the clip it is for, from its committed details.
    seq, log_size : int
        Place of the entry, and length of the log when the head was signed.
    root : bytes
        Root of that log: two heads of one length must have one root.
    pinned : bool
        Whether the key is one that this machine trusts.
    """

    receipt: Receipt
    clip_id: ClipId
    sha256: Sha256
    event: str
    seq: int
    log_size: int
    root: bytes
    pinned: bool

    @property
    def decision(self) -> str:
        """``accept``, ``refuse`` or ``withdrawn``."""
        if self.event == "withdrawn":
            return self.event
        verdict = self.receipt.details.get("verdict")
        if isinstance(verdict, dict):
            return str(verdict.get("decision", "?"))
        return str(verdict)

    def findings(self) -> tuple[AudioFinding, ...]:
        """What the server heard, with the figures."""
        rows = self.receipt.details.get("findings")
        found = []
        for row in rows if isinstance(rows, list) else ():
            try:
                found.append(AudioFinding(**row))
            except TypeError as error:
                raise ReceiptInvalid(problem="a finding has a wrong form") from error
        return tuple(found)

    def reasons(self) -> tuple[AudioFinding, ...]:
        """The findings for which the clip was refused."""
        return tuple(one for one in self.findings() if one.severity == "error")


def verify_ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature is good."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def canonical(value: object) -> bytes:
    """RFC 8785 JSON."""
    return rfc8785.dumps(value)  # type: ignore[arg-type]  # it checks the type itself


def check(data: object, trusted: Ring | Iterable[str]) -> CheckedReceipt:
    """Check a receipt from its bytes up to its signature.

    Parameters
    ----------
    data
        The receipt's JSON.
    trusted : Ring or iterable of str
        Verifier keys that were pinned; only `CheckedReceipt.pinned` depends on them.

    Raises
    ------
    ReceiptInvalid
        Saying what does not hold.
    """
    try:
        receipt = Receipt.from_json(data)
        head = tlog.check_receipt(receipt, verify_ed25519=verify_ed25519, canonical=canonical)
        entry = json.loads(receipt.entry)
        return CheckedReceipt(
            receipt=receipt,
            clip_id=parse_clip_id(receipt.details.get("clip_id")),
            # A withdrawal leaves nothing whose digest could be named.
            sha256=Sha256("")
            if entry.get("event") == "withdrawn"
            else parse_sha256(receipt.details.get("sha256")),
            event=str(entry.get("event")),
            seq=int(entry["seq"]),
            log_size=head.size,
            root=head.root,
            pinned=Ring.of(trusted).trusts(receipt.vkey, head.size),
        )
    except ReceiptInvalid:
        raise
    except (CodedError, ValueError, KeyError, TypeError) as error:  # a field of a wrong form
        raise ReceiptInvalid(problem=str(error)) from error


def check_for(data: object, trusted: Ring | Iterable[str], clip_id: ClipId, sha256: Sha256) -> CheckedReceipt:
    """Check a receipt that must be for this clip and by a trusted key: what lets a take be forgotten.

    Raises
    ------
    ReceiptInvalid
        If it does not hold.
    ReceiptMismatch
        If it is for another clip or sound, or by a key that nobody pinned.
    """
    found = check(data, trusted)
    if not found.pinned:
        raise ReceiptMismatch(clip_id=clip_id, problem="it is signed by an unknown key")
    if found.clip_id != clip_id:
        raise ReceiptMismatch(clip_id=clip_id, problem=f"it names clip {found.clip_id}")
    if found.sha256 != sha256:
        raise ReceiptMismatch(clip_id=clip_id, problem="it names another SHA-256")
    return found


def read_file(path: Path) -> Any:
    """The JSON in a receipt's file.

    Raises
    ------
    ReceiptInvalid
        If it cannot be read.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise ReceiptInvalid(problem=error.strerror or "unreadable") from error
    except (ValueError, RecursionError) as error:
        raise ReceiptInvalid(problem="the file is not JSON") from error


def forks(receipts: Iterable[CheckedReceipt]) -> list[tuple[CheckedReceipt, CheckedReceipt]]:
    """Pairs of receipts whose heads cannot belong to one log: one origin, one length, two roots."""
    first: dict[tuple[str, int], CheckedReceipt] = {}
    found = []
    for one in receipts:
        other = first.setdefault((VerifierKey.parse(one.receipt.vkey).name, one.log_size), one)
        if other.root != one.root:
            found.append((other, one))
    return found
