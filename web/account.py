"""``/account``: passphrase, tokens, sessions, who listened; links that sign in once; the audit."""

from __future__ import annotations

from typing import Any, ClassVar

from flask import Blueprint, make_response, redirect, render_template, request

from corpus import audit, clips, passphrases, people, withdrawal
from corpus.database import begin, reading
from corpus.ledger import rfc3339
from corpus.people import Member
from protocol.clip import Role
from protocol.errors import CodedError
from web import auth, bodies, limiting, tokens
from web.audit import kept_member
from web.auth import public, require
from web.context import Reply, member, site
from web.language import current
from web.openapi import describes

bp = Blueprint("account", __name__)

_LINK_MS = 15 * 60_000
_ENTRIES = 200
OWN_PAGE: dict[Role, str] = {
    "speaker": "/me",
    "transcriber": "/desk",
    "reviewer": "/review",
    "operator": "/operator",
    "consumer": "/releases",
}

TOKEN = bodies.obj(
    {
        "id": bodies.text(),
        "kind": bodies.text(),
        "label": bodies.nullable(bodies.text()),
        "scopes": bodies.array(bodies.text()),
        "created_at": bodies.text(),
        "expires_at": bodies.text(),
        "this": bodies.YES_NO,
    }
)
TOKEN_IN = bodies.obj(
    {"scopes": bodies.array(bodies.text(32))},
    {
        "label": bodies.nullable(bodies.text(60)),
        "days": {"type": "integer", "minimum": 1, "maximum": 366},
        "nonce": bodies.text(64, pattern="^[0-9a-f]{32,64}$"),
    },
)
WITHDRAWN = bodies.obj({"clips": bodies.WHOLE, "receipts": bodies.array(bodies.ANYTHING)})
ENTRY = bodies.obj(
    {
        "id": bodies.WHOLE,
        "time": bodies.text(),
        "person_id": bodies.nullable(bodies.text()),
        "role": bodies.nullable(bodies.text()),
        "project": bodies.nullable(bodies.text()),
        "action": bodies.text(),
        "object": bodies.nullable(bodies.text()),
    }
)


class PassphraseWrong(CodedError):
    """Code and passphrase do not fit; which of the two is not said."""

    code: ClassVar[str] = "PASSPHRASE_WRONG"


def by_passphrase(code: str, passphrase: str) -> Member:
    """Who signs in with code and passphrase; an unknown code takes as long as a wrong passphrase.

    Raises
    ------
    PassphraseWrong, TooOften
        If they do not fit, or were tried too often.
    """
    here = site()
    taken = limiting.sign_in(code)
    with reading(here.engine) as db:
        found = people.by_code(db, code)
    fits = passphrases.fits(passphrase, None if found is None else found[1])
    if found is None or not fits:
        raise PassphraseWrong()
    taken.give_back()
    if passphrases.is_outdated(found[1]):
        _store(found[0].person_id, passphrase)
    return found[0]


@bp.get("/account")
@require()
def page() -> Reply:
    """Passphrase, tokens, sessions, and who listened."""
    return _page()


@bp.post("/account/passphrase")
@require()
def set_passphrase() -> Reply:
    """Set or change the passphrase; every other browser is signed out by it."""
    here, me = site(), member()
    form = request.form
    wanted = form.get("passphrase", "")
    with reading(here.engine) as db:
        stored = people.passphrase_of(db, me.person_id)
    if stored is not None and not passphrases.fits(form.get("current", ""), stored):
        return _page(problem=PassphraseWrong()), 403
    if wanted != form.get("again", ""):
        return _page(said="account.differ"), 422
    try:
        passphrases.check_strength(wanted, (people.sign_in_code(me.person_id), me.display_name or ""))
    except passphrases.PassphraseWeak as error:
        return _page(problem=error), error.http_status
    _store(me.person_id, wanted)
    with begin(here.engine) as db:
        people.revoke_others(db, me.person_id, me.token_hash, now_ms=here.clock_ms())
    response = make_response(redirect("/account?said=passphrase", 303))
    limiting.remember_device(response, people.sign_in_code(me.person_id))
    return response


