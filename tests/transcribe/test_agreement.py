"""Error rates after folding: spelling never counts, words and tones do."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

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


# -- the rates against a textbook --------------------------------------------------------------

TOKENS = st.lists(st.sampled_from("我你他好來去"), max_size=9)
SYLLABLES = ("tâi", "gí", "guá", "khì", "tsia̍h", "hó", "ang", "lâng", "tn̂g")


def textbook_distance(a: Sequence[str], b: Sequence[str]) -> int:
    """Wagner and Fischer, 1974, as any textbook prints it."""
    row = list(range(len(b) + 1))
    for i, one in enumerate(a, start=1):
        above, row = row, [i]
        for j, two in enumerate(b, start=1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (one != two)))
    return row[-1]


@given(TOKENS, TOKENS)
def test_the_mixed_error_rate_is_the_textbook_distance_over_the_reference(a: list[str], b: list[str]) -> None:
    counts = agreement.mixed_errors("，".join(a), "".join(b) + "。", "zh-Hant")
    assert counts.errors == textbook_distance(a, b)
    assert counts.reference == len(a)


@given(
    st.lists(st.sampled_from(SYLLABLES), max_size=7),
    st.lists(st.sampled_from(SYLLABLES), max_size=7),
    st.sampled_from(["NFC", "NFD"]),
)
def test_syllables_in_any_normal_form_count_like_the_textbook(a: list[str], b: list[str], form: str) -> None:
    joined = unicodedata.normalize(form, "-".join(b))
    counts = agreement.mixed_errors(" ".join(a), joined, "nan-Latn")
    assert counts.errors == textbook_distance(a, b)


@given(TOKENS, st.data())
def test_a_token_added_left_out_or_exchanged_is_one_error(a: list[str], data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(a)))
    added = "".join([*a[:at], "嗨", *a[at:]])
    assert agreement.mixed_errors("".join(a), added, "zh-Hant").errors == 1
    assert agreement.mixed_errors(added, "".join(a), "zh-Hant").errors == 1
    if at < len(a):
        exchanged = "".join([*a[:at], "嗨", *a[at + 1 :]])
        assert agreement.mixed_errors("".join(a), exchanged, "zh-Hant").errors == 1


MIXED = st.text("我你好 ，。Excel-âé\u0301", max_size=14)


@given(MIXED, MIXED, st.sampled_from(["zh-Hant", "nan-Latn", "nan-Hant", "en"]))
def test_the_rate_is_zero_exactly_where_the_folded_texts_are_equal(a: str, b: str, ruleset: str) -> None:
    zero = agreement.mixed_errors(a, b, ruleset).errors == 0
    assert zero == (text.fold(a, ruleset) == text.fold(b, ruleset))


@given(MIXED, MIXED, st.sampled_from(["zh-Hant", "nan-Latn", "nan-Hant", "en"]))
def test_differences_give_both_folded_texts_back(a: str, b: str, ruleset: str) -> None:
    found = agreement.differences(a, b, ruleset)
    assert [token for each in found for token in each.first] == text.fold(a, ruleset)
    assert [token for each in found for token in each.second] == text.fold(b, ruleset)
    assert all((each.kind == "equal") == (each.first == each.second) for each in found)


def test_leaving_out_the_tones_leaves_other_digits() -> None:
    toneless = agreement.syllable_errors("我聽 mp3。", "我聽 mp4。", "zh-Hant", tone=False)
    assert toneless.errors == 1
    jyutping = agreement.syllable_errors("nei5 hou2.", "nei5 hou3.", "yue-Latn", tone=False)
    assert jyutping.errors == 0


@pytest.mark.parametrize(
    ("a", "b", "ruleset", "errors"),
    [
        ("嗯，我知道。", "呃，我知道。", "zh-Hant", 0),
        ("恩，我知道。", "呃，我知道。", "zh-Hant", 0),
        ("嗯，我知道。", "我知道。", "zh-Hant", 1),
        ("謝恩。", "謝嗯。", "zh-Hant", 1),
        ("伊讲，好个。", "嗯，好个。", "wuu-Hans", 0),
        ("Um, yes.", "Uh, yes.", "en", 0),
        ("Umm, yes.", "Hmm, yes.", "en", 0),
        ("Ah, hó.", "Honnh, hó.", "nan-Latn", 0),
    ],
)
def test_fillers_can_count_as_one_word(a: str, b: str, ruleset: str, errors: int) -> None:
    assert agreement.mixed_errors(a, b, ruleset, fillers=True).errors == errors


@pytest.mark.parametrize(
    ("a", "b", "f1"),
    [
        ("我來了。", "我來。", {"。": 1.0}),  # the last word is missing, the end is the same
        ("我來，你走。", "我來你走。", {"，": 0.0, "。": 1.0}),
        ("我來, 你走.", "我來，你走。", {"，": 1.0, "。": 1.0}),  # width is no disagreement
        ("我來、你走；好。", "我來，你走，好。", {"，": 1.0, "。": 1.0}),
        ("真的？！", "真的？", {"？": 1.0}),
        ("我，我來。", "我來。", {"，": 0.0, "。": 1.0}),
        ("我用 3.5 版。", "我用 3.5 版。", {"。": 1.0}),
        ("", "。", {}),
    ],
)
def test_marks_are_compared_where_the_words_are(a: str, b: str, f1: dict[str, float]) -> None:
    counted = agreement.punctuation(a, b, "zh-Hant")
    assert {mark: counts.f1 for mark, counts in counted.items() if counts.f1 is not None} == f1


@given(st.text("我你他，。？！", max_size=12), st.text("我你他，。？！", max_size=12))
def test_no_mark_is_counted_twice(a: str, b: str) -> None:
    for first, second in ((a, b), (b, a), (a, a)):
        counted = agreement.punctuation(first, second, "zh-Hant")
        for mark, counts in counted.items():
            assert counts.both + counts.first_only <= first.count(mark)
            assert counts.both + counts.second_only <= second.count(mark)
            if first == second:
                assert counts.first_only == counts.second_only == 0


def test_rhotic_forms_are_compared_without_the_marks() -> None:
    assert [each.code for each in consistency.rhotic("我去那，好。", "我去那儿好！")] == ["V017"]
    assert not consistency.rhotic("儿子来了。", "儿子来了！")
