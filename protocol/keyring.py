"""The keys that have signed one log, one after the other, and how the old one vouches for the new.

A log keeps its name and changes its key by an entry of event ``key`` that names both. The head over that
entry, and over all before it, is signed by both keys: the old one says who comes after it, the new one that
it knows whom it follows. It is the last head that the old key signs. A client that trusts one key of such a
chain can check the whole chain, and needs nobody's word for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from protocol import tlog
from protocol.clip import MetadataInvalid, Receipt
from protocol.tlog import Checkpoint, ReceiptInvalid, VerifierKey, VerifyEd25519

MOST_HANDOVERS = 500
EVENT = "key"


@dataclass(frozen=True)
class Handover:
    """One key's last word.

    Attributes
    ----------
    size : int
        Length of the longest log whose head the old key signs.
    """

    old: VerifierKey
    new: VerifierKey
    size: int


@dataclass(frozen=True)
class Ring:
    """Verifier keys that are trusted.

    Attributes
    ----------
    last_sizes : mapping
        For each key, the longest log whose head it may sign; None for one that was not replaced.
    """

    last_sizes: Mapping[str, int | None] = field(default_factory=dict)

    @classmethod
    def of(cls, vkeys: Iterable[str] | Ring) -> Ring:
        """Keys without an end, unless it is a ring already."""
        return vkeys if isinstance(vkeys, Ring) else cls(dict.fromkeys(vkeys))

    @property
    def vkeys(self) -> tuple[str, ...]:
        """The keys, the newest last where they are a chain."""
        return tuple(self.last_sizes)

    def __contains__(self, vkey: str) -> bool:
        return vkey in self.last_sizes

    def trusts(self, vkey: str, size: int) -> bool:
        """Whether this key may have signed the head of a log so long."""
        last = self.last_sizes.get(vkey)
        return vkey in self.last_sizes and (last is None or size <= last)

    def open_checkpoint(self, note: str, verify_ed25519: VerifyEd25519) -> tuple[Checkpoint, VerifierKey]:
        """The head in a note that one of the keys signed while it was in use, and that key.

        Raises
        ------
        ReceiptInvalid
            If none did.
        """
        problem = "no key is known"
        for vkey in reversed(self.vkeys):
            key = VerifierKey.parse(vkey)
            try:
                head = tlog.open_checkpoint(note, key, verify_ed25519)
            except ReceiptInvalid as error:
                problem = str(error.parameters["problem"])
                continue
            if self.trusts(vkey, head.size):
                return head, key
            problem = "the key of the head had been replaced before the log was so long"
        raise ReceiptInvalid(problem=problem)


def read_handover(
    receipt: Receipt, *, verify_ed25519: VerifyEd25519, canonical: Callable[[object], bytes]
) -> Handover:
    """Check a receipt by which the key that signs it gives way to another.

    Raises
    ------
    ReceiptInvalid
        If it does not hold, is about something else, or is not signed by both keys.
    """
    head = tlog.check_receipt(receipt, verify_ed25519=verify_ed25519, canonical=canonical)
    old, new, seq = named_keys(receipt.entry)
    if str(old) != receipt.vkey:
        raise ReceiptInvalid(problem="the handover is signed by another key than gives way")
    if head.size != seq + 1:
        raise ReceiptInvalid(problem="the head of a handover must end with its entry")
    tlog.open_checkpoint(tlog.parse_proof(receipt.proof)[2], new, verify_ed25519)
    return Handover(old, new, head.size)


def named_keys(entry_text: str) -> tuple[VerifierKey, VerifierKey, int]:
    """The old key, the new key and the place of an entry of event ``key``; its text must be JSON of ours."""
    try:
        entry = json.loads(entry_text)
        event, said, seq = entry["event"], (entry["old_vkey"], entry["vkey"]), entry["seq"]
        if event != EVENT or not all(isinstance(vkey, str) for vkey in said) or type(seq) is not int:
            raise ReceiptInvalid(problem="the entry is not about a key")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ReceiptInvalid(problem="the entry is not about a key") from error
    old, new = (VerifierKey.parse(vkey) for vkey in said)
    if old.name != new.name or old == new:
        raise ReceiptInvalid(problem="the new key is of another log, or is the old one")
    return old, new, seq


def ring_of(handovers: Sequence[Handover], first: VerifierKey | None = None) -> Ring:
    """The keys of a whole chain; of `first` alone, if it was never replaced.

    Raises
    ------
    ReceiptInvalid
        If one handover does not begin where the one before it ended.
    """
    if not handovers:
        return Ring({} if first is None else {str(first): None})
    last_sizes: dict[str, int | None] = {str(handovers[0].old): None}
    before = 0
    for one in handovers:
        old, new = str(one.old), str(one.new)
        if old != list(last_sizes)[-1] or new in last_sizes or one.size <= before:
            raise ReceiptInvalid(problem="the handovers are no chain")
        last_sizes[old], last_sizes[new] = one.size, None
        before = one.size
    return Ring(last_sizes)


def follow(
    known: Ring,
    published: object,
    *,
    verify_ed25519: VerifyEd25519,
    canonical: Callable[[object], bytes],
) -> Ring:
    """The keys that a server's list may add to those that are known.

    Parameters
    ----------
    known : Ring
        What was pinned. Where it is empty, the list's own present key is taken: the first meeting.
    published : object
        The JSON of ``/.well-known/xiangyin-keys.json``, from whoever answered.

    Raises
    ------
    ReceiptInvalid
        If the list is malformed, its handovers do not hold, no known key is in their chain, or they say
        something else of a known key than was said before.
    """
    listed = published.get("vkeys") if isinstance(published, dict) else None
    rows = published.get("handovers", []) if isinstance(published, dict) else None
    if not isinstance(listed, list) or not listed or not all(isinstance(vkey, str) for vkey in listed):
        raise ReceiptInvalid(problem="the list names no keys")
    if not isinstance(rows, list) or len(rows) > MOST_HANDOVERS:
        raise ReceiptInvalid(problem="the list of handovers is none, or too long")
    present = VerifierKey.parse(listed[0])
    try:
        receipts = [Receipt.from_json(row) for row in rows]
    except (MetadataInvalid, RecursionError) as error:
        raise ReceiptInvalid(problem="a handover has a wrong form") from error
    chain = ring_of(
        [read_handover(one, verify_ed25519=verify_ed25519, canonical=canonical) for one in receipts], present
    )
    if chain.vkeys[-1] != str(present):
        raise ReceiptInvalid(problem="the present key is not the one that the last handover names")
    if not known.vkeys:
        return chain
    for vkey, last_size in known.last_sizes.items():
        if vkey not in chain:
            raise ReceiptInvalid(problem="no handover leads from the known key to the present one")
        if last_size is not None and chain.last_sizes[vkey] != last_size:
            raise ReceiptInvalid(problem="the known key had given way to another before")
    return chain
