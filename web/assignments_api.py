"""``/api/v1/assignments``: lease the next clip, save its draft, hand it in, give it back."""

from __future__ import annotations

from typing import Any

from flask import Blueprint

from corpus import assignments, drafts, ledger, transcripts
from corpus.database import Connection, begin, reading
from transcribe import lint
from web import bodies
from web.auth import require
from web.context import Reply, member, site
from web.language import current
from web.openapi import describes

bp = Blueprint("assignments_api", __name__)

_TEXT = bodies.text(drafts.MAX_CHARACTERS)
_SECONDS = {"type": "number", "minimum": 0}
_EVENT = bodies.obj({"start_s": _SECONDS, "end_s": _SECONDS, "label": bodies.text(40, minLength=1)})
DRAFT_IN = bodies.obj({"text": _TEXT, "version": bodies.WHOLE})
SUBMIT_IN = bodies.obj(
    {"text": _TEXT, "version": bodies.WHOLE},
    {
        "events": bodies.array(_EVENT),
        "status": {"type": "string", "enum": ["complete", "incomplete"]},
        "wants_review": bodies.YES_NO,
    },
)
_FINDINGS = bodies.array(bodies.ANYTHING)
_PEER = bodies.obj({"text": _TEXT, "status": bodies.text(), "applied": bodies.array(bodies.text())})
ASSIGNMENT = bodies.obj(
    {
        "id": bodies.text(),
        "clip_id": bodies.text(),
        "stage": {"type": "string", "enum": ["first", "second", "review"]},
        "state": {"type": "string", "enum": ["leased", "submitted", "refused", "released", "expired"]},
        "draft": _TEXT,
        "version": bodies.WHOLE,
        "expires_at": bodies.text(),
        "ruleset": bodies.text(),
        "style": bodies.text(),
        "prompt": bodies.nullable(bodies.text()),
        "duration_s": bodies.NUMBER,
        "speech_s": bodies.nullable(bodies.NUMBER),
        "peers": bodies.array(_PEER),
    }
)
SAVED = bodies.obj(
    {
        "version": bodies.WHOLE,
        "state": bodies.text(),
        "expires_at": bodies.text(),
        "findings": _FINDINGS,
        "fixed": _TEXT,
        "clean": bodies.YES_NO,
    }
)
SUBMITTED = bodies.obj(
    {
        "id": bodies.text(),
        "state": bodies.text(),
        "text_raw": _TEXT,
        "text": _TEXT,
        "applied": bodies.array(bodies.text()),
        "status": bodies.text(),
        "findings": _FINDINGS,
    }
)
_OWN = ("ASSIGNMENT_UNKNOWN",)
_WRITING = (*_OWN, "ASSIGNMENT_CLOSED", "CLIP_GONE", "DRAFT_CONFLICT", "DRAFT_INVALID")


@bp.post("/api/v1/assignments")
@require("transcriber", "reviewer")
@describes(
    "Leases the next clip to the caller, or gives the one they hold already; 204 when nothing is left.",
    also={204: "nothing is left"},
    answer=ASSIGNMENT,
    status=201,
)
def lease() -> Reply:
    """Give the caller their clip."""
    here, me = site(), member()
    if me.project_id is None:
        return "", 204
    with begin(here.engine) as db:
        held = assignments.lease_next(
            db,
            assignment_id=here.random_hex(16),
            person_id=me.person_id,
            project_id=me.project_id,
            role=me.role,
            now_ms=here.clock_ms(),
        )
        if held is None:
            return "", 204
        return as_json(db, held), 201, {"Location": f"/api/v1/assignments/{held.id}"}


@bp.get("/api/v1/assignments/<assignment_id>")
@require("transcriber", "reviewer")
@describes("The caller's assignment with its stored draft.", answer=ASSIGNMENT, errors=_OWN)
def show(assignment_id: str) -> Reply:
    """The stored draft and what there is to know of the clip."""
    here = site()
    with reading(here.engine) as db:
        held = assignments.get(db, assignment_id, person_id=member().person_id, now_ms=here.clock_ms())
        return as_json(db, held), 200, {"Cache-Control": "no-store"}


