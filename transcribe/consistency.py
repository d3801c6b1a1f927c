"""R020, V017, L007-L009: rules that compare a text with another one.

They are asked for where the other text is known: a second tier, a second
transcript, a recogniser's hypothesis, or a whole project.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from transcribe import agreement, orthography
from transcribe import text as texts
from transcribe.lint import Finding, pair_rule
from transcribe.orthography import Orthography

REVIEW_CAP, RECOGNISER_CAP = 0.05, 0.50
RHOTIC = "儿兒"


def _whole(code: str, text: str, severity: str) -> Finding:
    return Finding(code, "error" if severity == "error" else "warning", 0, len(text), text[:24])


@pair_rule("R020", fix="ask")
def tiers(han: str, latin: str, ruleset: str | Orthography = "nan-Hant") -> list[Finding]:
    """The Han tier and the romanised tier of an utterance have as many syllables.

    Why: they are the same speech; a difference is a syllable that one of them lacks.
    Bad: 3 characters and 4 romanised syllables
    Good: 3 and 3
    """
    orth = orthography.load(ruleset) if isinstance(ruleset, str) else ruleset
    latin_orth = orthography.load("nan-Latn")
    if texts.syllables(han, orth) == texts.syllables(latin, latin_orth):
        return []
    return [_whole("R020", han, "error")]


@pair_rule("V017", severity="warning")
def rhotic(text: str, other: str) -> list[Finding]:
    """Two transcripts agree on every rhotacised form.

    Why: 儿 is audible and easily left out or added by habit.
    Bad: ``那`` where the second transcript has ``那儿``
    Good: ``那儿`` in both
    """
    one, two = (texts.fold(each, "zh-Hans") for each in (text, other))
    plain_one, plain_two = ([token for token in tokens if token not in RHOTIC] for tokens in (one, two))
    if plain_one != plain_two or one == two:
        return []
    return [_whole("V017", text, "warning")]


@pair_rule("L007", fix="ask", severity="warning")
def majority(texts_of_project: Iterable[str], variants: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A word is spelled as most of the project spells it.

    Why: two spellings of one word halve what a model learns of it.
    Bad: ``臺灣`` and ``台灣`` in one project
    Good: ``臺灣`` everywhere

    Returns the spelling to prefer for each variant in the minority; a project's file takes it
    as its list of spellings.
    """
    pairs = tuple(variants)
    counts: Counter[str] = Counter()
    words = re.compile(orthography.any_of(word for pair in pairs for word in pair) if pairs else "(?!)")
    for text in texts_of_project:
        counts.update(words.findall(text))
    return {
        rare: usual
        for a, b in pairs
        for usual, rare in [(a, b) if counts[a] >= counts[b] else (b, a)]
        if counts[rare] and counts[usual]
    }


@pair_rule("L008", severity="warning")
def recogniser(
    text: str, hypothesis: str, ruleset: str | Orthography, *, cap: float = RECOGNISER_CAP
) -> list[Finding]:
    """A recogniser's hypothesis is not far from the transcript.

    Why: where even a weak recogniser hears something else altogether, the text may belong to another clip.
    Bad: an error rate of 70 %
    Good: an error rate of 8 %
    """
    if agreement.mixed_error_rate(text, hypothesis, ruleset) <= cap:
        return []
    return [_whole("L008", text, "warning")]


@pair_rule("L009", severity="warning")
def reviewer(
    text: str, reviewed: str, ruleset: str | Orthography, *, cap: float = REVIEW_CAP
) -> list[Finding]:
    """Transcriber and reviewer differ in at most one token of twenty.

    Why: more is worth a third person's ear, or a talk about the rules.
    Bad: an error rate of 12 %
    Good: an error rate of 2 %
    """
    if agreement.mixed_error_rate(reviewed, text, ruleset) <= cap:
        return []
    return [_whole("L009", text, "warning")]
