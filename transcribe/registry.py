"""The catalogue: how a rule is registered, when it runs, and what it looks for."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from transcribe.characters import Kind
from transcribe.findings import Clip, Hit, Remedy, Severity
from transcribe.orthography import Orthography


class Stage(enum.IntEnum):
    """The order in which rules look at a text."""

    CODE_POINTS = 0
    CHARACTERS = 1
    EVENTS = 2
    SCRIPTS = 3
    SYLLABLES = 4
    NUMBERS = 5  # before width is mended, so that a decimal point cannot become a stop
    PUNCTUATION = 6
    RUNS = 7
    SPACING = 8
    WORDS = 9
    END = 10  # from here on, only what is left in the mended text counts


TextCheck = Callable[[str, Orthography], Iterable[Hit]]
ClipCheck = Callable[[str, Orthography, Clip], Iterable[Hit]]
Gate = Callable[[str, Orthography], frozenset[str]]


@dataclass(frozen=True)
class Rule:
    """One entry of the catalogue."""

    code: str
    stage: Stage
    on: int
    fix: Remedy
    severity: Severity
    applies: Callable[[Orthography], bool]
    docstring: str
    check: TextCheck | None = None
    clip_check: ClipCheck | None = None
    claims: bool = False
    needs_clip: bool = False
    gate: Gate | None = None


RULES: dict[str, Rule] = {}


def _everywhere(orth: Orthography) -> bool:
    return True


def rule(
    code: str,
    *,
    stage: Stage,
    on: int,
    fix: Remedy,
    severity: Severity = "error",
    applies: Callable[[Orthography], bool] = _everywhere,
    claims: bool = True,
    gate: Gate | None = None,
) -> Callable[[TextCheck], TextCheck]:
    """Register a rule.

    Parameters
    ----------
    code : str
        Family letter and three digits; never reused.
    stage : Stage
        When it runs.
    on : int
        The rule runs only on a text in which one of these kinds occurs.
    fix : {"safe", "ask", "mixed", "none"}
        What the rule offers, for the catalogue. Each hit says it for itself.
    severity : {"error", "warning"}
        Unless the ruleset says otherwise.
    applies : callable
        For which rulesets the rule exists.
    claims : bool
        Whether later stages leave the span of an open error alone.
    gate : callable, optional
        Gives the codes that have something to say about a text; others are not asked. For rules
        that share one analysis.
    """

    def register(check: TextCheck) -> TextCheck:
        doc = check.__doc__ or ""
        _add(Rule(code, stage, on, fix, severity, applies, doc, check, claims=claims, gate=gate))
        return check

    return register


def clip_rule(
    code: str, *, fix: Remedy = "none", severity: Severity = "error", needs_clip: bool = True
) -> Callable[[ClipCheck], ClipCheck]:
    """Register a rule that looks at the sound's length or prompt; without them it does not run."""

    def register(check: ClipCheck) -> ClipCheck:
        doc = check.__doc__ or ""
        on = Kind.ALWAYS
        _add(Rule(code, Stage.END, on, fix, severity, _everywhere, doc, None, check, needs_clip=needs_clip))
        return check

    return register


Compared = TypeVar("Compared", bound=Callable[..., object])


def pair_rule(
    code: str, *, fix: Remedy = "none", severity: Severity = "error"
) -> Callable[[Compared], Compared]:
    """Register a rule that compares with another text; `check` cannot run it, its own function does."""

    def register(check: Compared) -> Compared:
        _add(Rule(code, Stage.END, 0, fix, severity, _everywhere, check.__doc__ or ""))
        return check

    return register


def _add(new: Rule) -> None:
    if new.code in RULES:
        raise ValueError(f"{new.code} is registered twice")
    RULES[new.code] = new


def text_rules() -> list[Rule]:
    """The rules that read one text, in the order of their codes."""
    import transcribe.rules  # noqa: F401 - importing registers them

    return [RULES[code] for code in sorted(RULES) if RULES[code].check or RULES[code].clip_check]


def is_code(code: str) -> bool:
    """Whether a rule has that code; the rules that compare are only loaded if none of the others has."""
    return any(each.code == code for each in text_rules()) or code in catalogue()


def catalogue() -> Mapping[str, Rule]:
    """Every rule by code, in order."""
    import transcribe.consistency
    import transcribe.rules  # noqa: F401 - importing registers them

    return {code: RULES[code] for code in sorted(RULES)}
