"""The engine: findings, the `rule` decorator, `check` and `fix`.

A rule reads a text and yields hits: a span and, where one exists, what would
mend it. The engine runs the rules stage by stage, applies the safe edits until
nothing changes, and runs everything again over the result. If an error is
left for which no safe edit exists, the text comes back as it was: an utterance
is mended whole or not at all.

Two things make it fast. Each character has a set of kinds (`characters.Kind`),
and a rule runs only on a text where a kind that it looks for occurs. And a
text that sets off nothing is never copied.
"""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple, TypeVar

from protocol.errors import Language
from transcribe import orthography, sentences
from transcribe.characters import Kind
from transcribe.draft import Draft, Edit
from transcribe.orthography import Orthography

RULES_VERSION = "rules-1"
Severity = Literal["error", "warning"]
Remedy = Literal["safe", "ask", "mixed", "none"]
ROUNDS = 6  # whole passes before a text counts as unmendable
STEPS = 4  # repetitions of one stage within a pass
FOUND_SHOWN = 24  # characters of the offending piece that a sentence quotes


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


def catalogue() -> Mapping[str, Rule]:
    """Every rule by code, in order."""
    import transcribe.consistency
    import transcribe.rules  # noqa: F401 - importing registers them

    return {code: RULES[code] for code in sorted(RULES)}


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


