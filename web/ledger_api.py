"""``/api/v1/ledger``: the log's newest head, proofs that it extends an older one, and its entries."""

from __future__ import annotations

import base64
import re

from flask import Blueprint, request

from corpus import keyring, ledger
from corpus.database import reading
from web import bodies
from web.auth import public, require
from web.context import Reply, site
from web.openapi import describes
from web.problems import RequestInvalid

bp = Blueprint("ledger", __name__)

_NUMBER = re.compile(r"0|[1-9][0-9]{0,14}")
_MOST_ENTRIES = 1000
_FRESH = {"Cache-Control": "no-store"}


@bp.get("/api/v1/ledger/head")
@public
@describes(
    "The newest signed head of the log (null before the first), and the key that signed it.",
    answer=bodies.obj({"head": bodies.nullable(bodies.text()), "vkey": bodies.text()}),
)
def head() -> Reply:
    """What a client keeps, and compares with the head that it kept before."""
    here = site()
    with reading(here.engine) as db:
        note, signer = ledger.latest_head(db), keyring.current(db, here.signer)
    return {"head": note, "vkey": str(signer.verifier)}, 200, _FRESH


@bp.get("/api/v1/ledger/proof")
@public
@describes(
    "Hashes (base64) that show the log of `to` entries to begin with that of `from` (RFC 6962, 2.1.2).",
    query={"from": "Entries of the older log.", "to": "Entries of the newer log."},
    answer=bodies.obj(
        {"from": bodies.WHOLE, "to": bodies.WHOLE, "hashes": bodies.array(bodies.text())},
    ),
)
def proof() -> Reply:
    """A consistency proof."""
    old, new = _number("from"), _number("to")
    with reading(site().engine) as db:
        if not old <= new <= ledger.size(db):
            raise RequestInvalid(problem="from and to are not lengths of this log")
        hashes = ledger.consistency(db, old, new)
    return {"from": old, "to": new, "hashes": [base64.b64encode(h).decode() for h in hashes]}, 200, _FRESH


@bp.get("/api/v1/ledger/entries")
@require("operator")
@describes(
    "Entries of the log, each the exact text of a leaf; at most 1000 at once.",
    query={"from": "The first one's place, from 0.", "count": "How many."},
    answer=bodies.obj({"entries": bodies.array(bodies.text()), "size": bodies.WHOLE}),
)
def entries() -> Reply:
    """A range of the log, for whoever keeps a copy."""
    start, count = _number("from"), _number("count")
    with reading(site().engine) as db:
        found = ledger.leaves_between(db, start, start + min(count, _MOST_ENTRIES))
        return {"entries": found, "size": ledger.size(db)}, 200, _FRESH


def _number(name: str) -> int:
    text = request.args.get(name, "")
    if not _NUMBER.fullmatch(text):
        raise RequestInvalid(problem=f"{name} is not a number")
    return int(text)
