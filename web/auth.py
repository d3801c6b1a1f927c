"""Who may ask for what: roles on every view, bearer tokens, browser sessions, defence against forgery.

Deny by default: `enforce` runs before every view and refuses one that declares nothing. Programs send
``Authorization: Bearer``; pages have a session cookie. A cookie alone never changes anything: an unsafe
request that was signed in by it must carry ``X-Xiangyin: 1``, which another site's page cannot send
without our consent, or a form's ``csrf`` field.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from flask import Flask, Response, current_app, g, request
from werkzeug.http import parse_cookie

from corpus import people
from corpus.database import Connection, reading
from corpus.people import Member
from protocol.clip import ROLES, Role
from protocol.errors import CodedError
from web.context import site

if TYPE_CHECKING:
    from web.context import Site

COOKIE = "xiangyin_session"
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_BELIEVED_MS, _BELIEVED = 60_000, 10_000
View = TypeVar("View", bound=Callable[..., Any])


class NotSignedIn(CodedError):
    """Nobody known asks."""

    code: ClassVar[str] = "NOT_SIGNED_IN"


class NotAllowed(CodedError):
    """Somebody known asks for what their role may not do."""

    code: ClassVar[str] = "NOT_ALLOWED"


class ForgerySuspected(CodedError):
    """A cookie came without the proof that our own page sent the request."""

    code: ClassVar[str] = "FORGERY_SUSPECTED"


def require(*roles: Role) -> Callable[[View], View]:
    """Let members of these roles in; no role named means every member."""
    for role in roles:
        if role not in ROLES:
            raise ValueError(f"no such role: {role}")

    def mark(view: View) -> View:
        view.__dict__["xiangyin_roles"] = frozenset(roles or ROLES)
        return view

    return mark


def public(view: View) -> View:
    """Let everyone in. `g.member` is who they are, or None."""
    view.__dict__["xiangyin_roles"] = None
    return view


def roles_of(view: Callable[..., Any]) -> frozenset[str] | None:
    """The roles that a view lets in, None for a public one; a view that declares nothing lets none in."""
    return cast("frozenset[str] | None", view.__dict__.get("xiangyin_roles", frozenset()))


def enforce() -> None:
    """Before every view: find out who asks, and whether they may."""
    g.member = None
    g.by_cookie = False
    if request.url_rule is None or request.endpoint is None:
        return  # the answer is 404 or 405
    roles = roles_of(current_app.view_functions[request.endpoint])
    if request.endpoint == "static":
        roles = None
    _recognise()
    if roles is not None and g.member is None:
        raise NotSignedIn()
    if request.method not in SAFE_METHODS and not _from_our_page():
        raise ForgerySuspected()
    if roles is not None and (g.member.role not in roles or not _reaches(g.member, request.endpoint)):
        raise NotAllowed()


def _reaches(found: Member, endpoint: str) -> bool:
    """Whether the token's scopes go as far as this view; one that no line here names needs a full sign-in."""
    if found.scopes is None:
        return True
    blueprint = endpoint.partition(".")[0]
    wanted = _SCOPES.get(endpoint) or _SCOPES.get(blueprint) or (people.SIGN_IN,)
    return not wanted[0] or not found.scopes.isdisjoint(wanted)


_HEARING = ("own", "desk", "review", "operate")
_SCOPES: dict[str, tuple[str, ...]] = {
    "uploads": ("upload",),
    "releases": ("read-releases",),
    "releases_pages": ("read-releases",),
    "releases_pages.make_token": (people.SIGN_IN,),
    "releases_pages.end_token": (people.SIGN_IN,),
    "assignments_api": ("desk", "review"),
    "desk": ("desk",),
    "review": ("review",),
    "operator": ("operate",),
    "clips_api": _HEARING,
    "clips_api.show_clip": ("upload", *_HEARING),
    "me": _HEARING,
    "api": ("",),  # any token of a member: the project, the account, the linter
    "api.withdraw_me": ("own",),
    "account.withdraw_session": ("own",),
    "account.take_session_back": ("own",),
    "account.heard": ("own",),
    "account.audit_entries": ("operate",),
    "account.audit_page": ("operate",),
}


