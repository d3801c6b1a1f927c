"""``/desk``: transcribe the next clip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from flask import Blueprint, redirect, render_template

from corpus import assignments, projects, transcripts, work
from corpus.database import begin, reading
from web import terms
from web.assignments_api import as_json
from web.auth import require
from web.context import Reply, member, site
from web.language import spoken

bp = Blueprint("desk", __name__)


@bp.get("/desk")
@require("transcriber")
def desk() -> Reply:
    """Where work begins: what waits, what is at hand, what was done."""
    return start_page("desk")


@bp.post("/desk/next")
@require("transcriber")
def take() -> Reply:
    """Lease the next clip and go to it."""
    return take_next("desk")


@bp.get("/desk/<assignment_id>")
@require("transcriber")
def clip(assignment_id: str) -> Reply:
    """One clip: its sound, its text, what the rules find."""
    here, me = site(), member()
    with reading(here.engine) as db:
        held = assignments.get(db, assignment_id, person_id=me.person_id, now_ms=here.clock_ms())
        data = as_json(db, held)
        project = projects.by_id(db, held.project_id)
        done = transcripts.of_assignment(db, held.id)
    if held.state in ("submitted", "released", "refused"):
        return render_template("closed.html", held=data, done=done, home="desk", tag=project.language)
    return render_template("task.html", held=data, say=spoken("js"), tag=project.language, home="desk")


def start_page(home: str, appeals: Sequence[Mapping[str, Any]] = ()) -> Reply:
    """The page of `home` (``desk`` or ``review``) before a clip is taken."""
    here, me = site(), member()
    now_ms = here.clock_ms()
    with reading(here.engine) as db:
        if terms.to_see(db, me):
            return redirect("/terms", 303)
        held = work.at_hand(db, person_id=me.person_id, now_ms=now_ms)
        waiting = work.waiting(
            db, person_id=me.person_id, project_id=me.project_id or "", role=me.role, now_ms=now_ms
        )
        project = None if me.project_id is None else projects.by_id(db, me.project_id)
        recent = work.history(db, person_id=me.person_id, limit=8, now_ms=now_ms)
    return render_template(
        "start.html", home=home, appeals=appeals, held=held, waiting=waiting, project=project, recent=recent
    )


def take_next(home: str) -> Reply:
    """Lease the next clip for the caller's role and go to its page, or back to the start."""
    here, me = site(), member()
    with begin(here.engine) as db:
        if terms.to_see(db, me):
            return redirect("/terms", 303)
        held = assignments.lease_next(
            db,
            assignment_id=here.random_hex(16),
            person_id=me.person_id,
            project_id=me.project_id or "",
            role=me.role,
            now_ms=here.clock_ms(),
        )
    return redirect(f"/{home}/{held.id}" if held else f"/{home}", 303)
