"""N009, N011: the signs of arithmetic, and what stands between the parts of a number."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from transcribe import characters
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, table
from transcribe.rules import jyutping, numbers, personal, readings

_D, _WORDS = readings.D, characters.NUMBER_WORDS
_NUMBER = f"[{_D}{_WORDS}]"
_FACTS = "0-9０-９零〇一二三四五六七八九十百千萬万億亿"
_ANY_DIGIT = Lazy(f"[{_D}]")
_OPERATORS = "+＋−±×÷=＝≠≈≤≥√∞∑∫≒≡﹢﹦"
_OPERATOR = Lazy(
    f"[{_OPERATORS}]+|(?<={_NUMBER}) ?[*＊^] ?(?={_NUMBER})"
    f"|(?<={_NUMBER})(?<![/／][{_D}])(?<![/／][{_D}]{{2}}) ?[/／] ?(?={_NUMBER})(?![{_D}]{{1,4}}[/／])"
    f"|(?<={_NUMBER}) ?[<>＜＞]|[<>＜＞] ?(?={_NUMBER})"
    f"|(?<={_NUMBER}) ?x ?(?={_NUMBER})|(?<=[{_D}]) ?X ?(?=[{_D}])"
)
_SIGNS_OF_ARITHMETIC = Lazy(f"[{_OPERATORS}<>＜＞*＊/／^xX]")
_MINUS = Lazy(
    f"(?<![A-Za-z{_D}{_WORDS}-])[-－](?=[{_D}])|(?:^|(?<=[是到約约為为])|(?<=[，。？！ ]))[-－](?=[{_WORDS}])"
)


@rule("N009", stage=Stage.NUMBERS, on=Kind.OPERATOR | Kind.HYPHEN | Kind.SYMBOL | Kind.CROSS, fix="ask")
def operator(text: str, orth: Orthography) -> Iterable[Hit]:
    """Signs of arithmetic are written in words.

    Why: a minus can be read in two ways, a plus in three.
    Bad: ``一＋一等於二。``
    Good: ``一加一等於二。``
    """
    for match in _OPERATOR.finditer(text) if _SIGNS_OF_ARITHMETIC.search(text) else ():
        yield ask(*match.span(), *_operator_words(match[0], text, match.span(), orth))
    if ("-" in text or "－" in text) and (orth.han or _ANY_DIGIT.search(text)):
        minus = ("負", "零下", "減") if orth.han else ("minus ", "negative ") if _english(orth) else ()
        for match in _MINUS.finditer(text):
            yield ask(*match.span(), *(readings.local(word, orth) for word in minus))


def _english(orth: Orthography) -> bool:
    return not orth.han and orth.romanisation == "none"


def _operator_words(found: str, text: str, span: tuple[int, int], orth: Orthography) -> Iterator[str]:
    sign = found.strip().translate(_SAME_SIGN)
    if orth.han:
        yield from (readings.local(word, orth) for word in _HAN_OPERATORS.get(sign, ()))
    elif _english(orth):
        before = " " if span[0] > 0 and text[span[0] - 1] != " " else ""
        after = " " if text[span[1] : span[1] + 1] not in ("", " ") else ""
        yield from (f"{before}{word}{after}" for word in _ENGLISH_OPERATORS.get(sign, ()))


_SAME_SIGN = str.maketrans("＋﹢＝﹦xX*＊／＜＞", "++==××××/<>")
_HAN_OPERATORS = table("""
    +: 加
    −: 減 | 負 | 零下
    ×: 乘 | 乘以
    ÷: 除以
    /: 除以
    =: 等於
    <: 小於
    >: 大於
    ≤: 小於等於
    ≥: 大於等於
    ≠: 不等於
    ≈: 約等於
    ±: 正負
    √: 根號
""")
_ENGLISH_OPERATORS = table("""
    +: plus | and
    −: minus
    ×: times | by
    ÷: divided by
    /: over | divided by
    =: equals | is
    <: is less than
    >: is greater than
