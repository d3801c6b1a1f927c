"""Who did what and when: plays, downloads, decisions, tokens, sign-ins. Only ever added to.

An entry names people by their random ids and things by theirs: no name, no text, no token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus.ledger import rfc3339
from corpus.tables import audit, clip

LISTENING_MS = 5 * 60_000
"""Ranges of one clip that one person fetches within this time are one listening."""


def note(
    db: Connection,
    action: str,
    about: str | None,
    *,
    person_id: str | None,
    role: str | None,
    project_id: str | None,
    now_ms: int,
    once_within_ms: int = 0,
) -> int:
    """Add an entry unless the same one stands within the last `once_within_ms`; the time of what stands."""
    about = None if about is None else about[:80]
    if once_within_ms:
        same = sa.select(audit.c.time_ms).where(
            audit.c.person_id == person_id,
            audit.c.action == action,
            audit.c.object == about,
            audit.c.time_ms > now_ms - once_within_ms,
        )
        stands_ms: int | None = db.execute(same.limit(1)).scalar()
        if stands_ms is not None:
            return stands_ms
    db.execute(
        sa.insert(audit).values(
            time_ms=now_ms, person_id=person_id, action=action, object=about, role=role, project_id=project_id
        )
    )
    return now_ms


def entries(
    db: Connection,
    *,
    project_id: str | None = None,
    action: str | None = None,
    before: int | None = None,
    limit: int = 200,
) -> list[dict[str, Any]]:
    """The newest entries first, as JSON; those of one project only where one is given."""
    query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit)
    if project_id is not None:
        query = query.where(audit.c.project_id == project_id)
    if action is not None:
        query = query.where(audit.c.action == action)
    if before is not None:
        query = query.where(audit.c.id < before)
    return [
        {
            "id": row.id,
            "time": rfc3339(row.time_ms),
            "person_id": row.person_id,
            "role": row.role,
            "project": row.project_id,
            "action": row.action,
            "object": row.object,
        }
        for row in db.execute(query)
    ]


def heard(db: Connection, person_id: str) -> Sequence[tuple[str, str, int, int]]:
    """Who listened to a speaker's clips: clip, role, how often, when last. Their own plays are left out."""
    rows = db.execute(
        sa.select(audit.c.object, audit.c.role, sa.func.count(), sa.func.max(audit.c.time_ms))
        .join(clip, clip.c.id == audit.c.object)
        .where(clip.c.person_id == person_id, audit.c.action == "listen", audit.c.person_id != person_id)
        .group_by(audit.c.object, audit.c.role)
        .order_by(sa.func.max(audit.c.time_ms).desc())
        .limit(300)
    )
    return [(row[0], row[1] or "", row[2], row[3]) for row in rows]
