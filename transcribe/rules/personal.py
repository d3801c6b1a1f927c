"""N008, N010, V013: numbers and addresses that say who somebody is, and web addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, PerWord, words
from transcribe.rules import jyutping, readings

_D = readings.D
_ANY_DIGIT = Lazy(f"[{_D}]")
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_PRIVATE_NUMBER = Lazy(
    f"(?<![{_D}A-Za-z])(?:"
    f"[+＋]?[{_D}]{{1,4}}[-－ ()（）]{{0,2}}[{_D}]{{2,4}}[-－ ]{{1,2}}[{_D}]{{3,4}}(?:[-－ ][{_D}]{{3,4}})?"
    f"|[(（][{_D}]{{2,4}}[)）] ?[{_D}]{{3,4}}[-－ ]?[{_D}]{{3,4}}"
    f"|[{_D}]{{4}}[- ][{_D}]{{4}}|[0０][{_D}]{{1,3}}[-－ ][{_D}]{{6,8}}"
    f"|[A-Za-z][12１２][{_D}]{{8}}"
    f"|[{_D}]{{17}}[{_D}Xx]"
    f"|[{_D}]{{8,}}"
    f"|(?!NT|HK|US|CN|MP|RM)(?:[A-Z]{{2}}[-－]?[{_D}]{{4}}|[A-Z]{{2}}[-－][{_D}]{{3}}|[A-Z]{{3}}[-－]?[{_D}]{{3,4}})"
    f"|[{_D}]{{3,4}}[-－][A-Z]{{2,3}}"
    f"|[{_PROVINCES}] ?[A-Z][ ·•‧]?(?=[A-Z]{{0,4}}[{_D}])[A-Z{_D}]{{5,6}}(?![A-Z])"
    f")(?![{_D}])"
)


def private_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Spans that look like a telephone, card, plate or identity number."""
    return (match.span() for match in _PRIVATE_NUMBER.finditer(text))


@rule("N008", stage=Stage.NUMBERS, on=Kind.DIGIT | Kind.WIDE_DIGIT, fix="none")
def private_number(text: str, orth: Orthography) -> Iterable[Hit]:
    """No telephone, plate, card or identity numbers: the segment goes to quarantine.

    Why: it is personal data, and its digits have several readings.
    Bad: ``電話是0912-345-678。``
    Good: the segment is set aside
    """
    if not jyutping.only_tones(text, orth):
        yield from (Hit(start, end) for start, end in private_numbers(text))