def csrf_token() -> str:
    """The value of a form's hidden field ``csrf``."""
    found: Member | None = g.get("member")
    return (found.csrf or "") if found is not None else ""


def start_session(db: Connection, member: Member) -> str:
    """A new session for a member who just proved who they are; give the result to `set_cookie`.

    The session that the browser had before ends: an id from before a sign-in opens nothing after it.
    """
    here = site()
    if g.get("by_cookie"):
        people.revoke(db, g.member.token_hash, now_ms=here.clock_ms())
    secret = "xy_" + here.random_hex(32)
    now_ms = here.clock_ms()
    people.add_token(
        db,
        secret,
        member.membership_id,
        kind="session",
        now_ms=now_ms,
        expires_ms=now_ms + 1000 * here.settings.session_expires_s,
        csrf=here.random_hex(16),
    )
    return secret


def set_cookie(response: Response, secret: str) -> None:
    """Send the session's cookie."""
    here = site()
    response.set_cookie(
        COOKIE,
        secret,
        max_age=here.settings.session_expires_s,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure or here.settings.public_url.startswith("https:"),
    )


def end_session(db: Connection, response: Response) -> None:
    """Sign out: the token is revoked and the cookie removed."""
    found: Member | None = g.get("member")
    if found is not None and g.by_cookie:
        people.revoke(db, found.token_hash, now_ms=site().clock_ms())
    response.delete_cookie(COOKIE, httponly=True, samesite="Lax")


def install(app: Flask) -> None:
    """Guard every view of `app`."""
    app.before_request(enforce)
    app.jinja_env.globals["csrf_token"] = csrf_token


def at_the_door(here: Site) -> Callable[[Mapping[str, str]], str | None]:
    """The person whom headers name, for a server that must know before it takes a body in.

    It is asked in the thread that all connections share, so a good token is believed for a minute: an
    upload of many pieces costs one question. The view asks anew, of the database alone.
    """
    believed: dict[str, tuple[int, str]] = {}  # until when, and whose it is, by the token's hash

    def known(headers: Mapping[str, str]) -> str | None:
        scheme, _, secret = headers.get("AUTHORIZATION", "").partition(" ")
        kind: people.TokenKind = "bearer"
        if not scheme:
            secret, kind = parse_cookie(headers.get("COOKIE", "")).get(COOKIE, ""), "session"
        elif scheme.lower() != "bearer":
            return None
        now_ms, name = here.clock_ms(), people.hashed(secret.strip())
        until_ms, person_id = believed.get(name, (0, ""))
        if until_ms > now_ms:
            return person_id
        try:
            with reading(here.engine) as db:
                found = people.by_token(db, secret.strip(), now_ms=now_ms, kind=kind)
        except CodedError:
            return None  # the view says what is wrong with the database
        if found is None:
            return None
        if len(believed) >= _BELIEVED:
            believed.clear()
        believed[name] = now_ms + _BELIEVED_MS, found.person_id
        return found.person_id

    return known


def _recognise() -> None:
    header = request.headers.get("Authorization", "")
    scheme, _, bearer = header.partition(" ")
    cookie = request.cookies.get(COOKIE, "")
    if not header and not cookie:
        return
    here = site()
    with reading(here.engine) as db:
        if header:  # a program that names a token is never let in by a cookie instead
            if scheme.lower() == "bearer":
                g.member = people.by_token(db, bearer.strip(), now_ms=here.clock_ms(), kind="bearer")
        else:
            g.member = people.by_token(db, cookie, now_ms=here.clock_ms(), kind="session")
            g.by_cookie = g.member is not None


def _from_our_page() -> bool:
    """Whether our own page or a program sent this; another site's page must not even sign somebody in."""
    if "Authorization" in request.headers:
        return True
    if request.headers.get("Sec-Fetch-Site", "same-origin") not in ("same-origin", "none"):
        return False
    if not g.by_cookie:
        return True
    if request.headers.get("X-Xiangyin") == "1":
        return True
    sent = request.form.get("csrf", "") if request.mimetype in _FORMS else ""
    found: Member = g.member
    return bool(found.csrf) and hmac.compare_digest(sent.encode(), str(found.csrf).encode())


_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
