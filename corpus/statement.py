"""A speaker's account, computed from the ledger alone: what became of each clip, and what it is worth."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import ledger
from corpus.tables import clip
from protocol.errors import Language, catalogue, sentence


@dataclass
class _Item:
    """One clip as its entries tell it, from the first to the last."""

    state: str = "received"
    reasons: list[str] = field(default_factory=list)
    clip_id: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    full_ms: int = 0
    payable_ms: int = 0
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
        self.payable_ms = self.full_ms if self.state == "accepted" else 0


def of_person(db: Connection, person_id: str, language: Language = "en") -> dict[str, Any]:
    """The account of everything that a person sent.

    Returns
    -------
    dict
        ``accepted``, ``refused``, ``pending``, ``withdrawn`` (counts), ``accepted_s``, ``payable_ms``,
        ``clips`` (each with the sentences of its reasons) and the signed ``head`` that it rests on.
    """
    ids = list(db.execute(sa.select(clip.c.item_id).where(clip.c.person_id == person_id)).scalars())
    items: dict[str, _Item] = {}
    for entry, details in ledger.about(db, ids):
        items.setdefault(entry["item"], _Item()).hear(entry, details)
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
        "clips": [
            {
                "item": item_id,
                "clip_id": item.clip_id,
                "state": item.state,
                "reasons": [
                    {"code": code, "message": sentence(code, language) if code in catalogue() else code}
                    for code in item.reasons
                ],
                "payable_ms": item.payable_ms,
                "terms": item.terms,
                "seq": item.seq,
                "time": item.time,
            }
            for item_id, item in sorted(items.items(), key=lambda pair: pair[1].seq)
        ],
        "head": ledger.latest_head(db),
    }


_STATES = ("received", "accepted", "refused", "appealed", "withdrawn")
