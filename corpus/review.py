"""What people decide about a sound: refusals with reason and place, appeals, and what comes of them.

A reviewer's reasons are those that a person hears and no measurement finds; each with its place, so that
the speaker can hear it too. An appeal goes to a person who has not decided on the clip before. What
nobody decides in time counts as accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, Engine, exists, select

from corpus import assignments, clips, ledger, lifecycle, tables, terms
from corpus.database import begin, reading
from corpus.keys import Signer
from corpus.lifecycle import SILENT, AppealLate, DecisionLate, Step, StepImpossible
from corpus.terms import HEARD, Terms
from protocol.errors import CodedError

__all__ = ["HEARD", "appeal", "appeals", "deadlines", "decide_appeal", "refuse_sound", "settle_silent"]
MAX_NOTE_CHARACTERS = 500
MAX_REASON_CHARACTERS = 2000


class RefusalIncomplete(CodedError):
    """A refusal without a listed reason, or without a place inside the clip."""

    code = "REFUSAL_INCOMPLETE"


class AppealReasonMissing(CodedError):
    """An appeal that says nothing, or too much."""

    code = "APPEAL_REASON_MISSING"


@dataclass(frozen=True)
class Deadlines:
    """Until when a clip may be appealed, and until when a person must decide; None where neither applies."""

    appeal_until_ms: int | None
    decide_until_ms: int | None


@dataclass(frozen=True)
class Appeal:
    """A refusal that its speaker asks to have looked at again: why it was refused, and what they say."""

    clip: clips.Clip
    reasons: Sequence[Mapping[str, Any]]
    said: str | None
    decide_until_ms: int


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

    Raises
    ------
    RefusalIncomplete
        Without a reason of the clip's terms, or without a place inside the clip.
    DecisionLate
        If the time for it is over.
    """
    before = assignments.get(db, assignment_id, person_id=person_id, now_ms=now_ms, lock=True)
    if before.state == "refused":
        return
    found = _clip(db, before.clip_id)
    agreed = terms.of_version(db, found.project_id, found.terms_version)
    duration_s = found.accepted_ms / 1000
    inside = start_s is not None and end_s is not None and 0 <= start_s < end_s <= duration_s + 0.01
    if reason not in agreed.codes or not inside or len(note or "") > MAX_NOTE_CHARACTERS:
        raise RefusalIncomplete(reason=reason[:80])
    lifecycle.after("refuse", found.stage)
    if found.person_id == person_id:  # never leased so; a second lock on the same door
        raise clips.ClipNotFound()
    until_ms = lifecycle.decide_until_ms(agreed, found.received_ms)
    if now_ms > until_ms:
        raise DecisionLate(until=ledger.rfc3339(until_ms))
    assignments.refuse_sound(db, assignment_id, person_id=person_id, now_ms=now_ms)
    given = {"code": reason, "value": None, "limit": None, "start_s": start_s, "end_s": end_s}
    _decide(
        db, found, "refuse", agreed, [given],
        person_id=person_id, note=note, signer=signer, salt=salt, now_ms=now_ms,
    )  # fmt: skip


def appeal(
    db: Connection, clip: clips.Clip, *, reason: str, signer: Signer, salt: bytes, now_ms: int
) -> None:
    """Send a speaker's refused clip to another person; asking twice is asking once.

    Raises
    ------
    AppealReasonMissing
        If it says nothing to listen for.
    StepImpossible
        If the clip is not refused, or its appeal was decided: that is final.
    AppealLate
        If the terms' time for it is over.
    """
    if clip.state == "appealed":
        return
    if not reason.strip() or len(reason) > MAX_REASON_CHARACTERS:
        raise AppealReasonMissing(limit=MAX_REASON_CHARACTERS)
    lifecycle.after("appeal", clip.stage)
    agreed = terms.of_version(db, clip.project_id, clip.terms_version)
    until_ms = lifecycle.appeal_until_ms(agreed, _asked_ms(db, clip, "refused"))
    if now_ms > until_ms:
        raise AppealLate(until=ledger.rfc3339(until_ms))
    clips.decide(db, clip.id, "appeal", person_id=clip.person_id, note=reason, now_ms=now_ms)
    details = {
        "clip_id": clip.id,
        "sha256": clip.upload_sha256,
        "reason": reason,
        "terms": agreed.version,
        "decide_until": ledger.rfc3339(lifecycle.decide_until_ms(agreed, now_ms)),
    }
    _log(db, clip, agreed, "appealed", details, [], signer=signer, salt=salt, now_ms=now_ms)