_MAIL = Lazy(r"[A-Za-z0-9._%+-]{1,64}[@＠][A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_TAIL = "(?:/[A-Za-z0-9_./?=&%#-]*)?"
_WEB = Lazy(
    rf"(?:https?|ftp)://[^\s，。？！、]+|www\.[A-Za-z0-9-]{{1,63}}(?:\.[A-Za-z0-9-]{{1,63}})*{_TAIL}"
    r"|(?<![A-Za-z0-9.-])[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.(?:com|net|org|edu|gov|info|io|tw|cn|hk|jp|mo|sg|my"
    rf"|uk|me|tv|app|co|ai|dev|xyz|shop|gg|ly)(?![A-Za-z0-9]){_TAIL}"
)
_SCHEME = Lazy("^(?:https?|ftp)://")
_NAMES_ONLY = Lazy("[A-Za-z0-9.-]+")


def mail_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Spans of mail addresses."""
    if "@" not in text and "＠" not in text:
        return iter(())
    return (match.span() for match in _MAIL.finditer(text))


@rule("N010", stage=Stage.NUMBERS, on=Kind.DOT | Kind.COLON | Kind.SYMBOL, fix="ask")
def address(text: str, orth: Orthography) -> Iterable[Hit]:
    """Web and mail addresses are written as they were read out.

    Why: dots, slashes and letters each have several readings.
    Bad: ``網址是 www.example.com。``
    Good: ``就是 example 點 com。``
    """
    yield from (Hit(start, end) for start, end in mail_addresses(text))
    if -1 < text.find(".") < len(text) - 1 or "://" in text:
        for match in _WEB.finditer(text):
            yield ask(*match.span(), *_read_out(match[0], orth))


def _read_out(found: str, orth: Orthography) -> Iterator[str]:
    """An address of names and dots as it is read out."""
    host = _SCHEME.sub("", found).rstrip("/")
    if not _NAMES_ONLY.fullmatch(host) or "-" in host or any(each.isdigit() for each in host):
        return
    if orth.han:
        dot = readings.local("點" if orth.boundary == "none" else " 點 ", orth)
    elif orth.romanisation == "none":
        dot = " dot "
    else:
        return
    names = host.split(".")
    letters = ["W W W" if name == "www" else name for name in names]
    if names[0] == "www":
        yield dot.join(letters[1:])
    yield dot.join(letters)


# -- spoken numbers -----------------------------------------------------------------------------

_SPOKEN = "零〇一二三四五六七八九么幺洞拐勾兩两"
_ANY_NUMERAL = Lazy(f"[{_D}{_SPOKEN}]")
_SPOKEN_DIGITS = Lazy(f"[{_SPOKEN}](?:[，、, ]?[{_SPOKEN}]){{7,}}")
_PAUSE = Lazy("[，、, ]")
_ASCENDING, _DESCENDING = "一二三四五六七八九", "九八七六五四三二一"
_DRILL = "二三四"  # 一二三四，二二三四: how gymnasts count
_YEAR = Lazy("(?:一[零〇一二三四五六七八九]|二[零〇])[零〇一二三四五六七八九]{2}")
_ENGLISH_NAMES = words("oh zero one two three four five six seven eight nine")
_HOKKIEN_NAMES = words(
    "khòng lîng it jī nn̄g sann saⁿ sam sì sù gōo gō͘ ngóo ngó͘ la̍k lio̍k tshit chhit peh pat káu kiú tsi̍t chi̍t"
)


def _counted(names: frozenset[str]) -> PerWord[int]:
    """How many digit words stand between two spaces."""

    def count(word: str) -> int:
        spaced = word.casefold().replace("-", " ").replace(",", " ").replace(".", " ")
        return sum(map(names.__contains__, spaced.split()))

    return PerWord(count)


_ENGLISH_COUNT, _HOKKIEN_COUNT = _counted(_ENGLISH_NAMES), _counted(_HOKKIEN_NAMES)


def _named(names: frozenset[str]) -> Lazy:
    name = "|".join(sorted(names, key=lambda name: (-len(name), name)))
    return Lazy(
        rf"(?<![\w'-])(?:(?:{name})(?:, ?|[ -]{{1,2}})){{7,}}(?:{name})(?![\w'\u0300-\u036f-])", re.IGNORECASE
    )


_ENGLISH_DIGITS, _HOKKIEN_DIGITS = _named(_ENGLISH_NAMES), _named(_HOKKIEN_NAMES)
# How people count; the number that a telephone has is another.
_COUNTS = (
    "one two three four five six seven eight nine",
    "it jī sann sì gōo la̍k tshit peh káu",
    "it jī saⁿ sì gō͘ la̍k chhit peh káu",
    "tsi̍t nn̄g sann sì gōo la̍k tshit peh káu",
    "chi̍t nn̄g saⁿ sì gō͘ la̍k chhit peh káu",
)
_LEAST = 8  # digit words that make a number


@rule(
    "V013",
    stage=Stage.NUMBERS,
    on=Kind.NUMBER_WORD | Kind.DIGIT | Kind.WIDE_DIGIT | Kind.SYMBOL | Kind.LATIN,
    fix="none",
)
def personal_data(text: str, orth: Orthography) -> Iterable[Hit]:
    """Personal data put the segment in quarantine; eight or more digit words in a row are taken for a number.

    Why: a voice, a text and a telephone number together say who somebody is.
    Bad: ``零九一二三四五六七八``
    Good: ``電話開頭是零九一二，後面我忘記了。``
    """
    yield from (Hit(start, end) for start, end in mail_addresses(text))
    if _ANY_NUMERAL.search(text):
        if _ANY_DIGIT.search(text) and not jyutping.only_tones(text, orth):
            yield from (Hit(start, end) for start, end in private_numbers(text))
        for match in _SPOKEN_DIGITS.finditer(text):
            if not _is_counting(_PAUSE.split(match[0])):
                yield Hit(*match.span())
    if orth.han:
        return
    count, pattern = (_HOKKIEN_COUNT, _HOKKIEN_DIGITS) if orth.hokkien else (_ENGLISH_COUNT, _ENGLISH_DIGITS)
    if sum(map(count.__getitem__, text.split(" "))) < _LEAST:
        return
    for match in pattern.finditer(text):
        said = " ".join(match[0].casefold().replace(",", " ").split())
        if not ("," in match[0] and any(count.startswith(said) for count in _COUNTS)):
            yield Hit(*match.span())


def _is_counting(groups: list[str]) -> bool:
    """Whether digit words with pauses between them are a count or a row of years, not a number."""
    if len(groups) == 1:
        return False
    together = "".join(groups)
    if _ASCENDING.startswith(together) or _DESCENDING.endswith(together):
        return True
    if all(len(group) == len(_DRILL) + 1 for group in groups):
        counted = (group[1:] == _DRILL or group in ("五六七八", "一二三四") for group in groups)
        return all(_YEAR.fullmatch(group) for group in groups) or all(counted)
    return False
