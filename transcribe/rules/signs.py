"""P015-P017: dots in words and between them, and every sign that has no rule of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from transcribe import characters, tailo
from transcribe import text as texts
from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, table
from transcribe.rules import places, readings

_L = texts.LETTERS
_DOTTED = Lazy(rf"(?<![{_L}.])(?:[{_L}]\.){{2,}}[{_L}]?|(?<=[{_L}0-9])\.(?=[{_L}0-9])")
_ABBREVIATION = Lazy(
    r"(?<![A-Za-z])(?:(?:Mr|Mrs|Ms|Dr|Prof|Jr|Sr|St|Mt|Sgt|Capt|Lt)\.(?= ?[^\s.,?!。，？！])"
    r"|(?:etc|vs|Inc|Ltd|Corp|e\.g|i\.e)\.)"
)
# The dot of .NET, .com or .exe may be said.
_LEADING_DOT = Lazy(
    r"(?<![^\s\u4e00-\u9fff])\.(?:[A-Z]{2,}|com|net|org|exe|txt|docx?|pdf|jpg|png|zip|mp3|py|js)(?![A-Za-z])"
)
_MAY_END = ("etc.", "vs.", "Inc.", "Ltd.", "Corp.")


def dots_of_words(text: str, orth: Orthography) -> list[tuple[int, int]]:
    """Spans whose dots belong to a word: abbreviations, dotted letters, names of files."""
    first = text.find(".")
    if first < 0 or (first == len(text) - 1 and not text.endswith(_MAY_END)):
        return []
    spans = [match.span() for match in _ABBREVIATION.finditer(text)]
    spans += [(match.start(), match.start() + 1) for match in _LEADING_DOT.finditer(text)]
    for match in _DOTTED.finditer(text):
        if not (orth.hokkien and match[0] == "." and _ends_a_sentence(text, match.start(), orth)):
            spans.append(match.span())
    return spans


_LAST = Lazy(f"[{texts.WORD}]+$")
_FIRST = Lazy(f"[{texts.WORD}]+")


def _ends_a_sentence(text: str, at: int, orth: Orthography) -> bool:
    """Whether a dot without a space stands between two Hokkien syllables, the second a capital."""
    before, after = _LAST.search(text[max(0, at - 24) : at]), _FIRST.match(text, at + 1)
    if before is None or after is None or not after[0][0].isupper():
        return False
    poj = orth.romanisation == "poj"
    return all(tailo.read(word, poj=poj) is not None for word in (before[0], after[0]))


_DOT = Lazy(f"[{characters.MIDDLE_DOTS}]+")
_BULLETS = characters.BULLETS.replace("※", "")  # a reference mark may be read out
_BULLET = Lazy(f"^ *(?:[{_BULLETS}{characters.MIDDLE_DOTS}]+ +|[•‣◦●▪◆►▶·]+ *)(?=[^ ])")


@rule("P015", stage=Stage.PUNCTUATION, on=Kind.MIDDLE_DOT, fix="safe")
def middle_dot(text: str, orth: Orthography) -> Iterable[Hit]:
    """No middle dots in names and no list bullets.

    Why: they are layout and silent.
    Bad: ``馬克·吐溫來過。``
    Good: ``馬克吐溫來過。``
    """
    bullet = _BULLET.match(text)
    done = 0
    if bullet:
        yield mend(*bullet.span(), "")
        done = bullet.end()
    for match in _DOT.finditer(text, done):
        start, end = match.span()
        if end - start >= 3:
            continue  # an ellipsis
        joins = places.is_a(places.WORDLY, text, start - 1) and places.is_a(places.WORDLY, text, end)
        yield mend(start, end, " " if joins else "")


@rule("P016", stage=Stage.PUNCTUATION, on=Kind.DOT, fix="ask")
def dot_in_a_word(text: str, orth: Orthography) -> Iterable[Hit]:
    """No dots inside words and abbreviations.

    Why: letters with dots may be spelled out or read as a word, and a last dot hides whether the
    sentence ends.
    Bad: ``他在 U.S. 念書。``
    Good: ``他在 US 念書。``
    """
    for start, end in dots_of_words(text, orth):
        found = text[start:end]
        if found == "." and (start == 0 or text[start - 1] == " "):
            yield ask(start, end, *_dot_words(orth), "")
        elif found == ".":
            yield ask(start, end, orth.marks[1] + ("" if orth.full else " "), " ", "")
        else:
            bare = found.replace(".", "")
            spelled = " ".join(bare)
            stop = orth.marks[1] if end == len(text) else ""
            yield ask(start, end, bare + stop, *([spelled + stop] if bare.isupper() else []), bare)


def _dot_words(orth: Orthography) -> Iterator[str]:
    if orth.han:
        yield readings.local("點" if orth.boundary == "none" else "點 ", orth)
    elif orth.romanisation == "none":
        yield "dot "


_SYMBOLS = Kind.SYMBOL | Kind.OPERATOR | Kind.ANGLE | Kind.MUSIC


@rule("P017", stage=Stage.PUNCTUATION, on=_SYMBOLS, fix="ask")
def other_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """No other marks or symbols.

    Why: a sign may be silent or read as a word; write the word if it was said.
    Bad: ``你＆我。``
    Good: ``你跟我。``
    """
    kinds = orth.kinds
    bullet = _BULLET.match(text)
    at = bullet.end() if bullet else 0
    while at < len(text):
        kind = kinds[text[at]]
        if not kind & _SYMBOLS or kind & Kind.BOX:  # a box is a placeholder (V002, V012)
            at += 1
            continue
        start = at
        while at < len(text) and text[at] == text[start]:
            at += 1
        yield ask(start, at, *_sign_words(text, start, at, orth), "")


def _sign_words(text: str, start: int, end: int, orth: Orthography) -> Iterator[str]:
    """Words that a sign between two others may stand for."""
    if not _is_between(text, start, end):
        return
    joined = orth.han and orth.boundary == "none"
    before = "" if joined or text[start - 1] == " " or (orth.han and not text[start - 1].isascii()) else " "
    after = "" if joined or text[end] == " " or (orth.han and not text[end].isascii()) else " "
    language = readings.language(orth) if orth.han or orth.romanisation == "none" else ""
    sign = {"＆": "&", "／": "/", "＠": "@"}.get(text[start:end], text[start:end])
    for word in _SIGN_WORDS.get(f"{language}{sign}", ()):
        yield f"{before}{word}{after}"


def _is_between(text: str, start: int, end: int) -> bool:
    return start > 0 and end < len(text) and not {text[start - 1], text[end]} & set(FULL_MARKS + HALF_MARKS)


# By the language's tag and the sign.
_SIGN_WORDS = table("""
    zh&: 和 | 跟
    yue&: 同
    nan&: 佮
    hak&: 摎
    wuu&: 搭仔
    en&: and
    zh/: 或 | 或者
    yue/: 或者 | 定
    nan/: 抑是
    hak/: 抑係
    en/: or | slash
    en@: at
""")