def appeals(db: Connection, *, project_id: str, person_id: str, limit: int = 20) -> list[Appeal]:
    """Appeals that a person may decide: not of their own voice, and not against their own decision."""
    c = tables.clip
    rows = db.execute(
        select(c.c.id)
        .where(c.c.project_id == project_id, c.c.state == "appealed", _may_decide(person_id))
        .order_by(c.c.received_ms, c.c.id)
        .limit(limit)
    ).scalars()
    return [_appeal(db, _clip(db, clip_id)) for clip_id in rows.all()]


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

    Either is final. The same decision again by the same person changes nothing.

    Raises
    ------
    ClipNotFound
        If there is no such appeal that this person may decide.
    DecisionLate
        If the time for it is over: the clip counts as accepted.
    """
    c = tables.clip
    query = select(c.c.id).where(c.c.id == clip_id, c.c.project_id == project_id)
    if db.execute(query.where(c.c.state == "appealed", _may_decide(person_id))).first() is None:
        if _decided_so(db, clip_id, project_id, person_id, step):
            return
        raise clips.ClipNotFound()
    found = _appeal(db, _clip(db, clip_id))
    clip = found.clip
    if now_ms > found.decide_until_ms and clip.has_sound:
        raise DecisionLate(until=ledger.rfc3339(found.decide_until_ms))
    if step == "accept" and not clip.has_sound:
        raise StepImpossible(state=clip.state, step=step)
    agreed = terms.of_version(db, clip.project_id, clip.terms_version)
    whole = {"start_s": 0.0, "end_s": clip.accepted_ms / 1000} if clip.has_sound else {}
    reasons = [
        {**reason, **(whole if reason.get("start_s") is None else {})}
        for reason in (found.reasons if step == "refuse" else ())
    ]
    _decide(
        db, clip, "reverse" if step == "accept" else "uphold", agreed, reasons,
        person_id=person_id, note=None, signer=signer, salt=salt, now_ms=now_ms,
    )  # fmt: skip


def settle_silent(engine: Engine, signer: Signer, *, random_hex: Callable[[int], str], now_ms: int) -> int:
    """Accept every appeal that nobody decided in time, if there is a sound to accept. Returns how many."""
    c = tables.clip
    with reading(engine) as db:
        waiting = db.execute(select(c.c.id).where(c.c.state == "appealed").order_by(c.c.id)).scalars().all()
        over = [clip_id for clip_id in waiting if _is_over(db, clip_id, now_ms)]
    count = 0
    for clip_id in over:
        try:
            with begin(engine) as db:
                if _is_over(db, clip_id, now_ms):
                    clip = _clip(db, clip_id)
                    agreed = terms.of_version(db, clip.project_id, clip.terms_version)
                    _decide(
                        db, clip, "reverse", agreed, [{"code": SILENT}],
                        person_id=None, note=None, signer=signer, salt=bytes.fromhex(random_hex(16)),
                        now_ms=now_ms,
                    )  # fmt: skip
                    count += 1
        except StepImpossible:
            continue  # another process was first
    return count


def deadlines(db: Connection, clip: clips.Clip) -> Deadlines:
    """What its terms and its last step say about when the next one must come."""
    if clip.stage not in ("refused", "appealed"):
        return Deadlines(None, None)
    agreed = terms.of_version(db, clip.project_id, clip.terms_version)
    asked_ms = _asked_ms(db, clip, clip.state)
    if clip.stage == "refused":
        return Deadlines(lifecycle.appeal_until_ms(agreed, asked_ms), None)
    return Deadlines(None, lifecycle.decide_until_ms(agreed, asked_ms))


def latest_decision(db: Connection, clip_id: str) -> Any | None:
    """The row of the newest decision on a clip: who, outcome, reasons, note."""
    found = clips.history(db, clip_id)
    return found[-1] if found else None


def _decide(
    db: Connection,
    clip: clips.Clip,
    step: Step,
    agreed: Terms,
    reasons: Sequence[Mapping[str, Any]],
    *,
    person_id: str | None,
    note: str | None,
    signer: Signer,
    salt: bytes,
    now_ms: int,
) -> None:
    allowed = agreed.codes if step == "refuse" else None
    state = clips.decide(
        db, clip.id, step,
        person_id=person_id, reasons_given=reasons, allowed=allowed, note=note, now_ms=now_ms,
    )  # fmt: skip
    counts = state == "accepted"
    decision = "accept" if counts else "refuse"
    details = {
        "clip_id": clip.id,
        "sha256": clip.upload_sha256,
        "samples": clip.samples,
        "sample_rate_hz": clip.sample_rate_hz,
        "decision": decision,
        "verdict": {"decision": decision},
        "reasons": [dict(reason) for reason in reasons],
        "terms": agreed.version,
        "payable_ms": clip.accepted_ms if counts else 0,
        "payable_micros": agreed.pay_micros(clip.accepted_ms) if counts else 0,
        "currency": agreed.currency,
    }
    codes = [str(reason["code"]) for reason in reasons]
    _log(db, clip, agreed, "decided", details, codes, signer=signer, salt=salt, now_ms=now_ms)


def _log(
    db: Connection,
    clip: clips.Clip,
    agreed: Terms,
    event: Literal["appealed", "decided"],
    details: Mapping[str, Any],
    codes: Sequence[str],
    *,
    signer: Signer,
    salt: bytes,
    now_ms: int,
) -> None:
    heard = clips.newest_measurement(db, clip.id)
    entry = ledger.Entry(
        event,
        clip.item_id,
        details,
        reasons=codes,
        profile=None if heard is None else f"{heard.profile_id}/{heard.profile_version}",
        terms=agreed.version,
        rules=lifecycle.rules_version(),
    )
    ledger.append(db, entry, salt=salt, now_ms=now_ms)
    ledger.sign_head(db, signer, now_ms=now_ms)


def _may_decide(person_id: str) -> Any:
    c, d = tables.clip, tables.decision
    mine = exists().where(d.c.clip_id == c.c.id, d.c.person_id == person_id)
    return (c.c.person_id != person_id) & ~mine


def _decided_so(db: Connection, clip_id: str, project_id: str, person_id: str, step: str) -> bool:
    found = clips.find(db, clip_id)
    stage = "reversed" if step == "accept" else "upheld"
    if found is None or found.project_id != project_id or found.stage != stage:
        return False
    return bool(clips.history(db, clip_id)[-1].person_id == person_id)


def _appeal(db: Connection, clip: clips.Clip) -> Appeal:
    decided = clips.history(db, clip.id)
    refusals = [row.reasons for row in decided if row.outcome == "refused"]
    said = [row.note for row in decided if row.outcome == "appealed"]
    until_ms = deadlines(db, clip).decide_until_ms or 0
    reasons = [row for row in (refusals[-1] if refusals else ()) if row.get("severity", "error") == "error"]
    return Appeal(clip, reasons, said[-1] if said else None, until_ms)


def _is_over(db: Connection, clip_id: str, now_ms: int) -> bool:
    clip = clips.find(db, clip_id)
    if clip is None or clip.state != "appealed" or not clip.has_sound:
        return False
    return now_ms > (deadlines(db, clip).decide_until_ms or now_ms)


def _asked_ms(db: Connection, clip: clips.Clip, outcome: str) -> int:
    """When the clip was last refused, or appealed."""
    times = [row.decided_ms for row in clips.history(db, clip.id) if row.outcome == outcome]
    return int(times[-1]) if times else clip.received_ms


def _clip(db: Connection, clip_id: str) -> clips.Clip:
    found = clips.find(db, clip_id)
    if found is None:
        raise clips.ClipNotFound()
    return found
