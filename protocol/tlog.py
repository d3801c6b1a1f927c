"""The append-only log: RFC 6962 hashes and proofs, C2SP signed notes, checkpoints and proof texts.

Pure and of the standard library alone; signatures are made and checked by a function that the caller
passes in. Both sides use it: the server to prove, everyone else to verify.

References
----------
RFC 6962 section 2.1 (tree, inclusion and consistency proofs), RFC 9162 section 2.1.3.2 and 2.1.4.2
(the verifying algorithms); c2sp.org/signed-note, c2sp.org/tlog-checkpoint, c2sp.org/tlog-proof.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from protocol.clip import Receipt
from protocol.errors import CodedError

EMPTY_ROOT = hashlib.sha256(b"").digest()
_PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_ED25519 = 1  # the signature type byte of c2sp.org/signed-note
_NUMBER = re.compile(r"0|[1-9][0-9]{0,15}")
_KEY_NAME = re.compile(r"[^\s+\x00-\x1f]{1,200}")

NodeReader = Callable[[int, int], bytes]
"""``(level, position)`` -> hash of the whole subtree over leaves position*2**level … +2**level."""
VerifyEd25519 = Callable[[bytes, bytes, bytes], bool]
"""``(public_key, signature, message)`` -> whether it is good."""


class ReceiptInvalid(CodedError):
    """A receipt, proof or signed head does not hold."""

    code: ClassVar[str] = "RECEIPT_INVALID"


# --- the tree --------------------------------------------------------------------------------------


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def new_nodes(seq: int, leaf: bytes, read: NodeReader) -> list[tuple[int, int, bytes]]:
    """The whole subtrees that leaf hash number `seq` completes, itself first: (level, position, hash)."""
    made = [(0, seq, leaf)]
    level, position, value = 0, seq, leaf
    while position & 1:
        value = node_hash(read(level, position - 1), value)
        level, position = level + 1, position >> 1
        made.append((level, position, value))
    return made


def root(size: int, read: NodeReader) -> bytes:
    """The root over the first `size` leaves."""
    return EMPTY_ROOT if size == 0 else _range_hash(0, size, read)


def inclusion_proof(index: int, size: int, read: NodeReader) -> list[bytes]:
    """Hashes that lead from leaf `index` to the root over `size` leaves, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"there is no leaf {index} among {size}")
    path: list[bytes] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append(_range_hash(middle, high, read))
            high = middle
        else:
            path.append(_range_hash(low, middle, read))
            low = middle
    return path[::-1]


