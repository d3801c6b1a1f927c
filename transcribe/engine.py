"""How a text is worked on: stage by stage, mended until nothing changes.

A rule yields hits. A safe one is applied at once; any other stays open, and later
stages leave its place alone. Every place is told in the text that was given,
however much has been mended since.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from operator import itemgetter
from typing import NamedTuple

from transcribe.draft import Draft, Edit
from transcribe.findings import Clip, Event, Finding, Hit, Severity
from transcribe.orthography import Orthography
from transcribe.plan import Plan, kinds_in, plan_for
from transcribe.registry import Rule, Stage

ROUNDS = 6  # whole passes before a text counts as unmendable
STEPS = 4  # repetitions of one stage within a pass
FOUND_SHOWN = 24  # characters of the offending piece that a sentence quotes


class Key(NamedTuple):
    """What makes two hits the same finding: the place in the given text, and the rule."""

    start: int
    end: int
    code: str


class Seen(NamedTuple):
    """A hit as it is kept until the text is done."""

    hit: Hit
    severity: Severity


class Examination:
    """What is gathered while a text is worked on.

    Attributes
    ----------
    given : str
        The text at first.
    draft : Draft
        The text as mended so far.
    mended, open, late : dict of Key to Seen
        What was repaired, what a person must decide, and what is left in the mended text only.
    events : list of Event
        What was lifted out.
    settled : bool
        Whether the last pass changed nothing.
    """

    def __init__(self, given: str) -> None:
        self.given = given
        self.draft = Draft(given)
        self.mended: dict[Key, Seen] = {}
        self.open: dict[Key, Seen] = {}
        self.late: dict[Key, Seen] = {}
        self.events: list[Event] = []
        self.settled = False
        self._claims: list[tuple[int, int]] = []

    @property
    def failed(self) -> bool:
        """Whether an error remains, or mending came to no end."""
        left = (*self.open.values(), *self.late.values())
        return not self.settled or any(seen.severity == "error" for seen in left)

    def applied(self) -> tuple[str, ...]:
        """Codes of the rules whose edits were applied, each once, in order."""
        return tuple(dict.fromkeys(key.code for key in self.mended))

    def findings(self) -> list[Finding]:
        """Everything that was found, in the order of the places."""
        merged = [*self.mended.items(), *self.open.items(), *self.late.items()]
        merged.sort(key=itemgetter(0))
        return [self._finding(key, seen) for key, seen in merged]

    def _finding(self, key: Key, seen: Seen) -> Finding:
        found = self.given[key.start : key.end]
        if len(found) > FOUND_SHOWN:
            found = found[: FOUND_SHOWN - 1] + "…"
        hit = seen.hit
        return Finding(
            key.code, seen.severity, key.start, key.end, found, hit.text, hit.safe, hit.suggestions
        )

    def take(self, hits: list[tuple[Rule, Hit]], orth: Orthography, stage: Stage) -> bool:
        """Record the hits of one stage, apply their safe edits, say whether the text changed."""
        edits: list[tuple[int, int, Key, Seen]] = []
        claims: list[tuple[int, int]] = []
        origin, severities = self.draft.origin, orth.severities
        for each, hit in hits:
            start, end = origin(hit.start, hit.end)
            key = Key(start, end, each.code)
            if self._claims and key not in self.open and self._hidden(start, end, hit):
                continue
            wanted = severities.get(each.code, hit.severity or each.severity)
            severity: Severity = "warning" if wanted == "warning" else "error"
            if hit.event and self.given[start:end] != self.draft.text[hit.start : hit.end]:
                # it only became a tag by another mending
                hit = hit._replace(safe=False, suggestions=("",))
            seen = Seen(hit, severity)
            if hit.safe:
                edits.append((hit.start, hit.end, key, seen))
            elif stage >= Stage.END or severity == "warning":
                self.late[key] = seen
            else:
                self.open[key] = seen
                if each.claims:
                    claims.append((start, end))
        if claims:
            self._claim(claims)
        return bool(edits) and self._apply(edits, bool(claims))

    def _apply(self, edits: list[tuple[int, int, Key, Seen]], claimed: bool) -> bool:
        """Apply the edits that do not overlap; the next step looks again at the others."""
        edits.sort(key=itemgetter(0, 1))
        chosen: list[Edit] = []
        reach = -1
        for start, end, key, seen in edits:
            if claimed and self._claimed(key.start, key.end):
                continue
            edit = Edit(start, end, seen.hit.text or "")
            if chosen and edit == chosen[-1]:
                self.mended.setdefault(key, seen)
                continue
            if start < reach or start == end == reach:
                continue
            chosen.append(edit)
            reach = end
            self.mended.setdefault(key, seen)
            if seen.hit.event:
                self.events.append(Event(seen.hit.event, key.start))
        if not chosen:
            return False
        self.draft.apply(chosen)
        return True

    def _hidden(self, start: int, end: int, hit: Hit) -> bool:
        """Whether an open error already speaks of this place.

        What a person must decide and stands around the error, as brackets do, is its own matter.
        """
        if hit.safe or end - start < 2:
            return self._claimed(start, end)
        return self._claimed(start, start + 1) or self._claimed(end - 1, end)

    def _claimed(self, start: int, end: int) -> bool:
        """Whether a span of the given text touches an open error of an earlier stage."""
        at = bisect_right(self._claims, (start, len(self.given) + 1))
        near = self._claims[max(0, at - 1) : at + 1]
        return any(start < claimed_end and claimed_start < end for claimed_start, claimed_end in near)

    def _claim(self, spans: Iterable[tuple[int, int]]) -> None:
        """Add spans; they are kept sorted and merged."""
        merged: list[tuple[int, int]] = []
        for start, end in sorted([*self._claims, *spans]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self._claims = merged


def examine(text: str, orth: Orthography, clip: Clip) -> Examination | None:
    """Work on a text until nothing changes; None if nothing was found at all."""
    plan = plan_for(orth, kinds_in(text, orth))
    first = plan.first(text, orth, clip)
    if first is None:
        return None
    work = Examination(text)
    seen: dict[Stage, list[tuple[Rule, Hit]]] = {}
    for _ in range(ROUNDS):
        work.late = {}
        mended = _pass(work, orth, clip, plan, first, seen)
        if mended is None:
            work.settled = True
            break
        plan, first = mended, Stage.CODE_POINTS
    return work


def _pass(
    work: Examination,
    orth: Orthography,
    clip: Clip,
    plan: Plan,
    first: Stage,
    seen: dict[Stage, list[tuple[Rule, Hit]]],
) -> Plan | None:
    """Run the stages from `first`, each again while it changes the text.

    `seen` holds what the stages saw in the text as it is now, so that none looks twice.
    Returns the plan for the mended text, or None if nothing changed.
    """
    stage, repeated = int(first), 0
    edited = again = False
    while True:
        again = False
        for step in plan.steps:
            number = step.stage
            if number < stage:
                continue
            repeated = repeated + 1 if number == stage else 1
            stage = number
            hits = seen.get(number)
            if hits is None:
                hits = seen[number] = step.hits(work.draft.text, orth, clip)
            if hits and work.take(hits, orth, number):
                seen.clear()
                plan = plan_for(orth, kinds_in(work.draft.text, orth))
                stage = number if repeated < STEPS else number + 1
                edited = again = True
                break
        if not again:
            return plan if edited else None
