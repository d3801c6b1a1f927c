"""``/me``: a speaker's recordings with verdicts, receipts and withdrawal; other people's own work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request

from corpus import clips, ledger, overview, projects, prompts, review, statement, withdrawal, work
from corpus.clips import Clip
from corpus.database import Connection, begin, reading
from corpus.lifecycle import SILENT
from corpus.people import Member
from web.auth import require
from web.context import Reply, member, site
from web.language import current, t
from web.review import moment

bp = Blueprint("me", __name__)

_SHOWN_CLIPS = 200
_SHOWN_WORK = 300


@dataclass(frozen=True)
class Step:
    """One decision about a recording: what was decided, by whom, when, why."""

    outcome: str
    by: str  # measured | person | silent | appeal
    at: str
    reasons: tuple[Mapping[str, Any], ...]
    note: str | None


@dataclass(frozen=True)
class Row:
    """One recording as its speaker sees it."""

    clip: Clip
    seconds: float
    prompt: str | None
    snr_db: float | None
    reasons: tuple[Mapping[str, Any], ...]
    note: str | None
    has_receipt: bool
    steps: tuple[Step, ...]
    appeal_until: str | None
    is_appeal_over: bool
    decide_until: str | None


@bp.get("/me")
@require("speaker", "transcriber", "reviewer")
def page() -> Reply:
    """What the caller recorded, or wrote."""
    return _recordings(member()) if member().role == "speaker" else _work(member())


@bp.get("/me/receipts/<clip_id>.receipt.json")
@require("speaker")
def receipt(clip_id: str) -> Reply:
    """The signed receipt of one of the caller's clips, as a file."""
    with reading(site().engine) as db:
        found = _own(db, clip_id)
        body = clips.stored_receipt(db, clip_id)
    if body is None:
        raise clips.ClipNotFound()
    return current_app.response_class(
        json.dumps(body, ensure_ascii=False, indent=1) + "\n",
        mimetype="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{found.id}.receipt.json"',
            "Cache-Control": "private, no-store",
        },
    )


@bp.get("/me/receipts/<clip_id>.log.json")
@require("speaker")
def receipts(clip_id: str) -> Reply:
    """A receipt for every entry of the log about one of the caller's clips, as a file."""
    here = site()
    with begin(here.engine) as db:
        found = _own(db, clip_id)
        rows = ledger.receipts(db, found.item_id, here.signer, now_ms=here.clock_ms())
    return current_app.response_class(
        json.dumps([row.as_json() for row in rows], ensure_ascii=False, indent=1) + "\n",
        mimetype="application/json",
        headers={
            "Content-Disposition": f'attachment; filename="{found.id}.receipts.json"',
            "Cache-Control": "private, no-store",
        },
    )


@bp.post("/me/clips/<clip_id>/appeal")
@require("speaker")
def appeal(clip_id: str) -> Reply:
    """Ask another person to listen to a refused clip."""
    here = site()
    reason = request.form.get("reason", "").strip()
    with begin(here.engine) as db:
        review.appeal(
            db,
            _own(db, clip_id),
            reason=reason,
            signer=here.signer,
            salt=bytes.fromhex(here.random_hex(16)),
            now_ms=here.clock_ms(),
        )
    return redirect("/me?said=appealed", 303)


@bp.post("/me/clips/<clip_id>/withdraw")
@require("speaker")
def withdraw(clip_id: str) -> Reply:
    """Take one clip back."""
    here = site()
    with reading(here.engine) as db:
        found = _own(db, clip_id)
    withdrawal.of_clips(here.custody, [found])
    return redirect("/me?said=withdrawn", 303)


@bp.post("/me/withdraw")
@require("speaker")
def withdraw_all() -> Reply:
    """Take everything back."""
    if request.form.get("sure") != "yes":
        return redirect("/me", 303)
    withdrawal.of_person(site().custody, member().person_id)
    return redirect("/me?said=withdrawn", 303)


