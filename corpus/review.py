"""What a reviewer decides beyond the text: that the sound itself is refused.

The reasons are those that a person hears and no measurement finds; each with its place, so that the
speaker can hear it too and appeal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, exists, select, update

from corpus import assignments, clips, ledger, tables
from corpus.keys import Signer
from protocol.errors import CodedError

HEARD: tuple[str, ...] = (
    "content.unclear",
    "content.cut_off",
    "content.other_voice",
    "content.disturbed",
    "content.not_prompt",
    "content.other_language",
    "content.personal",
)
MAX_NOTE_CHARACTERS = 500


class RefusalIncomplete(CodedError):
    """A refusal without a listed reason, or with an impossible place."""

    code = "REFUSAL_INCOMPLETE"


def refuse_sound(
    db: Connection,
    assignment_id: str,
    *,
    person_id: str,
    reason: str,
    start_s: float | None,
    end_s: float | None,
    note: str | None,
    signer: Signer,
    salt: bytes,
    now_ms: int,
) -> None:
    """End a review by refusing the clip; decision, ledger entry and lease change together.

    Doing it twice is doing it once.
    """
    before = assignments.get(db, assignment_id, person_id=person_id, now_ms=now_ms, lock=True)
    if before.state == "refused":
        return
    duration_s = assignments.task(db, before).duration_s
    place = (start_s, end_s)
    inside = place == (None, None) or (
        start_s is not None and end_s is not None and 0 <= start_s < end_s <= duration_s + 0.01
    )
    if reason not in HEARD or not inside or len(note or "") > MAX_NOTE_CHARACTERS:
        raise RefusalIncomplete(reason=reason)
    held = assignments.refuse_sound(db, assignment_id, person_id=person_id, now_ms=now_ms)
    given = {"code": reason, "value": None, "limit": None, "start_s": start_s, "end_s": end_s}
    clips.decide(
        db, held.clip_id, "refuse", person_id=person_id, reasons_given=[given], note=note, now_ms=now_ms
    )
    found = clips.find(db, held.clip_id)
    if found is not None:
        details = {"clip_id": held.clip_id, "decision": "refuse", "reasons": [given]}
        entry = ledger.Entry("decided", found.item_id, details, reasons=[reason])
        ledger.append(db, entry, salt=salt, now_ms=now_ms)
        ledger.sign_head(db, signer, now_ms=now_ms)


def appeal(
    db: Connection, clip: clips.Clip, *, reason: str, signer: Signer, salt: bytes, now_ms: int
) -> None:
    """Send a speaker's refused clip to another person; asking twice is asking once."""
    if clip.state == "appealed":
        return
    clips.decide(db, clip.id, "appeal", person_id=clip.person_id, note=reason, now_ms=now_ms)
    details = {"clip_id": clip.id, "reason": reason}
    ledger.append(db, ledger.Entry("appealed", clip.item_id, details), salt=salt, now_ms=now_ms)
    ledger.sign_head(db, signer, now_ms=now_ms)


@dataclass(frozen=True)
class Appeal:
    """A refusal that its speaker asks to have looked at again: why it was refused, and what they say."""

    clip: clips.Clip
    reasons: Sequence[Mapping[str, Any]]
    said: str | None


def appeals(db: Connection, *, project_id: str, person_id: str, limit: int = 20) -> list[Appeal]:
    """Appeals that a person may decide: not of their own voice, and not against their own decision."""
    c, d = tables.clip, tables.decision
    mine = exists().where(d.c.clip_id == c.c.id, d.c.person_id == person_id)
    rows = db.execute(
        select(c.c.id)
        .where(c.c.project_id == project_id, c.c.state == "appealed", c.c.person_id != person_id, ~mine)
        .order_by(c.c.received_ms, c.c.id)
        .limit(limit)
    ).scalars()
    found = []
    for clip_id in rows.all():
        clip = clips.find(db, clip_id)
        decided = db.execute(select(d).where(d.c.clip_id == clip_id).order_by(d.c.id.desc()).limit(2)).all()
        if clip is not None:
            refusal = [row for row in decided if row.outcome == "refused"]
            said = [row.note for row in decided if row.outcome == "appealed"]
            found.append(Appeal(clip, refusal[0].reasons if refusal else (), said[0] if said else None))
    return found


def decide_appeal(
    db: Connection,
    clip_id: str,
    *,
    person_id: str,
    project_id: str,
    step: Literal["accept", "refuse"],
    signer: Signer,
    salt: bytes,
    now_ms: int,
) -> None:
    """Take a refused clip after all, for the grade it was made for, or refuse it for the same reasons.

    Raises
    ------
    ClipNotFound
        If there is no such appeal that this person may decide.
    """
    open_ones = appeals(db, project_id=project_id, person_id=person_id, limit=10_000)
    appeal_ = next((appeal_ for appeal_ in open_ones if appeal_.clip.id == clip_id), None)
    if appeal_ is None:
        raise clips.ClipNotFound()
    if step == "accept" and not appeal_.clip.has_sound:
        raise clips.StepImpossible(state=appeal_.clip.state, step=step)
    reasons = list(appeal_.reasons) if step == "refuse" else []
    clips.decide(db, clip_id, step, person_id=person_id, reasons_given=reasons, now_ms=now_ms)
    if step == "accept" and appeal_.clip.grade is None:
        c = tables.clip
        db.execute(update(c).where(c.c.id == clip_id).values(grade=appeal_.clip.grade_wanted))
    entry = ledger.Entry(
        "decided",
        appeal_.clip.item_id,
        {"clip_id": clip_id, "decision": step, "reasons": [dict(reason) for reason in reasons]},
        reasons=[str(reason["code"]) for reason in reasons],
    )
    ledger.append(db, entry, salt=salt, now_ms=now_ms)
    ledger.sign_head(db, signer, now_ms=now_ms)


def latest_decision(db: Connection, clip_id: str) -> Any | None:
    """The row of the newest decision on a clip: who, outcome, reasons, note."""
    d = tables.decision
    return db.execute(select(d).where(d.c.clip_id == clip_id).order_by(d.c.id.desc()).limit(1)).one_or_none()
