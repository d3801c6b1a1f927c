"""What rules and the engine hand on: a hit, a finding, an event, a mended text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, NamedTuple

from protocol.errors import Language
from transcribe import sentences

Severity = Literal["error", "warning"]
Remedy = Literal["safe", "ask", "mixed", "none"]


class Hit(NamedTuple):
    """What a rule saw.

    Attributes
    ----------
    start, end : int
        Code points of the text the rule was given.
    text : str or None
        What would stand there instead.
    safe : bool
        Whether `text` certainly leaves every spoken word as it is.
    suggestions : tuple of str
        Up to three readings for a person to choose from.
    event : str
        Label of an event that moves to the event tier.
    severity : str
        Differs from the rule's own where one rule has a warning and an error level.
    """

    start: int
    end: int
    text: str | None = None
    safe: bool = False
    suggestions: tuple[str, ...] = ()
    event: str = ""
    severity: Severity | None = None


def mend(start: int, end: int, text: str) -> Hit:
    """A hit whose edit is safe."""
    return Hit(start, end, text, True)


def ask(start: int, end: int, *suggestions: str) -> Hit:
    """A hit that a person must decide; at most three suggestions are kept."""
    kept = tuple(dict.fromkeys(suggestions))[:3]
    return Hit(start, end, kept[0] if kept else None, False, kept)


@dataclass(frozen=True, slots=True)
class Clip:
    """What is known about the sound: seconds of active speech, the prompt shown."""

    speech_s: float | None = None
    prompt: str | None = None


NO_CLIP = Clip()


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach, as a person sees it.

    Attributes
    ----------
    code : str
        The rule.
    severity : {"error", "warning"}
        A warning never stops a text.
    start, end : int
        Code points of the text that was given.
    found : str
        The offending piece, shortened.
    fix : str or None
        What would stand there instead.
    safe : bool
        Whether `fix` is applied without asking.
    suggestions : tuple of str
        Up to three replacements of the span, if a person must choose.
    """

    code: str
    severity: Severity
    start: int
    end: int
    found: str = ""
    fix: str | None = None
    safe: bool = False
    suggestions: tuple[str, ...] = ()

    def message(self, language: Language = "en") -> str:
        """What is wrong and what to do, in one sentence or two."""
        return sentences.message(self.code, language, self.found)

    def as_json(self, language: Language = "en") -> dict[str, object]:
        """The finding as commands and pages show it."""
        return {
            "code": self.code,
            "severity": self.severity,
            "start": self.start,
            "end": self.end,
            "message": self.message(language),
            "fix": None if self.fix is None else {"text": self.fix, "safe": self.safe},
            "suggestions": list(self.suggestions),
        }


@dataclass(frozen=True, slots=True)
class Event:
    """A sound that was written into the text and moved to the event tier.

    Attributes
    ----------
    label : str
        The tag without its brackets, in lower case.
    at : int
        Where it stood, in code points of the text that was given.
    """

    label: str
    at: int


@dataclass(frozen=True, slots=True)
class Fixed:
    """A text after its safe fixes.

    Attributes
    ----------
    text : str
        The mended text; the given text, unchanged, if an error remains.
    clean : bool
        Whether no error remains.
    applied : tuple of str
        Codes of the rules whose edits were applied, each once, in order.
    events : tuple of Event
        What was lifted out of the text.
    findings : tuple of Finding
        Everything that was found, with places in the given text.
    """

    text: str
    clean: bool
    applied: tuple[str, ...] = ()
    events: tuple[Event, ...] = ()
    findings: tuple[Finding, ...] = ()


def errors(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Only those that stop a text unless they are mended."""
    return (finding for finding in findings if finding.severity == "error")
