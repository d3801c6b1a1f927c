"""A Hokkien sentence comes back in the one spelling of its ruleset, however it was typed."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribe import lint, tailo

COMMON = [
    syllable
    for onset in sorted(tailo.ONSETS)
    for final in sorted(tailo.GENERAL_FINALS - {"ing"})  # POJ's -eng for it is left to a person
    for tone in (1, 2, 3, 4, 5, 7, 8)
    if (syllable := tailo.Syllable(onset, final, tone)).legal
]
words = st.lists(st.sampled_from(COMMON), min_size=1, max_size=3)
sentences = st.lists(words, min_size=1, max_size=4).filter(
    lambda sentence: any(syllable.tone not in (1, 4) for word in sentence for syllable in word)
)
Spelling = Callable[[tailo.Syllable], str]


def typed(sentence: list[list[tailo.Syllable]], spelling: Spelling) -> str:
    written = " ".join("-".join(map(spelling, word)) for word in sentence)
    return f"Guá {written}."


def with_dot(sign: str) -> Spelling:
    return lambda syllable: unicodedata.normalize("NFD", syllable.poj()).replace("\u0358", sign)


def dotless(syllable: tailo.Syllable) -> str:
    return unicodedata.normalize("NFD", syllable.marked()).replace("i", "\u0131")


SPELLINGS: dict[str, Spelling] = {
    "marks": tailo.Syllable.marked,
    "decomposed": lambda syllable: unicodedata.normalize("NFD", syllable.marked()),
    "numbers": tailo.Syllable.numbered,
    "POJ": tailo.Syllable.poj,
    "POJ with numbers": tailo.Syllable.poj_numbered,
    "POJ with capital N": lambda syllable: syllable.poj().replace("ⁿ", "N"),
    "POJ with a middle dot": with_dot("·"),
    "POJ with a bullet": with_dot("•"),
    "dotless i": dotless,
}


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=list(SPELLINGS))
@settings(deadline=None, max_examples=60)
@given(sentence=sentences)
def test_every_way_of_typing_gives_the_canonical_sentence(
    spelling: Spelling, sentence: list[list[tailo.Syllable]]
) -> None:
    fixed = lint.fix(typed(sentence, spelling), "nan-Latn")
    assert fixed.clean and fixed.text == typed(sentence, tailo.Syllable.marked)


@settings(deadline=None, max_examples=60)
@given(sentence=sentences)
def test_a_misplaced_mark_moves_and_nothing_else_does(sentence: list[list[tailo.Syllable]]) -> None:
    def misplaced(syllable: tailo.Syllable) -> str:
        marked = unicodedata.normalize("NFD", syllable.marked())
        plain = "".join(char for char in marked if not unicodedata.combining(char))
        marks = "".join(char for char in marked if unicodedata.combining(char))
        last = max((at for at, char in enumerate(plain) if char in "aeiou"), default=len(syllable.onset))
        return unicodedata.normalize("NFC", plain[: last + 1] + marks + plain[last + 1 :])

    fixed = lint.fix(typed(sentence, misplaced), "nan-Latn")
    assert fixed.clean and fixed.text == typed(sentence, tailo.Syllable.marked)


@settings(deadline=None, max_examples=60)
@given(sentence=sentences)
def test_the_sister_ruleset_writes_the_same_sentence_in_poj(sentence: list[list[tailo.Syllable]]) -> None:
    fixed = lint.fix(typed(sentence, tailo.Syllable.poj_numbered), "nan-Latn-pehoeji")
    assert fixed.clean and fixed.text == typed(sentence, tailo.Syllable.poj).replace("Guá", "Góa")
