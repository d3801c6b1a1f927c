"""What is offered for figures: phrases in the order they are spoken, for exactly the span that is found.

A transcriber takes a suggestion with one key, so each must stand alone: it may not bring
another breach with it, and it may not leave half of a figure behind.
"""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribe import lint
from transcribe.lint import Finding

OFFERED = [
    ("zh-Hant", "N004", "剩下50%。", "50%", "百分之五十"),
    ("zh-Hant", "N004", "有五十％的人。", "五十％", "百分之五十"),
    ("zh-Hant", "N004", "漲了3‰。", "3‰", "千分之三"),
    ("en", "N004", "About 50% of them.", "50%", "fifty percent"),
    ("nan-Latn", "N004", "Ū 50% ê lâng.", "50%", "pah-hun-tsi gōo-tsa̍p"),
    ("zh-Hant", "N005", "這個要$100。", "$100", "一百塊"),
    ("zh-Hant", "N005", "這個NT$1,500。", "NT$1,500", "一千五百塊"),
    ("zh-Hans", "N005", "大概￥300。", "￥300", "三百块"),
    ("yue-Hant", "N005", "$50一個。", "$50", "五十蚊"),
    ("nan-Hant", "N005", "$50就好。", "$50", "五十箍"),
    ("en", "N005", "It costs $5.", "$5", "five dollars"),
    ("zh-Hant", "N006", "跑了五km。", "km", "公里"),
    ("zh-Hant", "N006", "跑了2km。", "2km", "兩公里"),
    ("zh-Hant", "N006", "今天-5°C。", "-5°C", "零下五度"),
    ("zh-Hans", "N006", "长5cm。", "5cm", "五厘米"),
    ("en", "N006", "I ran 5km.", "5km", "five kilometers"),
    ("zh-Hant", "N007", "現在10:30了。", "10:30", "十點半"),
    ("zh-Hant", "N007", "現在3:05了。", "3:05", "三點零五分"),
    ("zh-Hans", "N007", "现在2:00了。", "2:00", "两点"),
    ("zh-Hant", "N007", "早上，5pm。", "5pm", "下午五點"),
    ("zh-Hant", "N007", "比數是3:2。", "3:2", "三比二"),
    ("zh-Hant", "N007", "2024/03/05出發。", "2024/03/05", "二零二四年三月五號"),
    ("en", "N007", "It's 10:30 now.", "10:30", "ten thirty"),
    ("nan-Latn", "N007", "Tann 10:30.", "10:30", "tsa̍p tiám puànn"),
    ("nan-Latn-pehoeji", "N007", "Taⁿ 2:30.", "2:30", "nn̄g tiám pòaⁿ"),
    ("zh-Hant", "N011", "大概3.14。", "3.14", "三點一四"),
    ("zh-Hant", "N011", "大概1,000塊。", "1,000", "一千"),
    ("zh-Hant", "N011", "3-5天。", "3-5", "三到五"),
    ("zh-Hant", "N011", "2/3的人。", "2/3", "三分之二"),
    ("zh-Hant", "N010", "看www.example.com。", "www.example.com", "example 點 com"),
    ("en", "N010", "Go to example.com.", "example.com", "example dot com"),
    ("zh-Hant", "N009", "一＋一等於二。", "＋", "加"),
]


def _of(text: str, ruleset: str, code: str) -> list[Finding]:
    return [finding for finding in lint.check(text, ruleset) if finding.code == code]


@pytest.mark.parametrize(
    ("ruleset", "code", "text", "found", "first"), OFFERED, ids=[row[2] for row in OFFERED]
)
def test_a_figure_is_offered_as_the_phrase_that_is_spoken(
    ruleset: str, code: str, text: str, found: str, first: str
) -> None:
    finding = _of(text, ruleset, code)[0]
    assert text[finding.start : finding.end] == found
    assert finding.suggestions[0] == first


