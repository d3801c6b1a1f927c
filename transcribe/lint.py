"""The linter's door: `check` finds what breaks the rules, `fix` mends what certainly can be.

A rule reads a text and yields hits: a span and, where one exists, what would
mend it (`transcribe.registry`). The engine runs the rules stage by stage, applies
the safe edits until nothing changes, and runs everything again over the result
(`transcribe.engine`). If an error is left for which no safe edit exists, the text
comes back as it was: an utterance is mended whole or not at all.

Two things make it fast. Each character has a set of kinds (`characters.Kind`),
and a rule runs only on a text where a kind that it looks for occurs
(`transcribe.plan`). And a text that sets off nothing is never copied.
"""

from __future__ import annotations

from protocol.errors import Language
from transcribe import orthography
from transcribe.engine import examine
from transcribe.findings import NO_CLIP, Clip, Event, Finding, Fixed, Hit, Remedy, Severity, ask, errors, mend
from transcribe.orthography import Orthography
from transcribe.registry import (
    RULES,
    ClipCheck,
    Gate,
    Rule,
    Stage,
    TextCheck,
    catalogue,
    clip_rule,
    pair_rule,
    rule,
)

__all__ = [
    "NO_CLIP",
    "RULES",
    "RULES_VERSION",
    "Clip",
    "ClipCheck",
    "Event",
    "Finding",
    "Fixed",
    "Gate",
    "Hit",
    "Remedy",
    "Rule",
    "Severity",
    "Stage",
    "TextCheck",
    "as_json",
    "ask",
    "catalogue",
    "check",
    "clip_rule",
    "errors",
    "fix",
    "lint_json",
    "mend",
    "pair_rule",
    "rule",
]
RULES_VERSION = "rules-1"


def _resolve(ruleset: str | Orthography) -> Orthography:
    return orthography.load(ruleset) if isinstance(ruleset, str) else ruleset


def _clip(speech_s: float | None, prompt: str | None) -> Clip:
    return NO_CLIP if speech_s is None and prompt is None else Clip(speech_s, prompt)


def check(
    text: str, ruleset: str | Orthography, *, speech_s: float | None = None, prompt: str | None = None
) -> list[Finding]:
    """Find every breach of the rules.

    Parameters
    ----------
    text : str
        One utterance. Any string at all: nothing raises.
    ruleset : str or Orthography
        Name of a built-in ruleset, or one that was loaded.
    speech_s : float, optional
        Seconds of active speech, for the rules about length.
    prompt : str, optional
        What a spontaneous speaker was shown.

    Returns
    -------
    list of Finding
        In the order of their places; empty for a text to which nothing is to be said.
    """
    work = examine(text, _resolve(ruleset), _clip(speech_s, prompt))
    return [] if work is None else work.findings()


def fix(
    text: str, ruleset: str | Orthography, *, speech_s: float | None = None, prompt: str | None = None
) -> Fixed:
    """Apply every safe fix, or none if an error remains that a person must decide.

    Returns
    -------
    Fixed
        Its text is either clean or exactly what was given.
    """
    work = examine(text, _resolve(ruleset), _clip(speech_s, prompt))
    if work is None:
        return Fixed(text, True)
    findings = tuple(work.findings())
    if work.failed:
        return Fixed(text, False, findings=findings)
    events = tuple(sorted(work.events, key=lambda event: event.at))
    return Fixed(work.draft.text, True, work.applied(), events, findings)


def lint_json(
    text: str,
    ruleset: str | Orthography,
    *,
    id: object = None,  # noqa: A002 - the name that the JSON has
    speech_s: float | None = None,
    prompt: str | None = None,
    language: Language = "en",
) -> dict[str, object]:
    """One utterance as ``xiangyin lint --format json`` prints it.

    ``clean`` says whether `fixed` has no error left; where an error remains,
    `fixed` is `text`.
    """
    return as_json(text, fix(text, ruleset, speech_s=speech_s, prompt=prompt), id=id, language=language)


def as_json(
    text: str,
    fixed: Fixed,
    *,
    id: object = None,  # noqa: A002 - the name that the JSON has
    language: Language = "en",
) -> dict[str, object]:
    """The same for a text that was already worked on."""
    return {
        "id": id,
        "text": text,
        "fixed": fixed.text,
        "clean": fixed.clean,
        "findings": [finding.as_json(language) for finding in fixed.findings],
        "events": [{"label": event.label, "at": event.at} for event in fixed.events],
    }
