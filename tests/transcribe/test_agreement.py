"""Error rates after folding: spelling never counts, words and tones do."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe import agreement, consistency, text

SENTENCE = "Guá beh khì Tâi-lâm tshit-thô, tsia̍h-pá--ah."


@pytest.mark.parametrize(
    "other",
    [
        unicodedata.normalize("NFD", SENTENCE),
        "Gua2 beh4 khi3 Tai5-lam5 tshit4-tho5, tsiah8-pa2--ah4.",
        SENTENCE.upper(),
        SENTENCE.replace("-", " "),
        SENTENCE.replace(",", ""),
    ],
)
def test_one_sentence_in_two_spellings_is_no_error(other: str) -> None:
    assert agreement.mixed_error_rate(SENTENCE, other, "nan-Latn") == 0.0


def test_a_token_is_a_han_character_a_syllable_or_a_word() -> None:
    assert text.fold("我用 Excel 做，好！", "zh-Hant") == ["我", "用", "excel", "做", "好"]
    assert text.fold("伊tshuā我去。", "nan-Hant") == ["伊", "tshua7", "我", "去"]
    assert text.fold("I don’t know.", "en") == text.fold("i don't know", "en")


def test_rates_follow_from_counting() -> None:
    assert agreement.mixed_error_rate("我想一下。", "我想了下。", "zh-Hant") == 0.25
    assert agreement.mixed_error_rate("", "", "zh-Hant") == 0.0
    assert agreement.mixed_error_rate("", "我", "zh-Hant") == 1.0
    toned = agreement.syllable_errors("Guá lâi.", "Guà lâi.", "nan-Latn")
    toneless = agreement.syllable_errors("Guá lâi.", "Guà lâi.", "nan-Latn", tone=False)
    assert (toned.errors, toneless.errors) == (1, 0)


def test_differences_put_both_texts_together_again() -> None:
    found = agreement.differences("我想一下。", "我想了想一下。", "zh-Hant")
    assert "".join("".join(each.first) for each in found) == "我想一下"
    assert "".join("".join(each.second) for each in found) == "我想了想一下"
    assert {each.kind for each in found} == {"equal", "insert"}


def test_punctuation_is_scored_by_mark_at_aligned_gaps() -> None:
    counts = agreement.punctuation("我來，你走。", "我來。你走。", "zh-Hant")
    assert counts["。"].f1 == pytest.approx(2 / 3)
    assert counts["，"].f1 == 0.0 and counts["？"].f1 is None


@given(st.text("我你他好，。", max_size=12), st.text("我你他好，。", max_size=12))
def test_distance_is_symmetric_in_errors_and_zero_for_itself(a: str, b: str) -> None:
    there, back = (agreement.mixed_errors(*pair, "zh-Hant").errors for pair in ((a, b), (b, a)))
    assert there == back
    assert agreement.mixed_errors(a, a, "zh-Hant").errors == 0


def test_rules_that_compare_two_texts() -> None:
    assert not consistency.tiers("我欲去", "guá beh khì")
    assert [each.code for each in consistency.tiers("我欲去", "guá beh khì Tâi-lâm")] == ["R020"]
    assert [each.code for each in consistency.rhotic("我去那。", "我去那儿。")] == ["V017"]
    assert not consistency.rhotic("我去那儿。", "你去那儿。")
    assert [each.code for each in consistency.reviewer("我去了。", "他去過。", "zh-Hant")] == ["L009"]
    assert [each.code for each in consistency.recogniser("我去了。", "什麼都沒有聽到。", "zh-Hant")] == [
        "L008"
    ]
    assert consistency.majority(["台灣好。", "臺灣好。", "臺灣。"], [("臺灣", "台灣")]) == {"台灣": "臺灣"}
