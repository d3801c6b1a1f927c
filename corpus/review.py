"""What a reviewer decides beyond the text: that the sound itself is refused.

The reasons are those that a person hears and no measurement finds; each with its place, so that the
speaker can hear it too and appeal.
"""

from __future__ import annotations

from sqlalchemy import Connection

from corpus import assignments, clips, ledger
from protocol.errors import CodedError

HEARD: tuple[str, ...] = (
    "content.unclear",
    "content.cut_off",
    "content.other_voice",
    "content.disturbed",
    "content.not_prompt",
    "content.other_language",
    "content.personal",
)
MAX_NOTE_CHARACTERS = 500


class RefusalIncomplete(CodedError):
    """A refusal without a listed reason, or with an impossible place."""

    code = "REFUSAL_INCOMPLETE"


def refuse_sound(
    db: Connection,
    assignment_id: str,
    *,
    person_id: str,
    reason: str,
    start_s: float | None,
    end_s: float | None,
    note: str | None,
    salt: bytes,
    now_ms: int,
) -> None:
    """End a review by refusing the clip; decision, ledger entry and lease change together.

    Doing it twice is doing it once.
    """
    before = assignments.get(db, assignment_id, person_id=person_id, now_ms=now_ms, lock=True)
    if before.state == "refused":
        return
    duration_s = assignments.task(db, before).duration_s
    place = (start_s, end_s)
    inside = place == (None, None) or (
        start_s is not None and end_s is not None and 0 <= start_s < end_s <= duration_s + 0.01
    )
    if reason not in HEARD or not inside or len(note or "") > MAX_NOTE_CHARACTERS:
        raise RefusalIncomplete(reason=reason)
    held = assignments.refuse_sound(db, assignment_id, person_id=person_id, now_ms=now_ms)
    given = {"code": reason, "value": None, "limit": None, "start_s": start_s, "end_s": end_s}
    clips.decide(
        db, held.clip_id, "refuse", person_id=person_id, reasons_given=[given], note=note, now_ms=now_ms
    )
    found = clips.find(db, held.clip_id)
    if found is not None:
        details = {"clip_id": held.clip_id, "decision": "refuse", "reasons": [given]}
        entry = ledger.Entry("decided", found.item_id, details, reasons=[reason])
        ledger.append(db, entry, salt=salt, now_ms=now_ms)
