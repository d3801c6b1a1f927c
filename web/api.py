"""``/api/v1``: joining, the project, clips, one's own account, and the linter."""

from __future__ import annotations

import re

from flask import Blueprint, current_app, request, send_file

from corpus import clips, ledger, people, projects, review, statement, withdrawal
from corpus.clips import Clip, ClipNotFound
from corpus.database import begin, reading
from protocol.clip import Receipt
from web import bodies
from web.auth import public, require
from web.context import Reply, Site, member, site
from web.language import current
from web.openapi import describes, document
from web.problems import NotFound, RequestInvalid

bp = Blueprint("api", __name__)

_ATTRIBUTES = bodies.obj({}, {name: bodies.nullable(bodies.text(100)) for name in people.ATTRIBUTES})
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
CLIP = bodies.obj(
    {
        "clip_id": bodies.text(),
        "state": bodies.text(),
        "grade": bodies.nullable(bodies.text()),
        "measurement": bodies.nullable(bodies.ANYTHING),
        "verdict": bodies.nullable(bodies.text()),
        "findings": bodies.array(bodies.ANYTHING),
        "receipt": bodies.nullable(bodies.ANYTHING),
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
    }
)
APPEAL_IN = bodies.obj({"reason": bodies.text(2000, minLength=1)})
CLIP_ID = "<string(length=36):clip_id>"
_SECRET = re.compile(r"[A-Za-z0-9_-]{16,128}")


@bp.post("/api/v1/join")
@public
@describes(
    "Exchanges an invitation for a token. A `nonce` of the client's own makes it repeatable.",
    body=JOIN_IN,
    answer=JOINED,
    status=201,
    errors=("INVITATION_INVALID", "CONSENT_REQUIRED", "VALUE_INVALID"),
)
def join() -> Reply:
    """Use an invitation; with a nonce the same request again gives the same answer."""
    body = bodies.json_body(JOIN_IN)
    here = site()
    invite = body["invite"].rpartition("/join/")[2]  # the whole link will do
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
            )
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
        prompts = projects.prompts(db, me.project_id)
    return {
        "project": found.id,
        "title": found.title,
        "language": found.language,
        "orthography": found.orthography,
        "profile": profile.load()[found.profile_id].as_json(),
        "terms": dict(found.terms),
        "consent": dict(found.consent),
        "prompts": [p.as_json() for p in prompts],
        "person_id": me.person_id,
        "role": me.role,
        "speaker_id": me.speaker_id,
        "max_clip_s": site().settings.max_clip_s,
    }


@bp.get(f"/api/v1/clips/{CLIP_ID}")
@require("speaker", "reviewer", "operator")
@describes("State, measurement, findings and receipt of a clip.", answer=CLIP, errors=("NOT_FOUND",))
def show_clip(clip_id: str) -> Reply:
    """What became of a clip; its receipt is for its owner and for staff."""
    here, me = site(), member()
    here.intake.settle_clip(clip_id, me.person_id)
    with reading(here.engine) as db:
        found = clips.visible_to(db, clip_id, person_id=me.person_id, role=me.role, project_id=me.project_id)
        newest = clips.newest_measurement(db, clip_id)
        kept = clips.stored_receipt(db, clip_id)
    findings = [clips.finding_from_json(row) for row in newest.findings] if newest is not None else []
    return (
        {
            "clip_id": found.id,
            "state": found.state,
            "grade": found.grade,
            "measurement": newest.figures or None if newest is not None else None,
            "verdict": newest.decision if newest is not None else None,
            "findings": [f.as_json(current()) for f in findings],
            "receipt": None if kept is None else Receipt.from_json(kept).as_json(),
        },
        200,
        {"Cache-Control": "private, no-store"},
    )


@bp.get(f"/api/v1/clips/{CLIP_ID}/audio")
@require("speaker", "transcriber", "reviewer", "operator")
@describes("The sound as FLAC; ranges and ETag.", media="audio/flac", errors=("NOT_FOUND",))
def audio(clip_id: str) -> Reply:
    """The sound, to those who may hear it; each play is noted."""
    here = site()
    found = _audible(here, clip_id)
    if request.method == "GET" and _from_the_start(request.headers.get("Range")):
        with begin(here.engine) as db:
            clips.listen(db, clip_id, person_id=member().person_id, now_ms=here.clock_ms())
    response = send_file(
        here.store.open(found.sha256),
        mimetype="audio/flac",
        etag=found.sha256,
        max_age=0,
        download_name=f"{clip_id}.flac",
    )
    # An open file has no length of its own, and without one there are no ranges and no seeking.
    response.make_conditional(
        request.environ, accept_ranges=True, complete_length=here.store.size(found.sha256)
    )
    response.headers["Cache-Control"] = "private, no-cache"  # a withdrawn voice must not play on
    return response


