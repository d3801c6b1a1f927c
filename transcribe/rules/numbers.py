"""N001-N012: numbers are words. Nothing is mended automatically: most digits have several readings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, PerWord, words
from transcribe.rules import jyutping

_D = "0-9０-９"
_WORDS = characters.NUMBER_WORDS
_NUMBER = f"[{_D}{_WORDS}]"
_FACTS = "0-9０-９零〇一二三四五六七八九十百千萬万億亿"
_ON_DIGITS = Kind.DIGIT | Kind.WIDE_DIGIT


def _spans(pattern: Lazy | re.Pattern[str], text: str) -> Iterator[tuple[int, int]]:
    for match in pattern.finditer(text):
        yield match.span()


_ASCII = Lazy("[0-9]+")
_WIDE = Lazy("[０-９]+")
_DIGIT_READING = dict(zip("0123456789", "零一二三四五六七八九", strict=True))
_ENGLISH = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@rule("N001", stage=Stage.NUMBERS, on=Kind.DIGIT, fix="ask")
def digit(text: str, orth: Orthography) -> Iterable[Hit]:
    """Numbers are written in words, as they were said.

    Why: a digit has several readings, and which one was said is only in the sound.
    Bad: ``我家在3樓。``
    Good: ``我家在三樓。``
    """
    tonal = orth.romanisation == "jyutping"
    for at, piece in jyutping.words_with_numbers(text) if tonal else ((0, text),):
        tones = jyutping.tone_places(piece) if tonal else ()
        for start, end in _spans(_ASCII, piece):
            if start not in tones:
                yield ask(at + start, at + end, *_readings(piece[start:end], orth))


def _readings(number: str, orth: Orthography) -> Iterable[str]:
    """Readings of a number short enough to guess; a person chooses."""
    if len(number) > 4:
        return
    if not orth.han:
        if orth.romanisation == "none" and len(number) == 1:
            yield _ENGLISH[int(number)]
        return
    digits = "".join(_DIGIT_READING[each] for each in number)
    if len(number) == 1:
        yield digits
        if number == "2":
            yield "兩" if orth.variety != "simplified" else "两"
    else:
        yield from (_value(number), digits)


def _value(number: str) -> str:
    """The number's value in words, up to four digits."""
    out, gap = "", False
    for place, each in zip(range(len(number) - 1, -1, -1), number, strict=True):
        if each == "0":
            gap = bool(out)
            continue
        one_ten = each == "1" and place == 1 and not out
        out += (
            ("零" if gap else "") + ("" if one_ten else _DIGIT_READING[each]) + ["", "十", "百", "千"][place]
        )
        gap = False
    return out or "零"


@rule("N002", stage=Stage.NUMBERS, on=Kind.WIDE_DIGIT, fix="ask")
def full_width_digit(text: str, orth: Orthography) -> Iterable[Hit]:
    """Full-width digits are digits too.

    Why: mending the width would still leave a digit with several readings.
    Bad: ``５樓到了。``
    Good: ``五樓到了。``
    """
    for start, end in _spans(_WIDE, text):
        plain = text[start:end].translate(
            dict(zip(map(ord, "０１２３４５６７８９"), "0123456789", strict=True))
        )
        yield ask(start, end, *_readings(plain, orth))


@rule("N003", stage=Stage.NUMBERS, on=Kind.OTHER_NUMBER, fix="ask")
def other_number_character(text: str, orth: Orthography) -> Iterable[Hit]:
    """No circled, raised, Roman or fraction numbers.

    Why: one sign, several readings.
    Bad: ``看第①題。``
    Good: ``看第一題。``
    """
    import unicodedata

    kinds = orth.kinds
    for at, char in enumerate(text):
        if kinds[char] & Kind.OTHER_NUMBER:
            plain = unicodedata.normalize("NFKC", char).strip("()")
            if plain.isascii() and plain.isdigit():
                yield ask(at, at + 1, *_readings(plain, orth))
            else:
                yield ask(at, at + 1, *([plain] if plain and all(map(characters.is_han, plain)) else []))


_PERCENT = Lazy("[%％‰‱﹪٪]")


@rule("N004", stage=Stage.NUMBERS, on=Kind.PERCENT, fix="ask", claims=False)
def percent_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """Percentages are written in words.

    Why: the sign comes after the number and the words before it, and it has several readings.
    Bad: ``剩下50%。``
    Good: ``剩下百分之五十。``
    """
    for match in _PERCENT.finditer(text):
        yield Hit(*match.span())