@bp.put("/api/v1/assignments/<assignment_id>")
@require("transcriber", "reviewer")
@describes(
    "Saves a draft as a new revision and extends the lease. `version` is the one the draft was made from.",
    body=DRAFT_IN,
    answer=SAVED,
    errors=_WRITING,
)
def save(assignment_id: str) -> Reply:
    """Keep the draft, and say what the rules find in it."""
    body = bodies.json_body(DRAFT_IN)
    here = site()
    with begin(here.engine) as db:
        held = drafts.save(
            db,
            assignment_id,
            person_id=member().person_id,
            text=body["text"],
            version=body["version"],
            now_ms=here.clock_ms(),
        )
        work = assignments.task(db, held)
    report = lint.lint_json(
        held.draft, work.ruleset, speech_s=work.speech_s, prompt=work.prompt_to_avoid, language=current()
    )
    return {
        "version": held.version,
        "state": held.state,
        "expires_at": ledger.rfc3339(held.expires_ms),
        "findings": report["findings"],
        "fixed": report["fixed"],
        "clean": report["clean"],
    }


@bp.post("/api/v1/assignments/<assignment_id>/submit")
@require("transcriber", "reviewer")
@describes(
    "Hands the text in. Safe fixes are applied and listed; errors give 422 with the findings, and the text"
    " stays as a draft. Sending the same again gives the same answer.",
    body=SUBMIT_IN,
    answer=SUBMITTED,
    errors=(*_WRITING, "ASSIGNMENT_TAKEN", "TRANSCRIPT_REFUSED"),
)
def submit(assignment_id: str) -> Reply:
    """Save, then hand in: what is refused stays saved."""
    body = bodies.json_body(SUBMIT_IN)
    here = site()
    person_id, now_ms = member().person_id, here.clock_ms()
    with begin(here.engine) as db:
        saved = drafts.save(
            db, assignment_id, text=body["text"], version=body["version"], person_id=person_id, now_ms=now_ms
        )
    with begin(here.engine) as db:
        done = drafts.submit(
            db,
            assignment_id,
            person_id=person_id,
            version=saved.version,
            status=body.get("status", "complete"),
            events=body.get("events", []),
            wants_review=body.get("wants_review", False),
            language=current(),
            now_ms=now_ms,
        ).transcript
    report = lint.lint_json(done.text_raw, done.ruleset, language=current())
    return {
        "id": assignment_id,
        "state": "submitted",
        "text_raw": done.text_raw,
        "text": done.text,
        "applied": list(done.applied),
        "status": done.status,
        "findings": report["findings"],
    }


@bp.post("/api/v1/assignments/<assignment_id>/release")
@require("transcriber", "reviewer")
@describes("Gives the clip back; it goes to another person.", status=204, errors=(*_OWN, "ASSIGNMENT_CLOSED"))
def release(assignment_id: str) -> Reply:
    """Give the clip back."""
    here = site()
    with begin(here.engine) as db:
        assignments.release(db, assignment_id, person_id=member().person_id, now_ms=here.clock_ms())
    return "", 204


def as_json(db: Connection, held: assignments.Assignment) -> dict[str, Any]:
    """An assignment as programs and the desk's script read it; peers are shown to a reviewer only."""
    work = assignments.task(db, held)
    peers = transcripts.of_clip(db, held.clip_id) if held.stage == "review" else []
    return {
        "id": held.id,
        "clip_id": held.clip_id,
        "stage": held.stage,
        "state": held.state,
        "draft": held.draft,
        "version": held.version,
        "expires_at": ledger.rfc3339(held.expires_ms),
        "ruleset": work.ruleset,
        "style": work.style,
        "prompt": work.prompt,
        "duration_s": round(work.duration_s, 3),
        "speech_s": work.speech_s,
        "peers": [
            {"text": peer.text, "status": peer.status, "applied": list(peer.applied)}
            for peer in peers
            if peer.stage != "review"
        ],
    }
