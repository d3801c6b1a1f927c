"""S001-S008: spaces. Every fix is safe: a space is never spoken."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind
from transcribe.lint import Hit, Stage, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy

_BREAKS = Lazy(f"[{characters.LINE_BREAKS}]+")
_ODD = Lazy(f"[{characters.SPACES}]")
_SEVERAL = Lazy(" {2,}")
_BEFORE_MARK = Lazy(f"(?<! ) +(?=[{FULL_MARKS}{HALF_MARKS}])")
_SPACED_MARK = Lazy(f" [{FULL_MARKS}{HALF_MARKS}]")
_AFTER_FULL = Lazy(f"(?<=[{FULL_MARKS}]) +")
_UNSPACED = Lazy(f"[{HALF_MARKS}](?=[{texts.LETTERS}])")


@cache
def _between_han() -> re.Pattern[str]:
    return re.compile(f"(?<=[{texts.han_class()}]) +(?=[{texts.han_class()}])")


@cache
def _boundary(spaces: str) -> re.Pattern[str]:
    han, latin = texts.han_class(), texts.WORD
    return re.compile(f"(?<=[{han}]){spaces}(?=[{latin}])|(?<=[{latin}]){spaces}(?=[{han}])")


def _han(orth: Orthography) -> bool:
    return orth.han


def _half(orth: Orthography) -> bool:
    return not orth.full


@rule("S001", stage=Stage.SPACING, on=Kind.SPACE, fix="safe", applies=_han)
def space_between_han(text: str, orth: Orthography) -> Iterable[Hit]:
    """No space between Han characters.

    Why: Chinese is written without; a tokeniser would see two words.
    Bad: ``我 今天很累。``
    Good: ``我今天很累。``
    """
    for match in _between_han().finditer(text):
        yield mend(*match.span(), "")


@rule("S002", stage=Stage.SPACING, on=Kind.LATIN, fix="safe", applies=_han)
def han_latin_boundary(text: str, orth: Orthography) -> Iterable[Hit]:
    """One space between Han and Latin; in Hokkien mixed writing none.

    Why: each orthography has its custom, and a corpus needs one.
    Bad: ``我用Excel做。``
    Good: ``我用 Excel 做。``
    """
    if orth.boundary == "one":
        for match in _boundary("").finditer(text):
            yield mend(*match.span(), " ")
    else:
        for match in _boundary(" +").finditer(text):
            yield mend(*match.span(), "")


@rule("S003", stage=Stage.SPACING, on=Kind.SPACE, fix="safe")
def several_spaces(text: str, orth: Orthography) -> Iterable[Hit]:
    """One space at a time.

    Why: two spaces show a slip, and some tools read an empty word between them.
    Bad: ``Guá  lâi.``
    Good: ``Guá lâi.``
    """
    for match in _SEVERAL.finditer(text) if "  " in text else ():
        yield mend(*match.span(), " ")


@rule("S004", stage=Stage.SPACING, on=Kind.SPACE, fix="safe")
def outer_space(text: str, orth: Orthography) -> Iterable[Hit]:
    """No space before the first or after the last character.

    Why: it is invisible and makes two equal texts differ.
    Bad: ``好。`` with a space after it
    Good: ``好。``
    """
    if text[0] != " " and text[-1] != " ":
        return
    inner = text.strip(" ")
    if not inner:
        return  # an empty utterance: L004
    start = len(text) - len(text.lstrip(" "))
    if start:
        yield mend(0, start, "")
    if start + len(inner) < len(text):
        yield mend(start + len(inner), len(text), "")


@rule("S005", stage=Stage.SPACING, on=Kind.SPACE, fix="safe")
def space_beside_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """No space before a mark, and none after a full-width one.

    Why: aligners split at spaces, so the mark would count as a word.
    Bad: ``我很累 。``
    Good: ``我很累。``
    """
    for match in _BEFORE_MARK.finditer(text) if _SPACED_MARK.search(text) else ():
        yield mend(*match.span(), "")
    if orth.full:
        for match in _AFTER_FULL.finditer(text):
            if match.end() < len(text):
                yield mend(*match.span(), "")


@rule("S006", stage=Stage.SPACING, on=Kind.MARK, fix="safe", applies=_half)
def no_space_after_half_width_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """One space after a half-width mark.

    Why: without it two words and a mark become one token.
    Bad: ``Hó,lâi.``
    Good: ``Hó, lâi.``
    """
    for match in _UNSPACED.finditer(text):
        yield mend(match.end(), match.end(), " ")


@rule("S007", stage=Stage.CODE_POINTS, on=Kind.OTHER_SPACE, fix="safe")
def other_space(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""The only space is U+0020.

    Why: no-break, thin and ideographic spaces look alike and are not split at.
    Bad: ``我用\u00a0Excel 做。``
    Good: ``我用 Excel 做。``
    """
    for match in _ODD.finditer(text):
        yield mend(*match.span(), " ")


@rule("S008", stage=Stage.CODE_POINTS, on=Kind.LINE_BREAK, fix="safe")
def line_break(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""An utterance is one line without tabs.

    Why: files are read line by line; a break would cut the utterance in two.
    Bad: ``我很\n累。``
    Good: ``我很累。``
    """
    for match in _BREAKS.finditer(text):
        yield mend(*match.span(), " ")
