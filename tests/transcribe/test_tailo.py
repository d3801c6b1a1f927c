"""Tâi-lô and Pe̍h-ōe-jī syllables."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe import tailo

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
