"""How many there are of what, for the operator's instruments."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import ledger
from corpus.tables import clip, decision, erasure, upload


def clips_by_state(db: Connection, project_id: str | None = None) -> dict[str, int]:
    """Clips by state, of one project or of the whole server."""
    query = sa.select(clip.c.state, sa.func.count()).group_by(clip.c.state)
    if project_id is not None:
        query = query.where(clip.c.project_id == project_id)
    return {state: int(count) for state, count in db.execute(query)}


def uploads_by_state(db: Connection) -> dict[str, int]:
    """Uploads by state."""
    query = sa.select(upload.c.state, sa.func.count()).group_by(upload.c.state)
    return {state: int(count) for state, count in db.execute(query)}


def waiting_since(db: Connection) -> dict[str, int | None]:
    """When the oldest of each queue came into it, in ms; None where nothing waits.

    A clip's text waits from the clip's arrival on, through all its stages.
    """
    appealed = (
        sa.select(sa.func.max(decision.c.decided_ms).label("since"))
        .join(clip, clip.c.id == decision.c.clip_id)
        .where(clip.c.state == "appealed", decision.c.outcome == "appealed")
        .group_by(clip.c.id)
        .subquery()
    )
    found: dict[str, int | None] = {
        "upload": db.execute(
            sa.select(sa.func.min(upload.c.created_ms)).where(upload.c.state == "open")
        ).scalar(),
        "appeal": db.execute(sa.select(sa.func.min(appealed.c.since))).scalar(),
    }
    stages = ("first", "second", "review")
    query = (
        sa.select(clip.c.text_stage, sa.func.min(clip.c.received_ms))
        .where(clip.c.state == "accepted", clip.c.text_stage.in_(stages))
        .group_by(clip.c.text_stage)
    )
    waiting = {stage: int(since) for stage, since in db.execute(query)}
    return found | {f"text_{stage}": waiting.get(stage) for stage in stages}


def erasures_waiting(db: Connection) -> int:
    """Blobs of withdrawn clips that are not known to be gone."""
    return int(db.execute(sa.select(sa.func.count()).select_from(erasure)).scalar_one())


def ledger_entries(db: Connection) -> int:
    """Entries of the log."""
    return ledger.size(db)
