"""P001-P005: each mark has one form, and what else marks a pause is a comma."""

from __future__ import annotations

from collections.abc import Iterable

from transcribe import characters
from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind
from transcribe.lint import Hit, Stage, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy
from transcribe.rules import pauses, places, signs

_FORMS = Lazy(f"[{''.join(characters.MARK_FORMS)}]+")
_ENUMERATION = Lazy(f"[{characters.ENUMERATION}]")
_COLON = Lazy(f"[{characters.COLONS}]")
_NUMBER = characters.DIGIT_WORDS + "十百千萬万億亿0123456789０１２３４５６７８９"


def _full(orth: Orthography) -> bool:
    return orth.full


def _half(orth: Orthography) -> bool:
    return not orth.full


@rule("P001", stage=Stage.PUNCTUATION, on=Kind.OTHER_MARK, fix="safe", applies=_full)
def half_width_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """Marks are full width, also after a Latin word.

    Why: the ruleset decides the width, not the neighbour; one mark, one code point.
    Bad: ``快跑!``
    Good: ``快跑！``
    """
    skipped = {n for start, end in signs.dots_of_words(text, orth) for n in range(start, end)}
    if "..." in text:
        skipped |= {n for match in pauses.ELLIPSIS.finditer(text) for n in range(*match.span())}
    for at, char in enumerate(text):
        if char in HALF_MARKS and at not in skipped:
            yield mend(at, at + 1, FULL_MARKS[HALF_MARKS.index(char)])


@rule("P002", stage=Stage.PUNCTUATION, on=Kind.OTHER_MARK, fix="safe", applies=_half)
def full_width_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """Marks are half width and followed by a space.

    Why: the ruleset decides the width, not the keyboard.
    Bad: ``Hó，guá lâi。``
    Good: ``Hó, guá lâi.``
    """
    skipped = (
        {n for match in pauses.ELLIPSIS.finditer(text) for n in range(*match.span())}
        if "。。。" in text
        else set()
    )
    for at, char in enumerate(text):
        if char in FULL_MARKS and at not in skipped:
            # A stop gets its space with it, or it would become a dot inside a word (P016).
            joins = char == "。" and places.is_a(places.LETTER, text, at + 1)
            yield mend(at, at + 1, HALF_MARKS[FULL_MARKS.index(char)] + (" " if joins else ""))


@rule("P003", stage=Stage.PUNCTUATION, on=Kind.MARK_FORM, fix="mixed")
def other_form_of_a_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """Each mark has one code point.

    Why: small, vertical and half-width forms look alike and are other characters. The full-width
    dot is refused: it may be a stop, a list sign or the word for point.
    Bad: ``我很好｡``
    Good: ``我很好。``
    """
    for match in _FORMS.finditer(text):
        start, end = match.span()
        if "．" in match[0] or (
            match[0] in "﹒․" and places.before(text, start) in _NUMBER and places.after(text, end) in _NUMBER
        ):
            yield Hit(start, end)
            continue
        half = "".join(characters.MARK_FORMS[char] for char in match[0])
        yield mend(start, end, half.translate(dict(zip(map(ord, HALF_MARKS), orth.marks, strict=True))))


@rule("P004", stage=Stage.PUNCTUATION, on=Kind.ENUMERATION, fix="safe")
def enumeration_comma(text: str, orth: Orthography) -> Iterable[Hit]:
    """A comma instead of the enumeration comma.

    Why: four marks are enough, and both are the same pause.
    Bad: ``茶、咖啡都行。``
    Good: ``茶，咖啡都行。``
    """
    for match in _ENUMERATION.finditer(text):
        yield mend(*match.span(), orth.comma)


@rule("P005", stage=Stage.PUNCTUATION, on=Kind.COLON, fix="safe")
def colon_or_semicolon(text: str, orth: Orthography) -> Iterable[Hit]:
    """A comma instead of a colon or semicolon.

    Why: they are pauses. In a time or after a speaker's name they are something else (N007, V003).
    Bad: ``他說：走吧。``
    Good: ``他說，走吧。``
    """
    for match in _COLON.finditer(text):
        yield mend(*match.span(), orth.comma)
