"""C001-C009, C016-C018: code points that are not what they look like, before anything else is read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import cache

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy, PerWord
from transcribe.rules import apostrophes

_INVISIBLE = Lazy(f"[{characters.INVISIBLE}]+")
_BIDI = Lazy(f"[{characters.BIDI}{characters.BIDI_OVERRIDES}]+")
_OVERRIDE = Lazy(f"[{characters.BIDI_OVERRIDES}]")
_WIDE = Lazy("[\uff21-\uff3a\uff41-\uff5a\ufb00-\ufb06]+")
_SELECTOR = Lazy("[\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_APOSTROPHE = Lazy(
    f"[{characters.APOSTROPHES}](?<=[{texts.LETTERS}][{characters.APOSTROPHES}])(?=[{texts.LETTERS}])"
)
_HYPHEN = Lazy(f"(?<=[{texts.WORD}0-9])[{characters.HYPHENS[1:]}]+(?=[{texts.WORD}])")
_LOST = Lazy("锟斤拷(?:锟斤拷)*|烫烫烫+|屯屯屯+")
_CP1252 = "€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ"
_MOJIBAKE = Lazy(f"(?:[\xc2-\xf4][\x80-\xbf{_CP1252}]{{1,3}})+")


_NORMAL = PerWord(lambda word: unicodedata.is_normalized("NFC", word))  # nothing composes with a space
_QUICK = 1000  # code points up to which the standard library's test cannot be slow on hostile text


@cache
def _composable() -> re.Pattern[str]:
    return re.compile(f"[^{texts.mark_class()}][{texts.mark_class()}]{{1,{texts.MAX_MARKS}}}")


def _unnormalised(text: str, orth: Orthography) -> Iterable[tuple[int, int, str, int]]:
    """Spans that NFC would change, with what it makes of them and their first character's kinds."""
    if len(text) <= _QUICK and all(map(_NORMAL.__getitem__, text.split(" "))):
        return
    kinds = orth.kinds
    odd = Kind.NOT_NFC | Kind.COMPAT_HAN
    singles = {char for char in set(text) if kinds[char] & odd}
    if singles:
        for at, char in enumerate(text):
            if char in singles:
                yield at, at + 1, unicodedata.normalize("NFC", char), kinds[char]
    for match in _composable().finditer(text):
        piece = match[0]
        if piece[0] not in singles:
            composed = unicodedata.normalize("NFC", piece)
            if composed != piece:
                yield match.start(), match.end(), composed, kinds[piece[0]]


