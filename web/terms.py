"""``/terms``: what was agreed, in every version; shown again before further work when it changes."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, render_template, request

from corpus import ledger, people, projects, terms
from corpus.database import Connection, begin, reading
from corpus.people import Member
from protocol.errors import sentence
from web import bodies
from web.auth import require
from web.context import Reply, member, site
from web.language import current
from web.openapi import describes
from web.problems import NotFound

bp = Blueprint("terms", __name__)

_HOME = {"speaker": "/me", "transcriber": "/desk", "reviewer": "/review", "consumer": "/releases"}


@bp.get("/terms")
@require("speaker", "transcriber", "reviewer", "consumer")
def page() -> Reply:
    """The terms in force, and what came before them."""
    return _page(member(), None)


@bp.get("/terms/<version>")
@require("speaker", "transcriber", "reviewer", "consumer")
def older(version: str) -> Reply:
    """One version, as a receipt names it."""
    return _page(member(), version)


@bp.post("/terms")
@require("speaker", "transcriber", "reviewer", "consumer")
def seen() -> Reply:
    """Keep that the caller has read the terms, and a speaker's yes to a new consent text."""
    here, me = site(), member()
    with begin(here.engine) as db:
        project = projects.by_id(db, me.project_id or "")
        if request.form.get("version") == project.terms["version"]:
            projects.saw_terms(db, me.membership_id, project.terms["version"])
        if me.role == "speaker" and request.form.get("consent") == project.consent["version"]:
            people.give_consent(db, me.person_id, project.id, now_ms=here.clock_ms())
    return redirect(_HOME.get(me.role, "/"), 303)


@bp.get("/api/v1/terms")
@require()
@describes("Every version of the terms of the caller's project, oldest first.", answer=bodies.ANYTHING)
def every() -> Reply:
    """Terms by version, with the time since when each was in force."""
    me = member()
    if me.project_id is None:
        raise NotFound()
    with reading(site().engine) as db:
        present, known = projects.by_id(db, me.project_id), _versions(db, me.project_id)
    return {"version": present.terms["version"], "versions": known}


def to_see(db: Connection, me: Member) -> bool:
    """Whether the caller must be shown new terms before they work on."""
    return projects.terms_to_see(db, me.membership_id) is not None


def told(found: terms.Terms) -> dict[str, Any]:
    """Terms as a page shows them: deadlines and rates, and each code with its sentence."""
    codes = [(code, sentence(code, current())) for code in found.codes]
    return {**found.as_json(), "codes": codes}


def _versions(db: Connection, project_id: str) -> list[dict[str, Any]]:
    present = projects.by_id(db, project_id)
    known = terms.versions(db, project_id, "terms") or [(present.terms, present.created_ms)]
    return [{**terms.stored(body).as_json(), "since": ledger.rfc3339(since)} for body, since in known]


def _page(me: Member, version: str | None) -> str:
    with reading(site().engine) as db:
        if me.project_id is None:
            raise NotFound()
        project = projects.by_id(db, me.project_id)
        found = terms.of_version(db, project.id, version or project.terms["version"])
        known = _versions(db, project.id)
        must = version is None and to_see(db, me)
        agreed = people.consent_id(db, me.person_id, project.id, project.consent["version"]) is not None
    return render_template(
        "terms.html",
        project=project,
        terms=told(found),
        known=known,
        must=must,
        consent=project.consent if me.role == "speaker" and version is None and not agreed else None,
    )
