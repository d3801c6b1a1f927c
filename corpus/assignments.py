"""Leases: a clip given to one person for a while, with a draft that is never lost.

The work is handed out, not raced for. A person holds one clip at a time; asking again gives the same
one. A lease lapses after two hours without a save; its draft stays, and the person gets it back as
long as nobody else has taken the clip. Every save is a revision.

Each function takes an open connection whose transaction the caller owns. On SQLite a transaction that
writes holds the database from its start; on PostgreSQL rows are locked, and rows that another
transaction has locked are skipped, so nobody waits for anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from sqlalchemy import Connection, and_, exists, insert, select, update

from corpus import tables
from protocol.errors import CodedError
from transcribe import workflow

LEASE_MS = 2 * 60 * 60 * 1000

ENDED = ("submitted", "refused", "released")


class AssignmentUnknown(CodedError):
    """No such assignment, or not this person's: both look the same."""

    code = "ASSIGNMENT_UNKNOWN"


class AssignmentClosed(CodedError):
    """The work was already handed in or given back."""

    code = "ASSIGNMENT_CLOSED"


class ClipGone(CodedError):
    """The clip was withdrawn or refused while it was worked on."""

    code = "CLIP_GONE"


@dataclass(frozen=True)
class Assignment:
    """A clip in one person's hands."""

    id: str
    project_id: str
    clip_id: str
    person_id: str
    stage: workflow.Stage
    state: str
    draft: str
    version: int
    leased_ms: int
    expires_ms: int
    ended_ms: int | None


@dataclass(frozen=True)
class Task:
    """What a person must know about the clip they hold; nothing of it names its speaker."""

    ruleset: str
    style: str
    prompt: str | None
    duration_s: float
    speech_s: float | None

    @property
    def prompt_to_avoid(self) -> str | None:
        """A prompt that the text must not simply repeat: free speech is never what was shown."""
        return None if self.style == "read" else self.prompt


def lease_next(
    db: Connection,
    *,
    assignment_id: str,
    person_id: str,
    project_id: str,
    role: str,
    now_ms: int,
    lease_ms: int = LEASE_MS,
) -> Assignment | None:
    """Give a person the clip they hold already, or their lapsed one, or the next; None when nothing is left.

    `assignment_id` names the new lease, if one is made.
    """
    _lapse(db, project_id, now_ms)
    a = tables.assignment
    mine = (
        select(a)
        .join(tables.clip, tables.clip.c.id == a.c.clip_id)
        .where(
            a.c.person_id == person_id,
            a.c.project_id == project_id,
            a.c.stage.in_([step.stage for step in workflow.steps_of(role)]),
            a.c.state.in_(["leased", "expired"]),
            tables.clip.c.state == "accepted",
        )
        .order_by(a.c.state.desc(), a.c.leased_ms, a.c.id)  # leased before expired
        .with_for_update(of=a)
    )
    for row in db.execute(mine).mappings().all():
        held = _assignment(row)
        if held.state == "leased" or is_free(db, held):
            return extend(db, held, now_ms + lease_ms)
    for step in workflow.steps_of(role):
        clip_id = _next_clip(db, step, person_id=person_id, project_id=project_id)
        if clip_id is not None:
            lease = Assignment(
                assignment_id,
                project_id,
                clip_id,
                person_id,
                step.stage,
                state="leased",
                draft="",
                version=0,
                leased_ms=now_ms,
                expires_ms=now_ms + lease_ms,
                ended_ms=None,
            )
            db.execute(insert(a).values(**lease.__dict__))
            return lease
    return None


def get(db: Connection, assignment_id: str, *, person_id: str, now_ms: int, lock: bool = False) -> Assignment:
    """A person's own assignment as it stands now; anybody else's is unknown to them."""
    a = tables.assignment
    query = select(a).where(a.c.id == assignment_id, a.c.person_id == person_id)
    row = db.execute(query.with_for_update() if lock else query).mappings().one_or_none()
    if row is None:
        raise AssignmentUnknown(assignment_id=assignment_id)
    found = _assignment(row)
    if found.state == "leased" and found.expires_ms <= now_ms:
        return replace(found, state="expired")
    return found


def release(db: Connection, assignment_id: str, *, person_id: str, now_ms: int) -> None:
    """Give a clip back. It goes to other people; doing so twice is the same as once."""
    held = get(db, assignment_id, person_id=person_id, now_ms=now_ms, lock=True)
    if held.state != "released":
        if held.state in ENDED:
            raise AssignmentClosed(assignment_id=held.id)
        end(db, held, "released", now_ms)


