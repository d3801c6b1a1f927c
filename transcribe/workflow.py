"""Stages of a transcript, and who may do what: pure, as data.

A clip goes ``first`` -> ``second`` (blind: neither sees the other's text) -> agreement.
Two texts that agree are final. Texts that differ beyond the cap, or that someone asked to have
looked at, go to ``review``, whose text is final. Nothing here knows a database or a clock.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Stage = Literal["first", "second", "review"]
Status = Literal["complete", "incomplete"]
Reason = Literal["differ", "incomplete", "asked"]


@dataclass(frozen=True)
class Step:
    """One stage: who does it, after how many texts, and whether the earlier texts are hidden."""

    stage: Stage
    role: str
    texts_before: int
    blind: bool


STEPS: tuple[Step, ...] = (
    Step("first", "transcriber", 0, blind=True),
    Step("second", "transcriber", 1, blind=True),
    Step("review", "reviewer", 2, blind=False),
)

# Mixed error rate between two blind texts above which a reviewer decides. Read speech has one right
# answer; free speech has fillers and cut-off words on which careful people differ more.
AGREEMENT_CAP: Mapping[str, float] = {"read": 0.03, "monologue": 0.06, "dialogue": 0.06}


@dataclass(frozen=True)
class Text:
    """A text that was handed in."""

    person_id: str
    stage: Stage
    text: str
    status: Status = "complete"
    wants_review: bool = False


@dataclass(frozen=True)
class Final:
    """The clip is done: `index` says which of its texts stands.

    `difference` is how far the two blind texts lay apart, None where one of them says that the speech
    cannot be understood.
    """

    index: int
    difference: float | None


@dataclass(frozen=True)
class Review:
    """A reviewer must decide, for these reasons."""

    reasons: tuple[Reason, ...]
    difference: float | None


def steps_of(role: str) -> tuple[Step, ...]:
    """The stages that a role does, those that finish a clip first."""
    return tuple(step for step in reversed(STEPS) if step.role == role)


def next_step(texts: Sequence[Text], *, is_final: bool) -> Step | None:
    """The stage that a clip waits for, or None when its text is final."""
    if is_final:
        return None
    return next((step for step in STEPS if step.texts_before == len(texts)), None)


def may_take(
    step: Step, *, person_id: str, role: str, speaker_person_id: str, had_by: Collection[str]
) -> bool:
    """Whether a person may be given a clip for a stage.

    Nobody transcribes or reviews their own voice, and nobody is given the same clip twice; so nobody
    reviews a text of their own, and the two blind texts come from two people.
    """
    return role == step.role and person_id != speaker_person_id and person_id not in had_by


def settle(texts: Sequence[Text], *, style: str, difference: float | None) -> Final | Review | None:
    """What follows from the texts handed in so far; None means that another person writes next.

    Parameters
    ----------
    texts : sequence of Text
        In the order of their stages.
    style : str
        The clip's speaking style, which sets the cap.
    difference : float or None
        Mixed error rate between the two blind texts; None where it cannot be had.
    """
    if len(texts) < 2:
        return None
    if texts[-1].stage == "review":
        return Final(len(texts) - 1, difference)
    first, second = texts[0], texts[1]
    reasons: list[Reason] = []
    if first.status != second.status:
        reasons.append("incomplete")
    elif first.status == "complete" and (difference is None or difference > AGREEMENT_CAP[style]):
        reasons.append("differ")
    if first.wants_review or second.wants_review:
        reasons.append("asked")
    return Review(tuple(reasons), difference) if reasons else Final(0, difference)
