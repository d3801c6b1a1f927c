"""Lengths, rates and consistency: where each level begins, counted from the catalogue's numbers."""

from __future__ import annotations

import pytest

from transcribe import lint, text
from transcribe.orthography import load

TEN = "我昨天跟阿姨去菜市場"


def said(count: int) -> str:
    """So many syllables of Mandarin, with a comma after every ten."""
    return "，".join((TEN * (count // 10 + 1))[n : min(n + 10, count)] for n in range(0, count, 10)) + "。"


def levels(given: str, ruleset: str, **clip: float | str | None) -> dict[str, str]:
    """Code to severity, of family L."""
    found = lint.check(given, ruleset, **clip)  # type: ignore[arg-type]
    return {each.code: each.severity for each in found if each.code[0] == "L"}


@pytest.mark.parametrize(
    ("syllables", "speech_s", "expected"),
    [
        (12, 2.5, {}),
        (16, 2.0, {}),
        (17, 2.0, {"L001": "warning"}),
        (22, 2.0, {"L001": "warning"}),
        (23, 2.0, {"L001": "error"}),
        (30, 2.0, {"L001": "error"}),
        (12, 4.0, {}),
        (2, 3.0, {}),
        (3, 3.1, {"L002": "warning"}),
        (4, 3.1, {}),
        (2, 8.0, {"L002": "warning"}),
        (8, 8.0, {}),
        (40, 30.0, {}),
        (40, 30.5, {"L005": "warning"}),
        (60, 40.0, {"L005": "warning"}),
        (60, 40.5, {"L005": "error"}),
        (60, 55.0, {"L005": "error"}),
        (12, 0.0, {}),
        (12, None, {}),
    ],
)
def test_rate_and_duration_speak_where_the_catalogue_says(
    syllables: int, speech_s: float | None, expected: dict[str, str]
) -> None:
    assert levels(said(syllables), "zh-Hant", speech_s=speech_s) == expected


def test_three_hundred_syllables_are_the_most_even_without_the_sound() -> None:
    assert "L005" not in levels(said(300), "zh-Hant")
    assert levels(said(301), "zh-Hant")["L005"] == "error"


@pytest.mark.parametrize(
    ("given", "ruleset", "count"),
    [
        ("我用 Excel 做。", "zh-Hant", 5),
        ("我去 KTV。", "zh-Hant", 5),
        ("Guá beh khì Tâi-lâm, tsia̍h-pá--ah.", "nan-Latn", 8),
        ("伊tshuā我去。", "nan-Hant", 4),
        ("I don't know.", "en", 3),
        ("nei5 hou2.", "yue-Latn", 2),
        ("[laughter] 𠊎愛。", "hak-Hant", 2),
    ],
)
def test_what_counts_as_a_syllable(given: str, ruleset: str, count: int) -> None:
    assert text.syllables(given, load(ruleset)) == count


@pytest.mark.parametrize(
    ("given", "ruleset", "expected"),
    [
        ("他在 ktv 唱歌。", "zh-Hant", {"L003": "warning"}),
        ("他在 KTV 唱歌。", "zh-Hant", {}),
        ("他在 Ktv 唱歌。", "zh-Hant", {}),  # a brand may write itself so
        ("伊去ktv唱歌。", "nan-Hant", {"L003": "warning"}),
        ("佢去咗 atm 㩒錢。", "yue-Hant", {"L003": "warning"}),
        ("", "en", {"L004": "error"}),
        ("[noise] <laugh>", "zh-Hans", {"L004": "error"}),
        ("我，跟，你，說，他，昨，天，沒，有，來，喔，真的。", "zh-Hant", {"L010": "warning"}),
        ("我跟你說，他昨天沒有來喔，真的。", "zh-Hant", {}),
        ("嗯，對，對，對，就是這樣。", "zh-Hant", {}),
        (TEN * 2 + "我昨天跟阿。", "zh-Hant", {}),
        (TEN * 2 + "我昨天跟阿姨。", "zh-Hant", {"L010": "warning"}),
    ],
)
def test_acronyms_emptiness_and_the_density_of_marks(
    given: str, ruleset: str, expected: dict[str, str]
) -> None:
    assert levels(given, ruleset) == expected


def test_a_prompt_that_was_pasted_is_seen_through_its_marks() -> None:
    assert levels("我等一下要出門。", "zh-Hant", prompt="我等一下，要出門！") == {"L006": "warning"}
    assert levels("我等一下出門。", "zh-Hant", prompt="我等一下，要出門！") == {}