_CURRENCY = Lazy(r"(?:NT|US|HK|RMB|CN|NTD|JP|A|S)? ?[$＄﹩￥¥€£₩฿₫₱₹¢￠￡￦]")


@rule("N005", stage=Stage.NUMBERS, on=Kind.CURRENCY, fix="ask", claims=False)
def currency_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """Money is written in words, in the order that it was said.

    Why: the sign stands before the number and is read after it, or not at all.
    Bad: ``這個要$100。``
    Good: ``這個要一百塊。``
    """
    kinds = orth.kinds
    taken = -1
    for match in _CURRENCY.finditer(text):
        yield Hit(*match.span())
        taken = match.end()
    for at, char in enumerate(text) if taken < 0 else ():
        if kinds[char] & Kind.CURRENCY:
            yield Hit(at, at + 1)


_UNIT_LETTERS = (
    "km/h|km/hr|m/s|kph|mph|kcal|cal|kWh|kwh|kHz|MHz|GHz|Hz|hz|mmHg|kPa|hPa|km²|km2|cm²|cm2|m²|m2|m³|m3|km|KM|Km|cm|CM|mm|MM"
    "|kg|KG|Kg|mg|ml|ML|mL|cc|CC|lb|lbs|oz|ft|KB|kb|MB|mb|GB|gb|TB|tb|kW|mAh|ppm|PM2|dB|db|g|m|l|L|w|W|V|v|s|h|hr|hrs|min|sec"
)
_UNIT_SET = frozenset(_UNIT_LETTERS.split("|"))
_WORD_ENDS = Lazy("[ ,.?!-]+")
_has_unit = PerWord(lambda word: not _UNIT_SET.isdisjoint(_WORD_ENDS.split(word)))
_UNIT = Lazy(f"(?<=[{_D}{_WORDS}多]) ?(?:{_UNIT_LETTERS})(?![A-Za-z])")
_DIGIT_OR_UNIT = Lazy(f"[{_D}℃℉°˚′″‴㎀-㏟㌀-㍗㋌-㋏]")
_UNIT_ENGLISH = Lazy(
    "(?<![A-Za-z])(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|forty|fifty|sixty|"
    f"seventy|eighty|ninety|hundred|thousand|million|half) ((?:{_UNIT_LETTERS}))(?![A-Za-z'])"
)
_SYLLABLE_GOES_ON = Lazy(f"[0-9{texts.LETTERS}]")  # no unit: Gua2 m7, keoi5 m4
_UNIT_SIGN = Lazy("[℃℉°˚′″‴㍱-㍺㎀-㏟㌀-㍗㋌-㋏][℃℉°˚′″‴㍱-㍺㎀-㏟㌀-㍗㋌-㋏]*(?:[CFcf](?![A-Za-z]))?")


@rule(
    "N006",
    stage=Stage.NUMBERS,
    on=Kind.UNIT | Kind.LATIN,
    fix="ask",
)
def unit_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """Units are written in words.

    Why: letters and signs after a number can be read in two languages, or left out.
    Bad: ``跑了五km。``
    Good: ``跑了五公里。``
    """
    if not orth.han and orth.romanisation != "none" and not _DIGIT_OR_UNIT.search(text):
        return
    lettered = orth.han or (_ANY_DIGIT.search(text) is not None and not jyutping.only_tones(text, orth))
    for pattern in (_UNIT, _UNIT_SIGN) if lettered else (_UNIT_SIGN,):
        for start, end in _spans(pattern, text):
            if pattern is _UNIT_SIGN or orth.romanisation == "none" or not _SYLLABLE_GOES_ON.match(text, end):
                yield ask(start, end, *_unit_words(text[start:end], orth))
    if orth.romanisation == "none" and not orth.han and any(map(_has_unit.__getitem__, text.split(" "))):
        for match in _UNIT_ENGLISH.finditer(text):
            yield Hit(*match.span(1))


def _unit_words(found: str, orth: Orthography) -> tuple[str, ...]:
    if not orth.han:
        return ()
    known = _UNIT_WORDS.get(found.strip(), ())
    return (
        tuple(each.replace("釐", "厘").replace("攝", "摄").replace("時", "时") for each in known)
        if (orth.variety == "simplified")
        else known
    )


