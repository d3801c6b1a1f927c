"""N001-N003, N012: numbers are words. Nothing is mended automatically: most digits have several readings."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator

from transcribe import characters
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy
from transcribe.rules import english, jyutping, readings

_ASCII = Lazy("[0-9]+")
# A number with thousands commas or decimals is one piece, unless it is part of a date or an address.
_FIGURES = Lazy(
    "(?<![0-9./:,，])[0-9]{1,3}(?:[,，][0-9]{3})+(?:[.][0-9]+)?(?![0-9]|[.,，/:-][0-9])"
    "|(?<![0-9./:,，])[0-9]+[.][0-9]+(?![0-9]|[./:-][0-9])|[0-9]+"
)
_WIDE = Lazy("[０-９]+")
_ORDINAL_END = Lazy("(?:st|nd|rd|th)(?![A-Za-z])", 2)
_DECADE_END = Lazy("'?s(?![A-Za-z])")
_AROUND = 4  # characters on each side that decide which reading comes first


@rule("N001", stage=Stage.NUMBERS, on=Kind.DIGIT, fix="ask")
def digit(text: str, orth: Orthography) -> Iterable[Hit]:
    """Numbers are written in words, as they were said.

    Why: a digit has several readings, and which one was said is only in the sound.
    Bad: ``我家在3樓。``
    Good: ``我家在三樓。``
    """
    if orth.romanisation != "jyutping":
        for match in _FIGURES.finditer(text):
            yield _digits(text, *match.span(), match[0], orth)
        return
    for at, word in jyutping.words_with_numbers(text):
        tones = jyutping.tone_places(word)
        for match in _ASCII.finditer(word):
            if match.start() not in tones:
                yield _digits(text, at + match.start(), at + match.end(), match[0], orth)


@rule("N002", stage=Stage.NUMBERS, on=Kind.WIDE_DIGIT, fix="ask")
def full_width_digit(text: str, orth: Orthography) -> Iterable[Hit]:
    """Full-width digits are digits too.

    Why: mending the width would still leave a digit with several readings.
    Bad: ``５樓到了。``
    Good: ``五樓到了。``
    """
    for match in _WIDE.finditer(text):
        yield _digits(text, *match.span(), readings.plain(match[0]), orth)


def _digits(text: str, start: int, end: int, number: str, orth: Orthography) -> Hit:
    """Ask for digits; an English ordinal or decade is one piece with its ending."""
    if not orth.han and orth.romanisation == "none":
        ordinal, decade = _ORDINAL_END.match(text, end), _DECADE_END.match(text, end)
        words = english.ordinal(number) if ordinal and number.isdigit() else ""
        if decade:
            words = english.decade(number) if len(number) < 5 else ""
        ending = ordinal or decade
        if words and ending:
            return ask(start, ending.end(), words)
    if not number.isdigit():
        said = readings.quantity(number, orth)
        return ask(start, end, *([said] if said else []))
    before, after = text[max(0, start - _AROUND) : start], text[end : end + _AROUND]
    return ask(start, end, *readings.readings(number, orth, before, after))


@rule("N003", stage=Stage.NUMBERS, on=Kind.OTHER_NUMBER, fix="ask")
def other_number_character(text: str, orth: Orthography) -> Iterable[Hit]:
    """No circled, raised, Roman or fraction numbers.

    Why: one sign, several readings.
    Bad: ``看第①題。``
    Good: ``看第一題。``
    """
    kinds = orth.kinds
    for at, char in enumerate(text):
        if kinds[char] & Kind.OTHER_NUMBER:
            yield ask(at, at + 1, *_sign_readings(char, orth))


_ROMAN = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
_HALVES = {"zh": ("二分之一", "一半"), "nan": ("二分之一", "一半"), "en": ("half", "one half")}


def _sign_readings(char: str, orth: Orthography) -> Iterator[str]:
    plain = unicodedata.normalize("NFKC", char).strip("().")
    if char in "²³" and orth.han:
        yield {"²": "平方", "³": "立方"}[char]
    elif char == "½" and readings.language(orth) in _HALVES and (orth.han or orth.romanisation == "none"):
        yield from _HALVES[readings.language(orth)]
    elif "\u2044" in plain:
        upper, _, lower = plain.partition("\u2044")
        yield from readings_of_fraction(upper, lower, orth)
    elif plain and set(plain) <= _ROMAN.keys():
        sizes = [_ROMAN[each] for each in plain]
        total = sum(-a if a < b else a for a, b in zip(sizes, [*sizes[1:], 0], strict=True))
        yield from readings.readings(str(total), orth)
    elif plain.isascii() and plain.isdigit():
        yield from readings.readings(plain, orth)
    elif plain and all(map(characters.is_han, plain)):
        yield plain


def readings_of_fraction(upper: str, lower: str, orth: Orthography) -> Iterator[str]:
    """A fraction in words, where a fraction has one form."""
    if orth.han and upper.isdigit() and lower.isdigit():
        over, under = (readings.quantity(each, orth, counted=False) for each in (upper, lower))
        yield f"{under}分之{over}"


# Digit words, and what stands right after a number.
_W = characters.DIGIT_WORDS
_ZERO = Lazy(
    f"(?<=[{_W}○])[○◯OoＯｏ0]+(?=[{_W}○年月日號号樓楼路室班級级度分點点])"
    f"|(?<=[{_W}])[○◯]+|(?<![A-Za-z])[○◯OＯ](?=[{_W}]{{2}})"
    f"|(?<=[{_W}])[OＯ](?![A-Za-z])|(?<=[{_W}]) [OoＯ] ?(?=[{_W}])|(?<=[{_W}])[OoＯ] (?=[{_W}])"
)


@rule("N012", stage=Stage.CHARACTERS, on=Kind.ZERO | Kind.NUMBER_WORD, fix="ask")
def zero_look_alike(text: str, orth: Orthography) -> Iterable[Hit]:
    """Zero is a word: 零, or 〇 where it has one reading.

    Why: a circle or a letter O looks like it, and in Hokkien, Hakka and Wu 〇 itself has two readings.
    Bad: ``二○二四年。``
    Good: ``二零二四年。``
    """
    circled = any(each in text for each in "Oo○◯Ｏｏ")
    words = ("零", "〇") if orth.zero else ("零", "空")
    for match in _ZERO.finditer(text) if circled else ():
        yield ask(*match.span(), *(word * len(match[0].replace(" ", "")) for word in words))
    if not orth.zero and "〇" in text and orth.han:
        for at, char in enumerate(text):
            if char == "〇":
                yield ask(at, at + 1, *words)
