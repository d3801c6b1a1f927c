"""Joining a project: an invitation becomes a membership. Repeatable, also after a lost answer."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeGuard

from protocol.clip import ROLES, Consent
from protocol.errors import CodedError, Language
from protocol.keyring import Ring
from recorder import agreeing, credentials, durable, keychain
from recorder.api import Api, ServerAnswerUnexpected, ServerRefused
from recorder.credentials import Membership

_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
ATTRIBUTES = ("gender", "age_band", "region", "native_language", "dialect")


class ConsentNotGiven(CodedError):
    """The speaker said no."""

    code = "CONSENT_NOT_GIVEN"


@dataclass(frozen=True)
class ConsentText:
    """What a speaker is asked to agree to, before anything of theirs is sent."""

    project: str
    title: str
    version: str
    text: str
    license: str


Agree = Callable[[ConsentText], Mapping[str, str] | None]
"""Shows the text; gives the speaker's attributes, or None for no."""


def join(
    url: str,
    folder: Path,
    agree: Agree,
    *,
    new_nonce: Callable[[], str],
    now_utc: Callable[[], str],
    language: Language,
    display_name: str | None = None,
) -> tuple[Membership, Path]:
    """Exchange an invitation for a membership kept in `folder`.

    Raises
    ------
    InvitationLinkInvalid, ServerRefused, ServerUnreachable
        If the link is none, the invitation was used, or the server cannot be reached.
    ConsentNotGiven
        If the speaker did not agree.
    """
    server, secret = credentials.parse_invitation(url)
    api = Api(server, language=language)
    pending = folder / "pending" / f"{hashlib.sha256(f'{server} {secret}'.encode()).hexdigest()[:32]}.json"
    body: dict[str, Any] = {"invite": secret, "nonce": _nonce(pending, new_nonce)}
    if display_name:
        body["display_name"] = display_name
    consent: Consent | None = None
    try:
        joined = api.post("/api/v1/join", body)
    except ServerRefused as error:
        if error.parameters["reason"] != "CONSENT_REQUIRED":
            raise
        asked = _consent_text(api, error)
        attributes = agree(asked)
        if attributes is None:
            raise ConsentNotGiven() from None
        consent = Consent(asked.version, now_utc())
        body["consent"] = {"version": asked.version, "yes": True}
        body["attributes"] = {key: value for key, value in attributes.items() if value}
        joined = api.post("/api/v1/join", body)
    membership = _membership(api, joined, consent, now_utc(), language)
    path = credentials.save(folder, membership)
    pending.unlink(missing_ok=True)
    return membership, path


def refreshed(membership: Membership, language: Language) -> Membership:
    """The membership with the project as the server tells it now."""
    api = Api(membership.server, membership.token, language)
    return replace(membership, project_json=api.get("/api/v1/project"))


def _membership(
    api: Api, joined: Mapping[str, Any], consent: Consent | None, now: str, language: Language
) -> Membership:
    role, person_id, token = (joined.get(key) for key in ("role", "person_id", "token"))
    project = joined.get("project") or ""
    if role not in ROLES or not _is_name(person_id) or not _is_name(token) or not isinstance(project, str):
        raise ServerAnswerUnexpected(server=api.server, problem="it names no role, person or token")
    ring = keychain.asked(api, Ring())
    known = Api(api.server, token, language).get("/api/v1/project") if project else {}
    if role == "speaker" and consent is None:  # the answer to an earlier yes was lost on its way
        text = known.get("consent")
        consent = Consent(str(text.get("version", "")) if isinstance(text, dict) else "", now)
    made = Membership(
        name=credentials.membership_name(project or "server", role, person_id),
        server=api.server,
        project=project,
        role=role,
        person_id=person_id,
        token=token,
        vkeys=(),
        joined_at=now,
        consent=consent,
        project_json=known,
    )
    return agreeing.agreed(made.trusting(ring))


def _is_name(value: object) -> TypeGuard[str]:
    """Whether this can stand in a file's name and in a header."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _nonce(pending: Path, new_nonce: Callable[[], str]) -> str:
    """The same nonce for the same invitation until it is answered."""
    try:
        return str(json.loads(pending.read_bytes())["nonce"])
    except (OSError, ValueError, KeyError):
        nonce = new_nonce()
        durable.make_folder(pending.parent)
        durable.write_json(pending, {"nonce": nonce})
        return nonce


def _consent_text(api: Api, error: ServerRefused) -> ConsentText:
    said = error.parameters["parameters"]
    text = said.get("text") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(text, dict) or not text.get("text"):
        raise ServerAnswerUnexpected(server=api.server, problem="it asks for a consent without its text")
    return ConsentText(
        project=str(said.get("project", "")),
        title=str(said.get("project_title", "")),
        version=str(text.get("version", "")),
        text=str(text["text"]),
        license=str(text.get("license", "")),
    )
