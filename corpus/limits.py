"""How often something may be tried: one row a bucket in the database, the same for all processes.

The generic cell rate algorithm keeps one number, the moment at which the bucket will be full again. A
bucket that is full has no row. Keys are keyed hashes, so that no address is stored.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus.tables import bucket
from protocol.errors import CodedError


class TooOften(CodedError):
    """More tries than a bucket holds; `wait_s` says when the next one counts."""

    code: ClassVar[str] = "TOO_MANY_REQUESTS"


@dataclass(frozen=True)
class Limit:
    """So many at once, and one more each `refill_ms`."""

    name: str
    burst: int
    refill_ms: int


# A guesser gets a few hundred tries a day from one address; the owner's own browser has a bucket of its own.
SIGN_IN_ADDRESS = Limit("sign-in/address", 30, 10_000)
SIGN_IN_ACCOUNT = Limit("sign-in/account", 10, 60_000)
SIGN_IN_DEVICE = Limit("sign-in/device", 10, 30_000)
WRONG_INVITE = Limit("join/address", 60, 2_000)
TOKEN_MADE = Limit("token/account", 20, 60_000)
APPEAL = Limit("appeal/account", 200, 5_000)


def key(secret: bytes, limit: Limit, *who: str) -> str:
    """The bucket of somebody under a limit."""
    named = "/".join((limit.name, *who)).encode("utf-8", "surrogatepass")
    return hmac.new(secret, b"bucket/" + named, hashlib.sha256).hexdigest()


def take(db: Connection, name: str, limit: Limit, *, now_ms: int) -> None:
    """Take one out of the bucket.

    Raises
    ------
    TooOften
        If it is empty; nothing is taken then, so that asking again does not lengthen the wait.
    """
    stored = db.execute(sa.select(bucket.c.full_ms).where(bucket.c.key == name).with_for_update()).scalar()
    full_ms = max(stored or 0, now_ms)
    # A clock that was set back must not shut anybody out for longer than an empty bucket does.
    full_ms = min(full_ms, now_ms + limit.burst * limit.refill_ms)
    wait_ms = full_ms + limit.refill_ms - (now_ms + limit.burst * limit.refill_ms)
    if wait_ms > 0:
        raise TooOften(wait_s=-(-wait_ms // 1000))
    values = {"full_ms": full_ms + limit.refill_ms}
    if stored is None:
        db.execute(sa.delete(bucket).where(bucket.c.full_ms < now_ms))
        db.execute(sa.insert(bucket).values(key=name, **values))
    else:
        db.execute(sa.update(bucket).where(bucket.c.key == name).values(values))


def give_back(db: Connection, name: str, limit: Limit) -> None:
    """Put one back, as after a try that was right."""
    db.execute(
        sa.update(bucket).where(bucket.c.key == name).values(full_ms=bucket.c.full_ms - limit.refill_ms)
    )
