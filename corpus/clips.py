"""Clips, what was measured in them, and what was decided; `corpus.lifecycle` says what may follow what.

A decision holds only codes from the published list, each with its figure and place; free text may
stand beside them, never instead of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from corpus import lifecycle, terms
from corpus.lifecycle import Stage, State, Step, StepImpossible
from corpus.prepared import Prepared
from corpus.tables import assignment, clip, decision, measurement, receipt
from protocol.clip import AudioFinding, ClipId, Sha256
from protocol.errors import CodedError, Language, catalogue

STAFF = ("reviewer", "operator")
_ADD, _ADD_RECEIPT = Prepared(sa.insert(clip)), Prepared(sa.insert(receipt))
_ADD_MEASUREMENT = Prepared(sa.insert(measurement), [c.name for c in measurement.c if c.name != "id"])
_ADD_DECISION = Prepared(sa.insert(decision), [c.name for c in decision.c if c.name != "id"])
_FIND = Prepared(sa.select(clip).where(clip.c.id == sa.bindparam("clip")))
_NEWEST_MEASUREMENT = Prepared(
    sa.select(measurement)
    .where(measurement.c.clip_id == sa.bindparam("clip"))
    .order_by(measurement.c.id.desc())
    .limit(1)
)
_HISTORY = Prepared(
    sa.select(decision).where(decision.c.clip_id == sa.bindparam("clip")).order_by(decision.c.id)
)
_RECEIPT = Prepared(sa.select(receipt.c.body).where(receipt.c.clip_id == sa.bindparam("clip")))


class ClipNotFound(CodedError):
    """There is no such clip, or none that the asker may know of."""

    code: ClassVar[str] = "NOT_FOUND"


class ReasonUnknown(CodedError):
    """A decision names a code that is not on the published list."""

    code: ClassVar[str] = "REASON_UNKNOWN"


@dataclass(frozen=True)
class Clip:
    """A clip's row."""

    id: ClipId
    item_id: str
    project_id: str
    person_id: str
    consent_id: str
    session_id: str
    recording_id: str
    channel: int
    start_sample: int
    style: str
    grade_wanted: str
    grade: str | None
    prompt_id: str | None
    device_class: str | None
    recorded_at: str
    upload_sha256: Sha256
    sha256: Sha256
    pcm_md5: str
    bytes: int
    samples: int
    sample_rate_hz: int
    channels: int
    meta: Mapping[str, Any]
    state: State
    text_stage: str
    received_ms: int
    withdrawn_ms: int | None
    terms_version: str = ""
    final_ms: int | None = None

    @property
    def stage(self) -> Stage:
        """Where it stands in the lifecycle."""
        return lifecycle.stage(self.state, is_final=self.final_ms is not None)

    @property
    def accepted_ms(self) -> int:
        """Its length, as it is paid."""
        return 1000 * self.samples // self.sample_rate_hz if self.sample_rate_hz else 0

    @property
    def has_sound(self) -> bool:
        """Whether the stored blob could be decoded, so that it may be played."""
        return self.samples > 0 and self.state != "withdrawn"


def reasons() -> dict[str, Mapping[Language, str]]:
    """The published list: every code that a clip may be refused with, and its sentences."""
    return {code: catalogue()[code].sentences for code in terms.reason_codes()}


def add(db: Connection, new: Clip) -> None:
    """Store a new clip."""
    _ADD.run(db, {**new.__dict__, "meta": dict(new.meta)})


def find(db: Connection, clip_id: str) -> Clip | None:
    """The clip, or None."""
    row = _FIND.first(db, {"clip": clip_id})
    return None if row is None else Clip(**row._asdict())


def visible_to(db: Connection, clip_id: str, *, person_id: str, role: str, project_id: str | None) -> Clip:
    """The clip if it is this person's own or theirs to look after, else `ClipNotFound`."""
    found = find(db, clip_id)
    if found is None:
        raise ClipNotFound()
    own = found.person_id == person_id
    staff = role in STAFF and project_id in (None, found.project_id)
    if not own and not staff:
        raise ClipNotFound()
    return found


def audible_to(
    db: Connection, clip_id: str, *, person_id: str, role: str, project_id: str | None, now_ms: int
) -> Clip:
    """As `visible_to`, and also to a person who holds a lease on the clip."""
    found = find(db, clip_id)
    if found is not None and found.project_id == project_id and role == "transcriber":
        leased = sa.select(assignment.c.id).where(
            assignment.c.clip_id == clip_id,
            assignment.c.person_id == person_id,
            assignment.c.state == "leased",
            assignment.c.expires_ms > now_ms,
        )
        if db.execute(leased).first() is not None:
            return found
    return visible_to(db, clip_id, person_id=person_id, role=role, project_id=project_id)


def of_person(db: Connection, person_id: str, project_id: str | None = None) -> list[Clip]:
    """A person's clips in the order of their arrival."""
    query = sa.select(clip).where(clip.c.person_id == person_id).order_by(clip.c.received_ms, clip.c.id)
    if project_id is not None:
        query = query.where(clip.c.project_id == project_id)
    return [Clip(**row._mapping) for row in db.execute(query)]


