"""Rulesets are data; a bad file is refused with the place of the mistake."""

from __future__ import annotations

from pathlib import Path

import pytest

from transcribe import lint, orthography
from transcribe.patterns import words

PROJECT = 'id = "harbour"\nextends = "{parent}"\n'


def project(parent: str, more: str = "") -> orthography.Orthography:
    return orthography.parse(PROJECT.format(parent=parent) + more, "harbour.toml")


def test_the_rulesets_that_are_promised_are_there() -> None:
    promised = words(
        "zh-Hant zh-Hans yue-Hant nan-Hant nan-Latn hak-Hant wuu-Hans en yue-Latn nan-Latn-pehoeji"
    )
    assert promised <= set(orthography.names())


def test_one_name_gives_one_object() -> None:
    assert orthography.load("zh-Hant") is orthography.load("zh-Hant")


def test_an_unknown_ruleset_says_which_there_are() -> None:
    with pytest.raises(orthography.RulesetUnknown, match="zh-Hant"):
        orthography.load("klingon")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("id = 3\n", "id has a value of the wrong type"),
        ("nonsense\nid = 1\n", "line 1"),
        ('id = "x"\nwidht = "full"\n', "line 2: unknown key 'widht'"),
        ('id = "x"\nwidth = "wide"\n', "line 2: width is one of full, half"),
        ('id = "x"\nwords = "Osaka"\n', "words has a value of the wrong type"),
        ('id = "x"\n[severities]\nP001 = "fatal"\n', "line 3: severity of 'P001'"),
        ('version = "2"\n', "id is missing"),
        ('id = "x"\nextends = "klingon"\n', "klingon"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(text: str, problem: str) -> None:
    with pytest.raises((orthography.RulesetInvalid, orthography.RulesetUnknown), match=problem):
        orthography.parse(text, "harbour.toml")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(orthography.RulesetInvalid, match=r"nowhere\.toml"):
        orthography.read(tmp_path / "nowhere.toml")


def test_a_project_adds_words_and_keeps_the_rest() -> None:
    assert not lint.fix("Guá beh khì Osaka.", "nan-Latn").clean
    assert lint.fix("Guá beh khì Osaka.", project("nan-Latn", 'words = ["Osaka"]\n')).clean


def test_a_project_switches_a_rule_off_or_makes_it_weigh_more() -> None:
    assert lint.fix("我家在3樓。", project("zh-Hant", '[severities]\nN001 = "off"\n')).clean
    assert not lint.fix("睇這部戲。", project("yue-Hant", '[severities]\nV014 = "error"\n')).clean


def test_a_project_lists_words_in_bopomofo() -> None:
    assert lint.fix("他超ㄍㄧㄥ的。", project("zh-Hant", 'bopomofo = ["ㄍㄧㄥ"]\n')).clean
    assert not lint.fix("他超ㄍㄧㄥ的。", "zh-Hant").clean


def test_a_dialect_final_is_pointed_out_where_it_is_not_enabled() -> None:
    plain = project("nan-Latn")
    fewer = orthography.replace(plain, dialect_finals=frozenset())
    found = [each for each in lint.check("Guá beh bér hî.", fewer) if each.code == "R014"]
    assert [each.severity for each in found] == ["warning"]
    assert not lint.check("Guá beh bér hî.", plain)


def test_the_final_eng_is_accepted_once_a_project_enables_it() -> None:
    text = "Guá tsin khêng-khiám."
    assert not lint.fix(text, "nan-Latn").clean
    assert lint.fix(text, project("nan-Latn", 'dialect_finals = ["eng"]\n')).clean


def test_selecting_and_ignoring_narrow_a_ruleset() -> None:
    orth = orthography.load("zh-Hant")
    assert {each.code for each in lint.check("我家在3樓,", orth.with_rules(["P"]))} == {"P001", "P010"}
    assert {each.code for each in lint.check("我家在3樓。", orth.with_rules(ignore=["N"]))} == set()
