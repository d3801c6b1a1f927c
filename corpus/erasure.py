"""Blobs that are still to be erased: noted with the withdrawal, and tried until they are gone.

A store may be away when a voice is withdrawn, or the server may end in between. What was noted in the
transaction of the withdrawal is tried again, at ever longer distances but never longer than an hour. So is
what a close put into the store and never named, for whatever reason: no clip and no receipt speaks of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from corpus.database import begin, reading
from corpus.holds import Holds
from corpus.store import BlobStore
from corpus.tables import clip, erasure
from protocol.clip import Sha256
from protocol.errors import CodedError

MOST_AT_ONCE = 200
_FIRST_WAIT_MS = 60_000
_LONGEST_WAIT_MS = 3_600_000


@dataclass(frozen=True)
class Waiting:
    """A blob that is still to be erased.

    Attributes
    ----------
    problem : str or None
        The code that the last try ended with.
    """

    sha256: Sha256
    asked_ms: int
    tries: int
    next_ms: int
    problem: str | None


def note(db: Connection, digests: Iterable[Sha256], *, now_ms: int) -> None:
    """Keep in mind that these are to be erased; noting twice is noting once."""
    for digest in set(digests):
        if db.execute(sa.select(erasure.c.sha256).where(erasure.c.sha256 == digest)).first() is None:
            row = {"sha256": digest, "asked_ms": now_ms, "tries": 0, "next_ms": now_ms, "problem": None}
            db.execute(sa.insert(erasure), row)


def waiting(db: Connection, *, due_ms: int | None = None, limit: int | None = None) -> list[Waiting]:
    """What waits, the longest first; only what is to be tried by `due_ms`, if that is given."""
    query = sa.select(erasure).order_by(erasure.c.next_ms, erasure.c.sha256)
    if due_ms is not None:
        # A time beyond the longest wait was written by a clock that ran ahead.
        query = query.where((erasure.c.next_ms <= due_ms) | (erasure.c.next_ms > due_ms + _LONGEST_WAIT_MS))
    return [Waiting(**row._mapping) for row in db.execute(query.limit(limit))]


def collect(engine: Engine, holds: Holds, *, now_ms: int) -> int:
    """Note what closes left that came half-way and never named it in a row. Returns how many were found.

    One that is at work right now is left alone; one that is done again names its blob by then, or puts it
    anew.
    """
    count = 0
    for digest in holds.noted()[:MOST_AT_ONCE]:
        with holds.erasing(digest) as alone:
            if not alone:
                continue
            with begin(engine) as db:
                note(db, [digest], now_ms=now_ms)
            holds.forget(digest)
        count += 1
    return count


def erase(
    engine: Engine, store: BlobStore, holds: Holds, digests: Sequence[Sha256]
) -> tuple[list[Sha256], CodedError | None]:
    """Erase blobs that no clip needs. Returns those that are done with, and what ended the work early.

    One that a close is about to name right now is left for later. An upload of the same bytes that is merely
    open puts nothing off: whoever knows a digest could keep a withdrawn voice in the store by declaring it.
    """
    done: list[Sha256] = []
    for digest in digests:
        with holds.erasing(digest) as alone:
            if not alone:
                continue
            with reading(engine) as db:
                stands = _stands(db, digest)
            try:
                if not stands:
                    store.erase(digest)
            except CodedError as error:
                return done, error  # the store is away: the others would only wait as long
        done.append(digest)
    return done, None


def settle(
    db: Connection,
    tried: Sequence[Sha256],
    done: Sequence[Sha256],
    problem: CodedError | None,
    *,
    now_ms: int,
) -> None:
    """Forget what is done with, and say when the rest of what was tried comes next."""
    gone = set(done)
    for digest in tried:
        if digest in gone:
            db.execute(sa.delete(erasure).where(erasure.c.sha256 == digest))
            continue
        tries = db.execute(sa.select(erasure.c.tries).where(erasure.c.sha256 == digest)).scalar() or 0
        wait_ms = min(_FIRST_WAIT_MS << min(tries, 10), _LONGEST_WAIT_MS)
        values = {
            "tries": tries + 1,
            "next_ms": now_ms + wait_ms,
            "problem": None if problem is None else problem.code,
        }
        db.execute(sa.update(erasure).where(erasure.c.sha256 == digest).values(values))


def _stands(db: Connection, digest: Sha256) -> bool:
    """Whether a clip that was not withdrawn has this blob."""
    query = sa.select(clip.c.id).where(clip.c.sha256 == digest, clip.c.state != "withdrawn").limit(1)
    return db.execute(query).first() is not None
