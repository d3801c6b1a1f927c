"""The lifecycle of a clip: the steps that may follow each other, as data, and their deadlines.

A clip is received, measured, accepted or refused; a refusal may be appealed and is then decided by
another person, which is final; whatever stands may be withdrawn. A row keeps `state` and, once decided,
`final_ms`; together they are the clip's stage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from typing import ClassVar, Literal, cast

from corpus import terms
from corpus.terms import Terms
from protocol.errors import CodedError

State = Literal["received", "accepted", "refused", "appealed", "withdrawn"]
Stage = Literal["received", "measured", "accepted", "refused", "appealed", "reversed", "upheld", "withdrawn"]
Step = Literal["measure", "accept", "refuse", "appeal", "reverse", "uphold", "withdraw"]

STEPS: Mapping[Step, Mapping[Stage, Stage]] = {
    "measure": {"received": "measured"},
    "accept": {"measured": "accepted"},
    "refuse": {"measured": "refused", "accepted": "refused"},
    "appeal": {"refused": "appealed"},
    "reverse": {"appealed": "reversed"},
    "uphold": {"appealed": "upheld"},
    "withdraw": {
        "received": "withdrawn",
        "measured": "withdrawn",
        "accepted": "withdrawn",
        "refused": "withdrawn",
        "appealed": "withdrawn",
        "reversed": "withdrawn",
        "upheld": "withdrawn",
        "withdrawn": "withdrawn",
    },
}
FINAL: tuple[Stage, ...] = ("reversed", "upheld", "withdrawn")
SILENT = "decision.silent"  # why a clip counts as accepted that nobody decided in time
_STATE: Mapping[Stage, State] = {"measured": "received", "reversed": "accepted", "upheld": "refused"}


class StepImpossible(CodedError):
    """The clip's state does not allow this step."""

    code: ClassVar[str] = "CLIP_STEP_IMPOSSIBLE"


class AppealLate(CodedError):
    """The time in which a refusal may be appealed is over."""

    code: ClassVar[str] = "APPEAL_LATE"


class DecisionLate(CodedError):
    """The time in which a person may decide is over; the clip counts as accepted."""

    code: ClassVar[str] = "DECISION_LATE"


def stage(state: str, *, is_final: bool) -> Stage:
    """Where a clip stands, of what its row keeps."""
    if is_final and state in ("accepted", "refused"):
        return "reversed" if state == "accepted" else "upheld"
    return cast(Stage, state)


def after(step: Step, before: Stage) -> Stage:
    """The stage that a step leads to, or `StepImpossible`."""
    found = STEPS[step].get(before)
    if found is None:
        raise StepImpossible(state=before, step=step)
    return found


def state_of(found: Stage) -> State:
    """What a row keeps of a stage, and people are told."""
    return _STATE.get(found, cast(State, found))


def appeal_until_ms(agreed: Terms, refused_ms: int) -> int:
    """The last moment at which a refusal may be appealed."""
    return refused_ms + agreed.appeal_ms


def decide_until_ms(agreed: Terms, asked_ms: int) -> int:
    """The last moment at which a person may decide: counted from arrival, or from the appeal."""
    return asked_ms + agreed.decision_ms


@cache
def rules_version() -> str:
    """The version of the published list of reasons: its own digest, so that no change goes unnamed."""
    listed = "\n".join(sorted((*terms.reason_codes(), SILENT)))
    return f"reasons/{hashlib.sha256(listed.encode()).hexdigest()[:8]}"