""")

# Figures with something between them: decimals, thousands, ranges, fractions, scores.
_RANGE, _POINT = "~～〜–—－-", ".．﹒·・‧"
_CHAIN = Lazy(
    f"(?<![{_D}])[{_D}]+(?:[,，][{_D}]{{3}})+(?![{_D}])(?:[.．][{_D}]+)?"
    f"|(?<![{_D}:：∶])[{_D}]+(?:(?:[.．﹒·・‧/／－-]| ?[~～〜–—] ?)[{_D}]+)+(?![{_D}:：∶])"
    f"|(?<![{_D}])[{_D}]{{1,4}}[:：∶][{_D}](?![{_D}:：∶])"
)
# 三：二 is a score, 十：三十 a time.
_ONE_WORD = "[零〇一二三四五六七八九](?![零〇一二三四五六七八九十百千])"
_BETWEEN = Lazy(
    f"^ ?[.．](?=[{_FACTS}])|(?<=[{_FACTS}])(?:[.．﹒·・‧/／－-]| ?[~～〜–—] ?)(?=[{_FACTS}])"
    f"|(?<=[{_FACTS}])(?<![第有][一二三四五六七八九十])[:：∶](?={_ONE_WORD})|(?<=[{_D}])[,，](?=[{_D}]{{3}})"
)


@rule("N011", stage=Stage.NUMBERS, on=Kind.NUMBER_WORD | Kind.DIGIT | Kind.WIDE_DIGIT, fix="ask")
def separator_in_number(text: str, orth: Orthography) -> Iterable[Hit]:
    """Nothing stands between the words of a number but words.

    Why: a dot there is the word for point, and a dash the word for to; a stop would be wrong.
    Bad: ``三.五公斤就好。``
    Good: ``三點五公斤就好。``
    """
    if jyutping.only_tones(text, orth):
        return
    chains: list[tuple[int, int]] = []
    if _ANY_DIGIT.search(text):
        private = list(personal.private_numbers(text))
        for match in _CHAIN.finditer(text):
            chains.append(match.span())
            if not _covered(private, match.start()) and not _DATE.fullmatch(match[0]):
                yield ask(*match.span(), *_chained(match[0], orth))
    for match in _BETWEEN.finditer(text):
        if not _covered(chains, match.start()):
            yield ask(*match.span(), *_between(match[0].strip(), orth))


_DATE = Lazy(f"[{_D}]{{1,4}}[/／.．-][{_D}]{{1,2}}[/／.．-][{_D}]{{1,4}}")  # N007


def _covered(spans: list[tuple[int, int]], at: int) -> bool:
    """Whether a place lies in one of sorted spans."""
    near = bisect_right(spans, at, key=lambda span: span[0])
    return near > 0 and at < spans[near - 1][1]


_PARTS = Lazy(f"([{_D}]+) ?([^{_D}]) ?([{_D}]+)")


def _chained(found: str, orth: Orthography) -> Iterator[str]:
    """Readings of figures with one separator, and of a number with thousands commas."""
    number = readings.plain(found)
    if number.replace(".", "", 1).isdigit() and number.isascii():
        said = readings.quantity(found, orth)
        if said:
            yield said
        return
    match = _PARTS.fullmatch(found)
    if match is None:
        return
    first, sign, second = readings.plain(match[1]), match[2], readings.plain(match[3])
    left, right = (readings.quantity(each, orth, counted=False) for each in (first, second))
    if not left or not right:
        return
    if sign in "/／":
        yield from numbers.readings_of_fraction(first, second, orth)
        if _english(orth):
            yield f"{left} over {right}"
    elif sign in _RANGE:
        for word in _between(sign, orth):
            yield f"{left}{word}{right}"
    elif sign in _POINT:
        yield from filter(None, [readings.quantity(f"{first}.{second}", orth)])
    elif sign in ":：∶":
        for word in ("比",) if orth.han else (" to ",) if _english(orth) else ():
            yield f"{left}{word}{right}"


def _between(sign: str, orth: Orthography) -> tuple[str, ...]:
    """Words for a separator between two numbers."""
    if not orth.han:
        return ((" to ",) if sign in _RANGE else ()) if _english(orth) else ()
    if sign in _POINT:
        return (readings.local("點", orth),)
    return ("到", "至") if sign in _RANGE else ("比",) if sign in ":：∶" else ()
