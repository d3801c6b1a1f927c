"""Write ``docs/rules.md``: every rule in three languages, from the code and its sentences.

Run ``python -m transcribe.catalogue_page > docs/rules.md``; a test compares the page with `render`.
"""

from __future__ import annotations

from protocol.errors import LANGUAGES
from transcribe import lint, orthography, pages, unicode_table

FAMILIES = "PCNSRVL"
HEAD = """# The rules

This page is generated from the code: `python -m transcribe.catalogue_page > docs/rules.md`.
`xiangyin rules CODE --lang zh-Hant` shows one rule in the terminal.

The corpus is verbatim, with four marks and no others. A rule mends only what certainly leaves every spoken
word as it is; what could be read in two ways is refused with suggestions, and the text stays untouched.
"""


def render() -> str:
    """The whole page as Markdown."""
    parts = [HEAD, _versions(), _rulesets()]
    family = ""
    for code in sorted(lint.catalogue(), key=lambda code: (FAMILIES.index(code[0]), code)):
        if code[0] != family:
            family = code[0]
            titles = pages.FAMILY_TITLES[family]
            parts.append(f"## {family}: {' · '.join(titles[language] for language in LANGUAGES)}\n")
        parts.append(_rule(code))
    return "\n".join(parts)


def _versions() -> str:
    return (
        f"Rules version `{lint.RULES_VERSION}`, {len(lint.catalogue())} rules; character tables of Unicode "
        f"{unicode_table.unicode_version()}.\n"
    )


def _rulesets() -> str:
    rows = ["| ruleset | for | scripts | marks | Han and Latin |", "| --- | --- | --- | --- | --- |"]
    for name in orthography.names():
        orth = orthography.load(name)
        boundary = {"one": "one space", "none": "no space"}[orth.boundary] if orth.han else ""
        title = " · ".join(orth.title[language] for language in LANGUAGES)
        rows.append(f"| `{name}` | {title} | {', '.join(sorted(orth.scripts))} | {orth.marks} | {boundary} |")
    return "\n".join(rows) + "\n"


def _rule(code: str) -> str:
    english = pages.page(code)
    rows = [f"### {code}", "", f"{english.severity}; fix: {english.fix}", ""]
    for language in LANGUAGES:
        page = pages.page(code, language)
        colon, stop = (": ", ". ") if language == "en" else ("：", "。")
        label = {name: words[language] + colon for name, words in pages.LABELS.items()}
        rows += [
            f"- **{page.title}**{stop}{label['why']}{page.why}",
            f"  {label['bad']}{page.bad} · {label['good']}{page.good}",
            f"  {label['shown']}{page.message}",
        ]
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(render(), end="")
