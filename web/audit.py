"""An audit entry for each play, download and decision that was answered.

One table says what is kept of which view, so that no view forgets. The entry is written after the view
and before the reply leaves: what cannot be noted is not sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flask import Flask, Response, g, request

from corpus import audit
from corpus.database import begin
from corpus.people import Member
from web.context import site


@dataclass(frozen=True)
class Kept:
    """What an answered view leaves: the action, and which of its address's parts it is about."""

    action: str
    about: str | None = None
    once_within_ms: int = 0


_BLOBS_MS = 10 * 60_000
_TOLD = 10_000

KEPT: Mapping[str, Kept] = {
    "clips_api.audio": Kept("listen", "clip_id", audit.LISTENING_MS),
    "clips_api.appeal": Kept("appeal", "clip_id"),
    "clips_api.withdraw_clip": Kept("withdraw", "clip_id"),
    "me.receipt": Kept("receipt", "clip_id"),
    "me.appeal": Kept("appeal", "clip_id"),
    "me.withdraw": Kept("withdraw", "clip_id"),
    "me.withdraw_all": Kept("withdraw-all"),
    "api.withdraw_me": Kept("withdraw-all"),
    "api.work_record": Kept("record"),
    "account.withdraw_session": Kept("withdraw-session", "session_id"),
    "account.take_session_back": Kept("withdraw-session", "session_id"),
    "account.make_token": Kept("token-made"),
    "account.new_token": Kept("token-made"),
    "account.revoke_token": Kept("token-revoked", "token_id"),
    "account.end_token": Kept("token-revoked", "token_id"),
    "account.make_link": Kept("link-made"),
    "account.set_passphrase": Kept("passphrase"),
    "account.entered": Kept("sign-in"),
    "pages.sign_in": Kept("sign-in"),
    "pages.sign_out": Kept("sign-out"),
    "pages.join": Kept("join"),
    "api.join": Kept("join"),
    "operator.invite": Kept("invite"),
    "assignments_api.submit": Kept("submit", "assignment_id"),
    "review.refuse": Kept("decide", "assignment_id"),
    "review.decide_appeal": Kept("decide-appeal", "clip_id"),
    "releases_pages.make_token": Kept("token-made"),
    "releases_pages.end_token": Kept("token-revoked", "token_id"),
    "releases_pages.play": Kept("listen", "clip_id", audit.LISTENING_MS),
    "releases.blob": Kept("download-sounds", None, _BLOBS_MS),
    "releases.file": Kept("download", "path", _BLOBS_MS),
}


def kept_member(found: Member) -> None:
    """Say who a public view found out the caller to be: joining and signing in begin with nobody."""
    g.audited = found


def install(app: Flask) -> None:
    """Keep the entries of `app`."""
    told: dict[tuple[str, str, str | None], int] = {}  # when what is kept once within a time was kept last

    @app.after_request
    def keep(response: Response) -> Response:
        what = KEPT.get(request.endpoint or "")
        who: Member | None = g.get("audited") or g.get("member")
        if what is None or who is None or response.status_code >= 400 or request.method == "HEAD":
            return response
        here = site()
        given = request.view_args or {}
        about = given.get(what.about) if what.about else None
        if what.action == "download":
            about = f"{given.get('name')}/{about}"
            if "/audio/" in about:
                what, about = KEPT["releases.blob"], None
        now_ms = here.clock_ms()
        key = (who.person_id, what.action, about)
        if what.once_within_ms and 0 <= now_ms - told.get(key, -(2**62)) < what.once_within_ms:
            return response  # a pull asks for thousands of sounds, and must not lock out who writes
        with begin(here.engine) as db:
            stands_ms = audit.note(
                db,
                what.action,
                about,
                person_id=who.person_id,
                role=who.role,
                project_id=who.project_id,
                now_ms=now_ms,
                once_within_ms=what.once_within_ms,
            )
        if what.once_within_ms:
            if len(told) >= _TOLD:
                told.clear()
            told[key] = stands_ms
        return response
