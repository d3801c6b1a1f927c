"""Payments to speakers, as entries of the log: what was paid outside is told here, no money moves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import ledger, statement, terms
from corpus.keys import Signer
from corpus.tables import payment
from protocol.errors import CodedError


class PaymentInvalid(CodedError):
    """A payment that the account does not bear."""

    code: ClassVar[str] = "PAYMENT_INVALID"


@dataclass(frozen=True)
class Paid:
    """A payment in the log."""

    seq: int
    item: str
    currency: str
    amount_micros: int
    until_seq: int


def pay(
    db: Connection,
    person_id: str,
    *,
    until_seq: int | None,
    amount_micros: int | None,
    reference: str | None,
    signer: Signer,
    item_id: str,
    salt: bytes,
    now_ms: int,
) -> Paid:
    """Log a payment of an amount, or of all that is open up to an entry. The same reference again is once.

    Raises
    ------
    PaymentInvalid
        If nothing is open, or the terms name no currency or several.
    """
    until = ledger.size(db) - 1 if until_seq is None else until_seq
    if not 0 <= until < ledger.size(db):
        raise PaymentInvalid(problem=f"the log has no entry {until}")
    known = payment.c.person_id == person_id
    if reference is not None:
        stored = sa.select(payment.c.item_id).where(known, payment.c.reference == reference)
        before = db.execute(stored).scalar()
        if before is not None:
            return _logged(db, before)
    account = [row for row in statement.money(db, person_id, until_seq=until) if row.payable or row.paid]
    if len(account) != 1:
        raise PaymentInvalid(problem="the account has no currency" if not account else "several currencies")
    row = account[0]
    amount = row.open if amount_micros is None else amount_micros
    if amount <= 0:
        raise PaymentInvalid(problem=f"nothing is open up to entry {until}")
    details = {"amount_micros": amount, "currency": row.currency, "until_seq": until, "reference": reference}
    seq = ledger.append(db, ledger.Entry("paid", item_id, details), salt=salt, now_ms=now_ms)
    ledger.sign_head(db, signer, now_ms=now_ms)
    db.execute(
        sa.insert(payment).values(
            item_id=item_id, person_id=person_id, reference=reference or item_id, paid_ms=now_ms
        )
    )
    return Paid(seq, item_id, row.currency, amount, until)


def as_json(paid: Paid) -> dict[str, object]:
    """``{"seq","item","currency","amount","until_seq"}``."""
    return {
        "seq": paid.seq,
        "item": paid.item,
        "currency": paid.currency,
        "amount": terms.decimal(paid.amount_micros),
        "until_seq": paid.until_seq,
    }


def _logged(db: Connection, item_id: str) -> Paid:
    ((entry, details),) = ledger.about(db, [item_id])
    told = details or {}
    return Paid(
        entry["seq"],
        item_id,
        told.get("currency", ""),
        told.get("amount_micros", 0),
        told.get("until_seq", 0),
    )