_UNIT_WORDS: dict[str, tuple[str, ...]] = {
    "km": ("公里",), "KM": ("公里",), "㎞": ("公里",), "km/h": ("公里",),
    "cm": ("公分", "釐米"), "㎝": ("公分", "釐米"), "mm": ("公釐", "毫米"), "㎜": ("公釐", "毫米"),
    "m": ("公尺", "米"), "㎡": ("平方公尺", "平方米"), "ml": ("毫升",), "cc": ("西西",),
    "kg": ("公斤",), "KG": ("公斤",), "㎏": ("公斤",), "g": ("公克", "克"),
    "℃": ("度", "攝氏度"), "°C": ("度", "攝氏度"), "°": ("度",),
}  # fmt: skip


@cache
def _clock() -> re.Pattern[str]:
    return re.compile(
        f"[{_D}]{{1,4}}[:：∶][{_D}]{{1,2}}(?:[:：∶][{_D}]{{1,2}})?"
        f"|[{_D}]{{1,4}}[/／.．-][{_D}]{{1,2}}[/／.．-][{_D}]{{1,4}}|[{_D}]{{1,2}}[/／][{_D}]{{1,2}}"
        f"|(?<=[{_FACTS}])[:：∶](?=[{_FACTS}])"
        "|(?<![A-Za-z])(?:a\\.m\\.|p\\.m\\.|AM|PM)(?= ?[0-9])|(?<=[0-9]) ?(?:AM|PM|am|pm)(?![A-Za-z])"
    )


@rule("N007", stage=Stage.NUMBERS, on=_ON_DIGITS | Kind.COLON, fix="ask")
def date_or_clock(text: str, orth: Orthography) -> Iterable[Hit]:
    """Dates and times are written in words.

    Why: half past ten, ten thirty and thirty minutes past are all one format.
    Bad: ``現在10:30了。``
    Good: ``現在十點半了。``
    """
    if not jyutping.only_tones(text, orth):
        yield from (Hit(start, end) for start, end in _spans(_clock(), text))


_PRIVATE_NUMBER = Lazy(
    f"(?<![{_D}A-Za-z])(?:"
    f"[+＋]?[{_D}]{{1,4}}[-－ ()（）]{{0,2}}[{_D}]{{2,4}}[-－ ]{{1,2}}[{_D}]{{3,4}}(?:[-－ ][{_D}]{{3,4}})?"
    f"|[(（][{_D}]{{2,4}}[)）] ?[{_D}]{{3,4}}[-－ ]?[{_D}]{{3,4}}"
    f"|[{_D}]{{4}}[- ][{_D}]{{4}}"
    f"|[A-Za-z][12１２][{_D}]{{8}}"
    f"|[{_D}]{{17}}[{_D}Xx]"
    f"|[{_D}]{{8,}}"
    f"|[A-Z]{{2,3}}[-－]?[{_D}]{{3,4}}|[{_D}]{{3,4}}[-－][A-Z]{{2,3}}"
    f")(?![{_D}])"
)


def private_numbers(text: str) -> Iterator[tuple[int, int]]:
    """Spans that look like a telephone, card, plate or identity number."""
    return _spans(_PRIVATE_NUMBER, text)


@rule("N008", stage=Stage.NUMBERS, on=_ON_DIGITS, fix="none")
def private_number(text: str, orth: Orthography) -> Iterable[Hit]:
    """No telephone, plate, card or identity numbers: the segment goes to quarantine.

    Why: it is personal data, and its digits have several readings.
    Bad: ``電話是0912-345-678。``
    Good: the segment is set aside
    """
    if not jyutping.only_tones(text, orth):
        yield from (Hit(start, end) for start, end in private_numbers(text))


_MAIL = Lazy(r"[A-Za-z0-9._%+-]{1,64}[@＠][A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})+")
_WEB = Lazy(
    r"(?:https?|ftp)://[^\s，。？！、]+|www\.[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*(?:/[A-Za-z0-9_./?=&%#-]*)?"
    r"|(?<![A-Za-z0-9.-])[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*\.(?:com|net|org|edu|gov|info|io|tw|cn|hk|jp|me|tv|app|co|ai)"
    r"(?![A-Za-z0-9])(?:/[A-Za-z0-9_./?=&%#-]*)?"
)


def mail_addresses(text: str) -> Iterator[tuple[int, int]]:
    """Spans of mail addresses."""
    return _spans(_MAIL, text) if "@" in text or "＠" in text else iter(())


