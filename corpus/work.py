"""What waits for a person, what they hold, and what became of what they did."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, and_, exists, func, or_, select

from corpus import assignments, tables
from corpus.assignments import Assignment
from transcribe import workflow


@dataclass(frozen=True)
class Piece:
    """One thing that a person handed in or gave back.

    `outcome` is ``waiting`` (another person writes), ``review``, ``agreed``, ``reviewed``, ``refused`` (the
    sound), ``released``, ``expired`` or ``withdrawn``. `final_text` is shown once the clip is done, so that
    a person learns where a reviewer decided otherwise.
    """

    assignment_id: str
    stage: workflow.Stage
    outcome: str
    ended_ms: int
    duration_s: float
    text: str
    final_text: str | None


def at_hand(db: Connection, *, person_id: str, now_ms: int) -> Assignment | None:
    """The clip that a person holds, if any; a lapsed one counts as long as it has a draft."""
    a = tables.assignment
    row = db.execute(
        select(a.c.id)
        .join(tables.clip, tables.clip.c.id == a.c.clip_id)
        .where(
            a.c.person_id == person_id,
            tables.clip.c.state == "accepted",
            tables.clip.c.text_stage == a.c.stage,
            or_(
                and_(a.c.state == "leased", a.c.expires_ms > now_ms),
                and_(a.c.state.in_(["leased", "expired"]), a.c.draft != ""),
            ),
        )
        .order_by(a.c.state.desc(), a.c.leased_ms)
        .limit(1)
    ).scalar_one_or_none()
    return None if row is None else assignments.get(db, row, person_id=person_id, now_ms=now_ms)


def waiting(db: Connection, *, person_id: str, project_id: str, role: str, now_ms: int) -> int:
    """How many clips a person could be given now."""
    a, c = tables.assignment, tables.clip
    leased = exists().where(a.c.clip_id == c.c.id, a.c.state == "leased", a.c.expires_ms > now_ms)
    had = exists().where(a.c.clip_id == c.c.id, a.c.person_id == person_id)
    stages = [step.stage for step in workflow.steps_of(role)]
    query = select(func.count()).where(
        c.c.project_id == project_id,
        c.c.text_stage.in_(stages),
        c.c.state == "accepted",
        c.c.person_id != person_id,
        ~leased,
        ~had,
    )
    return db.execute(query).scalar_one()


def history(db: Connection, *, person_id: str, limit: int, now_ms: int) -> list[Piece]:
    """What a person did, newest first."""
    a, c, t, f = tables.assignment, tables.clip, tables.transcript, tables.final_text
    chosen = t.alias("chosen")
    rows = db.execute(
        select(
            a.c.id,
            a.c.stage,
            a.c.state,
            func.coalesce(a.c.ended_ms, a.c.expires_ms).label("ended_ms"),
            a.c.draft,
            c.c.state.label("clip_state"),
            c.c.text_stage,
            c.c.samples,
            c.c.sample_rate_hz,
            t.c.text,
            chosen.c.text.label("final_text"),
            chosen.c.stage.label("final_stage"),
        )
        .join(c, c.c.id == a.c.clip_id)
        .outerjoin(t, t.c.assignment_id == a.c.id)
        .outerjoin(f, f.c.clip_id == a.c.clip_id)
        .outerjoin(chosen, chosen.c.id == f.c.transcript_id)
        .where(a.c.person_id == person_id, or_(a.c.state != "leased", a.c.expires_ms <= now_ms))
        .order_by(func.coalesce(a.c.ended_ms, a.c.expires_ms).desc(), a.c.id)
        .limit(limit)
    )
    return [
        Piece(
            row.id,
            row.stage,
            _outcome(row.state, row.clip_state, row.text_stage, row.final_stage),
            row.ended_ms,
            row.samples / row.sample_rate_hz,
            row.text if row.text is not None else row.draft,
            row.final_text if row.state == "submitted" else None,
        )
        for row in rows
    ]


def _outcome(state: str, clip_state: str, text_stage: str, final_stage: str | None) -> str:
    if clip_state == "withdrawn":
        return "withdrawn"
    if state == "leased":
        return "expired"
    if state != "submitted":
        return state
    if clip_state != "accepted":
        return "refused"
    if final_stage is not None:
        return "reviewed" if final_stage == "review" else "agreed"
    return "review" if text_stage == "review" else "waiting"
