"""A person's account and record of work.

The account of what a speaker sent is computed from the ledger alone. The record of work is a signed note
that its owner can show to others, who check it with the published key.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import ledger, terms
from corpus.clips import finding_from_json
from corpus.keys import Signer
from corpus.people import Member
from corpus.tables import clip, payment, transcript
from protocol import tlog
from protocol.errors import Language, catalogue, sentence

RECORD_HEADER = "xiangyin-record/v1"  # never a log's name, so a record cannot pass for a head


@dataclass
class _Item:
    """One clip as its entries tell it, from the first to the last."""

    state: str = "received"
    reasons: list[str] = field(default_factory=list)
    findings: list[dict[str, Any]] = field(default_factory=list)
    clip_id: str | None = None
    full_ms: int = 0
    payable_ms: int = 0
    payable_micros: int = 0
    currency: str | None = None
    terms: str | None = None
    seq: int = -1
    time: str = ""

    def hear(self, entry: dict[str, Any], details: dict[str, Any] | None) -> None:
        """Take the next entry about this clip."""
        event = entry["event"]
        self.seq, self.time = entry["seq"], entry["time"]
        self.terms = entry["terms"] or self.terms
        known = details or {}
        self.clip_id = known.get("clip_id", self.clip_id)
        if known.get("sample_rate_hz"):
            self.full_ms = 1000 * known["samples"] // known["sample_rate_hz"]
        outcome = {"accept": "accepted", "refuse": "refused"}.get(known.get("decision", ""), self.state)
        self.state = {
            "accepted": "accepted",
            "refused": "refused",
            "appealed": "appealed",
            "withdrawn": "withdrawn",
            "decided": outcome,
        }.get(event, self.state)
        if event in ("accepted", "refused", "decided"):
            self.reasons = list(entry["reasons"])
            self.findings = list(known.get("findings") or known.get("reasons") or ())
        counts = self.state == "accepted"
        self.payable_ms = self.full_ms if counts else 0
        self.payable_micros = known.get("payable_micros", 0) if counts else 0
        self.currency = known.get("currency", self.currency)

    def told(self, language: Language) -> list[dict[str, Any]]:
        """Each reason with value, limit, place and sentence; only the code where the details were erased."""
        found = {row["code"]: row for row in self.findings}
        return [_reason(code, found.get(code), language) for code in self.reasons]


def _reason(code: str, row: dict[str, Any] | None, language: Language) -> dict[str, Any]:
    if row is not None:
        told = finding_from_json({"severity": "error", **row}).as_json(language)
        return {key: told[key] for key in ("code", "value", "limit", "start_s", "end_s", "message")}
    return {"code": code, "message": sentence(code, language) if code in catalogue() else code}


@dataclass(frozen=True)
class Money:
    """What is earned and paid in one currency, in millionths of its unit."""

    currency: str
    payable: int
    paid: int

    @property
    def open(self) -> int:
        """What is still to be paid; below nothing where a clip was refused or withdrawn after it was paid."""
        return self.payable - self.paid

    def as_json(self) -> dict[str, Any]:
        """``{"currency","payable","paid","open"}`` as decimal text."""
        sums = {"payable": self.payable, "paid": self.paid, "open": self.open}
        return {"currency": self.currency, **{name: terms.decimal(sum_) for name, sum_ in sums.items()}}


def money(db: Connection, person_id: str, *, until_seq: int | None = None) -> list[Money]:
    """A person's account by currency: clips as they stood at an entry of the log, every payment so far."""
    return _money(_items(db, person_id, until_seq), _payments(db, person_id))


def _items(db: Connection, person_id: str, until_seq: int | None = None) -> dict[str, _Item]:
    ids = list(db.execute(sa.select(clip.c.item_id).where(clip.c.person_id == person_id)).scalars())
    items: dict[str, _Item] = {}
    for entry, details in ledger.about(db, ids):
        if until_seq is None or entry["seq"] <= until_seq:
            items.setdefault(entry["item"], _Item()).hear(entry, details)
    return items