@rule("N010", stage=Stage.NUMBERS, on=Kind.DOT | Kind.COLON | Kind.SYMBOL, fix="ask")
def address(text: str, orth: Orthography) -> Iterable[Hit]:
    """Web and mail addresses are written as they were read out.

    Why: dots, slashes and letters each have several readings.
    Bad: ``網址是 www.example.com。``
    Good: ``就是 example 點 com。``
    """
    yield from (Hit(start, end) for start, end in mail_addresses(text))
    if -1 < text.find(".") < len(text) - 1 or "://" in text:
        yield from (Hit(start, end) for start, end in _spans(_WEB, text))


_OPERATORS = "+＋−±×÷=＝≠≈≤≥√∞∑∫≒≡﹢﹦"
_OPERATOR = Lazy(f"[{_OPERATORS}]+|(?<={_NUMBER}) ?[<>＜＞*＊/／^] ?(?={_NUMBER})")
_SIGNS_OF_ARITHMETIC = Lazy(f"[{_OPERATORS}<>＜＞*＊/／^]")
_SIGN_OR_DIGIT = Lazy(f"[{_OPERATORS}<>＜＞*＊/／^{_D}]")
_MINUS = Lazy(
    f"(?<![A-Za-z{_D}{_WORDS}-])[-－](?=[{_D}])|(?:^|(?<=[是到約约為为])|(?<=[，。？！ ]))[-－](?=[{_WORDS}])"
)


@rule("N009", stage=Stage.NUMBERS, on=Kind.OPERATOR | Kind.HYPHEN | Kind.SYMBOL, fix="ask")
def operator(text: str, orth: Orthography) -> Iterable[Hit]:
    """Signs of arithmetic are written in words.

    Why: a minus can be read in two ways, a plus in three.
    Bad: ``一＋一等於二。``
    Good: ``一加一等於二。``
    """
    if not orth.han and not _SIGN_OR_DIGIT.search(text):
        return
    arithmetic = _SIGNS_OF_ARITHMETIC.search(text) is not None
    for start, end in _spans(_OPERATOR, text) if arithmetic else ():
        yield ask(start, end, *_OPERATOR_WORDS.get(text[start:end].strip(), ()) if orth.han else ())
    if ("-" in text or "－" in text) and (orth.han or _ANY_DIGIT.search(text)):
        for start, end in _spans(_MINUS, text):
            yield ask(
                start, end, *(("負", "零下", "減") if orth.variety != "simplified" else ("负", "零下", "减"))
            )


_OPERATOR_WORDS = {
    "+": ("加",),
    "＋": ("加",),
    "×": ("乘", "乘以"),
    "÷": ("除以",),
    "=": ("等於",),
    "＝": ("等於",),
}

_SEPARATOR = Lazy(
    f"(?<=[{_FACTS}])(?:[.．﹒·・‧~～〜–—－/／-]| ?[~～〜–—] ?)(?=[{_FACTS}])|(?<=[{_D}])[,，](?=[{_D}]{{3}})"
)


@rule("N011", stage=Stage.NUMBERS, on=Kind.NUMBER_WORD | _ON_DIGITS, fix="ask")
def separator_in_number(text: str, orth: Orthography) -> Iterable[Hit]:
    """Nothing stands between the words of a number but words.

    Why: a dot there is the word for point, and a dash the word for to; a stop would be wrong.
    Bad: ``三.五公斤就好。``
    Good: ``三點五公斤就好。``
    """
    simplified = orth.variety == "simplified"
    for start, end in _spans(_SEPARATOR, text) if not jyutping.only_tones(text, orth) else ():
        sign = text[start:end].strip()
        words = (
            ("点" if simplified else "點",)
            if sign in ".．﹒·・‧"
            else ("到", "至")
            if sign in "~～〜–—－-"
            else ()
        )
        yield ask(start, end, *(words if orth.han else ()))


_ZERO = Lazy(
    "(?<=[零〇一二三四五六七八九○])[○◯OoＯ0]+(?=[零〇一二三四五六七八九○年月日號号樓楼路室班級级度分點点])"
    "|(?<=[零〇一二三四五六七八九])[○◯]+|(?<![A-Za-z])[○◯OＯ](?=[零〇一二三四五六七八九]{2})"
    "|(?<=[零〇一二三四五六七八九])[OＯ](?![A-Za-z])"
)


