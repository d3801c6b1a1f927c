"""How a number may have been said: readings to offer, never to apply.

Only readings that are certain to exist are built. A number that has none here is left to the
person who listens.
"""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from transcribe import characters, tailo
from transcribe.orthography import Orthography
from transcribe.rules import english

D = "0-9０-９"
# A number in digits, with its thousands commas and decimals, and one in Han words.
FIGURE = f"[{D}]{{1,24}}(?:[,，][{D}]{{3}}){{0,6}}(?:[.．][{D}]{{1,12}})?"
WORDED = f"[{characters.NUMBER_WORDS}點点]{{1,24}}"

_PLAIN = str.maketrans("０１２３４５６７８９，．", "0123456789,.")
_LONGEST = 24  # digits that are read at all
_HAN_DIGITS = "零一二三四五六七八九"
_HUNDRED, _TENS = 100, 10


def language(orth: Orthography) -> str:
    """The language's own tag: ``zh``, ``yue``, ``nan``, ``hak``, ``wuu`` or ``en``."""
    return orth.language.split("-", 1)[0]


def plain(figure: str) -> str:
    """A figure with ASCII digits and without commas."""
    return figure.translate(_PLAIN).replace(",", "").strip()


def local(text: str, orth: Orthography) -> str:
    """A phrase in traditional characters as the ruleset writes it."""
    return text.translate(_TO_SIMPLIFIED) if orth.variety == "simplified" else text


_TO_SIMPLIFIED = str.maketrans(
    "兩萬億點號塊時鐘攝釐負減於歐鎊幣圓錢銖韓華貝茲約", "两万亿点号块时钟摄厘负减于欧镑币圆钱铢韩华贝兹约"
)


def zero(orth: Orthography) -> str:
    """The word for zero inside a number."""
    return "空" if language(orth) == "nan" else "零"


# -- whole numbers ------------------------------------------------------------------------------


def one_by_one(number: str, orth: Orthography) -> str:
    """The digits' names in a row; empty where the ruleset has none."""
    if orth.han:
        return "".join(zero(orth) if each == "0" else _HAN_DIGITS[int(each)] for each in number)
    names = _DIGIT_NAMES.get(_romanised(orth))
    return " ".join(_spelled(names[int(each)], orth) for each in number) if names else ""


def value(number: str, orth: Orthography) -> str:
    """The value of a whole number in words; empty where that is not certain."""
    if len(number) > english.LONGEST or (number[0] == "0" and len(number) > 1):
        return ""
    if orth.han:
        return _han_value(number, orth)
    kind = _romanised(orth)
    if kind == "en":
        return english.value(int(number))
    return _spelled(_romanised_value(int(number), kind), orth)


def quantity(figure: str, orth: Orthography, *, counted: bool = True) -> str:
    """The first reading of a figure or of number words, decimals included.

    Parameters
    ----------
    figure : str
        Digits with commas and a decimal point, or Han number words, which stay.
    orth : Orthography
        Whose words.
    counted : bool
        Whether something is counted, so that two is 兩.
    """
    number = plain(figure)
    if not number.isascii():
        return figure.strip()
    if len(number) > _LONGEST:
        return ""
    whole, _, decimals = number.partition(".")
    if decimals:
        point = {"en": "point", "tailo": "tiám", "poj": "tiám", "jyutping": "dim2"}.get(
            _romanised(orth), "點"
        )
        parts = [value(whole, orth) or one_by_one(whole, orth), point, one_by_one(decimals, orth)]
        return "" if not all(parts) else local(("" if orth.han else " ").join(parts), orth)
    if whole == "2" and counted:
        return counted_two(orth)
    return value(whole, orth) or one_by_one(whole, orth)


def counted_two(orth: Orthography) -> str:
    """Two of something."""
    if orth.han:
        return local("兩", orth)
    return {"en": "two", "tailo": "nn̄g", "poj": "nn̄g", "jyutping": "loeng5"}.get(_romanised(orth), "")


_ORDINAL_BEFORE = ("第", "禮拜", "礼拜", "星期", "週", "周", "初", "拜", "No.", "no.", "分之")
_ORDINAL_AFTER = "樓楼月號号日年班級级線线路段度比"


