"""The catalogue: every rule has its page in three languages, and the documents follow the code."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from protocol.errors import LANGUAGES
from transcribe import catalogue_page, lint, orthography, pages, sentences

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("code", sorted(lint.catalogue()))
@pytest.mark.parametrize("language", LANGUAGES)
def test_every_rule_has_a_page_in_every_language(code: str, language: str) -> None:
    page = pages.page(code, language)  # type: ignore[arg-type]
    assert all(page.as_json().values())
    if language != "en":
        english = pages.page(code)
        assert page.title != english.title and page.why != english.why
        assert re.search("[\u4e00-\u9fff]", page.title + page.why + page.message)


def test_every_sentence_belongs_to_a_rule() -> None:
    assert set(sentences.entries()) == set(lint.catalogue())


def test_traditional_sentences_are_traditional_and_simplified_ones_simplified() -> None:
    for code, table in sentences.entries().items():
        for name in ("zh-Hant", "zh-Hans"):
            text = table[name] + table["page"][name]["title"] + table["page"][name]["why"]
            foreign = orthography.load(name).foreign_variety
            assert not [char for char in text if char in foreign], f"{code} {name}"


@pytest.mark.parametrize("code", sorted(lint.catalogue()))
def test_the_good_example_of_a_page_is_no_breach_of_its_rule(code: str) -> None:
    page = pages.page(code)
    rulesets = re.findall(r"\((\w+-\w+)\)", page.bad) or ["zh-Hant", "nan-Latn", "nan-Hant", "en", "yue-Latn"]
    for good in re.findall("``(.+?)``", page.good):
        assert any(code not in {found.code for found in lint.check(good, ruleset)} for ruleset in rulesets), (
            f"{code}: {good}"
        )


@pytest.mark.parametrize("code", sorted(code for code, rule in lint.catalogue().items() if rule.check))
def test_the_bad_example_of_a_page_is_found(code: str) -> None:
    page = pages.page(code)
    for bad in re.findall("``(.+?)``", page.bad):
        raw = re.sub(r"\\u\{?([0-9a-fA-F]{4})", lambda m: chr(int(m[1], 16)), bad)
        raw = re.sub(r"\\U([0-9a-fA-F]{8})", lambda m: chr(int(m[1], 16)), raw)
        raw = re.sub(r"\\x([0-9a-f]{2})", lambda m: chr(int(m[1], 16)), raw).replace("\\n", "\n")
        if "with a space after it" in page.bad:
            raw += " "
        if code == "R014":
            continue  # speaks only where the project enables fewer finals
        found = {each.code for name in orthography.names() for each in lint.check(raw, name)}
        assert code in found, f"{code}: {raw!r}"


def test_an_unknown_rule_is_named_in_the_error() -> None:
    with pytest.raises(pages.RuleUnknown, match="There is no rule Q001"):
        pages.page("Q001")


def test_the_catalogue_page_is_not_stale() -> None:
    written = (DOCS / "rules.md").read_text(encoding="utf-8")
    assert written == catalogue_page.render(), "run: python -m transcribe.catalogue_page > docs/rules.md"


@pytest.fixture
def guide() -> Iterator[list[tuple[str, str]]]:
    """The code blocks of the guide; whatever they register is forgotten afterwards."""
    page = (DOCS / "adding-a-rule.md").read_text(encoding="utf-8")
    lint.catalogue()
    known = set(lint.RULES)
    yield re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL)
    for code in set(lint.RULES) - known:
        del lint.RULES[code]
    orthography.load.cache_clear()


def test_the_guide_to_adding_a_rule_works(guide: list[tuple[str, str]]) -> None:
    orthography.load.cache_clear()
    namespace: dict[str, object] = {}
    for kind, block in guide:
        if kind == "python":
            exec(block, namespace)  # the page's own example
        elif kind == "toml":
            orth = orthography.parse(block, "the guide")
            assert {"Osaka", "Kobe"} <= orth.words and "KTV" in orth.acronyms
            assert lint.fix("伊tshuā我去。", orth).clean
            assert lint.fix("我蹛佇台湾路。", orth).clean
    assert "P090" in lint.RULES


def test_the_hooks_run_commands_that_exist_on_transcripts_only() -> None:
    rows = (DOCS.parent / ".pre-commit-hooks.yaml").read_text(encoding="utf-8").splitlines()
    entries = [row.split(": ", 1)[1] for row in rows if row.strip().startswith("entry: ")]
    assert entries == ["xiangyin lint", "xiangyin lint --fix"]
    patterns = [row.split(": ", 1)[1] for row in rows if row.strip().startswith(("files: ", "exclude: "))]
    for wanted, unwanted in zip(patterns[::2], patterns[1::2], strict=True):
        assert all(re.search(wanted, name) for name in ("a.txt", "deep/b.jsonl", "c.ndjson"))
        assert not re.search(wanted, "page.md")
        assert re.search(unwanted, "requirements-dev.txt") and not re.search(unwanted, "takes/a.txt")