def add_measurement(
    db: Connection,
    clip_id: str,
    *,
    method: str,
    figures: Mapping[str, Any],
    outcome: str,
    findings: Sequence[Mapping[str, Any]],
    profile_id: str,
    profile_version: str,
    now_ms: int,
) -> None:
    """Store the newest measurement of the clip; older ones stay."""
    row = {
        "clip_id": clip_id,
        "method": method,
        "figures": dict(figures),
        "decision": outcome,
        "findings": [dict(f) for f in findings],
        "profile_id": profile_id,
        "profile_version": profile_version,
        "measured_ms": now_ms,
    }
    _ADD_MEASUREMENT.run(db, row)


def newest_measurement(db: Connection, clip_id: str) -> Any | None:
    """The row of the newest measurement: method, figures, decision, findings, profile."""
    return _NEWEST_MEASUREMENT.first(db, {"clip": clip_id})


def decide(
    db: Connection,
    clip_id: str,
    step: Step,
    *,
    person_id: str | None,
    reasons_given: Sequence[Mapping[str, Any]] = (),
    allowed: Sequence[str] | None = None,
    note: str | None = None,
    now_ms: int,
) -> State:
    """Take a step of the lifecycle and keep who took it and why. Returns the new state.

    Parameters
    ----------
    person_id : str or None
        None for the server itself.
    reasons_given : sequence of mappings
        ``{"code","value","limit","start_s","end_s"}``; a refusal needs at least one.
    allowed : sequence of str or None
        The codes that may be named; the whole published list if not given.

    Raises
    ------
    StepImpossible
        If the clip's state does not allow it.
    ReasonUnknown
        If a code is not on the list, or a refusal names none.
    """
    found = find(db, clip_id)
    if found is None:
        raise ClipNotFound()
    after = lifecycle.after(step, found.stage)
    known = (terms.reason_codes() if allowed is None else tuple(allowed)) + (lifecycle.SILENT,)
    for reason in reasons_given:
        if reason.get("code") not in known:
            raise ReasonUnknown(reason=str(reason.get("code")))
    if step in ("refuse", "uphold") and not reasons_given:
        raise ReasonUnknown(reason="-")
    values: dict[str, Any] = {"state": lifecycle.state_of(after)}
    if after in ("reversed", "upheld"):
        values["final_ms"] = now_ms
    if after == "reversed" and found.grade is None:
        values["grade"] = found.grade_wanted
    changed = db.execute(
        sa.update(clip)
        .where(clip.c.id == clip_id, clip.c.state == found.state, _same(found.final_ms))
        .values(values)
    )
    if changed.rowcount != 1:
        raise StepImpossible(state=found.state, step=step)
    state = lifecycle.state_of(after)
    add_decision(
        db, clip_id, outcome=state, person_id=person_id, reasons_given=reasons_given, note=note, now_ms=now_ms
    )
    if after == "withdrawn":  # what people wrote beside their reasons goes with the voice
        db.execute(sa.update(decision).where(decision.c.clip_id == clip_id).values(note=None))
    return state


def _same(final_ms: int | None) -> sa.ColumnElement[bool]:
    return clip.c.final_ms.is_(None) if final_ms is None else clip.c.final_ms == final_ms


def add_decision(
    db: Connection,
    clip_id: str,
    *,
    outcome: str,
    person_id: str | None,
    reasons_given: Sequence[Mapping[str, Any]],
    note: str | None,
    now_ms: int,
) -> None:
    """Keep one decision."""
    row = {
        "clip_id": clip_id,
        "person_id": person_id,
        "outcome": outcome,
        "reasons": [dict(r) for r in reasons_given],
        "note": note,
        "decided_ms": now_ms,
    }
    _ADD_DECISION.run(db, row)


def add_receipt(db: Connection, clip_id: str, seq: int, body: Mapping[str, Any]) -> None:
    """Keep the receipt, so that it can be given again."""
    _ADD_RECEIPT.run(db, {"clip_id": clip_id, "seq": seq, "body": dict(body)})


def stored_receipt(db: Connection, clip_id: str) -> dict[str, Any] | None:
    """The clip's receipt as JSON, or None."""
    return _RECEIPT.scalar(db, {"clip": clip_id})


def history(db: Connection, clip_id: str) -> list[Any]:
    """Every decision on a clip, oldest first: who, outcome, reasons, note, when."""
    return _HISTORY.rows(db, {"clip": clip_id})


def finding_json(finding: AudioFinding) -> dict[str, Any]:
    """A finding as stored: with its parameters and without a sentence, which depends on the reader."""
    row = finding.as_json()
    del row["message"]
    return {**row, "parameters": dict(finding.parameters)}


def finding_from_json(row: Mapping[str, Any]) -> AudioFinding:
    """Read what `finding_json` wrote."""
    return AudioFinding(**row)
