"""Drafts and submissions: every save is a revision, and what was handed in cannot change.

Each function takes an open connection whose transaction the caller owns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, insert, update

from corpus import assignments, tables, transcripts
from corpus.assignments import Assignment
from protocol.errors import CodedError, Language
from transcribe import lint, workflow

MAX_CHARACTERS = 20_000
_ROUNDING_S = 0.01


class AssignmentTaken(CodedError):
    """The lease lapsed and the clip went to another person."""

    code = "ASSIGNMENT_TAKEN"


class DraftConflict(CodedError):
    """A save or submission that saw an older version than the stored one."""

    code = "DRAFT_CONFLICT"


class DraftInvalid(CodedError):
    """A text that cannot be stored."""

    code = "DRAFT_INVALID"


class TranscriptRefused(CodedError):
    """A text with errors that only a person can mend."""

    code = "TRANSCRIPT_REFUSED"


@dataclass(frozen=True)
class Submitted:
    """What became of a submission."""

    transcript: transcripts.Transcript
    outcome: workflow.Final | workflow.Review | None
    is_repeat: bool


def save(
    db: Connection,
    assignment_id: str,
    *,
    person_id: str,
    text: str,
    version: int,
    now_ms: int,
    lease_ms: int = assignments.LEASE_MS,
) -> Assignment:
    """Keep a draft as a new revision and extend the lease.

    A lapsed lease comes back to life if the clip is still free; if not, the draft is kept all the same
    and the assignment stays ``expired``. Saving the stored text again changes nothing but the lease, so
    that a repeat after a lost answer is safe.

    Raises
    ------
    DraftConflict
        If `version` is not the stored one. It carries the stored text and version.
    """
    storable(text)
    held = assignments.get(db, assignment_id, person_id=person_id, now_ms=now_ms, lock=True)
    if held.state in assignments.ENDED and text == held.draft:
        return held
    assignments.must_be_open(db, held)
    if version != held.version and text != held.draft:
        raise DraftConflict(version=held.version, text=held.draft)
    if held.state == "expired" and assignments.is_free(db, held):
        held = replace(held, state="leased")
    if held.state == "leased":
        held = assignments.extend(db, held, now_ms + lease_ms)
    if text == held.draft:
        return held
    held = replace(held, draft=text, version=held.version + 1)
    a = tables.assignment
    db.execute(update(a).where(a.c.id == held.id).values(draft=held.draft, version=held.version))
    db.execute(
        insert(tables.revision).values(
            assignment_id=held.id, version=held.version, text=text, saved_ms=now_ms
        )
    )
    return held


def submit(
    db: Connection,
    assignment_id: str,
    *,
    person_id: str,
    version: int,
    now_ms: int,
    status: workflow.Status = "complete",
    events: Sequence[Mapping[str, Any]] = (),
    wants_review: bool = False,
    language: Language = "en",
) -> Submitted:
    """Hand in the stored draft: safe fixes are applied, errors refuse it, and the clip is settled.

    Save first: what is handed in is what is stored, so a refusal loses nothing. An ``incomplete`` text
    (speech that nobody could understand) may hold errors; it never reaches a release.

    Raises
    ------
    TranscriptRefused
        With the findings, in `language`.
    AssignmentTaken, AssignmentClosed, DraftConflict, ClipGone, AssignmentUnknown
    """
    held = assignments.get(db, assignment_id, person_id=person_id, now_ms=now_ms, lock=True)
    given = transcripts.of_assignment(db, held.id)
    if given is not None and version == held.version:
        return Submitted(given, None, is_repeat=True)
    assignments.must_be_open(db, held)
    if held.state == "expired":
        if not assignments.is_free(db, held):
            raise AssignmentTaken(assignment_id=held.id)
        held = replace(held, state="leased")
    if version != held.version:
        raise DraftConflict(version=held.version, text=held.draft)
    work = assignments.task(db, held)
    for event in events:
        if not 0 <= event["start_s"] <= event["end_s"] <= work.duration_s + _ROUNDING_S:
            raise DraftInvalid(problem=f"an event outside of the clip's {work.duration_s:.3f} s")
    fixed = lint.fix(held.draft, work.ruleset, speech_s=work.speech_s, prompt=work.prompt_to_avoid)
    if status == "complete" and not fixed.clean:
        raise TranscriptRefused(
            count=sum(finding.severity == "error" for finding in fixed.findings),
            findings=[finding.as_json(language) for finding in fixed.findings],
            version=held.version,
        )
    # A tag that was typed into the text says what was heard, not when: its bounds are the clip's.
    lifted = [{"start_s": 0.0, "end_s": work.duration_s, "label": event.label} for event in fixed.events]
    transcript = transcripts.Transcript(
        clip_id=held.clip_id,
        assignment_id=held.id,
        person_id=person_id,
        stage=held.stage,
        text_raw=held.draft,
        text=fixed.text,
        applied=list(fixed.applied),
        events=[*events, *lifted],
        status=status,
        wants_review=wants_review,
        ruleset=work.ruleset,
        rules_version=lint.RULES_VERSION,
        submitted_ms=now_ms,
    )
    assignments.end(db, held, "submitted", now_ms)
    outcome = transcripts.add(db, transcript, style=work.style)
    return Submitted(transcript, outcome, is_repeat=False)


def storable(text: object) -> str:
    """A text that a database and JSON can hold unchanged, or `DraftInvalid`."""
    if not isinstance(text, str):
        raise DraftInvalid(problem="not a string")
    if len(text) > MAX_CHARACTERS:
        raise DraftInvalid(problem=f"more than {MAX_CHARACTERS} characters")
    if "\0" in text:
        raise DraftInvalid(problem="U+0000")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise DraftInvalid(problem="half of a surrogate pair")
    return text