@dataclass(slots=True)
class _Examination:
    """What is gathered while a text is worked on."""

    given: str
    draft: Draft
    mended: dict[tuple[str, int, int], Finding] = field(default_factory=dict)
    open: dict[tuple[str, int, int], Finding] = field(default_factory=dict)
    late: dict[tuple[str, int, int], Finding] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    claims: list[tuple[int, int]] = field(default_factory=list)
    settled: bool = False

    def finding(self, rule_: Rule, hit: Hit, orth: Orthography) -> Finding:
        start, end = self.draft.origin(hit.start, hit.end)
        severity = orth.severities.get(rule_.code, hit.severity or rule_.severity)
        found = self.given[start:end]
        if len(found) > FOUND_SHOWN:
            found = found[: FOUND_SHOWN - 1] + "…"
        return Finding(
            rule_.code,
            "warning" if severity == "warning" else "error",
            start,
            end,
            found,
            hit.text,
            hit.safe,
            hit.suggestions,
        )

    def claimed(self, start: int, end: int) -> bool:
        """Whether a span of the given text touches an open error of an earlier stage."""
        at = bisect_right(self.claims, (start, len(self.given) + 1))
        near = self.claims[max(0, at - 1) : at + 1]
        return any(start < claimed_end and claimed_start < end for claimed_start, claimed_end in near)

    def claim(self, spans: Iterable[tuple[int, int]]) -> None:
        """Add spans; they are kept sorted and merged."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted([*self.claims, *spans]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self.claims = merged


class _Step(NamedTuple):
    """The rules of one stage that have something to look for in a text."""

    stage: Stage
    rules: tuple[tuple[Rule, TextCheck], ...]
    gated: tuple[tuple[Gate, Mapping[str, tuple[Rule, TextCheck]]], ...]
    clip_rules: tuple[tuple[Rule, ClipCheck], ...]


class _Plan(NamedTuple):
    """All that must be asked of a text with certain kinds of characters."""

    steps: tuple[_Step, ...]
    checks: tuple[TextCheck, ...]
    gates: tuple[tuple[Gate, frozenset[str]], ...]
    clip_rules: tuple[tuple[Rule, ClipCheck], ...]

    def is_quiet(self, text: str, orth: Orthography, clip: Clip) -> bool:
        """Whether no rule has anything to say: most texts, so nothing is collected."""
        for check_text in self.checks:
            for _ in check_text(text, orth):
                return False
        for gate, codes in self.gates:
            if not codes.isdisjoint(gate(text, orth)):
                return False
        for each, check_clip in self.clip_rules:
            if clip is not NO_CLIP or not each.needs_clip:
                for _ in check_clip(text, orth, clip):
                    return False
        return True


def _step(stage: Stage, rules: list[Rule]) -> _Step:
    gates: dict[Gate, dict[str, tuple[Rule, TextCheck]]] = {}
    for each in rules:
        if each.gate is not None and each.check is not None:
            gates.setdefault(each.gate, {})[each.code] = (each, each.check)
    return _Step(
        stage,
        tuple((each, each.check) for each in rules if each.check is not None and each.gate is None),
        tuple(gates.items()),
        tuple((each, each.clip_check) for each in rules if each.clip_check is not None),
    )


def _plan(orth: Orthography, mask: int) -> _Plan:
    """The rules to run on a text whose kinds are `mask`."""
    plan: _Plan | None = orth.plans.get(mask)
    if plan is None:
        stages: dict[Stage, list[Rule]] = {}
        for found in catalogue().values():
            if found.on & mask and found.applies(orth) and orth.severities.get(found.code) != "off":
                stages.setdefault(found.stage, []).append(found)
        steps = tuple(_step(stage, stages[stage]) for stage in sorted(stages))
        plan = _Plan(
            steps,
            tuple(check for step in steps for _, check in step.rules),
            tuple((gate, frozenset(gated)) for step in steps for gate, gated in step.gated),
            tuple(pair for step in steps for pair in step.clip_rules),
        )
        orth.plans[mask] = plan
    return plan


def _hits(step: _Step, text: str, orth: Orthography, clip: Clip) -> list[tuple[Rule, Hit]]:
    found: list[tuple[Rule, Hit]] = []
    for each, check_text in step.rules:
        for hit in check_text(text, orth):
            found.append((each, hit))
    for gate, gated in step.gated:
        for code in gate(text, orth):
            if code in gated:
                each, check_text = gated[code]
                found += [(each, hit) for hit in check_text(text, orth)]
    for each, check_clip in step.clip_rules:
        if clip is not NO_CLIP or not each.needs_clip:
            found += [(each, hit) for hit in check_clip(text, orth, clip)]
    return found


def _examine(text: str, orth: Orthography, clip: Clip) -> _Examination | None:
    """Work on a text until nothing changes; None if nothing was found at all."""
    kinds = orth.kinds
    mask = kinds.mask(text)
    if _plan(orth, mask).is_quiet(text, orth, clip):
        return None
    work: _Examination | None = None
    for _ in range(ROUNDS):
        edited = False
        if work is not None:
            work.late = {}
        stage, steps = -1, 0
        again = True
        while again:
            again = False
            for step in _plan(orth, mask).steps:
                number = step.stage
                if number < stage:
                    continue
                steps = steps + 1 if number == stage else 1
                stage = number
                hits = _hits(step, text, orth, clip)
                if not hits:
                    continue
                if work is None:
                    work = _Examination(text, Draft(text))
                if not _take(work, hits, orth, number):
                    continue
                edited = True
                text = work.draft.text
                mask = kinds.mask(text)
                stage = number if steps < STEPS else number + 1
                again = True
                break
        if work is None:
            return None
        if not edited:
            work.settled = True
            break
    return work


def _take(work: _Examination, hits: list[tuple[Rule, Hit]], orth: Orthography, stage: Stage) -> bool:
    """Record the hits of one stage, apply their safe edits, say whether the text changed."""
    edits: list[tuple[Rule, Hit, Finding]] = []
    claims: list[tuple[int, int]] = []
    for each, hit in hits:
        finding = work.finding(each, hit, orth)
        key = (finding.code, finding.start, finding.end)
        if work.claims and work.claimed(finding.start, finding.end) and key not in work.open:
            continue
        if hit.event and work.given[finding.start : finding.end] != work.draft.text[hit.start : hit.end]:
            hit = hit._replace(safe=False)  # it only became a tag by another mending
            finding = replace(finding, safe=False, suggestions=("",))
        if hit.safe:
            edits.append((each, hit, finding))
        elif stage >= Stage.END or finding.severity == "warning":
            work.late[key] = finding
        else:
            work.open[key] = finding
            if each.claims:
                claims.append((finding.start, finding.end))
    if claims:
        work.claim(claims)
    if not edits:
        return False
    edits.sort(key=lambda item: (item[1].start, item[1].end))
    chosen: list[Edit] = []
    reach = -1
    for _, hit, finding in edits:
        if claims and work.claimed(finding.start, finding.end):
            continue
        edit = Edit(hit.start, hit.end, hit.text or "")
        if chosen and (edit == chosen[-1]):
            work.mended.setdefault((finding.code, finding.start, finding.end), finding)
            continue
        if hit.start < reach or (hit.start == hit.end == reach):
            continue  # the next step looks again
        chosen.append(edit)
        reach = hit.end
        work.mended.setdefault((finding.code, finding.start, finding.end), finding)
        if hit.event:
            work.events.append(Event(hit.event, finding.start))
    if not chosen:
        return False
    work.draft.apply(chosen)
    return True


def _resolve(ruleset: str | Orthography) -> Orthography:
    return orthography.load(ruleset) if isinstance(ruleset, str) else ruleset


def _clip(speech_s: float | None, prompt: str | None) -> Clip:
    return NO_CLIP if speech_s is None and prompt is None else Clip(speech_s, prompt)


def _findings(work: _Examination) -> list[Finding]:
    found = [*work.mended.values(), *work.open.values(), *work.late.values()]
    found.sort(key=lambda finding: (finding.start, finding.end, finding.code))
    return found


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
    work = _examine(text, _resolve(ruleset), _clip(speech_s, prompt))
    return [] if work is None else _findings(work)


def fix(
    text: str, ruleset: str | Orthography, *, speech_s: float | None = None, prompt: str | None = None
) -> Fixed:
    """Apply every safe fix, or none if an error remains that a person must decide.

    Returns
    -------
    Fixed
        Its text is either clean or exactly what was given.
    """
    work = _examine(text, _resolve(ruleset), _clip(speech_s, prompt))
    if work is None:
        return Fixed(text, True)
    findings = tuple(_findings(work))
    remaining = any(f.severity == "error" for f in (*work.open.values(), *work.late.values()))
    if remaining or not work.settled:
        return Fixed(text, False, findings=findings)
    applied = tuple(dict.fromkeys(finding.code for finding in work.mended.values()))
    events = tuple(sorted(work.events, key=lambda event: event.at))
    return Fixed(work.draft.text, True, applied, events, findings)


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


def errors(findings: Iterable[Finding]) -> Iterator[Finding]:
    """Only those that stop a text unless they are mended."""
    return (finding for finding in findings if finding.severity == "error")
