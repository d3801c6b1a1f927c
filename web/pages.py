"""The start page, joining by invitation, signing in and out, and what every page's head shows."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlencode, urlsplit

from flask import Blueprint, current_app, g, make_response, redirect, render_template, request

from corpus import limits, people, projects
from corpus.database import begin, reading
from corpus.people import Member
from corpus.terms import stored as stored_terms
from protocol.clip import Role
from protocol.errors import CodedError
from web import auth, limiting, terms
from web.account import OWN_PAGE, PassphraseWrong, by_passphrase
from web.audit import kept_member
from web.auth import public
from web.context import Reply, site
from web.language import current, t

bp = Blueprint("pages", __name__)

_NAV: dict[Role, tuple[tuple[str, str], ...]] = {
    "speaker": (("/me", "nav.me_speaker"), ("/account", "nav.account")),
    "transcriber": (("/desk", "nav.desk"), ("/me", "nav.me_work"), ("/account", "nav.account")),
    "reviewer": (("/review", "nav.review"), ("/me", "nav.me_work"), ("/account", "nav.account")),
    "operator": (("/operator", "nav.operator"), ("/releases", "nav.releases"), ("/account", "nav.account")),
    "consumer": (("/releases", "nav.releases"), ("/account", "nav.account")),
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
    return {"nav": nav, "here_in": _here_in}


def _here_in(tag: str) -> str:
    """The same page, with what it was asked, in another language."""
    kept = [(key, value) for key, value in request.args.items(multi=True) if key != "lang"]
    return f"{request.path}?{urlencode([*kept, ('lang', tag)])}"


@bp.get("/")
@public
def home() -> Reply:
    """What this is, and the way in."""
    said = t("home.signed_out") if "signed_out" in request.args else None
    return render_template("home.html", own_page=_own_page(g.member), said=said, said_bad=False)


@bp.post("/signin")
@public
def sign_in() -> Reply:
    """Take an invitation's link, a sign-in key, or code and passphrase. A link leads to its page."""
    code, given = request.form.get("code", "").strip(), request.form.get("key", "").strip()
    invite = _invite_in(given)
    if invite is not None:
        return redirect(f"/join/{invite}", 303)
    try:
        found = by_passphrase(_code(code), request.form.get("passphrase", "")) if code else _by_key(given)
    except PassphraseWrong as error:
        return _refused(error.sentence(current()))
    if found is None:
        return _refused(t("home.key_wrong"))
    with begin(site().engine) as db:
        secret = auth.start_session(db, found)
    kept_member(found)
    response = make_response(redirect(_own_page(found) or "/", 303))
    auth.set_cookie(response, secret)
    limiting.remember_device(response, people.sign_in_code(found.person_id))
    return response


def _by_key(key: str) -> Member | None:
    """Who a key belongs to; only wrong ones are counted, since a right one cannot be guessed."""
    here = site()
    with reading(here.engine) as db:
        found = people.by_token(db, key, now_ms=here.clock_ms(), kind="bearer")
    if found is None or not found.may(people.SIGN_IN):
        limiting.take((limits.SIGN_IN_ADDRESS, (limiting.address(),)))
        return None
    return found


def _code(given: str) -> str:
    """The code as it is stored, however it was typed."""
    return "P" + given[1:40].lower() if given[:1] in ("P", "p") else given[:40]


def _refused(said: str) -> Reply:
    return render_template("home.html", own_page=None, said=said, said_bad=True), 403


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
                    scopes=(*people.SCOPES[found.role], people.SIGN_IN),
                )
            session = auth.start_session(db, found)
    except people.InvitationInvalid:
        limiting.take((limits.WRONG_INVITE, (limiting.address(),)))
        raise
    except (people.ConsentRequired, people.AttributeInvalid) as error:
        return _join_page(invite, given=form, problem=error), error.http_status
    g.member = found
    kept_member(found)
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