@rule("N012", stage=Stage.CHARACTERS, on=Kind.ZERO | Kind.NUMBER_WORD, fix="ask")
def zero_look_alike(text: str, orth: Orthography) -> Iterable[Hit]:
    """Zero is a word: 零, or 〇 where it has one reading.

    Why: a circle or a letter O looks like it, and in Hokkien, Hakka and Wu 〇 itself has two readings.
    Bad: ``二○二四年。``
    Good: ``二零二四年。``
    """
    circled = "O" in text or "o" in text or "○" in text or "◯" in text or "Ｏ" in text
    for start, end in _spans(_ZERO, text) if circled else ():
        yield ask(
            start, end, *(word * (end - start) for word in (("零", "〇") if orth.zero else ("零", "空")))
        )
    if not orth.zero and "〇" in text and orth.han:
        for at, char in enumerate(text):
            if char == "〇":
                yield ask(at, at + 1, "零", "空")


_SPOKEN_DIGITS = Lazy(
    "[零〇一二三四五六七八九么幺洞拐勾兩两](?:[，、, ]?[零〇一二三四五六七八九么幺洞拐勾兩两]){7,}"
)
_ENGLISH_DIGITS = Lazy(
    "(?<![A-Za-z])(?:(?:oh|zero|one|two|three|four|five|six|seven|eight|nine)[ ,-]{1,2}){7,}"
    "(?:oh|zero|one|two|three|four|five|six|seven|eight|nine)(?![A-Za-z])",
    re.IGNORECASE,
)
_HOKKIEN_DIGITS = Lazy(
    "(?:(?:khòng|lîng|it|jī|nn̄g|sann|sam|sì|sù|gōo|ngóo|la̍k|lio̍k|tshit|peh|pat|káu|kiú|tsi̍t)[ ,-]{1,2}){7,}"
    "(?:khòng|lîng|it|jī|nn̄g|sann|sam|sì|sù|gōo|ngóo|la̍k|lio̍k|tshit|peh|pat|káu|kiú|tsi̍t)",
    re.IGNORECASE,
)
_ENGLISH_WORDS = words("oh zero one two three four five six seven eight nine")
_HOKKIEN_WORDS = words("khòng lîng it jī nn̄g sann sam sì sù gōo ngóo la̍k lio̍k tshit peh pat káu kiú tsi̍t")
_ANY_DIGIT = Lazy(f"[{_D}]")
_ANY_NUMERAL = Lazy(f"[{_D}零〇一二三四五六七八九么幺洞拐勾兩两]")


def _count(text: str, wanted: frozenset[str]) -> int:
    spaced = text.casefold().replace("-", " ").replace(",", " ")
    return sum(map(wanted.__contains__, spaced.split()))


_english_digits = PerWord(lambda word: _count(word, _ENGLISH_WORDS))
_hokkien_digits = PerWord(lambda word: _count(word, _HOKKIEN_WORDS))


_COUNTING = "一二三四五六七八九"


@rule("V013", stage=Stage.NUMBERS, on=Kind.NUMBER_WORD | _ON_DIGITS | Kind.SYMBOL | Kind.LATIN, fix="none")
def personal_data(text: str, orth: Orthography) -> Iterable[Hit]:
    """Personal data put the segment in quarantine; eight or more digit words in a row are taken for a number.

    Why: a voice, a text and a telephone number together say who somebody is.
    Bad: ``零九一二三四五六七八``
    Good: ``電話開頭是零九一二，後面我忘記了。``
    """
    yield from (Hit(start, end) for start, end in mail_addresses(text))
    if _ANY_NUMERAL.search(text):
        if not jyutping.only_tones(text, orth) and _ANY_DIGIT.search(text):
            yield from (Hit(start, end) for start, end in private_numbers(text))
        for match in _SPOKEN_DIGITS.finditer(text):
            digits = re.sub("[，、, ]", "", match[0])
            if len(digits) == len(match[0]) or digits != _COUNTING[: len(digits)]:
                yield Hit(*match.span())
    count = _hokkien_digits if orth.hokkien else _english_digits
    if not orth.han and sum(map(count.__getitem__, text.split(" "))) > 7:
        pattern = _HOKKIEN_DIGITS if orth.hokkien else _ENGLISH_DIGITS
        yield from (Hit(start, end) for start, end in _spans(pattern, text))
