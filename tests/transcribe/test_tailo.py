"""Tâi-lô and Pe̍h-ōe-jī syllables."""

from __future__ import annotations

import doctest
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe import tailo
from transcribe.tailo import conversion

LEGAL = [
    syllable
    for onset in sorted(tailo.ONSETS)
    for final in sorted(tailo.FINALS - {"eng"})
    for tone in range(1, 10)
    if (syllable := tailo.Syllable(onset, final, tone)).legal
]


def test_the_inventory_has_the_published_size() -> None:
    assert len(tailo.ONSETS) == 18
    assert len(tailo.GENERAL_FINALS) == 97
    assert len(tailo.DIALECT_FINALS) == 26


@given(st.sampled_from(LEGAL))
def test_a_syllable_is_read_back_from_all_four_spellings(syllable: tailo.Syllable) -> None:
    assert tailo.parse(syllable.marked()) == syllable
    for text, poj in ((syllable.numbered(), False), (syllable.poj(), True), (syllable.poj_numbered(), True)):
        reading = tailo.read(text, poj=poj)
        assert reading is not None and reading.syllable == syllable, text


@given(st.sampled_from(LEGAL), st.sampled_from(["NFC", "NFD"]))
def test_the_unicode_form_does_not_matter(syllable: tailo.Syllable, form: str) -> None:
    assert tailo.parse(unicodedata.normalize(form, syllable.marked())) == syllable  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("typed", "canonical", "notes"),
    [
        ("tīo", "tiō", {"R003"}),
        ("Tai5", "Tâi", {"R004"}),
        ("chhiáⁿ", "tshiánn", {"R005", "R006"}),
        ("siáN", "siánn", {"R006"}),
        ("thô·", "thôo", {"R007"}),
        ("tsiaˈh", "tsia̍h", {"R008"}),
        ("tsı̍t", "tsi̍t", {"R016"}),
        ("góa", "guá", {"R005"}),
        ("tek", "tik", {"R005"}),
        ("GÓA", "GUÁ", {"R005"}),
    ],
)
def test_what_people_type_is_read_and_named(typed: str, canonical: str, notes: set[str]) -> None:
    reading = tailo.read(typed)
    assert reading is not None
    assert unicodedata.normalize("NFC", reading.written()) == unicodedata.normalize("NFC", canonical)
    assert reading.notes == notes


@pytest.mark.parametrize(
    "impossible", ["tsiáh", "tat2", "tan4", "lānn", "gann", "mo", "tâí", "xiong", "siid", "", "a" * 99]
)
def test_what_cannot_exist_is_not_parsed(impossible: str) -> None:
    assert tailo.parse(impossible) is None


@pytest.mark.parametrize(
    ("marked", "numbered", "poj"),
    [
        ("guá", "gua2", "góa"),
        ("tshiánn", "tshiann2", "chhiáⁿ"),
        ("thôo", "thoo5", "thô͘"),
        ("tik", "tik4", "tek"),
        ("hîng", "hing5", "hêng"),
        ("nn̄g", "nng7", "nn̄g"),
        ("a̋ng", "ang9", "ăng"),
        ("ue̍h", "ueh8", "oe̍h"),
        ("khuànn", "khuann3", "khòaⁿ"),
    ],
)
def test_known_words_in_both_orthographies(marked: str, numbered: str, poj: str) -> None:
    syllable = tailo.parse(marked)
    assert syllable is not None and syllable.numbered() == numbered
    assert syllable.poj() == unicodedata.normalize("NFC", poj)


@given(st.text(max_size=8))
def test_any_text_is_answered(text: str) -> None:
    tailo.read(text)
    tailo.read(text, poj=True)


# -- whole texts -------------------------------------------------------------------------------

EVERY_SYLLABLE = " ".join(syllable.marked() for syllable in LEGAL)


def _plain_poj(syllable: str) -> str:
    poj = tailo.convert(syllable, target="poj").replace("ⁿ", "")
    return unicodedata.normalize("NFD", poj)


FORMS = [(form, case) for form in ("NFC", "NFD") for case in (str.lower, str.upper, str.capitalize)]


@pytest.mark.parametrize(("form", "case"), FORMS)
def test_every_syllable_comes_back_from_numbers_and_from_poj(form: str, case: object) -> None:
    """A corpus may be kept in any of the four spellings without losing a tone or a vowel."""
    syllables = EVERY_SYLLABLE.split()
    if case is str.upper:  # one letter in POJ (O͘, Aⁿ) is a capital at the beginning as well
        syllables = [each for each in syllables if sum(map(str.isalpha, _plain_poj(each))) > 1]
    cased = " ".join(map(case, syllables))  # type: ignore[arg-type]
    canonical = unicodedata.normalize("NFC", cased)
    typed = unicodedata.normalize(form, cased)  # type: ignore[arg-type]
    for target in ("tailo", "poj"):
        for tones in ("marks", "numbers"):
            written = tailo.convert(typed, target=target, tones=tones)  # type: ignore[arg-type]
            assert tailo.convert(written, source=target) == canonical  # type: ignore[arg-type]


def test_every_syllable_has_its_own_spelling_in_each_orthography() -> None:
    for target in ("tailo", "poj"):
        written = tailo.convert(EVERY_SYLLABLE, target=target).split()  # type: ignore[arg-type]
        assert len(set(written)) == len(LEGAL)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("mp3 A4 H5N1 LINE2 2024 Tai52", "a number after no syllable is a number"),
        ("tsiáh lānn tâí tsăi", "the tone or the syllable is uncertain"),
        ("Khêng-khiám", "-eng may be a dialect's own final"),
        ("tÂi", "a capital inside is no case that could be kept"),
        ("我想說，馬克·吐溫。", "no syllable at all"),
        ("xiong computer", "no syllable of the inventory"),
    ],
)
def test_what_is_uncertain_is_left_alone(text: str, why: str) -> None:
    assert tailo.convert(text) == text, why


@given(st.text(max_size=30))
def test_converting_twice_changes_no_more(text: str) -> None:
    once = tailo.convert(text)
    assert tailo.convert(once) == once


def test_an_option_of_no_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="pinyin"):
        tailo.convert("Tâi", target="pinyin")  # type: ignore[arg-type]


@pytest.mark.parametrize("module", [tailo, conversion])
def test_the_examples_of_the_docstrings_run(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted and not result.failed


def test_the_examples_of_the_page_run() -> None:
    page = Path(__file__).parents[2] / "docs" / "tailo.md"
    result = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert result.attempted and not result.failed
