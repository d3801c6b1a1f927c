"""``/api/v1/clips``: what became of a clip, its sound, its waveform, appeal and withdrawal."""

from __future__ import annotations

import re

from flask import Blueprint, request

from corpus import clips, ledger, review, withdrawal
from corpus.clips import Clip, ClipNotFound
from corpus.database import begin, reading
from protocol.clip import Receipt
from web import bodies, sounds
from web.auth import require
from web.context import Reply, Site, member, site
from web.language import current
from web.openapi import describes
from web.problems import RequestInvalid

bp = Blueprint("clips_api", __name__)

CLIP = bodies.obj(
    {
        "clip_id": bodies.text(),
        "state": bodies.text(),
        "grade": bodies.nullable(bodies.text()),
        "measurement": bodies.nullable(bodies.ANYTHING),
        "verdict": bodies.nullable(bodies.text()),
        "findings": bodies.array(bodies.ANYTHING),
        "receipt": bodies.nullable(bodies.ANYTHING),
        "terms": bodies.text(),
        "final": bodies.YES_NO,
        "appeal_until": bodies.nullable(bodies.text()),
        "decide_until": bodies.nullable(bodies.text()),
        "decisions": bodies.array(bodies.ANYTHING),
    }
)
APPEAL_IN = bodies.obj({"reason": bodies.text(2000, minLength=1)})
CLIP_ID = "<string(length=36):clip_id>"


@bp.get(f"/api/v1/clips/{CLIP_ID}")
@require("speaker", "reviewer", "operator")
@describes(
    "State, measurement, findings and receipt of a clip.",
    answer=CLIP,
    errors=("NOT_FOUND", "CLIP_BEING_CHECKED", "UPLOAD_DIGEST_MISMATCH", "consent.missing"),
)
def show_clip(clip_id: str) -> Reply:
    """What became of a clip; its receipt is for its owner and for staff."""
    try:
        return _shown(clip_id)
    except ClipNotFound:  # its bytes may all be there, and the close was cut off
        site().intake.settle_clip(clip_id, member().person_id)
        return _shown(clip_id)


def _shown(clip_id: str) -> Reply:
    here, me = site(), member()
    with reading(here.engine) as db:
        found = clips.visible_to(db, clip_id, person_id=me.person_id, role=me.role, project_id=me.project_id)
        newest = clips.newest_measurement(db, clip_id)
        kept = clips.stored_receipt(db, clip_id)
        due, history = review.deadlines(db, found), clips.history(db, clip_id)
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
            "terms": found.terms_version,
            "final": found.final_ms is not None,
            "appeal_until": _time(due.appeal_until_ms),
            "decide_until": _time(due.decide_until_ms),
            "decisions": [
                {
                    "outcome": row.outcome,
                    "by": "server" if row.person_id is None else "person",
                    "time": _time(row.decided_ms),
                    "reasons": [
                        clips.finding_from_json({"severity": "error", **reason}).as_json(current())
                        for reason in row.reasons
                    ],
                    "note": row.note,
                }
                for row in history
            ],
        },
        200,
        {"Cache-Control": "private, no-store"},
    )


@bp.get(f"/api/v1/clips/{CLIP_ID}/audio")
@require("speaker", "transcriber", "reviewer", "operator")
@describes("The sound as FLAC; ranges and ETag.", media="audio/flac", errors=("NOT_FOUND",))
def audio(clip_id: str) -> Reply:
    """The sound, to those who may hear it; each listening is noted (`web.audit`)."""
    here = site()
    found = _audible(here, clip_id)
    # Not cached: a withdrawn voice must not play on.
    return sounds.reply(here.store, found.sha256, f"{clip_id}.flac", caching="private, no-cache")


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
    errors=("NOT_FOUND", "CLIP_STEP_IMPOSSIBLE", "APPEAL_LATE", "APPEAL_REASON_MISSING", "TOO_MANY_REQUESTS"),
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


@bp.get(f"/api/v1/clips/{CLIP_ID}/receipts")
@require("speaker")
@describes(
    "A receipt for every entry of the log about a clip: arrival, appeal, decisions, withdrawal.",
    answer=bodies.obj({"receipts": bodies.array(bodies.ANYTHING)}),
    errors=("NOT_FOUND",),
)
def receipts(clip_id: str) -> Reply:
    """All receipts under the newest head; the last one tells where the clip stands."""
    here, me = site(), member()
    with begin(here.engine) as db:
        found = clips.find(db, clip_id)
        if found is None or found.person_id != me.person_id:
            raise ClipNotFound()
        rows = ledger.receipts(db, found.item_id, here.signer, now_ms=here.clock_ms())
    answer = {"receipts": [row.as_json() for row in rows]}
    return answer, 200, {"Cache-Control": "private, no-store"}


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


def _time(time_ms: int | None) -> str | None:
    return None if time_ms is None else ledger.rfc3339(time_ms)
