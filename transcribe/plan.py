"""Which rules a text is shown to: only those that look for a kind of character that occurs in it.

A corpus has few combinations of kinds, so a plan is made once for each and kept
with the ruleset.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from transcribe.characters import Kind
from transcribe.findings import NO_CLIP, Clip, Hit
from transcribe.orthography import Orthography
from transcribe.registry import ClipCheck, Gate, Rule, Stage, TextCheck, text_rules


class Step(NamedTuple):
    """The rules of one stage that have something to look for in a text."""

    stage: Stage
    rules: tuple[tuple[Rule, TextCheck], ...]
    gated: tuple[tuple[Gate, Mapping[str, tuple[Rule, TextCheck]]], ...]
    clip_rules: tuple[tuple[Rule, ClipCheck], ...]

    def hits(self, text: str, orth: Orthography, clip: Clip) -> list[tuple[Rule, Hit]]:
        """What the rules of this stage see in a text, rule by rule."""
        found: list[tuple[Rule, Hit]] = []
        for each, check_text in self.rules:
            for hit in check_text(text, orth):
                found.append((each, hit))
        for gate, gated in self.gated:
            noted = gate(text, orth)
            if noted:
                for code, (each, check_text) in gated.items():
                    if code in noted:
                        found += [(each, hit) for hit in check_text(text, orth)]
        for each, check_clip in self.clip_rules:
            if clip is not NO_CLIP or not each.needs_clip:
                found += [(each, hit) for hit in check_clip(text, orth, clip)]
        return found


class Plan(NamedTuple):
    """All that must be asked of a text with certain kinds of characters."""

    steps: tuple[Step, ...]
    checks: tuple[TextCheck, ...]
    stages: tuple[Stage, ...]  # of the checks
    gates: tuple[tuple[Stage, Gate, frozenset[str]], ...]
    clip_rules: tuple[tuple[Rule, ClipCheck], ...]

    def first(self, text: str, orth: Orthography, clip: Clip) -> Stage | None:
        """The first stage at which a rule has something to say.

        None for most texts, so nothing is collected here.
        """
        found = None
        for at, check_text in enumerate(self.checks):
            for _ in check_text(text, orth):
                found = self.stages[at]
                break
            else:
                continue
            break
        for stage, gate, codes in self.gates:
            if found is not None and found <= stage:
                break
            if not codes.isdisjoint(gate(text, orth)):
                return stage
        if found is not None:
            return found
        for each, check_clip in self.clip_rules:
            if clip is not NO_CLIP or not each.needs_clip:
                for _ in check_clip(text, orth, clip):
                    return each.stage
        return None


def _step(stage: Stage, rules: list[Rule]) -> Step:
    gates: dict[Gate, dict[str, tuple[Rule, TextCheck]]] = {}
    for each in rules:
        if each.gate is not None and each.check is not None:
            gates.setdefault(each.gate, {})[each.code] = (each, each.check)
    return Step(
        stage,
        tuple((each, each.check) for each in rules if each.check is not None and each.gate is None),
        tuple(gates.items()),
        tuple((each, each.clip_check) for each in rules if each.clip_check is not None),
    )


def kinds_in(text: str, orth: Orthography) -> int:
    """The kinds that occur in a text; a Jyutping text whose digits are all tones has none."""
    mask = orth.kinds.mask(text)
    if mask & Kind.DIGIT and orth.romanisation == "jyutping":
        from transcribe.rules import jyutping

        if jyutping.only_tones(text, orth):
            mask &= ~Kind.DIGIT
    return mask


def plan_for(orth: Orthography, mask: int) -> Plan:
    """The rules to run on a text whose kinds are `mask`."""
    plan: Plan | None = orth.plans.get(mask)
    if plan is None:
        stages: dict[Stage, list[Rule]] = {}
        for found in text_rules():
            if found.on & mask and found.applies(orth) and orth.severities.get(found.code) != "off":
                stages.setdefault(found.stage, []).append(found)
        steps = tuple(_step(stage, stages[stage]) for stage in sorted(stages))
        plan = Plan(
            steps,
            tuple(check for step in steps for _, check in step.rules),
            tuple(step.stage for step in steps for _ in step.rules),
            tuple((step.stage, gate, frozenset(gated)) for step in steps for gate, gated in step.gated),
            tuple(pair for step in steps for pair in step.clip_rules),
        )
        orth.plans[mask] = plan
    return plan
