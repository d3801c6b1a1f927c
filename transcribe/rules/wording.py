"""C014, V007, V014: words against the ruleset's lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import PerWord

_MARKS = f" {FULL_MARKS}{HALF_MARKS}、；："


@lru_cache(maxsize=32)
def _patterns(
    orth: Orthography,
) -> tuple[re.Pattern[str] | None, re.Pattern[str] | None, re.Pattern[str] | None]:
    """Patterns of fillers, spellings and standard words."""
    words = _any(orth.homophones)
    if words is None:
        fillers = None
    elif orth.han:
        fillers = re.compile(f"(?:^|(?<=[{_MARKS}]))(?:{words})(?=[{_MARKS}]|$)")
    else:
        fillers = re.compile(f"(?<![\\w'-])(?:{words})(?![\\w'-])", re.IGNORECASE)
    spellings, standard = _any(orth.spellings), _any(orth.standard_words)
    return (
        fillers,
        re.compile(spellings) if spellings else None,
        re.compile(standard) if standard else None,
    )


@lru_cache(maxsize=32)
def _fillers_by_word(orth: Orthography) -> PerWord[bool]:
    """Whether a word is on the list; a list with a space in it is asked about the whole text."""
    pattern = _patterns(orth)[0]
    spaced = any(" " in word for word in orth.homophones)
    return PerWord(lambda word: spaced or (pattern is not None and pattern.search(word) is not None))


def _any(words: Iterable[str]) -> str | None:
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return "|".join(map(re.escape, longest_first)) or None


@rule("V007", stage=Stage.WORDS, on=Kind.WORDING, fix="ask")
def filler_off_the_list(text: str, orth: Orthography) -> Iterable[Hit]:
    """A filler is written as the ruleset's list writes it.

    Why: one sound, one spelling; a homophone is another word.
    Bad: ``恩，我知道。``
    Good: ``嗯，我知道。``
    """
    pattern = _patterns(orth)[0]
    if not orth.han and not any(map(_fillers_by_word(orth).__getitem__, text.split(" "))):
        return
    for match in pattern.finditer(text) if pattern else ():
        right = orth.homophones.get(match[0]) or orth.homophones[match[0].casefold()]
        yield ask(*match.span(), right.capitalize() if match[0][0].isupper() else right)


@rule("C014", stage=Stage.WORDS, on=Kind.WORDING, fix="ask", severity="warning")
def variant_against_the_list(text: str, orth: Orthography) -> Iterable[Hit]:
    """The spelling that the project's list prefers.

    Why: one spelling a word. Some variants differ in sound, so nothing is replaced.
    Bad: ``我地走先。`` (yue-Hant)
    Good: ``我哋走先。``
    """
    pattern = _patterns(orth)[1]
    for match in pattern.finditer(text) if pattern else ():
        yield ask(*match.span(), orth.spellings[match[0]])


@rule("V014", stage=Stage.WORDS, on=Kind.WORDING, fix="ask", severity="warning")
def standard_word_in_dialect(text: str, orth: Orthography) -> Iterable[Hit]:
    """In a dialect, a function word of the standard language is worth a second listen.

    Why: people write the word they read at school for the one they hear. It may also have been said, so it
    is never refused.
    Bad: ``睇這部戲。`` (yue-Hant)
    Good: ``睇呢部戲。``
    """
    pattern = _patterns(orth)[2]
    for match in pattern.finditer(text) if pattern else ():
        yield ask(*match.span(), orth.standard_words[match[0]])
