"""``/api/v1``: joining, the project, clips, one's own account, and the linter."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from flask import Blueprint, current_app

from corpus import keyring, limits, people, projects, prompts, rotation, statement, terms, withdrawal
from corpus.database import begin, reading
from web import bodies, limiting
from web.audit import kept_member
from web.auth import public, require
from web.context import Reply, member, site
from web.language import current
from web.openapi import describes, document
from web.problems import NotFound

bp = Blueprint("api", __name__)

_ATTRIBUTES = bodies.obj(
    {},
    {name: bodies.nullable(bodies.text(100)) for name in (*people.ATTRIBUTES, *people.PRIVATE_ATTRIBUTES)},
)
JOIN_IN = bodies.obj(
    {"invite": bodies.text(200)},
    {
        "display_name": bodies.nullable(bodies.text(100)),
        "attributes": bodies.nullable(_ATTRIBUTES),
        "consent": bodies.nullable(bodies.obj({"version": bodies.text(64), "yes": bodies.YES_NO})),
        "nonce": bodies.text(64, pattern="^[0-9a-f]{32,64}$"),
    },
)
JOINED = bodies.obj(
    {
        "token": bodies.text(),
        "person_id": bodies.text(),
        "role": bodies.text(),
        "project": bodies.nullable(bodies.text()),
        "speaker_id": bodies.nullable(bodies.text()),
    }
)
PROMPT = bodies.obj({"id": bodies.text(), "seq": bodies.WHOLE, "text": bodies.text()})
PROJECT = bodies.obj(
    {
        "project": bodies.text(),
        "title": bodies.text(),
        "language": bodies.text(),
        "orthography": bodies.text(),
        "profile": bodies.ANYTHING,
        "terms": bodies.ANYTHING,
        "consent": bodies.ANYTHING,
        "prompts": bodies.array(PROMPT),
        "person_id": bodies.text(),
        "role": bodies.text(),
        "speaker_id": bodies.nullable(bodies.text()),
        "max_clip_s": bodies.WHOLE,
    }
)
LINT_IN = bodies.obj(
    {"text": bodies.text(10_000), "ruleset": bodies.text(64)},
    {"speech_s": bodies.nullable({"type": "number", "minimum": 0}), "id": bodies.nullable(bodies.text(200))},
)
LINTED = bodies.obj(
    {
        "id": bodies.nullable(bodies.text()),
        "text": bodies.text(),
        "fixed": bodies.text(),
        "clean": bodies.YES_NO,
        "findings": bodies.array(bodies.ANYTHING),
        "events": bodies.array(bodies.ANYTHING),
    }
)
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")


@bp.post("/api/v1/join")
@public
@describes(
    "Exchanges an invitation for a token. A `nonce` of the client's own makes it repeatable.",
    body=JOIN_IN,
    answer=JOINED,
    status=201,
    errors=("INVITATION_INVALID", "CONSENT_REQUIRED", "VALUE_INVALID", "TOO_MANY_REQUESTS"),
)
def join() -> Reply:
    """Use an invitation; with a nonce the same request again gives the same answer."""
    body = bodies.json_body(JOIN_IN)
    invite = body["invite"].rpartition("/join/")[2]  # the whole link will do
    try:
        return _join(body, invite)
    except people.InvitationInvalid:  # only these are counted: a right one cannot be guessed
        limiting.take((limits.WRONG_INVITE, (limiting.address(),)))
        raise


def _join(body: Mapping[str, Any], invite: str) -> Reply:
    here = site()
    if not _SECRET.fullmatch(invite):
        raise people.InvitationInvalid()
    consent = body.get("consent") or {}
    nonce = body.get("nonce")
    token = people.derived_token(here.secret, invite, nonce or here.random_hex(16))
    now_ms = here.clock_ms()
    with begin(here.engine) as db:
        joined = people.accepted_before(db, invite, token) if nonce else None
        if joined is None:
            joined = people.accept(
                db,
                invite,
                random_hex=here.random_hex(32),
                name=people.display_name(body.get("display_name")),
                given_attributes=people.attributes(body.get("attributes") or {}),
                consent_version=consent.get("version") if consent.get("yes") else None,
                now_ms=now_ms,
            )
            people.add_token(
                db,
                token,
                joined.membership_id,
                kind="bearer",
                now_ms=now_ms,
                expires_ms=now_ms + 1000 * here.settings.token_expires_s,
                scopes=(*people.SCOPES[joined.role], people.SIGN_IN),
            )
    kept_member(joined)
    answer = {
        "token": token,
        "person_id": joined.person_id,
        "role": joined.role,
        "project": joined.project_id,
        "speaker_id": joined.speaker_id,
    }
    return answer, 201, {"Cache-Control": "no-store"}


@bp.get("/api/v1/project")
@require()
@describes("The caller's project: language, profile, terms, consent, prompts.", answer=PROJECT)
def project() -> Reply:
    """What a member must know before work."""
    from noise_profiles import profile

    me = member()
    if me.project_id is None:
        raise NotFound()
    with reading(site().engine) as db:
        found = projects.by_id(db, me.project_id)
        texts = prompts.for_member(db, me.project_id, me.speaker_id)
    return {
        "project": found.id,
        "title": found.title,
        "language": found.language,
        "orthography": found.orthography,
        "profile": profile.load()[found.profile_id].as_json(),
        "terms": terms.stored(found.terms).as_json(),
        "consent": dict(found.consent),
        "prompts": [p.as_json() for p in texts],
        "person_id": me.person_id,
        "role": me.role,
        "speaker_id": me.speaker_id,
        "max_clip_s": site().settings.max_clip_s,
    }


@bp.delete("/api/v1/me")
@require("speaker")
@describes(
    "Withdraws everything the caller gave: all their clips, and their consent.",
    answer=bodies.obj({"clips": bodies.WHOLE, "receipts": bodies.array(bodies.ANYTHING)}),
)
def withdraw_me() -> Reply:
    """Take everything back. The sign-in stays, so that the receipts can be fetched again."""
    here, me = site(), member()
    return withdrawal.of_person(here.custody, me.person_id).as_json()


@bp.get("/api/v1/me/statement")
@require()
@describes("The caller's account, computed from the ledger alone.", answer=bodies.ANYTHING)
def account() -> Reply:
    """Accepted, refused with reasons, payable."""
    me = member()
    with reading(site().engine) as db:
        return statement.of_person(db, me.person_id, current()), 200, {"Cache-Control": "private, no-store"}


@bp.get("/api/v1/me/record")
@require()
@describes(
    "The caller's signed record of work: a C2SP signed note, and the key that checks it.",
    answer=bodies.obj({"record": bodies.text(), "vkey": bodies.text()}),
)
def work_record() -> Reply:
    """What the caller did, signed, to be shown to others."""
    here = site()
    with reading(here.engine) as db:
        signer = keyring.current(db, here.signer)
        note = statement.record(db, member(), signer, now_ms=here.clock_ms())
    return {"record": note, "vkey": str(signer.verifier)}, 200, {"Cache-Control": "private, no-store"}


@bp.post("/api/v1/lint")
@require()
@describes("Checks one text against a ruleset.", body=LINT_IN, answer=LINTED, errors=("RULESET_UNKNOWN",))
def lint() -> Reply:
    """The same answer as the command's."""
    from transcribe import lint as engine

    body = bodies.json_body(LINT_IN)
    return engine.lint_json(
        body["text"], body["ruleset"], id=body.get("id"), speech_s=body.get("speech_s"), language=current()
    )


@bp.get("/api/v1/openapi.json")
@public
@describes("This description.", answer=bodies.ANYTHING)
def openapi() -> Reply:
    """The description, made from the routes."""
    return document(current_app, current_app.config["XIANGYIN_VERSION"])


@bp.get("/.well-known/xiangyin-keys.json")
@public
@describes(
    "Public keys that receipts and records are checked with, and the handovers from one to the next.",
    answer=bodies.ANYTHING,
)
def keys() -> Reply:
    """The log's verifier keys, proof of how one followed the other, and its newest signed head."""
    here = site()
    with reading(here.engine) as db:
        return rotation.published(db, here.signer), 200, {"Cache-Control": "no-store"}