@bp.get(f"/api/v1/clips/{CLIP_ID}/peaks")
@require("speaker", "transcriber", "reviewer", "operator")
@describes(
    "Waveform peaks for drawing: pairs of lowest and highest sample in -1 to 1.",
    answer=bodies.obj(
        {
            "samples": bodies.WHOLE,
            "sample_rate_hz": bodies.WHOLE,
            "peaks": bodies.array(bodies.array(bodies.NUMBER)),
        }
    ),
    query={"points": "how many pairs, 10 to 4000; 800 if not given"},
    errors=("NOT_FOUND",),
)
def peaks(clip_id: str) -> Reply:
    """The waveform in a few hundred pairs."""
    from corpus.waveform import peaks_of

    here = site()
    found = _audible(here, clip_id)
    text = request.args.get("points", "800")
    if not re.fullmatch(r"[0-9]{2,4}", text, re.ASCII) or not 10 <= int(text) <= 4000:
        raise RequestInvalid(problem="points needs a whole number from 10 to 4000")
    with here.store.open(found.sha256) as file:
        pairs = peaks_of(file, int(text))
    answer = {"samples": found.samples, "sample_rate_hz": found.sample_rate_hz, "peaks": pairs}
    return answer, 200, {"ETag": f'"{found.sha256[:32]}-{text}"', "Cache-Control": "private, no-cache"}


@bp.post(f"/api/v1/clips/{CLIP_ID}/appeal")
@require("speaker")
@describes(
    "Sends a refusal to another reviewer.",
    body=APPEAL_IN,
    answer=bodies.obj({"clip_id": bodies.text(), "state": bodies.text()}),
    errors=("NOT_FOUND", "CLIP_STEP_IMPOSSIBLE"),
)
def appeal(clip_id: str) -> Reply:
    """Ask for a second look at a refusal; asking twice is asking once."""
    body = bodies.json_body(APPEAL_IN)
    here, me = site(), member()
    with begin(here.engine) as db:
        found = clips.find(db, clip_id)
        if found is None or found.person_id != me.person_id:
            raise ClipNotFound()
        review.appeal(
            db,
            found,
            reason=body["reason"],
            signer=here.signer,
            salt=bytes.fromhex(here.random_hex(16)),
            now_ms=here.clock_ms(),
        )
    return {"clip_id": clip_id, "state": "appealed"}


@bp.delete(f"/api/v1/clips/{CLIP_ID}")
@require("speaker")
@describes(
    "Withdraws a clip: its sound, texts and details are erased.",
    answer=bodies.obj({"clips": bodies.WHOLE, "receipts": bodies.array(bodies.ANYTHING)}),
    errors=("NOT_FOUND",),
)
def withdraw_clip(clip_id: str) -> Reply:
    """Take one clip back."""
    here, me = site(), member()
    with reading(here.engine) as db:
        found = clips.find(db, clip_id)
    if found is None or found.person_id != me.person_id:
        raise ClipNotFound()
    return withdrawal.of_clips(here.custody, [found]).as_json()


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
@describes("Public keys that receipts and records are checked with.", answer=bodies.ANYTHING)
def keys() -> Reply:
    """The log's verifier keys and its newest signed head."""
    here = site()
    with reading(here.engine) as db:
        head = ledger.latest_head(db)
    return {"origin": here.signer.verifier.name, "vkeys": [str(here.signer.verifier)], "head": head}


def _audible(here: Site, clip_id: str) -> Clip:
    me = member()
    with reading(here.engine) as db:
        found = clips.audible_to(
            db,
            clip_id,
            person_id=me.person_id,
            role=me.role,
            project_id=me.project_id,
            now_ms=here.clock_ms(),
        )
    if not found.has_sound:
        raise ClipNotFound()
    return found


def _from_the_start(ranges: str | None) -> bool:
    return ranges is None or ranges.startswith("bytes=0-")