def refuse_sound(db: Connection, assignment_id: str, *, person_id: str, now_ms: int) -> Assignment:
    """Close a review because its sound is refused; the decision itself is `corpus.clips`' to write."""
    held = get(db, assignment_id, person_id=person_id, now_ms=now_ms, lock=True)
    if held.state == "refused":
        return held
    if held.stage != "review":
        raise AssignmentUnknown(assignment_id=assignment_id)
    must_be_open(db, held)
    end(db, held, "refused", now_ms)
    return replace(held, state="refused", ended_ms=now_ms)


def task(db: Connection, held: Assignment) -> Task:
    """The clip behind an assignment, as far as its writer may know it."""
    c, p, m = tables.clip, tables.prompt, tables.measurement
    row = db.execute(
        select(c.c.style, c.c.samples, c.c.sample_rate_hz, tables.project.c.orthography, p.c.text)
        .join(tables.project, tables.project.c.id == c.c.project_id)
        .outerjoin(p, p.c.id == c.c.prompt_id)
        .where(c.c.id == held.clip_id)
    ).one()
    figures = db.execute(
        select(m.c.figures).where(m.c.clip_id == held.clip_id).order_by(m.c.id.desc()).limit(1)
    ).scalar_one_or_none()
    speech_s = cast(Mapping[str, Any], figures or {}).get("speech_s")
    return Task(row.orthography, row.style, row.text, row.samples / row.sample_rate_hz, speech_s)


def holds(db: Connection, *, person_id: str, clip_id: str) -> bool:
    """Whether a clip is or was in a person's hands, so that they may hear it."""
    a = tables.assignment
    return bool(
        db.execute(select(exists().where(a.c.person_id == person_id, a.c.clip_id == clip_id))).scalar()
    )


def _lapse(db: Connection, project_id: str, now_ms: int) -> None:
    a = tables.assignment
    db.execute(
        update(a)
        .where(a.c.project_id == project_id, a.c.state == "leased", a.c.expires_ms <= now_ms)
        .values(state="expired")
    )


def _next_clip(db: Connection, step: workflow.Step, *, person_id: str, project_id: str) -> str | None:
    """Lock and name the oldest clip that waits for `step` and that the person may do."""
    a, c = tables.assignment, tables.clip
    leased = and_(a.c.clip_id == c.c.id, a.c.state == "leased")
    had = and_(a.c.clip_id == c.c.id, a.c.person_id == person_id)
    query = (
        select(c.c.id)
        .where(
            c.c.project_id == project_id,
            c.c.text_stage == step.stage,
            c.c.state == "accepted",
            c.c.person_id != person_id,
            ~exists().where(leased),
            ~exists().where(had),
        )
        .order_by(c.c.received_ms, c.c.id)
        .limit(1)
        .with_for_update(of=c, skip_locked=True)
    )
    passed: list[str] = []
    while True:
        clip_id: str | None = db.execute(query.where(c.c.id.not_in(passed))).scalar_one_or_none()
        if clip_id is None:
            return None
        # The lock may have been freed between the query's snapshot and now: look again under the lock.
        if not db.execute(select(exists().where(a.c.clip_id == clip_id, a.c.state == "leased"))).scalar():
            return clip_id
        passed.append(clip_id)


def is_free(db: Connection, held: Assignment) -> bool:
    """Whether a lapsed clip can come back to its holder: same stage still open, in nobody's hands."""
    a, c = tables.assignment, tables.clip
    stage = db.execute(
        select(c.c.text_stage).where(c.c.id == held.clip_id, c.c.state == "accepted").with_for_update(of=c)
    ).scalar_one_or_none()
    other = exists().where(a.c.clip_id == held.clip_id, a.c.state == "leased", a.c.id != held.id)
    return stage == held.stage and not db.execute(select(other)).scalar()


def must_be_open(db: Connection, held: Assignment) -> None:
    """Refuse to go on with what has ended, or whose clip was withdrawn or refused."""
    if held.state in ENDED:
        raise AssignmentClosed(assignment_id=held.id, state=held.state)
    c = tables.clip
    if db.execute(select(c.c.state).where(c.c.id == held.clip_id)).scalar_one() != "accepted":
        raise ClipGone(assignment_id=held.id)


def extend(db: Connection, held: Assignment, expires_ms: int) -> Assignment:
    """Hold the clip until `expires_ms`."""
    a = tables.assignment
    db.execute(update(a).where(a.c.id == held.id).values(state="leased", expires_ms=expires_ms))
    return replace(held, state="leased", expires_ms=expires_ms)


def end(db: Connection, held: Assignment, state: str, now_ms: int) -> None:
    """Let go of the clip, for the reason that `state` names."""
    a = tables.assignment
    db.execute(update(a).where(a.c.id == held.id).values(state=state, ended_ms=now_ms))


def _assignment(row: Any) -> Assignment:
    return Assignment(**{name: row[name] for name in Assignment.__dataclass_fields__})
