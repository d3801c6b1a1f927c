"""Limits at the door: who tries too often is asked to wait, and is never shut out.

Sign-in is counted by address, by account from unknown browsers, and by browser for one that this person
signed in from before: strangers who guess at an account empty a bucket that its owner does not need. A
try that was right is given back.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass

from flask import Flask, Response, g, request

from corpus import limits
from corpus.database import begin
from corpus.limits import Limit
from web import forwarded
from web.context import site

DEVICE_COOKIE = "xiangyin_device"
_DEVICE = re.compile(r"[0-9a-f]{32}\.[0-9a-f]{64}")
_YEAR_S = 365 * 24 * 60 * 60


@dataclass(frozen=True)
class Taken:
    """What one try took, to be given back if it was right."""

    buckets: tuple[tuple[str, Limit], ...]

    def give_back(self) -> None:
        """The try was right."""
        with begin(site().engine) as db:
            for name, limit in self.buckets:
                limits.give_back(db, name, limit)


def address() -> str:
    """The caller's address; of IPv6 the network, of which one household has all.

    What is no address counts as one caller, so that nobody spells themselves a fresh one.
    """
    text = forwarded.plain(request.remote_addr or "")
    return str(ipaddress.IPv6Network((text.partition("%")[0], 64), strict=False)) if ":" in text else text


def sign_in(code: str) -> Taken:
    """Count a try with a code and a passphrase."""
    nonce = _known_device(code)
    if nonce is not None:
        return take((limits.SIGN_IN_DEVICE, (nonce,)))
    return take((limits.SIGN_IN_ADDRESS, (address(),)), (limits.SIGN_IN_ACCOUNT, (code,)))


def take(*wanted: tuple[Limit, tuple[str, ...]]) -> Taken:
    """Take one out of each bucket, or out of none and raise `TooOften`."""
    here = site()
    named = tuple((limits.key(here.secret, limit, *who), limit) for limit, who in wanted)
    with begin(here.engine) as db:
        for name, limit in named:
            limits.take(db, name, limit, now_ms=here.clock_ms())
    return Taken(named)


def remember_device(response: Response, code: str) -> None:
    """Let this browser be known again as one that the person signed in from."""
    here = site()
    nonce = here.random_hex(16)
    response.set_cookie(
        DEVICE_COOKIE,
        f"{nonce}.{_tag(code, nonce)}",
        max_age=_YEAR_S,
        httponly=True,
        samesite="Lax",
        secure=request.is_secure or here.settings.public_url.startswith("https:"),
    )


def install(app: Flask) -> None:
    """Limit what an account may begin."""

    @app.before_request
    def count() -> None:
        found = g.get("member")
        if found is None or request.method != "POST":
            return
        limit = _BY_ACCOUNT.get(request.endpoint or "")
        if limit is not None:
            take((limit, (found.person_id,)))


_BY_ACCOUNT = {
    "account.make_token": limits.TOKEN_MADE,
    "account.new_token": limits.TOKEN_MADE,
    "account.make_link": limits.TOKEN_MADE,
    "account.set_passphrase": limits.TOKEN_MADE,
    "clips_api.appeal": limits.APPEAL,
    "me.appeal": limits.APPEAL,
}


def _known_device(code: str) -> str | None:
    given = request.cookies.get(DEVICE_COOKIE, "")
    if not _DEVICE.fullmatch(given):
        return None
    nonce, _, tag = given.partition(".")
    return nonce if hmac.compare_digest(tag, _tag(code, nonce)) else None


def _tag(code: str, nonce: str) -> str:
    text = f"device/{code}/{nonce}".encode("utf-8", "surrogatepass")
    return hmac.new(site().secret, text, hashlib.sha256).hexdigest()
