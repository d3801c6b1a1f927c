"""One rule's page, in the three interface languages.

English stands in the rule's docstring: the first line says what, then ``Why:``,
``Bad:`` and ``Good:``. The other languages stand beside the sentences.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from protocol.errors import CodedError, Language
from transcribe import lint, sentences

FAMILY_TITLES: Mapping[str, Mapping[Language, str]] = {
    "P": {"en": "Punctuation", "zh-Hant": "標點", "zh-Hans": "标点"},
    "C": {"en": "Characters", "zh-Hant": "字元", "zh-Hans": "字符"},
    "N": {"en": "Numbers", "zh-Hant": "數字", "zh-Hans": "数字"},
    "S": {"en": "Spacing", "zh-Hant": "空格", "zh-Hans": "空格"},
    "R": {"en": "Romanisation", "zh-Hant": "羅馬字", "zh-Hans": "罗马字"},
    "V": {"en": "Verbatim", "zh-Hant": "逐字轉寫", "zh-Hans": "逐字转写"},
    "L": {"en": "Length and consistency", "zh-Hant": "長度與一致性", "zh-Hans": "长度与一致性"},
}
LABELS: Mapping[str, Mapping[Language, str]] = {
    "why": {"en": "Why", "zh-Hant": "原因", "zh-Hans": "原因"},
    "bad": {"en": "Bad", "zh-Hant": "錯誤寫法", "zh-Hans": "错误写法"},
    "good": {"en": "Good", "zh-Hant": "正確寫法", "zh-Hans": "正确写法"},
    "fix": {"en": "Fix", "zh-Hant": "修正", "zh-Hans": "修正"},
    "severity": {"en": "Severity", "zh-Hant": "嚴重程度", "zh-Hans": "严重程度"},
    "shown": {"en": "What the transcriber reads", "zh-Hant": "轉寫者會看到", "zh-Hans": "转写者会看到"},
    "error": {"en": "error", "zh-Hant": "錯誤", "zh-Hans": "错误"},
    "warning": {"en": "warning", "zh-Hant": "提醒", "zh-Hans": "提醒"},
}
REMEDIES: Mapping[str, Mapping[Language, str]] = {
    "safe": {"en": "automatic", "zh-Hant": "自動修正", "zh-Hans": "自动修正"},
    "ask": {
        "en": "suggested, a person decides",
        "zh-Hant": "提供建議，由人決定",
        "zh-Hans": "提供建议，由人决定",
    },
    "mixed": {
        "en": "automatic where certain, otherwise a person decides",
        "zh-Hant": "確定時自動修正，否則由人決定",
        "zh-Hans": "确定时自动修正，否则由人决定",
    },
    "none": {
        "en": "none, listen again",
        "zh-Hant": "無法自動修正，請重聽",
        "zh-Hans": "无法自动修正，请重听",
    },
}


class RuleUnknown(CodedError):
    """No rule has that code."""

    code = "RULE_UNKNOWN"


@dataclass(frozen=True, slots=True)
class Page:
    """What a person reads about one rule.

    Attributes
    ----------
    code, title, why, bad, good : str
        `bad` and `good` are examples, marked as code where they are text.
    fix, severity, message : str
        In words; `message` is the sentence that a finding shows.
    """

    code: str
    title: str
    why: str
    bad: str
    good: str
    fix: str
    severity: str
    message: str

    def as_json(self) -> dict[str, str]:
        """The page for programs."""
        return {name: getattr(self, name) for name in self.__slots__}


_SHAPE = re.compile(
    r"(?P<what>.+?)\n\nWhy: (?P<why>.+?)\nBad: (?P<bad>.+?)\nGood: (?P<good>.+?)(?:\n\n|$)", re.DOTALL
)


def _english(docstring: str) -> Mapping[str, str]:
    match = _SHAPE.match(inspect.cleandoc(docstring))
    if match is None:
        raise ValueError(f"a rule's docstring has what, Why, Bad and Good: {docstring!r}")
    return {name: re.sub(r"\s*\n\s*", " ", part).strip() for name, part in match.groupdict().items()}


@cache
def page(code: str, language: Language = "en") -> Page:
    """One rule's page.

    Raises
    ------
    RuleUnknown
        If no rule has that code.
    """
    try:
        found = lint.catalogue()[code]
    except KeyError:
        raise RuleUnknown(rule=code) from None
    english = _english(found.docstring)
    table = sentences.entries()[code]
    own = table.get("page", {}).get(language, {})
    return Page(
        code=code,
        title=own.get("title", english["what"].rstrip(".")),
        why=own.get("why", english["why"]),
        bad=own.get("bad", english["bad"]),
        good=own.get("good", english["good"]),
        fix=REMEDIES[found.fix][language],
        severity=LABELS[found.severity][language],
        message=table[language].replace("{found}", "…"),
    )


def title(code: str, language: Language = "en") -> str:
    """One line about a rule."""
    return page(code, language).title


def as_text(found: Page, language: Language) -> str:
    """A page for the terminal."""
    colon = ": " if language == "en" else "："
    label = {name: words[language] + colon for name, words in LABELS.items()}
    return "\n".join(
        (
            f"{found.code}  {found.title}",
            "",
            f"{label['why']}{found.why}",
            f"{label['bad']}{found.bad.replace('``', '')}",
            f"{label['good']}{found.good.replace('``', '')}",
            f"{label['fix']}{found.fix}",
            f"{label['severity']}{found.severity}",
            f"{label['shown']}{found.message}",
        )
    )
