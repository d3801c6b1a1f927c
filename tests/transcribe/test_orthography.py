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


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("bad key here\n", "line 3: "),
        ("foo = 1\n", "line 3: unknown key 'foo'"),
        ('words = ["a",\n  "b",\n  3]\n', "line 5: words has an item of the wrong type"),
        ('words = ["a", ""]\n', "line 3: words has an item"),
        ('[severities]\nP001 = "off"\nP777 = "off"\n', "line 5: severities: there is no rule P777"),
        ('severities = { P001 = "off", P00 = "off" }\n', "line 3: severities: there is no rule P00"),
        (
            '[homophones]\n"恩" = "嗯"\n"厄" = 3\n',
            "line 5: homophones has a value of the wrong type for '厄'",
        ),
        ('scripts = ["Han",\n"Greek"]\n', "line 4: scripts is one of Han, Latin"),
        ('zero = "yes"\n', "line 3: zero has a value of the wrong type"),
        ("version = 2\n", "line 3: version has a value of the wrong type"),
        ('glossary = "Osaka"\n', "line 3: glossary has a value of the wrong type"),
        ('words = ["a\n', "line 3: "),
    ],
)
def test_a_mistake_of_any_kind_is_refused_with_its_line(body: str, problem: str) -> None:
    with pytest.raises(orthography.RulesetInvalid) as refused:
        orthography.parse('id = "x"\nextends = "zh-Hant"\n' + body, "harbour.toml")
    assert problem in str(refused.value)


def test_a_file_extends_another_beside_it_but_never_itself(tmp_path: Path) -> None:
    (tmp_path / "base.toml").write_text('id = "base"\nextends = "nan-Latn"\nwords = ["Osaka"]\n')
    (tmp_path / "own.toml").write_text('id = "own"\nextends = "base.toml"\nwords = ["Kobe"]\n')
    assert {"Osaka", "Kobe"} <= orthography.read(tmp_path / "own.toml").words
    (tmp_path / "base.toml").write_text('id = "base"\n\nextends = "own.toml"\n')
    with pytest.raises(orthography.RulesetInvalid, match=r"line 3: extends: own\.toml extends this file"):
        orthography.read(tmp_path / "own.toml")
    (tmp_path / "own.toml").write_text('id = "own"\nextends = "gone.toml"\n')
    with pytest.raises(orthography.RulesetInvalid, match=r"line 2: extends: there is no file gone\.toml"):
        orthography.read(tmp_path / "own.toml")


def test_a_file_from_notepad_is_read_and_foreign_bytes_are_refused_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'id = "own"\r\nextends = "zh-Hant"\r\n')
    assert orthography.read(path).id == "own"
    path.write_bytes(b'id = "own"\n# \xff\n')
    with pytest.raises(orthography.RulesetInvalid, match="line 2: the bytes are not UTF-8"):
        orthography.read(path)


@pytest.mark.parametrize(
    ("ruleset", "text", "term", "code"),
    [
        ("nan-Latn", "Guá beh khì New York.", "New York", "R001"),
        ("zh-Hant", "我用 Ktv 唱 ktv 歌。", "ktv", "L003"),
        ("yue-Hant", "這部戲叫那些年。", "那些年", "V014"),
        ("zh-Hant", "我住台湾路。", "台湾路", "C013"),
        ("yue-Hant", "佢地利亞好。", "佢地利亞", "C014"),
        ("zh-Hant", "恩，你過來。", "恩", "V007"),
    ],
)
def test_what_the_glossary_lists_stands_as_it_is(ruleset: str, text: str, term: str, code: str) -> None:
    def found(orth: orthography.Orthography) -> int:
        return sum(each.code == code for each in lint.check(text, orth))

    assert found(project(ruleset, f'glossary = ["{term}"]\n')) < found(orthography.load(ruleset))


def test_a_glossary_covers_only_its_own_terms() -> None:
    orth = project("yue-Hant", 'glossary = ["那些年"]\n')
    assert [(each.code, each.start) for each in lint.check("那些年，這部戲。", orth)] == [("V014", 4)]


def test_every_listed_word_is_its_own_ruleset_s_spelling() -> None:
    """A suggestion that the linter refuses in its turn helps nobody."""
    for name in orthography.names():
        orth = orthography.load(name)
        if not orth.han:
            continue
        for table in (orth.homophones, orth.spellings, orth.standard_words):
            for right in table.values():
                codes = {each.code for each in lint.check(f"好，{right}，好。", name)}
                assert not codes & {"V007", "C013", "C014", "V014"}, (name, right, codes)


def test_the_glossary_of_a_dialect_is_not_pointed_out() -> None:
    for name in orthography.names():
        for term in orthography.load(name).glossary:
            codes = {each.code for each in lint.check(f"{term}。", name)}
            assert not codes & {"C014", "V014", "V007"}, (name, term, codes)
