"""What holds for any text whatever, in every ruleset."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from transcribe import lint, orthography, text
from transcribe.patterns import words

RULESETS = orthography.names()
CASES = [
    json.loads(row)["input"]
    for path in sorted((Path(__file__).parent / "cases").glob("*.jsonl"))
    for row in path.read_bytes().splitlines()
]
SIGNS = list(
    "，。？！,.?!、：；:;…⋯—–-～~「」“”‘’'\"《》()（）[]{}<>·•・‧&/@#*+=%$￥①²½０５0123456789〇○OoXx々□♪"
    " \u3000\u00a0\t\n\r\u2028\u200b\ufeff\u00ad\u202e\u200e\ufe0f\U000e0101"
    "\u0301\u0300\u0302\u0304\u030d\u030b\u0306\u0358"
    "ⁿᴺNˈ´ʼﬁＥｘı我你好三五一年去們们个乧の안с👍\ue701\uf98e\U0002f81a⼀丶ㄧ\ufffd\x00\x1b\ud800\U000323b0ɡ⿰a-bÁēâ"
)
PIECES = sorted(
    words(
        "-- ... …… 。。。 ?? [noise] <unk> &nbsp; Tai5 gi2 tâi khì siáN chhiáⁿ thô· góa tsiáh mp3 hello "
        "don’t U.S. km 10:30 甲： xxx 哈哈哈哈哈 嗯 恩， <b> </noise>"
    )
)
pieces = st.one_of(st.sampled_from(SIGNS), st.sampled_from(PIECES), st.sampled_from(CASES))
TEXTS = st.one_of(
    st.lists(st.sampled_from(SIGNS), max_size=12).map("".join),
    st.lists(pieces, max_size=5).map("".join),
    st.text(max_size=20),
)


@pytest.mark.parametrize("ruleset", RULESETS)
@settings(deadline=None, max_examples=250)
@given(given_text=TEXTS)
def test_a_fix_changes_no_spoken_word_and_needs_no_second_fix(ruleset: str, given_text: str) -> None:
    fixed = lint.fix(given_text, ruleset)
    if not fixed.clean:
        assert fixed.text == given_text
        return
    assert text.spoken(fixed.text, ruleset) == text.spoken(given_text, ruleset)
    again = lint.fix(fixed.text, ruleset)
    assert again.clean and again.text == fixed.text
    assert not [finding for finding in again.findings if finding.severity == "error" or finding.safe]


@pytest.mark.parametrize("ruleset", RULESETS)
@settings(deadline=None, max_examples=100)
@given(given_text=TEXTS)
def test_findings_point_into_the_given_text_and_say_something(ruleset: str, given_text: str) -> None:
    fixed = lint.fix(given_text, ruleset)
    assert list(fixed.findings) == lint.check(given_text, ruleset)
    changes = [finding for finding in fixed.findings if finding.safe]
    if fixed.clean and not changes:
        assert fixed.text == given_text
    for finding in fixed.findings:
        assert 0 <= finding.start <= finding.end <= len(given_text)
        assert len(finding.suggestions) <= 3
        for language in ("en", "zh-Hant", "zh-Hans"):
            assert finding.message(language) not in ("", finding.code)


@pytest.mark.parametrize("ruleset", RULESETS)
@settings(deadline=None, max_examples=60)
@given(given_text=TEXTS, seconds=st.one_of(st.none(), st.floats(0, 200)))
def test_folding_and_clip_rules_take_any_text(ruleset: str, given_text: str, seconds: float | None) -> None:
    assert all(text.fold(given_text, ruleset))
    lint.check(given_text, ruleset, speech_s=seconds, prompt=given_text)


def test_applied_codes_come_in_one_order_whatever_the_interpreter_hashes() -> None:
    """They are stored with a transcript, and a release is the same bytes on every machine."""
    code = "from transcribe import lint; print(*lint.fix('Chhi\u00e1\u207f l\u00ed.', 'nan-Latn').applied)"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            cwd=Path(__file__).resolve().parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(4)
    }
    assert answers == {"R005 R006\n"}


KINDS = [
    "a\u0301\u0323",
    "\u0301",
    "*",
    " ",
    "<",
    "[noise",
    "一",
    "1 ",
    ".",
    "-",
    "tai5",
    "'",
    "\ud800",
    "\x00",
    "（",
    "，？",
    "<noise>",
    "ㄧ",
    "们",
]
HOSTILE = ["a" + "\u0301\u0323" * 50_000, *((kind * 100_000)[:100_000] for kind in KINDS)]


@pytest.mark.parametrize("ruleset", ["zh-Hant", "nan-Latn"])
@pytest.mark.parametrize("hostile", HOSTILE, ids=[ascii(each[:8]) for each in HOSTILE])
def test_long_lines_of_one_kind_are_answered(ruleset: str, hostile: str) -> None:
    assert lint.fix(hostile, ruleset).text == hostile
    assert text.nfc(hostile) is not None
