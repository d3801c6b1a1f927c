"""How many there are of what, for the operator's instruments."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import ledger
from corpus.tables import clip, upload


def clips_by_state(db: Connection, project_id: str | None = None) -> dict[str, int]:
    """Clips by state, of one project or of the whole server."""
    query = sa.select(clip.c.state, sa.func.count()).group_by(clip.c.state)
    if project_id is not None:
        query = query.where(clip.c.project_id == project_id)
    return {state: int(count) for state, count in db.execute(query)}


def open_uploads(db: Connection) -> int:
    """Uploads that are not finished."""
    query = sa.select(sa.func.count()).where(upload.c.state == "open")
    return int(db.execute(query).scalar_one())


def ledger_entries(db: Connection) -> int:
    """Entries of the log."""
    return ledger.size(db)
