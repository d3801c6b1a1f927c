"""``/me``: a speaker's recordings with verdicts, receipts and withdrawal; other people's own work."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, current_app, redirect, render_template, request

from corpus import clips, overview, projects, prompts, review, withdrawal, work
from corpus.clips import Clip
from corpus.database import Connection, begin, reading
from corpus.people import Member
from web.auth import require
from web.context import Reply, member, site
from web.language import current, t

bp = Blueprint("me", __name__)

_SHOWN_CLIPS = 200
_SHOWN_WORK = 300


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
            decided = review.latest_decision(db, clip.id)
            rows.append(
                Row(
                    clip,
                    clip.samples / clip.sample_rate_hz if clip.sample_rate_hz else 0.0,
                    texts.get(clip.prompt_id or ""),
                    None if heard is None else heard.figures.get("snr_db"),
                    _reasons(clip, heard, decided),
                    None if decided is None else decided.note,
                    clips.stored_receipt(db, clip.id) is not None,
                )
            )
    totals: dict[str, overview.Sum] = {}
    for clip in mine:
        seconds = clip.samples / clip.sample_rate_hz if clip.sample_rate_hz else 0.0
        before = totals.get(clip.state, overview.Sum(0, 0.0))
        totals[clip.state] = overview.Sum(before.clips + 1, before.seconds + seconds)
    said = {"withdrawn": "me.withdrawn", "appealed": "me.appealed"}.get(request.args.get("said", ""))
    return render_template(
        "me_speaker.html", project=project, rows=rows, totals=totals, said=said and t(said)
    )


def _reasons(clip: Clip, heard: Any, decided: Any) -> tuple[Mapping[str, Any], ...]:
    """Why it was refused, by whoever decided last; warnings of the measurement for a clip that passed."""
    if clip.state == "withdrawn":
        return ()
    rows = [] if heard is None else list(heard.findings)
    if clip.state in ("refused", "appealed") and decided is not None and decided.person_id is not None:
        rows = [{**reason, "severity": "error"} for reason in decided.reasons]
    return tuple(clips.finding_from_json(row).as_json(current()) for row in rows)


def _work(me: Member) -> str:
    here = site()
    with reading(here.engine) as db:
        pieces = work.history(db, person_id=me.person_id, limit=_SHOWN_WORK, now_ms=here.clock_ms())
        project = None if me.project_id is None else projects.by_id(db, me.project_id)
    home = "review" if me.role == "reviewer" else "desk"
    return render_template("me_work.html", pieces=pieces, home=home, tag=project and project.language)