# Mandarin, Cantonese and Hokkien count with 兩 and number with 二; 第, 樓 and 月 number.
READ = [
    ("zh-Hant", "我有2個。", ("兩", "二")),
    ("zh-Hant", "第2名。", ("二", "兩")),
    ("zh-Hant", "我住2樓。", ("二", "兩")),
    ("zh-Hans", "买了2斤。", ("两", "二")),
    ("yue-Hant", "我要2個。", ("兩", "二")),
    ("zh-Hant", "2024年。", ("二零二四", "兩千零二十四")),
    ("zh-Hant", "有105個。", ("一百零五", "一零五")),
    ("zh-Hant", "有110個。", ("一百一十", "一一零")),
    ("zh-Hant", "有12345個。", ("一萬兩千三百四十五", "一二三四五")),
    ("zh-Hant", "有20304個。", ("兩萬零三百零四", "二零三零四")),
    ("zh-Hant", "有100000000個。", ("一億", "一零零零零零零零零")),
    ("zh-Hans", "有2200个。", ("两千二百", "二二零零")),
    ("nan-Hant", "有105个。", ("一百空五", "一空五")),
    ("nan-Latn", "Guá ū 2 ê.", ("nn̄g", "jī")),
    ("nan-Latn", "Guá ū 21 ê.", ("jī-tsa̍p-it",)),
    ("nan-Latn-pehoeji", "Góa ū 25 ê.", ("jī-cha̍p-gō͘",)),
    ("yue-Latn", "ngo5 jau5 200 go3.", ("loeng5 baak3", "ji6 ling4 ling4")),
    ("en", "I have 105.", ("one hundred five", "one zero five")),
    ("en", "The 3rd floor.", ("third",)),
    ("en", "The 21st time.", ("twenty-first",)),
    ("en", "In the 1990s.", ("nineteen nineties",)),
]  # fmt: skip


@pytest.mark.parametrize(("ruleset", "text", "readings"), READ, ids=[f"{row[0]} {row[1]}" for row in READ])
def test_digits_are_offered_in_the_rulesets_own_words(
    ruleset: str, text: str, readings: tuple[str, ...]
) -> None:
    assert _of(text, ruleset, "N001")[0].suggestions == readings


FRAMES = {
    "zh-Hant": "我說{}就好。",
    "zh-Hans": "我说{}就好。",
    "yue-Hant": "我話{}就得。",
    "nan-Hant": "我講{}就好。",
    "hak-Hant": "𠊎講{}就好。",
    "wuu-Hans": "我讲{}就好。",
    "en": "I said {} again.",
}
SHAPES = ["{}", "{}%", "${}", "{}:{:02}", "{}.{}", "{}-{}", "{}km", "2024/{}/{}", "{}°C", "1,{:03}", "{}/{}"]


@pytest.mark.parametrize("ruleset", FRAMES)
@settings(deadline=None, max_examples=150)
@given(shape=st.sampled_from(SHAPES), first=st.integers(0, 10**9), second=st.integers(0, 59))
def test_taking_suggestions_ends_without_a_figure_and_without_a_new_breach(
    ruleset: str, shape: str, first: int, second: int
) -> None:
    if shape.count("/"):
        first, second = first % 12 + 1, second % 28 + 1  # the calendar has it
    elif shape not in ("{}", "${}", "{}km"):
        first %= 100
    text = FRAMES[ruleset].format(shape.format(first, second))
    if _of(text, ruleset, "N008"):
        return  # personal data: nothing is offered
    for _ in range(9):
        offers = [finding for finding in lint.check(text, ruleset) if finding.code[0] == "N"]
        widest = max((f for f in offers if f.suggestions), key=lambda f: f.end - f.start, default=None)
        if widest is None:
            break
        text = text[: widest.start] + widest.suggestions[0] + text[widest.end :]
    errors = {finding.code for finding in lint.check(text, ruleset) if finding.severity == "error"}
    assert errors <= {"V013"}, text  # eight digit words or more are still a number