def consistency_proof(old: int, new: int, read: NodeReader) -> list[bytes]:
    """Hashes that show the tree of `old` leaves to be a beginning of the tree of `new` leaves."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {new} leaves does not begin with {old}")
    if old in (0, new):
        return []
    path: list[bytes] = []
    low, high, whole = 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append(_range_hash(middle, high, read))
            high = middle
        else:
            path.append(_range_hash(low, middle, read))
            low, whole = middle, False
    if not whole:
        path.append(_range_hash(low, high, read))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Whether `proof` leads from the leaf's hash to the root."""
    if not 0 <= index < size:
        return False
    place, last, value = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if place & 1 or place == last:
            value = node_hash(sibling, value)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            value = node_hash(value, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and value == root_hash


def verify_consistency(old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes) -> bool:
    """Whether `proof` shows that the newer tree begins with the older one."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    hashes = list(proof) if old & (old - 1) else [old_root, *proof]
    if not hashes:
        return False
    place, last = old - 1, new - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_value = new_value = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            return False
        if place & 1 or place == last:
            old_value, new_value = node_hash(sibling, old_value), node_hash(sibling, new_value)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new_value = node_hash(new_value, sibling)
        place, last = place >> 1, last >> 1
    return last == 0 and old_value == old_root and new_value == new_root


def tree_of(entries: Sequence[bytes]) -> NodeReader:
    """A reader over entries in memory, for checking an exported log."""
    nodes: dict[tuple[int, int], bytes] = {}

    def read(level: int, position: int) -> bytes:
        return nodes[level, position]

    for seq, entry in enumerate(entries):
        for level, position, value in new_nodes(seq, leaf_hash(entry), read):
            nodes[level, position] = value
    return read


def _split(count: int) -> int:
    """The largest power of two smaller than `count`."""
    return 1 << ((count - 1).bit_length() - 1)


def _range_hash(low: int, high: int, read: NodeReader) -> bytes:
    count = high - low
    if count & (count - 1) == 0:
        level = count.bit_length() - 1
        return read(level, low >> level)
    middle = low + _split(count)
    return node_hash(_range_hash(low, middle, read), _range_hash(middle, high, read))


# --- keys, notes, checkpoints ----------------------------------------------------------------------


@dataclass(frozen=True)
class VerifierKey:
    """A C2SP verifier key: who signs a log's heads, and with what."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        if not _KEY_NAME.fullmatch(self.name) or len(self.public_key) != 32:
            raise ReceiptInvalid(problem="the key's name or length is wrong")

    @property
    def key_id(self) -> bytes:
        """Four bytes that name the key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([_ED25519]) + self.public_key).digest()[:4]

    def __str__(self) -> str:
        encoded = base64.b64encode(bytes([_ED25519]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @classmethod
    def parse(cls, vkey: str) -> VerifierKey:
        """Read ``name+id+key``."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise ReceiptInvalid(problem="the verifier key has a wrong form")
        raw = _base64(parts[2])
        if len(raw) != 33 or raw[0] != _ED25519:
            raise ReceiptInvalid(problem="the verifier key is not of Ed25519")
        key = cls(parts[0], raw[1:])
        if key.key_id.hex() != parts[1]:
            raise ReceiptInvalid(problem="the verifier key does not match its id")
        return key


@dataclass(frozen=True)
class Checkpoint:
    """A tree head: whose log, how many leaves, which root."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign_note(text: str, key: VerifierKey, sign: Callable[[bytes], bytes]) -> str:
    """A C2SP signed note over `text`, which ends with a line break."""
    return f"{text}\n{signature_line(text, key, sign)}"


def signature_line(text: str, key: VerifierKey, sign: Callable[[bytes], bytes]) -> str:
    """One more line of signature for a note over `text`."""
    signature = base64.b64encode(key.key_id + sign(text.encode())).decode()
    return f"— {key.name} {signature}\n"


def open_note(note: str, key: VerifierKey, verify_ed25519: VerifyEd25519) -> str:
    """The text of a signed note, if `key` signed it.

    Raises
    ------
    ReceiptInvalid
        If no line of signature is by this key, or one that is does not hold.
    """
    text, found, lines = note.rpartition("\n\n")
    if not found or not lines.endswith("\n") or any(ord(c) < 0x20 and c != "\n" for c in note):
        raise ReceiptInvalid(problem="the signed head has a wrong form")
    text += "\n"
    signed = False
    for line in lines[:-1].split("\n"):
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "—":
            raise ReceiptInvalid(problem="a line of signature has a wrong form")
        raw = _base64(parts[2])
        if parts[1] != key.name or raw[:4] != key.key_id:
            continue  # somebody else's, such as a witness's
        if not verify_ed25519(key.public_key, raw[4:], text.encode()):
            raise ReceiptInvalid(problem="the signature of the head does not hold")
        signed = True
    if not signed:
        raise ReceiptInvalid(problem="the head is not signed by this key")
    return text


def open_checkpoint(note: str, key: VerifierKey, verify_ed25519: VerifyEd25519) -> Checkpoint:
    """The tree head in a signed note; its origin must be the key's name."""
    lines = open_note(note, key, verify_ed25519).split("\n")
    if len(lines) < 4 or not _NUMBER.fullmatch(lines[1]) or lines[0] != key.name:
        raise ReceiptInvalid(problem="the head has a wrong form or another origin")
    root_hash = _base64(lines[2])
    if len(root_hash) != 32:
        raise ReceiptInvalid(problem="the head's root has a wrong length")
    return Checkpoint(lines[0], int(lines[1]), root_hash)


# --- proofs and receipts ---------------------------------------------------------------------------


def proof_text(index: int, hashes: Sequence[bytes], note: str) -> str:
    """The text of a ``tlog-proof@v1``."""
    lines = [_PROOF_HEADER, f"index {index}", *(base64.b64encode(h).decode() for h in hashes)]
    return "\n".join(lines) + "\n\n" + note


def parse_proof(text: str) -> tuple[int, list[bytes], str]:
    """Index, hashes and signed head of a ``tlog-proof@v1``."""
    head, found, note = text.partition("\n\n")
    lines = head.split("\n")
    if not found or lines[0] != _PROOF_HEADER:
        raise ReceiptInvalid(problem="the proof has a wrong form")
    rest = lines[2:] if lines[1:2] and lines[1].startswith("extra ") else lines[1:]
    if not rest or not rest[0].startswith("index ") or not _NUMBER.fullmatch(rest[0][6:]):
        raise ReceiptInvalid(problem="the proof names no index")
    hashes = [_base64(line) for line in rest[1:]]
    if len(hashes) > 63 or any(len(h) != 32 for h in hashes):
        raise ReceiptInvalid(problem="a hash of the proof has a wrong length")
    return int(rest[0][6:]), hashes, note


def commitment(salt: bytes, canonical_details: bytes) -> str:
    """What an entry says of details that may be erased: SHA-256 over salt and canonical JSON, in hex."""
    return hashlib.sha256(salt + canonical_details).hexdigest()


def check_receipt(
    receipt: Receipt, *, verify_ed25519: VerifyEd25519, canonical: Callable[[object], bytes]
) -> Checkpoint:
    """Check that a receipt's details are those of its entry, and its entry one of the signed log.

    The key is the receipt's own; the caller compares ``receipt.vkey`` with the one it trusts.

    Parameters
    ----------
    canonical : callable
        RFC 8785 canonical JSON of a value.

    Returns
    -------
    Checkpoint
        The signed head, to be kept and compared with later ones.

    Raises
    ------
    ReceiptInvalid
        Saying what does not hold.
    """
    try:
        entry = json.loads(receipt.entry)
        salt = bytes.fromhex(receipt.salt)
        details = canonical(dict(receipt.details))
        same = canonical(entry) == receipt.entry.encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise ReceiptInvalid(problem="it is not readable") from error
    if not isinstance(entry, dict) or not same or len(salt) != 16:
        raise ReceiptInvalid(problem="the entry is not canonical JSON, or the salt is not 16 bytes")
    if commitment(salt, details) != entry.get("commitment"):
        raise ReceiptInvalid(problem="the details are not those that were logged")
    key = VerifierKey.parse(receipt.vkey)
    index, hashes, note = parse_proof(receipt.proof)
    head = open_checkpoint(note, key, verify_ed25519)
    if entry.get("seq") != index:
        raise ReceiptInvalid(problem="the entry stands at another place of the log")
    if not verify_inclusion(leaf_hash(receipt.entry.encode("utf-8")), index, head.size, hashes, head.root):
        raise ReceiptInvalid(problem="the entry is not in the signed log")
    return head


def _base64(text: str) -> bytes:
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise ReceiptInvalid(problem="a value is not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise ReceiptInvalid(problem="a value is not canonical base64")
    return raw