@rule("C001", stage=Stage.CODE_POINTS, on=Kind.COMBINING | Kind.NOT_NFC, fix="safe")
def not_composed(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""Letters and their marks are stored composed (NFC).

    Why: the same word in two encodings would count as two words.
    Bad: ``Gua\u0301 lâi.`` (a letter and a separate mark)
    Good: ``Guá lâi.``
    """
    for start, end, composed, kind in _unnormalised(text, orth):
        if not kind & Kind.COMPAT_HAN:
            yield mend(start, end, composed)


@rule("C002", stage=Stage.CODE_POINTS, on=Kind.COMPAT_HAN, fix="safe")
def compatibility_ideograph(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""A compatibility ideograph is written as the ordinary character it equals.

    Why: it looks the same and means the same, but no search and no model treats it so. The
    twelve ordinary ideographs of that block stay.
    Bad: ``今\uf98e很冷。`` (U+F98E)
    Good: ``今年很冷。``
    """
    for start, end, composed, kind in _unnormalised(text, orth):
        if kind & Kind.COMPAT_HAN:
            yield mend(start, end, composed)


@rule("C003", stage=Stage.CODE_POINTS, on=Kind.WIDE_LATIN, fix="safe")
def wide_or_joined_letter(text: str, orth: Orthography) -> Iterable[Hit]:
    """Latin letters are ordinary letters, neither full width nor a ligature.

    Why: the full-width form is another character, so the word would be unknown.
    Bad: ``我在用Ｅｘｃｅｌ做表。``
    Good: ``我在用 Excel 做表。``
    """
    for match in _WIDE.finditer(text):
        yield mend(*match.span(), unicodedata.normalize("NFKC", match[0]))


@rule("C004", stage=Stage.CODE_POINTS, on=Kind.INVISIBLE, fix="safe")
def invisible_character(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""No invisible format characters.

    Why: nobody sees them, and two texts that look alike would differ.
    Bad: ``我\u200b知道。`` (zero width space)
    Good: ``我知道。``
    """
    for match in _INVISIBLE.finditer(text):
        yield mend(*match.span(), "")


@rule("C005", stage=Stage.CODE_POINTS, on=Kind.BIDI, fix="mixed")
def direction_control(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""No controls of writing direction.

    Why: they are invisible. An override even shows the words in another order than they are
    stored in, so what the transcriber saw is unknown and is refused.
    Bad: ``我知道。\u200e``
    Good: ``我知道。``
    """
    overridden = _OVERRIDE.search(text) is not None
    for match in _BIDI.finditer(text):
        yield Hit(*match.span()) if overridden else mend(*match.span(), "")


@rule("C006", stage=Stage.CODE_POINTS, on=Kind.PRIVATE, fix="mixed")
def private_use(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""No private-use characters.

    Why: they mean something in one font only. The codes of the education ministry's Hokkien
    font are known and are replaced; any other must be typed anew.
    Bad: ``\ue701兜佇遮。`` (ministry font)
    Good: ``𪜶兜佇遮。``
    """
    kinds = orth.kinds
    for at, char in enumerate(text):
        if kinds[char] & Kind.PRIVATE:
            known = orth.private_use.get(char)
            yield Hit(at, at + 1) if known is None else mend(at, at + 1, known)


@rule("C007", stage=Stage.CODE_POINTS, on=Kind.SELECTOR, fix="safe", severity="warning")
def variation_selector(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""No variation selectors.

    Why: they choose a drawing of the character, not another character.
    Bad: ``他姓葛\U000e0101。``
    Good: ``他姓葛。``
    """
    for match in _SELECTOR.finditer(text):
        yield mend(*match.span(), "")


@rule("C008", stage=Stage.CODE_POINTS, on=Kind.BROKEN, fix="none")
def lost_character(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""No replacement characters, unassigned code points or halves of characters.

    Why: something was lost when the text was copied or saved; only the sound can tell what.
    Bad: ``我\ufffd道。``
    Good: ``我知道。``
    """
    kinds = orth.kinds
    for at, char in enumerate(text):
        if kinds[char] & Kind.BROKEN:
            yield Hit(at, at + 1)


@rule("C009", stage=Stage.CODE_POINTS, on=Kind.CONTROL, fix="ask")
def control_character(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""No control, tag or annotation characters.

    Why: a backspace or a hidden tag may stand for text that was taken away or smuggled in.
    Bad: ``我\x08知道。``
    Good: ``我知道。``
    """
    kinds = orth.kinds
    for at, char in enumerate(text):
        if kinds[char] & Kind.CONTROL:
            yield ask(at, at + 1, "")


@rule("C016", stage=Stage.CODE_POINTS, on=Kind.DESCRIPTION, fix="ask")
def description_sequence(text: str, orth: Orthography) -> Iterable[Hit]:
    """A character is written itself, not described by its parts.

    Why: a description has as many code points as parts and counts as several characters.
    Bad: ``⿰亻因兜佇遐。``
    Good: ``𪜶兜佇遐。``
    """
    at = 0
    while at < len(text):
        if text[at] not in characters.DESCRIPTIONS:
            at += 1
            continue
        start, wanted = at, 1
        while at < len(text) and wanted > 0:
            wanted += {"⿲": 2, "⿳": 2, "⿾": 0, "⿿": 0, "〾": 0}.get(
                text[at], 1 if text[at] in characters.DESCRIPTIONS else -1
            )
            at += 1
        known = _DESCRIBED.get(text[start:at])
        yield ask(start, at, known) if known else Hit(start, at)


_DESCRIBED = {
    "⿰亻因": "𪜶", "⿰亻厓": "𠊎", "⿰足百": "𬦰", "⿺辶日": "𨑨", "⿱勿會": "𣍐", "⿰勿會": "𣍐",
    "⿱敖力": "𠢕", "⿰車立": "𨋢",
}  # fmt: skip


@rule("C018", stage=Stage.CODE_POINTS, on=Kind.MOJIBAKE, fix="ask")
def mojibake(text: str, orth: Orthography) -> Iterable[Hit]:
    """No text that was read in the wrong encoding.

    Why: the bytes were UTF-8 and were read as something else; the words are not there. Where
    the original can be computed it is suggested.
    Bad: ``æˆ‘çŸ¥å½±。``
    Good: ``我知影。``
    """
    for match in _MOJIBAKE.finditer(text) if not text.isascii() else ():
        recovered = _recovered(match[0])
        if recovered and any(_was_written(char, match[0]) for char in recovered):
            yield ask(*match.span(), recovered)
    for match in _LOST.finditer(text) if "锟" in text or "烫" in text or "屯" in text else ():
        yield Hit(*match.span())


def _was_written(char: str, piece: str) -> bool:
    """Whether a recovered character is one that a transcript has, so that the recovery is no accident.

    A letter before a curly quote (``ó”``) makes no valid UTF-8; two Latin-1 signs may.
    """
    if characters.is_han(char) or char in characters.FULL_MARKS or "\u3001" <= char <= "\u300f":
        return True
    if "\u2010" <= char <= "\u2026":
        return True
    latin = characters.is_latin(char) or "\u0300" <= char <= "\u036f"
    return latin and not set(piece) & set(_CP1252)


def _recovered(piece: str) -> str | None:
    """What the piece was, if its bytes in Windows-1252 are UTF-8."""
    raw = bytearray()
    for char in piece:
        try:
            raw += char.encode("cp1252")
        except UnicodeEncodeError:
            if ord(char) > 0xFF:
                return None
            raw.append(ord(char))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


@rule("C020", stage=Stage.CHARACTERS, on=Kind.APOSTROPHE, fix="safe")
def apostrophe_form(text: str, orth: Orthography) -> Iterable[Hit]:
    """The apostrophe inside a word is U+0027.

    Why: editors put five different characters there; the word is the same.
    Bad: ``I don’t know.``
    Good: ``I don't know.``
    """
    for match in _APOSTROPHE.finditer(text):
        if match[0] != "'":
            yield mend(*match.span(), "'")
    for at in apostrophes.at_the_edge(text):
        if text[at] != "'":
            yield mend(at, at + 1, "'")


@rule("C021", stage=Stage.CHARACTERS, on=Kind.HYPHEN_FORM, fix="safe")
def hyphen_form(text: str, orth: Orthography) -> Iterable[Hit]:
    r"""The hyphen inside a word is U+002D.

    Why: a non-breaking or full-width hyphen looks the same and splits the word's counts.
    Bad: ``tsa\u2011hng``
    Good: ``tsa-hng``
    """
    for match in _HYPHEN.finditer(text):
        yield mend(*match.span(), "-" * (match.end() - match.start()))
