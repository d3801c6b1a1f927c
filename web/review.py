"""``/review``: two texts of one clip beside each other, and the decision which one stands."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request

from corpus import assignments, clips, ledger, lifecycle, projects, review, terms, transcripts
from corpus.database import begin, reading
from protocol.errors import sentence
from transcribe.beside import beside
from web.assignments_api import as_json
from web.auth import require
from web.context import Reply, member, site
from web.desk import start_page, take_next
from web.language import current, spoken

bp = Blueprint("review", __name__)


@bp.get("/review")
@require("reviewer")
def desk() -> Reply:
    """What waits for a decision: texts, and refusals that a speaker appeals against."""
    me = member()
    with reading(site().engine) as db:
        waiting = review.appeals(db, project_id=me.project_id or "", person_id=me.person_id)
    shown = [
        {
            "clip": appeal.clip,
            "said": appeal.said,
            "until": moment(appeal.decide_until_ms),
            "reasons": [
                clips.finding_from_json({"severity": "error", **reason}).as_json(current())
                for reason in appeal.reasons
            ],
        }
        for appeal in waiting
    ]
    return start_page("review", appeals=shown)


@bp.post("/review/next")
@require("reviewer")
def take() -> Reply:
    """Lease the next clip and go to it."""
    return take_next("review")


@bp.post("/review/appeals/<clip_id>")
@require("reviewer")
def decide_appeal(clip_id: str) -> Reply:
    """Decide an appeal."""
    here, me = site(), member()
    with begin(here.engine) as db:
        review.decide_appeal(
            db,
            clip_id,
            person_id=me.person_id,
            project_id=me.project_id or "",
            step="accept" if request.form.get("decision") == "accept" else "refuse",
            signer=here.signer,
            salt=bytes.fromhex(here.random_hex(16)),
            now_ms=here.clock_ms(),
        )
    return redirect("/review", 303)


@bp.get("/review/<assignment_id>")
@require("reviewer")
def clip(assignment_id: str) -> Reply:
    """One clip with both its texts."""
    here, me = site(), member()
    with reading(here.engine) as db:
        held = assignments.get(db, assignment_id, person_id=me.person_id, now_ms=here.clock_ms())
        data = as_json(db, held)
        project = projects.by_id(db, held.project_id)
        done = transcripts.of_assignment(db, held.id)
        blind = [text for text in transcripts.of_clip(db, held.clip_id) if text.stage != "review"]
        sound = clips.visible_to(
            db, held.clip_id, person_id=me.person_id, role=me.role, project_id=me.project_id
        )
        agreed = terms.of_version(db, sound.project_id, sound.terms_version)
        why = transcripts.review_reasons(db, held.clip_id, style=data["style"])
    if held.state in ("submitted", "released", "refused") or len(blind) < 2:
        return render_template("closed.html", held=data, done=done, home="review", tag=project.language)
    return render_template(
        "review.html",
        held=data,
        say=spoken("js"),
        tag=project.language,
        home="review",
        blind=blind,
        pieces=beside(blind[0].text, blind[1].text),
        reason_text=lambda code: sentence(code, current()),
        why=why,
        heard=agreed.codes,
        is_final=sound.final_ms is not None,
        is_late=here.clock_ms() > lifecycle.decide_until_ms(agreed, sound.received_ms),
        until=moment(lifecycle.decide_until_ms(agreed, sound.received_ms)),
    )


@bp.post("/review/<assignment_id>/refuse")
@require("reviewer")
def refuse(assignment_id: str) -> Reply:
    """Refuse the sound with a reason and its place."""
    here = site()
    form = request.form
    with begin(here.engine) as db:
        review.refuse_sound(
            db,
            assignment_id,
            person_id=member().person_id,
            reason=form.get("reason", ""),
            start_s=_seconds(form.get("start_s")),
            end_s=_seconds(form.get("end_s")),
            note=form.get("note", "").strip() or None,
            signer=here.signer,
            salt=bytes.fromhex(here.random_hex(16)),
            now_ms=here.clock_ms(),
        )
    return redirect("/review", 303)


def moment(time_ms: int) -> str:
    """A time as pages show it, to the minute, in UTC."""
    return ledger.rfc3339(time_ms)[:16].replace("T", " ")


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    whole, _, part = text.partition(".")
    if not (whole + part).isascii() or not (whole + part).isdigit() or len(text) > 12:
        raise review.RefusalIncomplete(place=text[:20])
    return float(text)
