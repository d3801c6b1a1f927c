"""The start page, joining by invitation, signing in and out, and what every page's head shows."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from flask import Blueprint, current_app, g, make_response, redirect, render_template, request

from corpus import people, projects
from corpus.database import begin, reading
from corpus.people import Member
from corpus.terms import stored as stored_terms
from protocol.clip import Role
from protocol.errors import CodedError
from web import auth, terms
from web.auth import public
from web.context import Reply, site
from web.language import current, t

bp = Blueprint("pages", __name__)

OWN_PAGE: dict[Role, str] = {
    "speaker": "/me",
    "transcriber": "/desk",
    "reviewer": "/review",
    "operator": "/operator",
    "consumer": "/releases",
}
_NAV: dict[Role, tuple[tuple[str, str], ...]] = {
    "speaker": (("/me", "nav.me_speaker"),),
    "transcriber": (("/desk", "nav.desk"), ("/me", "nav.me_work")),
    "reviewer": (("/review", "nav.review"), ("/me", "nav.me_work")),
    "operator": (("/operator", "nav.operator"), ("/releases", "nav.releases")),
    "consumer": (("/releases", "nav.releases"),),
}
_NONCE = re.compile(r"[0-9a-f]{32,64}")
AGE_BANDS = ("18-29", "30-39", "40-49", "50-59", "60-69", "70-79", "80+")


@bp.app_context_processor
def _head() -> dict[str, Any]:
    found: Member | None = g.get("member")
    nav = [
        {"href": href, "key": key, "here": request.path == href or request.path.startswith(href + "/")}
        for href, key in (_NAV[found.role] if found is not None else ())
    ]
    return {"nav": nav, "here_in": lambda tag: f"{request.path}?lang={tag}"}


@bp.get("/")
@public
def home() -> Reply:
    """What this is, and the way in."""
    said = t("home.signed_out") if "signed_out" in request.args else None
    return render_template("home.html", own_page=_own_page(g.member), said=said, said_bad=False)


@bp.post("/signin")
@public
def sign_in() -> Reply:
    """Take an invitation's link or a sign-in key. A key opens a session; a link leads to its page."""
    given = request.form.get("key", "").strip()
    invite = _invite_in(given)
    if invite is not None:
        return redirect(f"/join/{invite}", 303)
    here = site()
    with begin(here.engine) as db:
        found = people.by_token(db, given, now_ms=here.clock_ms(), kind="bearer")
        secret = None if found is None else auth.start_session(db, found)
    if found is None or secret is None:
        page = render_template("home.html", own_page=None, said=t("home.key_wrong"), said_bad=True)
        return page, 403
    response = make_response(redirect(_own_page(found) or "/", 303))
    auth.set_cookie(response, secret)
    return response


@bp.post("/signout")
@public
def sign_out() -> Reply:
    """End this browser's session."""
    response = make_response(redirect("/?signed_out", 303))
    with begin(site().engine) as db:
        auth.end_session(db, response)
    response.headers["Clear-Site-Data"] = '"cache"'  # drafts in the browser's storage stay
    return response


@bp.get("/join/<invite>")
@public
def invitation(invite: str) -> Reply:
    """What an invitation is for; looking uses nothing up."""
    return _join_page(invite, given={}, problem=None)


@bp.post("/join/<invite>")
@public
def join(invite: str) -> Reply:
    """Use an invitation: a session for this browser, and a key shown once.

    The page carries a random nonce, so that sending the form again after a lost answer gives the
    same key and not a used-up invitation.
    """
    here = site()
    form = request.form
    nonce = form.get("nonce", "")
    if not _NONCE.fullmatch(nonce):  # a nonce that others could guess would give them this person's key
        nonce = here.random_hex(16)
    key = people.derived_token(here.secret, invite, nonce)
    now_ms = here.clock_ms()
    try:
        with begin(here.engine) as db:
            found = people.accepted_before(db, invite, key)
            if found is None:
                found = people.accept(
                    db,
                    invite,
                    random_hex=here.random_hex(32),
                    name=people.display_name(form.get("display_name")),
                    given_attributes=people.attributes(
                        {name: form[name] for name in people.ATTRIBUTES if name in form}
                    ),
                    consent_version=form.get("consent"),
                    now_ms=now_ms,
                )
                people.add_token(
                    db,
                    key,
                    found.membership_id,
                    kind="bearer",
                    now_ms=now_ms,
                    expires_ms=now_ms + 1000 * here.settings.token_expires_s,
                )
            session = auth.start_session(db, found)
    except (people.ConsentRequired, people.AttributeInvalid) as error:
        return _join_page(invite, given=form, problem=error), error.http_status
    g.member = found
    response = make_response(render_template("welcome.html", key=key, own_page=_own_page(found)))
    auth.set_cookie(response, session)
    return response


def _join_page(invite: str, *, given: Any, problem: CodedError | None) -> str:
    here = site()
    with reading(here.engine) as db:
        project_id, role = people.invited(db, invite, now_ms=here.clock_ms())
        project = None if project_id is None else projects.by_id(db, project_id)
    return render_template(
        "join.html",
        title=t("join.server") if project is None else project.title,
        role=role,
        terms=project and terms.told(stored_terms(project.terms)),
        consent=project and project.consent,
        ages=AGE_BANDS,
        given=given,
        nonce=given.get("nonce") or here.random_hex(16),
        problem=problem and problem.sentence(current()),
    )


def _invite_in(given: str) -> str | None:
    """The secret in an invitation's link, or None where the text is no such link."""
    try:
        path = urlsplit(given).path
    except ValueError:  # as for http://[
        return None
    return path.rpartition("/join/")[2] if "/join/" in path else None


def _own_page(found: Member | None) -> str | None:
    if found is None:
        return None
    page = OWN_PAGE[found.role]
    return page if any(rule.rule == page for rule in current_app.url_map.iter_rules()) else None
