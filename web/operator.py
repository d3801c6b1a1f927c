"""``/operator``: how the projects stand, in figures and small pictures; new invitations."""

from __future__ import annotations

from flask import Blueprint, render_template, request

from corpus import overview, people, projects
from corpus.database import begin, reading
from protocol.clip import ROLES
from web.auth import require
from web.bodies import Schema, check, text
from web.context import Reply, member, site

bp = Blueprint("operator", __name__)

_ROLE: Schema = {"type": "string", "enum": list(ROLES)}
_STAGES = ("first", "second", "review", "done")


@bp.get("/operator")
@require("operator")
def page() -> Reply:
    """The overview of one project, or of the first there is."""
    return _page(new_link=None)


@bp.post("/operator/invite")
@require("operator")
def invite() -> Reply:
    """Make one invitation and show its link, once."""
    here, me = site(), member()
    role, slug = request.form.get("role", ""), request.form.get("project", "")
    check(_ROLE, role, "role")
    check(text(63), slug, "project")
    secret = here.random_hex(32)
    now_ms = here.clock_ms()
    with begin(here.engine) as db:
        project = _mine(projects.by_id(db, slug), me.project_id)
        people.invite(
            db,
            secret,
            project_id=project.id,
            role=next(known for known in ROLES if known == role),
            now_ms=now_ms,
            expires_ms=now_ms + 1000 * here.settings.invitation_expires_s,
        )
    base = here.settings.public_url.rstrip("/") or request.host_url.rstrip("/")
    return _page(new_link={"url": f"{base}/join/{secret}", "role": role})


def _page(new_link: dict[str, str] | None) -> str:
    here, me = site(), member()
    wanted = request.values.get("project")
    with reading(here.engine) as db:
        known = [p for p in projects.every(db) if me.project_id in (None, p.id)]
        chosen = next((p for p in known if p.id == wanted), known[0] if known else None)
        shown = None if chosen is None else overview.of_project(db, chosen.id)
    return render_template(
        "operator.html",
        projects=known,
        project=chosen,
        shown=shown,
        stages=_STAGES,
        roles=[role for role in ROLES if role != "operator"],
        new_link=new_link,
    )


def _mine(project: projects.Project, project_id: str | None) -> projects.Project:
    if project_id not in (None, project.id):
        raise projects.ProjectUnknown(project=project.id)
    return project
