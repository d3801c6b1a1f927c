"""P001-P005, P011-P017: what becomes of every sign that is not one of the four marks."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from transcribe import characters, tailo
from transcribe import text as texts
from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy
from transcribe.rules.syllables import DANGLING

_L = texts.LETTERS
_FORMS = Lazy(f"[{''.join(characters.MARK_FORMS)}]+")
_ENUMERATION = Lazy(f"[{characters.ENUMERATION}]")
_COLON = Lazy(f"[{characters.COLONS}]")
_ANY_MARK = FULL_MARKS + HALF_MARKS + characters.ENUMERATION + characters.COLONS
_BESIDE = characters.QUOTES + " "  # seen through when asking what stands beside a sign
_NUMBER = characters.DIGIT_WORDS + "十百千萬万億亿0123456789０１２３４５６７８９"


def _full(orth: Orthography) -> bool:
    return orth.full


def _half(orth: Orthography) -> bool:
    return not orth.full


def _before(text: str, at: int) -> str:
    """The character before a place, quotes and spaces not counted; empty at the beginning."""
    while at > 0 and text[at - 1] in _BESIDE:
        at -= 1
    return text[at - 1 : at]


def _after(text: str, at: int) -> str:
    """The character after a place, quotes and spaces not counted; empty at the end."""
    while at < len(text) and text[at] in _BESIDE:
        at += 1
    return text[at : at + 1]


_DOTTED = Lazy(rf"(?<![{_L}.])(?:[{_L}]\.){{2,}}[{_L}]?|(?<=[{_L}0-9])\.(?=[{_L}0-9])")
_ABBREVIATION = Lazy(
    r"(?<![A-Za-z])(?:(?:Mr|Mrs|Ms|Dr|Prof|Jr|Sr|St|Mt|Sgt|Capt|Lt)\.(?= ?[^\s.,?!。，？！])"
    r"|(?:etc|vs|Inc|Ltd|Corp|e\.g|i\.e)\.)"
)
_ELLIPSIS = Lazy("(?:[…⋯‥︙︰]|。{3,}|\\.{3,}|．{3,}|[·・‧]{3,})+(?: +(?:[…⋯‥]|\\.{3,}|。{3,})+)*")


_MAY_END = ("etc.", "vs.", "Inc.", "Ltd.", "Corp.")


_ELLIPSIS_SIGN = Lazy("[…⋯‥︙︰．·・‧]")


def _dots_of_words(text: str, orth: Orthography) -> list[tuple[int, int]]:
    """Spans whose dots belong to a word: abbreviations, dotted letters, names of files."""
    first = text.find(".")
    if first < 0 or (first == len(text) - 1 and not text.endswith(_MAY_END)):
        return []
    spans = [match.span() for match in _ABBREVIATION.finditer(text)]
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


@rule("P001", stage=Stage.PUNCTUATION, on=Kind.OTHER_MARK, fix="safe", applies=_full)
def half_width_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """Marks are full width, also after a Latin word.

    Why: the ruleset decides the width, not the neighbour; one mark, one code point.
    Bad: ``快跑!``
    Good: ``快跑！``
    """
    skipped = {n for start, end in _dots_of_words(text, orth) for n in range(start, end)}
    if "..." in text:
        skipped |= {n for match in _ELLIPSIS.finditer(text) for n in range(*match.span())}
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
        {n for match in _ELLIPSIS.finditer(text) for n in range(*match.span())} if "。。。" in text else set()
    )
    for at, char in enumerate(text):
        if char in FULL_MARKS and at not in skipped:
            yield mend(at, at + 1, HALF_MARKS[FULL_MARKS.index(char)])


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
            match[0] in "﹒․" and _before(text, start) in _NUMBER and _after(text, end) in _NUMBER
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


@rule("P011", stage=Stage.PUNCTUATION, on=Kind.ELLIPSIS | Kind.MIDDLE_DOT | Kind.MARK_FORM, fix="mixed")
def ellipsis(text: str, orth: Orthography) -> Iterable[Hit]:
    """No ellipsis: inside a sentence it is a comma; beside a mark it adds nothing.

    Why: it shows hesitation, which a comma marks. At the end it may be speech that trailed off or was left
    out, so a person must choose the end mark.
    Bad: ``我…我來。``
    Good: ``我，我來。``
    """
    if not ("..." in text or "。。。" in text or _ELLIPSIS_SIGN.search(text)):
        return
    for match in _ELLIPSIS.finditer(text):
        start, end = match.span()
        before, after = _before(text, start), _after(text, end)
        if not before and after:
            yield mend(start, end, "")
        elif not after:
            if before and before in orth.marks[1:]:
                yield mend(start, end, "")
            else:
                yield ask(start, end, *orth.ends)
        elif before in _ANY_MARK or after in _ANY_MARK:
            yield mend(start, end, "")
        else:
            yield mend(start, end, orth.comma)


_DASHES = Lazy(f"[{characters.LONG_DASHES}{characters.TILDES}–－‒‐‑﹣⁃˗-]+")
_UNLIKE_HYPHEN = Lazy(f"[{characters.LONG_DASHES}{characters.TILDES}–－‒‐‑﹣⁃˗]")
_HYPHEN_LIKE = frozenset("-–－‒‐‑﹣⁃˗")
_WORDLY = Lazy(f"[{texts.WORD}0-9]")
_LETTER = Lazy(f"[{texts.LETTERS}]")


@rule("P012", stage=Stage.PUNCTUATION, on=Kind.DASH | Kind.TILDE | Kind.HYPHEN, fix="mixed")
def dash_or_tilde(text: str, orth: Orthography) -> Iterable[Hit]:
    """No dash and no tilde: as a pause a comma, as lengthening nothing.

    Why: between two nouns they are read as a word, and which word is unknown; at the end a dash means that
    speech was cut off.
    Bad: ``好可愛喔～！``
    Good: ``好可愛喔！``
    """
    joined = (orth.hokkien or "--" not in text) and not DANGLING.search(text)
    if joined and not _UNLIKE_HYPHEN.search(text):
        return  # each hyphen stands inside a word
    for match in _DASHES.finditer(text):
        start, end = match.span()
        sign = match[0]
        inside = _is(_WORDLY, text, start - 1) and _is(_WORDLY, text, end)
        if sign == "-" and (inside or not _free_hyphen(text, start, orth)):
            continue
        if orth.hokkien and sign.strip("-") == "" and (inside or len(sign) > 2):
            continue  # R009
        yield _dash(text, match, orth)


def _free_hyphen(text: str, at: int, orth: Orthography) -> bool:
    """Whether a hyphen is not the sign of a cut-off Latin word (V006, R010)."""
    if not _is(_WORDLY, text, at - 1):
        return True
    return orth.han and at + 1 < len(text) and characters.is_han(text[at + 1])


def _is(wanted: Lazy, text: str, at: int) -> bool:
    """Whether there is a character at a place, and of the wanted class."""
    return 0 <= at < len(text) and wanted.match(text, at) is not None


def _dash(text: str, match: re.Match[str], orth: Orthography) -> Hit:
    start, end = match.span()
    before, after = _before(text, start), _after(text, end)
    spaced = text[start - 1 : start] == " " and text[end : end + 1] == " "
    if not set(match[0]).isdisjoint(characters.TILDES):
        if before and (not after or after in _ANY_MARK) and before not in _ANY_MARK:
            return mend(start, end, "")
        return ask(start, end, "", orth.comma, "到") if orth.han else ask(start, end, "", orth.comma)
    if not after and before:
        return ask(start, end, *orth.ends) if before not in orth.marks[1:] else mend(start, end, "")
    if len(match[0]) > 1 or match[0] not in _HYPHEN_LIKE:
        double = len(match[0]) > 1
        if not before or before in _ANY_MARK or after in _ANY_MARK:
            return mend(start, end, "")
        if double or (not orth.han and (spaced or match[0] == "—")):
            return mend(start, end, orth.comma)
        return ask(start, end, orth.comma, "到", "")
    if not before and text[end : end + 1] == " ":
        return mend(start, end, "")  # a list's dash
    if spaced and not orth.han and not orth.hokkien and match[0] in "-–":
        return mend(start, end, orth.comma)
    return ask(start, end, *(("", "到", orth.comma) if orth.han else (orth.comma, " ", "-")))


_QUOTES = Lazy(f"[{re.escape(characters.QUOTES)}]+")
_CURLY_PAIR = Lazy(f"(?<![{_L}])[‘‚‛]([^‘’‚‛]{{0,200}})’(?![{_L}])")
_LOOSE_SINGLE = Lazy(f"[‘’‚‛'＇](?:(?<![{_L}][‘’‚‛'＇])|(?![{_L}]))")
_SINGLE = Lazy(f"(?<![{_L}])[‘’‚‛'＇]|[‘’‚‛'＇](?![{_L}])")


@rule("P013", stage=Stage.PUNCTUATION, on=Kind.QUOTE, fix="mixed")
def quotation_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """No quotation or title marks.

    Why: nobody speaks them. A single straight one may also be an apostrophe, so a person decides.
    Bad: ``他說「好」。``
    Good: ``他說好。``
    """
    for match in _QUOTES.finditer(text):
        start, end = match.span()
        joins = _is(_WORDLY, text, start - 1) and _is(_WORDLY, text, end)
        yield mend(start, end, " " if joins else "")
    if not _LOOSE_SINGLE.search(text):
        return
    paired: set[int] = set()
    for match in _CURLY_PAIR.finditer(text):
        paired |= {match.start(), match.end() - 1}
        yield mend(match.start(), match.start() + 1, "")
        yield mend(match.end() - 1, match.end(), "")
    for match in _SINGLE.finditer(text):
        if match.start() in paired:
            continue
        at = match.start()
        beside_latin = _is(_LETTER, text, at - 1) or _is(_LETTER, text, at + 1)
        if match[0] in "‘’" and not beside_latin:
            yield mend(*match.span(), "")
        else:
            yield ask(*match.span(), "")


_OPEN, _CLOSE = re.escape(characters.OPENING_BRACKETS), re.escape(characters.CLOSING_BRACKETS)
_BRACKETS = Lazy(
    f"[:;=][-']?[)(DPp](?![A-Za-z])|[{_OPEN}]([^{_OPEN}{_CLOSE}]{{0,80}})[{_CLOSE}]|[{_OPEN}{_CLOSE}]"
)


@rule("P014", stage=Stage.PUNCTUATION, on=Kind.BRACKET, fix="ask")
def bracket(text: str, orth: Orthography) -> Iterable[Hit]:
    """No brackets.

    Why: what stands in them may be speech, a remark or a reading aid; only a person can tell.
    Bad: ``他在家（樓上）。``
    Good: ``他在家就是樓上。``
    """
    for match in _BRACKETS.finditer(text):
        content = match[1]
        if content is not None and match[0][0] not in "(（【" and texts.label_of(content) in orth.missing:
            continue  # V002
        yield ask(*match.span(), *([content, ""] if content else [""]))


_DOT = Lazy(f"[{characters.MIDDLE_DOTS}]+")
_BULLET = Lazy(f"^ *(?:[{characters.BULLETS}{characters.MIDDLE_DOTS}]+ +|[•‣◦●▪◆►▶※·]+ *)(?=[^ ])")


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
        joins = _is(_WORDLY, text, start - 1) and _is(_WORDLY, text, end)
        yield mend(start, end, " " if joins else "")


@rule("P016", stage=Stage.PUNCTUATION, on=Kind.DOT, fix="ask")
def dot_in_a_word(text: str, orth: Orthography) -> Iterable[Hit]:
    """No dots inside words and abbreviations.

    Why: letters with dots may be spelled out or read as a word, and a last dot hides whether the
    sentence ends.
    Bad: ``他在 U.S. 念書。``
    Good: ``他在 US 念書。``
    """
    for start, end in _dots_of_words(text, orth):
        found = text[start:end]
        if found == ".":
            yield ask(start, end, orth.marks[1] + ("" if orth.full else " "), " ", "")
        else:
            bare = found.replace(".", "")
            spelled = " ".join(bare)
            stop = orth.marks[1] if end == len(text) else ""
            yield ask(start, end, bare + stop, *([spelled + stop] if bare.isupper() else []), bare)


@cache
def _symbols() -> int:
    return Kind.SYMBOL | Kind.OPERATOR | Kind.ANGLE | Kind.MUSIC


@rule("P017", stage=Stage.PUNCTUATION, on=Kind.SYMBOL | Kind.OPERATOR | Kind.ANGLE | Kind.MUSIC, fix="ask")
def other_sign(text: str, orth: Orthography) -> Iterable[Hit]:
    """No other marks or symbols.

    Why: a sign may be silent or read as a word; write the word if it was said.
    Bad: ``你＆我。``
    Good: ``你跟我。``
    """
    kinds = orth.kinds
    bullet = _BULLET.match(text)
    at = bullet.end() if bullet else 0
    other = Kind.BOX | Kind.APOSTROPHE
    while at < len(text):
        kind = kinds[text[at]]
        if not kind & _symbols() or (kind & other and not _is_stray(text, at, kind)):
            at += 1
            continue
        start = at
        while at < len(text) and text[at] == text[start]:
            at += 1
        yield ask(start, at, *_SIGN_WORDS.get(text[start], ()) if orth.han else (), "")


def _is_stray(text: str, at: int, kind: int) -> bool:
    """Whether a box is no placeholder (V002, V012) or an apostrophe stands in no word (C020)."""
    return bool(kind & Kind.APOSTROPHE)


_SIGN_WORDS = {
    "&": ("和", "跟"),
    "＆": ("和", "跟"),
    "/": ("或",),
    "／": ("或",),
    "@": ("在",),
    "#": ("井號",),
}