@bp.post("/account/tokens")
@require()
def new_token() -> Reply:
    """Make a token and show it, once."""
    form = request.form
    bodies.check(bodies.text(60), form.get("label", ""), "label")
    days = form.get("days", "90")
    bodies.check({"type": "string", "pattern": "[1-9][0-9]{0,2}"}, days, "days")
    token, _ = tokens.make(form.getlist("scopes"), form.get("label") or None, min(int(days), 366), None)
    return _page(token=token), 201


@bp.post("/account/tokens/<token_id>/revoke")
@require()
def end_token(token_id: str) -> Reply:
    """End a token or a session."""
    tokens.end(token_id)
    return redirect("/account?said=revoked", 303)


@bp.post("/account/sessions/<session_id>/withdraw")
@require("speaker")
def take_session_back(session_id: str) -> Reply:
    """Take one recording session back."""
    _withdraw_session(session_id)
    return redirect("/account?said=withdrawn", 303)


@bp.get("/enter/<secret>")
@public
def enter(secret: str) -> Reply:
    """A page with one button: looking at a link, as mail programs do, uses nothing up."""
    return render_template("enter.html")


@bp.post("/enter/<secret>")
@public
def entered(secret: str) -> Reply:
    """Sign this browser in; the link is used up."""
    here = site()
    now_ms = here.clock_ms()
    with begin(here.engine) as db:
        found = people.by_token(db, secret, now_ms=now_ms, kind="link")
        if found is None:
            raise people.InvitationInvalid()
        people.revoke(db, found.token_hash, now_ms=now_ms)
        session = auth.start_session(db, found)
    kept_member(found)
    response = make_response(redirect(OWN_PAGE[found.role], 303))
    auth.set_cookie(response, session)
    return response


@bp.get("/api/v1/me/tokens")
@require()
@describes("The caller's tokens and sessions.", answer=bodies.obj({"tokens": bodies.array(TOKEN)}))
def list_tokens() -> Reply:
    """What opens something in the caller's name."""
    return {"tokens": tokens.listed()}, 200, {"Cache-Control": "private, no-store"}


@bp.post("/api/v1/me/tokens")
@require()
@describes(
    "Makes a token with some of the caller's scopes. A `nonce` of the client's own makes it repeatable.",
    body=TOKEN_IN,
    answer=bodies.obj({"token": bodies.text(), "id": bodies.text(), "scopes": bodies.array(bodies.text())}),
    status=201,
    errors=("SCOPE_INVALID", "TOO_MANY_REQUESTS"),
)
def make_token() -> Reply:
    """A token, shown once."""
    body = bodies.json_body(TOKEN_IN)
    token, token_id = tokens.make(body["scopes"], body.get("label"), body.get("days", 90), body.get("nonce"))
    answer = {"token": token, "id": token_id, "scopes": sorted(set(body["scopes"]))}
    return answer, 201, {"Cache-Control": "no-store"}


@bp.delete("/api/v1/me/tokens/<token_id>")
@require()
@describes("Ends a token or a session of the caller's.", status=204, errors=("NOT_FOUND",))
def revoke_token(token_id: str) -> Reply:
    """End it; ending it twice is ending it once."""
    tokens.end(token_id)
    return "", 204


@bp.post("/api/v1/me/link")
@require()
@describes(
    "Makes a link that signs a browser in once, within fifteen minutes.",
    answer=bodies.obj({"url": bodies.text(), "expires_at": bodies.text()}),
    status=201,
    errors=("TOO_MANY_REQUESTS",),
)
def make_link() -> Reply:
    """The way from the recorder to the pages."""
    here, me = site(), member()
    secret = here.random_hex(32)
    now_ms = here.clock_ms()
    with begin(here.engine) as db:
        people.add_token(
            db, secret, me.membership_id, kind="link", now_ms=now_ms, expires_ms=now_ms + _LINK_MS
        )
    base = here.settings.public_url.rstrip("/") or request.host_url.rstrip("/")
    answer = {"url": f"{base}/enter/{secret}", "expires_at": rfc3339(now_ms + _LINK_MS)}
    return answer, 201, {"Cache-Control": "no-store"}


