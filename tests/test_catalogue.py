"""Every code has its sentence in three languages, with the same parameters in each.

A person who reads only Chinese and meets an English-only refusal has been told nothing.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
import string

import pytest

import protocol
from protocol.errors import LANGUAGES, CodedError, catalogue, nearest_language, sentence

PACKAGES = ("protocol", "transcribe", "noise_profiles", "recorder", "corpus", "web", "demo")


def coded_errors() -> list[type[CodedError]]:
    """Every error class of the product, found by importing all of it."""
    for package_name in PACKAGES:
        package = importlib.import_module(package_name)
        for module in pkgutil.walk_packages(package.__path__, package_name + "."):
            if ".migrations." not in module.name:
                importlib.import_module(module.name)
    importlib.import_module("xiangyin")
    found: list[type[CodedError]] = []
    pending = [CodedError]
    while pending:
        cls = pending.pop()
        found.append(cls)
        pending += cls.__subclasses__()
    return found


def test_every_error_class_has_a_catalogue_entry():
    missing = {cls.__name__: cls.code for cls in coded_errors() if cls.code not in catalogue()}
    assert not missing


@pytest.mark.parametrize("code", sorted(catalogue()))
def test_sentences_name_the_same_parameters_in_every_language(code):
    entry = catalogue()[code]
    for language in LANGUAGES:
        text = entry.sentences[language]
        names = {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
        assert names == entry.parameters(), f"{code} in {language}"
        assert text.strip() == text and len(text) > 4


SIMPLIFIED_ONLY = set("这没请录过时间对从发现应该统计读写传输删复错误权钥签")
TRADITIONAL_ONLY = set("這沒請錄過時間對從發現應該統計讀寫傳輸刪複錯誤權鑰簽")


@pytest.mark.parametrize("code", sorted(catalogue()))
def test_chinese_sentences_are_chinese_and_of_their_own_script(code):
    sentences = catalogue()[code].sentences
    for language, foreign in (("zh-Hant", SIMPLIFIED_ONLY), ("zh-Hans", TRADITIONAL_ONLY)):
        assert re.search(r"[\u4e00-\u9fff]", sentences[language]), f"{code} in {language}"
        assert not foreign & set(sentences[language]), f"{code} in {language}"


@pytest.mark.parametrize("code", sorted(catalogue()))
def test_a_code_has_one_of_the_two_shapes_and_an_http_status(code):
    assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*|[a-z]+\.[a-z0-9_]+", code)
    assert 400 <= catalogue()[code].http_status <= 599


def test_a_sentence_with_a_missing_parameter_still_reads():
    """A person in trouble must not meet a second error."""
    assert "?" in sentence("VALUE_INVALID")


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("zh-TW,zh;q=0.9", "zh-Hant"),
        ("zh-HK", "zh-Hant"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh-CN,en;q=0.5", "zh-Hans"),
        ("zh", "zh-Hans"),
        ("nan-Latn-TW", "zh-Hant"),
        ("wuu", "zh-Hans"),
        ("fr,en;q=0.5", "en"),
        ("", "en"),
        (None, "en"),
    ],
)
def test_the_nearest_language_is_what_the_person_reads(wanted, expected):
    assert nearest_language(wanted) == expected


def test_protocol_is_importable_alone():
    assert protocol.__doc__