def readings(number: str, orth: Orthography, before: str = "", after: str = "") -> tuple[str, ...]:
    """Readings of a whole number at its place, the likeliest first.

    Parameters
    ----------
    number : str
        ASCII digits.
    orth : Orthography
        Whose words.
    before, after : str
        What stands around it: 年 asks for digits one by one, a measure word for 兩.
    """
    if len(number) > _LONGEST:
        return ()
    whole, digits = value(number, orth), one_by_one(number, orth)
    if number == "2":
        one, other = counted_two(orth), digits
        ordinal = before.endswith(_ORDINAL_BEFORE) or after[:1] in _ORDINAL_AFTER  # also at the end
        found = [other, one] if orth.han and ordinal else [one, other]
    elif number == "1" and orth.hokkien and not orth.han:
        found = [_spelled("tsi̍t", orth), digits]
    elif number == "0" and orth.zero:
        found = ["零", "〇"]
    elif len(number) == 1:
        found = [whole, digits]
    elif _romanised(orth) == "en":
        found = [*english.years(number), whole, digits]
        if not 1800 <= int(number) < 2100:
            found = [whole, *english.years(number), digits]
    elif len(number) == 4 and after.startswith("年"):
        found = [digits, whole]
    else:
        found = [whole, digits]
    if len(number) == 2 and not orth.han and whole:
        found = [whole]
    return tuple(dict.fromkeys(each for each in found if each))[:3]


def _romanised(orth: Orthography) -> str:
    """Which system Latin number words are written in; empty where there is none."""
    if orth.han:
        return ""
    if orth.romanisation == "none":
        return "en" if language(orth) == "en" else ""
    return orth.romanisation


# -- Han ----------------------------------------------------------------------------------------


def _han_value(number: str, orth: Orthography) -> str:
    if int(number) == 0:
        return zero(orth)
    groups = [number[max(0, end - 4) : end] for end in range(len(number), 0, -4)][::-1]
    out, gap = "", False
    for group, unit in zip(groups, ["", "萬", "億"][: len(groups)][::-1], strict=True):
        if int(group) == 0:
            gap = gap or bool(out)
            continue
        if out and (gap or len(group.lstrip("0")) < len(group)):
            out += zero(orth)
        words = "兩" if group.lstrip("0") == "2" and unit else _han_group(group.lstrip("0"), orth, bool(out))
        out, gap = out + words + unit, False
    return local(out, orth)


def _han_group(group: str, orth: Orthography, inside: bool) -> str:
    """Up to four digits without leading zeros."""
    out, gap = "", False
    for place, each in zip(range(len(group) - 1, -1, -1), group, strict=True):
        if each == "0":
            gap = True
            continue
        out += zero(orth) if gap else ""
        gap = False
        two = (
            place == 3
            or (place == 2 and language(orth) != "zh")
            or (place == 2 and orth.variety != "simplified")
        )
        one_ten = each == "1" and place == 1 and not out and not inside
        name = "兩" if each == "2" and two else "" if one_ten else _HAN_DIGITS[int(each)]
        out += name + ["", "十", "百", "千"][place]
    return out


# -- romanised Hokkien and Cantonese --------------------------------------------------------------

_LITERARY = ("khòng", "it", "jī", "sam", "sù", "ngóo", "lio̍k", "tshit", "pat", "kiú")
_COUNTING = ("khòng", "tsi̍t", "nn̄g", "sann", "sì", "gōo", "la̍k", "tshit", "peh", "káu")
_CANTONESE = ("ling4", "jat1", "ji6", "saam1", "sei3", "ng5", "luk6", "cat1", "baat3", "gau2")
_DIGIT_NAMES = {"en": english.ONES[:10], "tailo": _LITERARY, "poj": _LITERARY, "jyutping": _CANTONESE}


@lru_cache(maxsize=4096)
def _romanised_value(number: int, kind: str) -> str:
    """Numbers below one hundred, and whole hundreds and thousands: the ones with one form."""
    if kind not in ("tailo", "poj", "jyutping"):
        return ""
    hokkien = kind != "jyutping"
    ones = _COUNTING if hokkien else _CANTONESE
    last = (ones[0], "it", "jī", *ones[3:]) if hokkien else ones
    ten, join = ("tsa̍p", "-") if hokkien else ("sap6", " ")
    if number < _TENS:
        return last[number]
    if number < _HUNDRED:
        tens, rest = divmod(number, _TENS)
        return join.join([*([last[tens]] if tens > 1 else []), ten, *([last[rest]] if rest else [])])
    for size, name in ((1000, "tshing" if hokkien else "cin1"), (_HUNDRED, "pah" if hokkien else "baak3")):
        most, rest = divmod(number, size)
        if 0 < most < _TENS and not rest:
            return join.join([ones[most] if hokkien or most != 2 else "loeng5", name])
    return ""


def _spelled(words: str, orth: Orthography) -> str:
    """Tâi-lô words in the ruleset's own spelling."""
    if orth.romanisation != "poj":
        return unicodedata.normalize("NFC", words)
    return " ".join("-".join(map(_poj, word.split("-"))) for word in words.split(" "))


def _poj(syllable: str) -> str:
    found = tailo.parse(syllable)
    return unicodedata.normalize("NFC", found.poj() if found is not None else syllable)


def romanised(words: str, orth: Orthography) -> str:
    """Words given in Tâi-lô, as the ruleset spells Hokkien."""
    return _spelled(words, orth)