@bp.delete("/api/v1/me/sessions/<session_id>")
@require("speaker")
@describes(
    "Withdraws every clip of a recording session of the caller's.", answer=WITHDRAWN, errors=("NOT_FOUND",)
)
def withdraw_session(session_id: str) -> Reply:
    """Take one session back."""
    return _withdraw_session(session_id).as_json()


@bp.get("/api/v1/me/heard")
@require("speaker")
@describes(
    "Who listened to the caller's clips: in which role, how often, when last.",
    answer=bodies.obj({"heard": bodies.array(bodies.ANYTHING)}),
)
def heard() -> Reply:
    """By role, never by name."""
    with reading(site().engine) as db:
        rows = audit.heard(db, member().person_id)
    return (
        {
            "heard": [
                {"clip_id": clip_id, "role": role, "times": times, "last": rfc3339(last_ms)}
                for clip_id, role, times, last_ms in rows
            ]
        },
        200,
        {"Cache-Control": "private, no-store"},
    )


@bp.get("/api/v1/audit")
@require("operator")
@describes(
    "Who did what: plays, downloads, decisions, tokens, sign-ins; the newest first.",
    answer=bodies.obj({"entries": bodies.array(ENTRY)}),
    query={"before": "only entries with a smaller id", "action": "only this action"},
)
def audit_entries() -> Reply:
    """At most 200 at a time."""
    return {"entries": _entries()}, 200, {"Cache-Control": "private, no-store"}


@bp.get("/operator/audit")
@require("operator")
def audit_page() -> Reply:
    """The audit for the operator's eyes."""
    return render_template("audit.html", entries=_entries())


def _page(problem: CodedError | None = None, token: str | None = None, said: str | None = None) -> str:
    me = member()
    with reading(site().engine) as db:
        has_passphrase = people.passphrase_of(db, me.person_id) is not None
        listened = audit.heard(db, me.person_id) if me.role == "speaker" else ()
        mine = clips.of_person(db, me.person_id) if me.role == "speaker" else ()
    told = {"passphrase", "revoked", "withdrawn"} & {request.args.get("said", "")}
    sessions: dict[str, int] = {}
    for clip in mine:
        if clip.state != "withdrawn":
            sessions[clip.session_id] = sessions.get(clip.session_id, 0) + 1
    return render_template(
        "account.html",
        code=people.sign_in_code(me.person_id),
        has_passphrase=has_passphrase,
        tokens=tokens.listed(),
        scopes=people.SCOPES[me.role],
        heard=[(c, role, times, rfc3339(last)) for c, role, times, last in listened],
        sessions=sessions,
        token=token,
        problem=None if problem is None else problem.sentence(current()),
        said=said or (f"account.said_{told.pop()}" if told else None),
        least=passphrases.LEAST_CHARACTERS,
    )


def _store(person_id: str, passphrase: str) -> None:
    here = site()
    stored = passphrases.hashed(passphrase, bytes.fromhex(here.random_hex(16)))
    with begin(here.engine) as db:
        people.set_passphrase(db, person_id, stored, now_ms=here.clock_ms())


def _withdraw_session(session_id: str) -> withdrawal.Withdrawn:
    done = withdrawal.of_session(site().custody, session_id, member().person_id)
    if done.clips == 0:
        raise clips.ClipNotFound()
    return done


def _entries() -> list[dict[str, Any]]:
    before, action = request.args.get("before"), request.args.get("action")
    bodies.check({"type": "string", "pattern": "[0-9]{0,15}"}, before or "", "before")
    with reading(site().engine) as db:
        return audit.entries(
            db,
            project_id=member().project_id,
            action=action or None,
            before=int(before) if before else None,
            limit=_ENTRIES,
        )
