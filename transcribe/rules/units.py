"""N006: units, offered with the number before them where that is in digits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, PerWord, table
from transcribe.rules import english, jyutping, readings

_D, _WORDS, _FIGURE = readings.D, characters.NUMBER_WORDS, readings.FIGURE
_NUMBER = f"[{_D}{_WORDS}]"
_ANY_DIGIT = Lazy(f"[{_D}]")
_UNIT_LETTERS = (
    "km/h|km/hr|m/s|kph|mph|kcal|cal|kWh|kwh|kHz|MHz|GHz|Hz|hz|mmHg|kPa|hPa|km²|km2|cm²|cm2|m²|m2|m³|m3|km|KM|Km|cm|CM|mm|MM"
    "|ms|kgs|kg|KG|Kg|mg|ml|ML|mL|cc|CC|lbs|lb|oz|ft|KB|kb|MB|Mb|mb|GB|Gb|gb|TB|tb|kW|mAh|ppm|PM2|dB|db|g|m|l|L|w|v|s|h|hr|hrs"
    "|mins|min|sec"
)
_UNIT_SET = frozenset([*_UNIT_LETTERS.split("|"), "W", "V"])
_WORD_ENDS = Lazy("[,.?!-]+")
_has_unit = PerWord(lambda word: not _UNIT_SET.isdisjoint(_WORD_ENDS.split(word)))
# One capital after one number word may be the name of a letter (五 W 一 H), so W and V need a larger number.
_UNIT = Lazy(
    f"(?:(?<![{_D}]){_FIGURE}|(?<=[{_WORDS}多]))(?: ?(?:{_UNIT_LETTERS})(?![A-Za-z]))"
    f"|(?:(?<![{_D}]){_FIGURE}|(?<=[十百千萬万半]))(?: ?[WV](?![A-Za-z]))"
)
_ENGLISH_UNIT = Lazy(
    f"(?<![A-Za-z])(?:{'|'.join(sorted(english.NUMBERS))}) ((?:{_UNIT_LETTERS}|W|V))(?![A-Za-z'])",
    re.IGNORECASE,
)
_UNIT_SIGN = Lazy(
    f"(?:(?:(?<!{_NUMBER})[-−－] ?)?(?<![{_D}]){_FIGURE} ?)?"
    "[℃℉°˚′″‴㍱-㍺㎀-㏟㌀-㍗㋌-㋏]+(?:[CFcf](?![A-Za-z]))?"
)
_SIGN = Lazy("[℃℉°˚′″‴㍱-㍺㎀-㏟㌀-㍗㋌-㋏]")


@rule("N006", stage=Stage.NUMBERS, on=Kind.UNIT | Kind.LATIN, fix="ask")
def unit_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """Units are written in words.

    Why: letters and signs after a number can be read in two languages, or left out.
    Bad: ``跑了五km。``
    Good: ``跑了五公里。``
    """
    figures = _ANY_DIGIT.search(text) is not None and not jyutping.only_tones(text, orth)
    lettered = (_UNIT,) if orth.han or figures else ()
    for pattern in (*lettered, _UNIT_SIGN) if _SIGN.search(text) else lettered:
        for match in pattern.finditer(text):
            decade = not orth.han and _DECADE.fullmatch(match[0])
            toned = (
                pattern is _UNIT
                and orth.romanisation != "none"
                and _SYLLABLE_GOES_ON.match(text, match.end())
            )
            if not decade and not toned:
                yield ask(*match.span(), *_measured(match[0], orth))
    if orth.romanisation == "none" and not orth.han and any(map(_has_unit.__getitem__, text.split(" "))):
        for match in _ENGLISH_UNIT.finditer(text):
            yield ask(*match.span(1), *_ENGLISH_UNITS.get(match[1], ()))


_SYLLABLE_GOES_ON = Lazy(f"[0-9{texts.LETTERS}]")  # no unit: Gua2 m7, keoi5 m4
_DECADE = Lazy("[0-9]{3}0s")  # 1990s
_LEADING_FIGURE = Lazy(f"([-−－]?) ?((?:{_FIGURE})?)(.*)")


def _measured(found: str, orth: Orthography) -> Iterator[str]:
    """A measure in words; a number in digits is read with it."""
    match = _LEADING_FIGURE.match(found.strip())
    minus, figure, unit = match.groups() if match is not None else ("", "", found)
    unit = unit.replace(" ", "").replace("˚", "°")
    if not orth.han:
        names = _ENGLISH_UNITS.get(unit, ()) if orth.romanisation == "none" else ()
    else:
        names = tuple(readings.local(each, orth) for each in _HAN_UNITS.get(unit, ()))
        if orth.variety == "simplified":
            names = tuple(sorted(names, key=lambda name: name in _TAIWANESE))
    number = readings.quantity(figure, orth) if figure else ""
    if figure and not number:
        return
    if minus:
        number = f"零下{number}" if orth.han else f"minus {number}"
    for name in names:
        if number and name == "攝氏度":
            yield f"攝氏{number}度"
            continue
        yield f"{number}{name}" if orth.han else f"{number} {name}".strip()


_HAN_UNITS = table("""
    km KM Km ㎞ km/h km/hr kph: 公里
    cm CM ㎝: 公分 | 厘米
    mm MM ㎜: 公釐 | 毫米
    m: 公尺 | 米
    m² m2 ㎡: 平方公尺 | 平方米
    m³ m3 ㎥: 立方公尺 | 立方米
    km² km2 ㎢: 平方公里
    ml mL ML ㎖: 毫升 | 西西
    cc CC ㏄: 西西
    l L: 公升 | 升
    kg kgs KG Kg ㎏: 公斤
    g: 公克 | 克
    mg ㎎: 毫克
    lb lbs: 磅
    oz: 盎司
    ft: 英尺
    W w: 瓦
    V v: 伏特
    kW: 千瓦
    kWh kwh: 度
    Hz hz: 赫茲
    cal: 卡
    kcal: 大卡
    dB db: 分貝
    s sec: 秒
    ms: 毫秒
    min mins: 分鐘
    h hr hrs: 小時
    ℃ °C: 度 | 攝氏度
    ℉ °F: 度 | 華氏度
    °: 度
""")
_TAIWANESE = ("公分", "公釐", "公尺", "公克")  # in mainland China the other name comes first
_ENGLISH_UNITS = table("""
    km KM: kilometers | kilometres | K
    km/h km/hr kph: kilometers an hour | kilometers per hour
    mph: miles an hour | miles per hour
    cm CM: centimeters | centimetres
    mm MM: millimeters | millimetres
    m: meters | metres
    kg kgs KG: kilograms | kilos
    g: grams
    mg: milligrams
    ml mL: milliliters | millilitres
    l L: liters | litres
    lb lbs: pounds
    oz: ounces
    ft: feet | foot
    h hr hrs: hours
    min mins: minutes
    s sec: seconds
    ms: milliseconds
    GB: gigabytes | gigs
    MB: megabytes | megs
    TB: terabytes
    W w: watts
    V v: volts
    ℃ °C: degrees Celsius | degrees
    ℉ °F: degrees Fahrenheit | degrees
    °: degrees
""")
