"""The feed of tombstones: every clip that was withdrawn after it had been released, in the order of erasure.

Each copy in the world asks for its digest each time that it looks. The feed only grows, so the digest is kept
and what was added since the last look is all that is read.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import Connection, func, select

from corpus import ledger, tables
from corpus.header import FileEntry, Tombstone


def tombstones(db: Connection, project_id: str | None = None, *, after: int = 0) -> list[Tombstone]:
    """The tombstones of one project or of all, those behind number `after`."""
    stone = tables.tombstone
    query = select(stone).where(stone.c.seq > after).order_by(stone.c.seq)
    if project_id is not None:
        query = query.where(stone.c.project_id == project_id)
    return [
        Tombstone(row.seq, row.manifest_id, row.sha256, ledger.rfc3339(row.erased_ms))
        for row in db.execute(query)
    ]


def tombstone_feed(db: Connection, project_id: str | None = None) -> bytes:
    """``tombstones.jsonl``."""
    return b"".join(map(_line, tombstones(db, project_id)))


def _line(stone: Tombstone) -> bytes:
    return msgspec.json.encode(stone) + b"\n"


@dataclass
class _Known:
    digest: Any = field(default_factory=hashlib.sha256)
    bytes: int = 0
    count: int = 0
    seq: int = 0


class Feeds:
    """Digest and size of each project's feed, as one process has last seen them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: dict[str | None, _Known] = {}

    def entry(self, db: Connection, project_id: str | None = None) -> FileEntry:
        """What `tombstone_feed` has for digest and size in this view of the database."""
        stone = tables.tombstone
        query = select(func.count(), func.coalesce(func.max(stone.c.seq), 0)).select_from(stone)
        if project_id is not None:
            query = query.where(stone.c.project_id == project_id)
        count, seq = db.execute(query).one()
        with self._lock:
            known = self._known.get(project_id, _Known())
            if (known.count, known.seq) != (count, seq):
                known = self._known[project_id] = _grown(db, project_id, known, count)
            return FileEntry(known.digest.hexdigest(), known.bytes)


def _grown(db: Connection, project_id: str | None, known: _Known, count: int) -> _Known:
    """`known` with what came behind it; read from the start where that is not all that changed."""
    fresh = tombstones(db, project_id, after=known.seq)
    if known.count + len(fresh) != count:
        known, fresh = _Known(), tombstones(db, project_id)
    added = b"".join(map(_line, fresh))
    digest = known.digest.copy()
    digest.update(added)
    seq = fresh[-1].seq if fresh else known.seq
    return _Known(digest, known.bytes + len(added), known.count + len(fresh), seq)
