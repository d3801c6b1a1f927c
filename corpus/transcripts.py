"""Texts that were handed in, what they agree on, and which one stands.

A transcript is only ever added. Each addition settles the clip in the same transaction: the stage it
waits for next, or its final text with the agreement between the two blind writers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from corpus import digests, tables
from transcribe import agreement, workflow

DONE = "done"


@dataclass(frozen=True)
class Transcript:
    """One person's text of one clip, as typed and as mended."""

    clip_id: str
    assignment_id: str
    person_id: str
    stage: workflow.Stage
    text_raw: str
    text: str
    applied: Sequence[str]
    events: Sequence[Mapping[str, Any]]
    status: workflow.Status
    wants_review: bool
    ruleset: str
    rules_version: str
    submitted_ms: int

    def as_text(self) -> workflow.Text:
        """What the workflow needs to know of it."""
        return workflow.Text(self.person_id, self.stage, self.text, self.status, self.wants_review)


@dataclass(frozen=True)
class Final:
    """The text that stands for a clip."""

    transcript: Transcript
    transcribers: int
    agreement_cer: float | None
    decided_ms: int


def of_clip(db: Connection, clip_id: str) -> list[Transcript]:
    """All texts of a clip, in the order of their stages."""
    t = tables.transcript
    rows = db.execute(select(t).where(t.c.clip_id == clip_id).order_by(t.c.id)).mappings()
    return [_transcript(row) for row in rows]


def of_assignment(db: Connection, assignment_id: str) -> Transcript | None:
    """The text that an assignment ended in, if it did."""
    t = tables.transcript
    row = db.execute(select(t).where(t.c.assignment_id == assignment_id)).mappings().one_or_none()
    return None if row is None else _transcript(row)


def final(db: Connection, clip_id: str) -> Final | None:
    """The text that stands for a clip, or None while it is being worked on."""
    f, t = tables.final_text, tables.transcript
    row = (
        db.execute(
            select(t, f.c.transcribers, f.c.agreement_cer, f.c.decided_ms)
            .join(t, t.c.id == f.c.transcript_id)
            .where(f.c.clip_id == clip_id)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        return None
    return Final(_transcript(row), row["transcribers"], row["agreement_cer"], row["decided_ms"])


def add(db: Connection, transcript: Transcript, *, style: str) -> workflow.Final | workflow.Review | None:
    """Store a text and settle its clip: the final text, or the stage it waits for next."""
    db.execute(
        insert(tables.transcript).values(
            clip_id=transcript.clip_id,
            assignment_id=transcript.assignment_id,
            person_id=transcript.person_id,
            stage=transcript.stage,
            text_raw=transcript.text_raw,
            text=transcript.text,
            applied=list(transcript.applied),
            events=[dict(event) for event in transcript.events],
            status=transcript.status,
            wants_review=transcript.wants_review,
            ruleset=transcript.ruleset,
            rules_version=transcript.rules_version,
            submitted_ms=transcript.submitted_ms,
            digest=digests.of_text(
                transcript.clip_id,
                transcript.text_raw,
                transcript.text,
                transcript.events,
                transcript.status,
            ),
        )
    )
    return _settle(db, transcript.clip_id, style=style, now_ms=transcript.submitted_ms)


def difference(first: Transcript, second: Transcript) -> float | None:
    """Mixed error rate between two texts, or None where one of them could not be understood.

    The larger of both directions, so that the order in which two people worked does not decide.
    """
    if "incomplete" in (first.status, second.status):
        return None
    rates: tuple[float, float] = (
        agreement.mixed_error_rate(first.text, second.text, first.ruleset),
        agreement.mixed_error_rate(second.text, first.text, first.ruleset),
    )
    return max(rates)


def review_reasons(db: Connection, clip_id: str, *, style: str) -> workflow.Review | None:
    """Why a clip is with a reviewer."""
    blind = [text for text in of_clip(db, clip_id) if text.stage != "review"]
    if len(blind) < 2:
        return None
    apart = difference(blind[0], blind[1])
    outcome = workflow.settle([text.as_text() for text in blind], style=style, difference=apart)
    return outcome if isinstance(outcome, workflow.Review) else None


def erase(db: Connection, clip_ids: Sequence[str]) -> None:
    """Delete every text of withdrawn clips: drafts, revisions, transcripts and final texts."""
    a = tables.assignment
    ours = select(a.c.id).where(a.c.clip_id.in_(clip_ids))
    db.execute(delete(tables.final_text).where(tables.final_text.c.clip_id.in_(clip_ids)))
    db.execute(delete(tables.transcript).where(tables.transcript.c.clip_id.in_(clip_ids)))
    db.execute(delete(tables.revision).where(tables.revision.c.assignment_id.in_(ours)))
    db.execute(update(a).where(a.c.clip_id.in_(clip_ids)).values(draft=""))
    db.execute(update(a).where(a.c.clip_id.in_(clip_ids), a.c.state == "leased").values(state="released"))


def _settle(
    db: Connection, clip_id: str, *, style: str, now_ms: int
) -> workflow.Final | workflow.Review | None:
    texts = of_clip(db, clip_id)
    apart = difference(texts[0], texts[1]) if len(texts) > 1 else None
    outcome = workflow.settle([text.as_text() for text in texts], style=style, difference=apart)
    if isinstance(outcome, workflow.Final):
        chosen = texts[outcome.index]
        t = tables.transcript
        transcript_id = db.execute(
            select(t.c.id).where(t.c.assignment_id == chosen.assignment_id)
        ).scalar_one()
        db.execute(
            insert(tables.final_text).values(
                clip_id=clip_id,
                transcript_id=transcript_id,
                transcribers=len({text.person_id for text in texts if text.stage != "review"}),
                agreement_cer=outcome.difference,
                decided_ms=now_ms,
            )
        )
    step = workflow.next_step(
        [text.as_text() for text in texts], is_final=isinstance(outcome, workflow.Final)
    )
    c = tables.clip
    db.execute(update(c).where(c.c.id == clip_id).values(text_stage=DONE if step is None else step.stage))
    return outcome


def _transcript(row: Any) -> Transcript:
    fields = {name: row[name] for name in Transcript.__dataclass_fields__}
    return Transcript(**fields)
