"""N007: dates, times and scores in figures, with the phrases they may stand for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy
from transcribe.rules import english, jyutping, readings

_D = readings.D
_COLON = "[:：∶]"
_FACTS = "0-9０-９零〇一二三四五六七八九十百千萬万億亿"
_AFTER, _BEFORE = "[AaPp][Mm](?![A-Za-z])", "(?<![A-Za-z])(?:(?:AM|PM) ?|[ap]m)"
_CLOCK = Lazy(
    f"(?:{_BEFORE})?[{_D}]{{1,4}}{_COLON}[{_D}]{{1,2}}(?:{_COLON}[{_D}]{{1,2}})?(?: ?{_AFTER})?"
    f"|{_BEFORE}[{_D}]{{1,2}}(?![{_D}])|[{_D}]{{1,2}} ?{_AFTER}"
    f"|[{_D}]{{1,4}}[/／.．-][{_D}]{{1,2}}[/／.．-][{_D}]{{1,4}}|[{_D}]{{1,2}}[/／][{_D}]{{1,2}}"
    f"|(?<=[{_FACTS}])(?<![第有][一二三四五六七八九十]){_COLON}(?=[{_FACTS}])"
)
# ten:thirty, three:two: closed up between number words, a colon is no pause.
_ENGLISH = "|".join(sorted(english.NUMBERS, key=len, reverse=True))
_ENGLISH_CLOCK = Lazy(f"(?i)(?<![A-Za-z])(?:{_ENGLISH})({_COLON})(?=(?:{_ENGLISH})(?![A-Za-z]))")


@rule("N007", stage=Stage.NUMBERS, on=Kind.DIGIT | Kind.WIDE_DIGIT | Kind.COLON, fix="ask")
def date_or_clock(text: str, orth: Orthography) -> Iterable[Hit]:
    """Dates, times and scores are written in words.

    Why: half past ten, ten thirty and thirty minutes past are all one format.
    Bad: ``現在10:30了。``
    Good: ``現在十點半了。``
    """
    for match in _CLOCK.finditer(text) if not jyutping.only_tones(text, orth) else ():
        yield ask(*match.span(), *_said(match[0], orth))
    for match in _ENGLISH_CLOCK.finditer(text) if not orth.han and orth.romanisation == "none" else ():
        yield ask(*match.span(1), " ", " to ")


_TIME = Lazy(r"([ap]m)?([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2}))?([ap]m)?")
_HOUR = Lazy(r"([ap]m)?([0-9]{1,2})([ap]m)?")
_DATE = Lazy("([0-9]{1,4})[/.-]([0-9]{1,2})(?:[/.-]([0-9]{1,4}))?")
_SAME = str.maketrans("０１２３４５６７８９：∶／．", "0123456789::/.")
_HOURS, _MINUTES, _MONTHS, _DAYS = 24, 60, 12, 31


def _said(found: str, orth: Orthography) -> Iterator[str]:
    figures = found.translate(_SAME).casefold().replace(" ", "")
    if time := _TIME.fullmatch(figures):
        before, hour, minute, second, after = time.groups()
        if int(hour) <= _HOURS and int(minute) < _MINUTES and len(minute) > 1:
            yield from _times(int(hour), int(minute), second, before or after, orth)
        elif orth.han and not second:
            left, right = (readings.quantity(each, orth, counted=False) for each in (hour, minute))
            yield f"{left}比{right}"
        elif orth.romanisation == "none" and not second:
            left, right = (readings.quantity(each, orth, counted=False) for each in (hour, minute))
            yield f"{left} to {right}"
    elif (hours := _HOUR.fullmatch(figures)) and int(hours[2]) <= _HOURS:
        yield from _times(int(hours[2]), 0, None, hours[1] or hours[3], orth)
    elif date := _DATE.fullmatch(figures):
        yield from _dates(date[1], date[2], date[3] or "", orth)
    elif orth.han and figures == ":":
        yield from (readings.local("點", orth), "比")


# -- times --------------------------------------------------------------------------------------


def _times(
    hour: int, minute: int, second: str | None, half_day: str | None, orth: Orthography
) -> Iterator[str]:
    if not orth.han:
        if second is None and orth.romanisation == "none":
            yield from _english_times(hour, minute, half_day)
        elif second is None and orth.hokkien and hour > 0 and minute in (0, 30):
            yield readings.romanised(
                _HOKKIEN_HOURS[(hour - 1) % 12] + " tiám" + (" puànn" if minute else ""), orth
            )
        return
    part = {"am": "上午", "pm": "下午"}.get(half_day or "", "")
    o_clock = part + (readings.quantity(str(hour), orth) if hour else "零") + readings.local("點", orth)
    if second is not None:
        minutes = readings.quantity(str(minute), orth, counted=False)
        yield f"{o_clock}{minutes}分{readings.quantity(str(int(second)), orth, counted=False)}秒"
    elif minute == 0:
        yield o_clock
        yield f"{o_clock}整" if readings.language(orth) == "zh" else readings.local(f"{o_clock}鐘", orth)
    else:
        if minute == 30:
            yield f"{o_clock}半"
        zero = "零" if minute < 10 else ""
        minutes = readings.quantity(str(minute), orth, counted=False)
        yield f"{o_clock}{zero}{minutes}分"
        if readings.language(orth) == "yue" and minute % 5 == 0:
            yield f"{o_clock}{readings.quantity(str(minute // 5), orth, counted=False)}"
        elif minute == 15 and readings.language(orth) in ("zh", "wuu"):
            yield f"{o_clock}一刻"
        yield f"{o_clock}{zero}{minutes}"


_HOKKIEN_HOURS = (
    "tsi̍t", "nn̄g", "sann", "sì", "gōo", "la̍k", "tshit", "peh", "káu", "tsa̍p", "tsa̍p-it", "tsa̍p-jī",
)  # fmt: skip


def _english_times(hour: int, minute: int, half_day: str | None) -> Iterator[str]:
    named = english.SMALL[hour]
    if minute == 0:
        yield f"{named} {half_day.upper()}" if half_day else f"{named} o'clock"
        yield named
        return
    rest = f"oh {english.SMALL[minute]}" if minute < 10 else english.SMALL[minute]
    yield f"{named} {rest}" + (f" {half_day.upper()}" if half_day else "")
    if minute in (15, 30):
        yield f"{'quarter' if minute == 15 else 'half'} past {named}"


# -- dates --------------------------------------------------------------------------------------


def _dates(first: str, second: str, third: str, orth: Orthography) -> Iterator[str]:
    """A date written year first or year last; month and day only where the calendar has them."""
    if third and len(first) < 3 and len(third) == 4:
        year, month, day = third, first, second
    elif third:
        year, month, day = first, second, third
    else:
        year, month, day = "", first, second
    if len(day) > 2 or not 0 < int(month) <= _MONTHS or not 0 < int(day) <= _DAYS:
        return
    month, day = str(int(month)), str(int(day))
    if orth.han:
        date = f"{readings.value(month, orth)}月{readings.value(day, orth)}"
        if year:
            date = f"{readings.one_by_one(year, orth)}年{date}"
        yield readings.local(f"{date}號", orth)
        yield f"{date}日"
    elif orth.romanisation == "none":
        years = f", {readings.readings(year, orth)[0]}" if len(year) == 4 else ""
        named, ordinal = _ENGLISH_MONTHS[int(month) - 1], english.ordinal(day)
        yield f"{named} {ordinal}{years}"
        yield f"the {ordinal} of {named}{years}"


_ENGLISH_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
