"""N004, N005: percentages and money, offered as whole phrases, since words and signs differ in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, table
from transcribe.rules import readings

_FIGURE = readings.FIGURE
_LONGEST = 40  # characters before a sign in which its number is looked for
_NUMBER_BEFORE = Lazy(f"(?:{_FIGURE}|{readings.WORDED}) ?$")
_NUMBER_AFTER = Lazy(f" ?(?:{_FIGURE}|{readings.WORDED})")


def _number_before(text: str, at: int) -> str:
    """The number that ends where a sign begins, with a space between; empty if there is none."""
    match = _NUMBER_BEFORE.search(text[max(0, at - _LONGEST) : at])
    return match[0] if match is not None else ""


def _number_after(text: str, at: int) -> str:
    match = _NUMBER_AFTER.match(text, at)
    return match[0] if match is not None else ""


# -- percent ------------------------------------------------------------------------------------

_PERCENT = Lazy("[%％‰‱﹪٪]")


@rule("N004", stage=Stage.NUMBERS, on=Kind.PERCENT, fix="ask", claims=False)
def percent_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """Percentages are written in words.

    Why: the sign comes after the number and the words before it, and it has several readings.
    Bad: ``剩下50%。``
    Good: ``剩下百分之五十。``
    """
    for match in _PERCENT.finditer(text):
        start, end = match.span()
        number = _number_before(text, start)
        yield ask(start - len(number), end, *_percentages(number, match[0], text[:start], orth))


def _percentages(number: str, sign: str, before: str, orth: Orthography) -> Iterator[str]:
    said = readings.quantity(number, orth, counted=False) if number else ""
    if orth.han:
        if said and sign == "‱":
            yield readings.local(f"萬分之{said}", orth)
        elif said:
            yield f"{'千' if sign == '‰' else '百'}分之{said}"
            if sign != "‰" and orth.language.endswith("TW") and readings.language(orth) != "hak":
                yield f"{said}趴"
    elif orth.romanisation == "none":
        name = "per thousand" if sign == "‰" else "percent"
        if said:
            yield f"{said} {name}"
        elif not number and before:
            yield name if before.endswith(" ") else f" {name}"
    elif said and sign != "‰":
        if orth.hokkien:
            yield readings.romanised("pah-hun-tsi ", orth) + said
        else:
            yield f"baak3 fan6 zi1 {said}"


# -- money --------------------------------------------------------------------------------------

_CODES = "NTD|TWD|HKD|USD|RMB|CNY|JPY|EUR|GBP|KRW|SGD|AUD|CAD|MOP|MYR"
_CURRENCY = Lazy(
    "(?:(?<![A-Za-z])(?:NT|US|HK|RMB|CN|NTD|JP|A|S) ?)?[$＄﹩￥¥€£₩฿₫₱₹¢￠￡￦]"
    f"|(?<![A-Za-z])(?:{_CODES}|NT|HK)(?= ?[{readings.D}])|(?<=[{readings.D}])(?: ?(?:{_CODES}))(?![A-Za-z])"
)


@rule("N005", stage=Stage.NUMBERS, on=Kind.CURRENCY | Kind.DIGIT | Kind.WIDE_DIGIT, fix="ask", claims=False)
def currency_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """Money is written in words, in the order that it was said.

    Why: the sign stands before the number and is read after it, or not at all.
    Bad: ``這個要$100。``
    Good: ``這個要一百塊。``
    """
    kinds = orth.kinds
    known: set[int] = set()
    for match in _CURRENCY.finditer(text):
        start, end = match.span()
        known.update(range(start, end))
        after = _number_after(text, end)
        before = "" if after else _number_before(text, start)
        units = _money_units(match[0].replace(" ", ""), orth)
        number = readings.quantity(after or before, orth) if after or before else ""
        join = "" if orth.han else " "
        yield ask(
            start - len(before), end + len(after), *(f"{number}{join}{unit}" for unit in units if number)
        )
    signs = {char for char in set(text) if kinds[char] & Kind.CURRENCY}
    for at, char in enumerate(text) if signs else ():
        if char in signs and at not in known:
            yield Hit(at, at + 1)


_LOCAL_MONEY = table("""
    zh: 塊 | 元 | 塊錢
    yue: 蚊 | 元
    nan hak: 箍 | 元
    wuu: 块 | 元
""")
_FOREIGN_MONEY = table("""
    US$: 美元 | 塊美金
    HK$: 港幣 | 元
    A$: 澳幣
    €: 歐元
    £ ￡: 英鎊
    ₩ ￦: 韓元
    ฿: 泰銖
    JP¥ JP￥: 日圓
    ¢ ￠: 分
""")
_ENGLISH_MONEY = table("""
    $: dollars | bucks
    US$: dollars | US dollars
    NT$: NT dollars | dollars
    HK$: Hong Kong dollars | dollars
    €: euros
    £ ￡: pounds
    ¥ ￥: yen | yuan
    ¢ ￠: cents
""")


def _money_units(sign: str, orth: Orthography) -> tuple[str, ...]:
    sign = sign.replace("＄", "$").replace("﹩", "$")
    if not orth.han:
        return _ENGLISH_MONEY.get(sign, ()) if orth.romanisation == "none" else ()
    language = readings.language(orth)
    home = "HK$" if language == "yue" else "NT$" if orth.variety == "traditional" else "CN¥"
    if sign == home or sign in ("$", "¥", "￥", "RMB¥", "RMB￥", "CN¥", "CN￥"):
        units = _LOCAL_MONEY.get(language, ("元",))
        if sign in ("¥", "￥") and orth.variety == "traditional":
            units = (*units[:1], "日圓", "人民幣")
    else:
        units = _FOREIGN_MONEY.get(sign, ("元",) if "$" in sign else ())
    return tuple(readings.local(unit, orth) for unit in units)