def _payments(db: Connection, person_id: str) -> list[dict[str, Any]]:
    ids = list(db.execute(sa.select(payment.c.item_id).where(payment.c.person_id == person_id)).scalars())
    return [
        {**(details or {}), "seq": entry["seq"], "time": entry["time"]}
        for entry, details in ledger.about(db, ids)
    ]


def _money(items: dict[str, _Item], payments: list[dict[str, Any]]) -> list[Money]:
    earned, paid = Counter[str](), Counter[str]()
    for item in items.values():
        if item.currency is not None:
            earned[item.currency] += item.payable_micros
    for row in payments:
        if row.get("currency"):
            paid[row["currency"]] += row["amount_micros"]
    return [Money(code, earned[code], paid[code]) for code in sorted({*earned, *paid})]


def of_person(db: Connection, person_id: str, language: Language = "en") -> dict[str, Any]:
    """The account of everything that a person sent.

    Returns
    -------
    dict
        ``accepted``, ``refused``, ``pending``, ``withdrawn`` (counts), ``accepted_s``, ``payable_ms``,
        ``money`` (by currency: payable, paid, open), ``payments``, ``clips`` (each with the sentences of
        its reasons) and the signed ``head`` that it rests on.
    """
    items, payments = _items(db, person_id), _payments(db, person_id)
    count = {state: sum(i.state == state for i in items.values()) for state in _STATES}
    payable_ms = sum(i.payable_ms for i in items.values())
    return {
        "person_id": person_id,
        "accepted": count["accepted"],
        "refused": count["refused"],
        "pending": count["appealed"] + count["received"],
        "withdrawn": count["withdrawn"],
        "accepted_s": round(payable_ms / 1000, 3),
        "payable_ms": payable_ms,
        "money": [row.as_json() for row in _money(items, payments)],
        "payments": [
            {
                "seq": row["seq"],
                "time": row["time"],
                "currency": row.get("currency"),
                "amount": terms.decimal(row.get("amount_micros", 0)),
                "until_seq": row.get("until_seq"),
            }
            for row in payments
        ],
        "clips": [
            {
                "item": item_id,
                "clip_id": item.clip_id,
                "state": item.state,
                "reasons": item.told(language),
                "payable_ms": item.payable_ms,
                "payable": terms.decimal(item.payable_micros) if item.currency else None,
                "currency": item.currency,
                "terms": item.terms,
                "seq": item.seq,
                "time": item.time,
            }
            for item_id, item in sorted(items.items(), key=lambda pair: pair[1].seq)
        ],
        "head": ledger.latest_head(db),
    }


def record(db: Connection, member: Member, signer: Signer, *, now_ms: int) -> str:
    """The signed record of a member's work: a C2SP signed note over one line of canonical JSON.

    It names the person by pseudonym or random id, never by name.
    """
    account = of_person(db, member.person_id)
    seconds = sa.func.coalesce(sa.func.sum(1.0 * clip.c.samples / clip.c.sample_rate_hz), 0.0)
    texts, texts_s = db.execute(
        sa.select(sa.func.count(), seconds)
        .select_from(transcript)
        .join(clip, clip.c.id == transcript.c.clip_id)
        .where(transcript.c.person_id == member.person_id, clip.c.sample_rate_hz > 0)
    ).one()
    said = {
        "person": member.speaker_id or member.person_id,
        "project": member.project_id,
        "role": member.role,
        "clips_accepted": account["accepted"],
        "accepted_s": account["accepted_s"],
        "transcripts": texts,
        "transcribed_s": round(float(texts_s), 3),
        "issued_at": ledger.rfc3339(now_ms),
    }
    text = f"{RECORD_HEADER}\n{ledger.canonical(said).decode('utf-8')}\n"
    return tlog.sign_note(text, signer.verifier, signer.sign)


_STATES = ("received", "accepted", "refused", "appealed", "withdrawn")