def _own(db: Connection, clip_id: str) -> Clip:
    found = clips.find(db, clip_id)
    if found is None or found.person_id != member().person_id:
        raise clips.ClipNotFound()
    return found


def _recordings(me: Member) -> str:
    with reading(site().engine) as db:
        project = projects.by_id(db, me.project_id or "")
        mine = clips.of_person(db, me.person_id, me.project_id)
        texts = {prompt.id: prompt.text for prompt in prompts.of_project(db, project.id)}
        newest = sorted(mine, key=lambda clip: clip.received_ms, reverse=True)[:_SHOWN_CLIPS]
        rows = []
        for clip in newest:
            heard = clips.newest_measurement(db, clip.id)
            decisions = clips.history(db, clip.id)
            decided = next((row for row in reversed(decisions) if row.outcome != "appealed"), None)
            rows.append(
                Row(
                    clip,
                    clip.samples / clip.sample_rate_hz if clip.sample_rate_hz else 0.0,
                    texts.get(clip.prompt_id or ""),
                    None if heard is None else heard.figures.get("snr_db"),
                    _reasons(clip, heard, decided),
                    None if decided is None else decided.note,
                    clips.stored_receipt(db, clip.id) is not None,
                    tuple(_step(clip, row) for row in decisions),
                    *_deadlines(db, clip),
                )
            )
        money = [row.as_json() for row in statement.money(db, me.person_id)]
        new_terms = projects.terms_to_see(db, me.membership_id) is not None
    totals: dict[str, overview.Sum] = {}
    for clip in mine:
        seconds = clip.samples / clip.sample_rate_hz if clip.sample_rate_hz else 0.0
        before = totals.get(clip.state, overview.Sum(0, 0.0))
        totals[clip.state] = overview.Sum(before.clips + 1, before.seconds + seconds)
    said = {"withdrawn": "me.withdrawn", "appealed": "me.appealed"}.get(request.args.get("said", ""))
    return render_template(
        "me_speaker.html",
        project=project,
        rows=rows,
        totals=totals,
        money=money,
        new_terms=new_terms,
        said=said and t(said),
    )


def _reasons(clip: Clip, heard: Any, decided: Any) -> tuple[Mapping[str, Any], ...]:
    """Why it was refused, by whoever decided last; warnings of the measurement for a clip that passed."""
    if clip.state == "withdrawn":
        return ()
    rows = [] if heard is None else list(heard.findings)
    if decided is not None and (decided.person_id is not None or clip.final_ms is not None):
        rows = [{**reason, "severity": "error"} for reason in decided.reasons]
    return tuple(clips.finding_from_json(row).as_json(current()) for row in rows)


def _step(clip: Clip, row: Any) -> Step:
    by = "measured" if row.person_id is None else "person"
    if row.outcome == "appealed":
        by = "appeal"
    elif any(reason.get("code") == SILENT for reason in row.reasons):
        by = "silent"
    said = [clips.finding_from_json({"severity": "error", **reason}) for reason in row.reasons]
    reasons = () if clip.state == "withdrawn" else tuple(one.as_json(current()) for one in said)
    return Step(row.outcome, by, moment(row.decided_ms), reasons, row.note)


def _deadlines(db: Connection, clip: Clip) -> tuple[str | None, bool, str | None]:
    due = review.deadlines(db, clip)
    until_ms = due.appeal_until_ms
    return (
        None if until_ms is None else moment(until_ms),
        until_ms is not None and site().clock_ms() > until_ms,
        None if due.decide_until_ms is None else moment(due.decide_until_ms),
    )


def _work(me: Member) -> str:
    here = site()
    with reading(here.engine) as db:
        pieces = work.history(db, person_id=me.person_id, limit=_SHOWN_WORK, now_ms=here.clock_ms())
        project = None if me.project_id is None else projects.by_id(db, me.project_id)
    home = "review" if me.role == "reviewer" else "desk"
    return render_template("me_work.html", pieces=pieces, home=home, tag=project and project.language)
