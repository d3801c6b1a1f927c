"""C014, V007, V014: words against the ruleset's lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography, any_of
from transcribe.patterns import PerWord


class _Shielded(NamedTuple):
    """A list of words, alone and with the glossary's terms that contain one of them and so cover it."""

    words: re.Pattern[str]
    with_terms: re.Pattern[str]
    right: Mapping[str, str]


@lru_cache(maxsize=32)
def _fillers_by_word(orth: Orthography) -> PerWord[bool]:
    """Whether a word is on the list; a list with a space in it is asked about the whole text."""
    spaced = any(" " in word for word in orth.homophones)
    return PerWord(lambda word: spaced or orth.filler_pattern.search(word) is not None)


@lru_cache(maxsize=64)
def _lists(orth: Orthography) -> tuple[_Shielded | None, _Shielded | None]:
    """Spellings and standard words."""
    return _shielded(orth.spellings, orth), _shielded(orth.standard_words, orth)


def _shielded(right: Mapping[str, str], orth: Orthography) -> _Shielded | None:
    if not right:
        return None
    terms = {term for term in orth.glossary if any(word in term for word in right)}
    return _Shielded(re.compile(any_of(right)), re.compile(any_of({*right, *terms})), right)


def _against(text: str, listed: _Shielded | None, orth: Orthography) -> Iterator[Hit]:
    if listed is None or not listed.words.search(text):
        return
    for match in listed.with_terms.finditer(text):
        if match[0] not in orth.glossary:
            yield ask(*match.span(), listed.right[match[0]])


@rule("V007", stage=Stage.WORDS, on=Kind.WORDING, fix="ask")
def filler_off_the_list(text: str, orth: Orthography) -> Iterable[Hit]:
    """A filler is written as the ruleset's list writes it.

    Why: one sound, one spelling; a homophone is another word.
    Bad: ``恩，我知道。``
    Good: ``嗯，我知道。``
    """
    if not orth.han and not any(map(_fillers_by_word(orth).__getitem__, text.split(" "))):
        return
    for match in orth.filler_pattern.finditer(text):
        if match[0] in orth.glossary or (match[0].isupper() and len(match[0]) > 1):
            continue  # ER is a place
        yield ask(*match.span(), orth.listed_filler(match[0]))


@rule("C014", stage=Stage.WORDS, on=Kind.WORDING, fix="ask", severity="warning")
def variant_against_the_list(text: str, orth: Orthography) -> Iterable[Hit]:
    """The spelling that the project's list prefers.

    Why: one spelling a word. Some variants differ in sound, so nothing is replaced.
    Bad: ``我地走先。`` (yue-Hant)
    Good: ``我哋走先。``
    """
    return _against(text, _lists(orth)[0], orth)


@rule("V014", stage=Stage.WORDS, on=Kind.WORDING, fix="ask", severity="warning")
def standard_word_in_dialect(text: str, orth: Orthography) -> Iterable[Hit]:
    """In a dialect, a function word of the standard language is worth a second listen.

    Why: people write the word they read at school for the one they hear. It may also have been said, so it
    is never refused.
    Bad: ``睇這部戲。`` (yue-Hant)
    Good: ``睇呢部戲。``
    """
    return _against(text, _lists(orth)[1], orth)
