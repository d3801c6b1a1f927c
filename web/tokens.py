"""Tokens that a member makes for programs: listed, made with some of their scopes, shown once, ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from corpus import people
from corpus.database import begin, reading
from corpus.ledger import rfc3339
from protocol.errors import CodedError
from web.context import member, site

_DAY_MS = 86_400_000


class ScopeInvalid(CodedError):
    """A scope that the person's role does not have."""

    code: ClassVar[str] = "SCOPE_INVALID"


def listed() -> list[dict[str, Any]]:
    """What opens something in the member's name, the newest first."""
    here, me = site(), member()
    with reading(here.engine) as db:
        rows = people.tokens(db, me.person_id, now_ms=here.clock_ms())
    return [
        {
            "id": row.id,
            "kind": row.kind,
            "label": row.label,
            "scopes": list(row.scopes),
            "created_at": rfc3339(row.created_ms),
            "expires_at": rfc3339(row.expires_ms),
            "this": me.token_hash.startswith(row.id),
        }
        for row in rows
    ]


def make(scopes: Sequence[str], label: str | None, days: int, nonce: str | None) -> tuple[str, str]:
    """A token and its id; the same nonce gives the same token.

    Raises
    ------
    ScopeInvalid
        If it is to reach further than the member's role.
    """
    here, me = site(), member()
    known = people.SCOPES[me.role]
    if not scopes or not set(scopes) <= set(known):
        raise ScopeInvalid(known=", ".join(known))
    if label is not None and not label.isprintable():
        raise people.AttributeInvalid(field="label", problem="need a short printable text")
    token = people.derived_token(here.secret, f"token/{me.membership_id}", nonce or here.random_hex(16))
    now_ms = here.clock_ms()
    with begin(here.engine) as db:
        if people.by_token(db, token, now_ms=0) is None:
            people.add_token(
                db,
                token,
                me.membership_id,
                kind="bearer",
                now_ms=now_ms,
                expires_ms=now_ms + days * _DAY_MS,
                scopes=scopes,
                label=label,
            )
    return token, people.hashed(token)[: people.TOKEN_ID_DIGITS]


def end(token_id: str) -> None:
    """End a token or session of the member's; ending it twice is ending it once."""
    with begin(site().engine) as db:
        people.revoke_own(db, token_id, member().person_id, now_ms=site().clock_ms())
