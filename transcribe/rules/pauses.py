"""P011, P012: ellipses, dashes and tildes: pauses, lengthening, or words that nobody wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable

from transcribe import characters
from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy
from transcribe.rules import english, places
from transcribe.rules.syllables import DANGLING

_ENDS = FULL_MARKS[1:] + HALF_MARKS[1:]  # of either width: width is mended beside them
ELLIPSIS = Lazy("(?:[…⋯‥︙︰]|。{3,}|\\.{3,}|．{3,}|[·・‧]{3,})+(?: +(?:[…⋯‥]|\\.{3,}|。{3,})+)*")


_ELLIPSIS_SIGN = Lazy("[…⋯‥︙︰．·・‧]")


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
    for match in ELLIPSIS.finditer(text):
        start, end = match.span()
        before, after = places.before(text, start), places.after(text, end)
        if not before and after:
            yield mend(start, end, "")
        elif not after:
            if before and before in _ENDS:
                yield mend(start, end, "")
            else:
                yield ask(start, end, *orth.ends)
        elif before in places.ANY_MARK or after in places.ANY_MARK:
            yield mend(start, end, "")
        else:
            yield mend(start, end, orth.comma)


_DASHES = Lazy(f"[{characters.LONG_DASHES}{characters.TILDES}–－‒‐‑﹣⁃˗-]+")
_UNLIKE_HYPHEN = Lazy(f"[{characters.LONG_DASHES}{characters.TILDES}–－‒‐‑﹣⁃˗]")
_HYPHEN_LIKE = frozenset("-–－‒‐‑﹣⁃˗")


@rule("P012", stage=Stage.PUNCTUATION, on=Kind.DASH | Kind.TILDE | Kind.HYPHEN, fix="mixed")
def dash_or_tilde(text: str, orth: Orthography) -> Iterable[Hit]:
    """No dash and no tilde: as a pause a comma, as lengthening nothing.

    Why: between two nouns they are read as a word, and which word is unknown; at the end a dash means that
    speech was cut off.
    Bad: ``好可愛喔～！``
    Good: ``好可愛喔！``
    """
    if (orth.hokkien or "--" not in text) and not (_UNLIKE_HYPHEN.search(text) or DANGLING.search(text)):
        return  # each hyphen stands inside a word
    for match in _DASHES.finditer(text):
        start, end = match.span()
        sign = match[0]
        inside = places.is_a(places.WORDLY, text, start - 1) and places.is_a(places.WORDLY, text, end)
        if sign == "-" and (inside or not _free_hyphen(text, start, orth)):
            continue
        if orth.hokkien and sign.strip("-") == "" and (inside or len(sign) > 2):
            continue  # R009
        yield _dash(text, match, orth)


def _free_hyphen(text: str, at: int, orth: Orthography) -> bool:
    """Whether a hyphen is not the sign of a cut-off Latin word (V006, R010)."""
    if not places.is_a(places.WORDLY, text, at - 1):
        return True
    return orth.han and at + 1 < len(text) and characters.is_han(text[at + 1])


_LAST_WORD, _FIRST_WORD = Lazy("[A-Za-z]{1,12} $"), Lazy(" [A-Za-z]{1,12}")


def _between_numbers(text: str, start: int, end: int) -> bool:
    """Whether English number words stand on both sides, so that the dash may be the word *to*."""
    before, after = _LAST_WORD.search(text[max(0, start - 13) : start]), _FIRST_WORD.match(text, end)
    if before is None or after is None:
        return False
    return {before[0].strip().casefold(), after[0].strip().casefold()} <= english.NUMBERS


def _dash(text: str, match: re.Match[str], orth: Orthography) -> Hit:
    start, end = match.span()
    before, after = places.before(text, start), places.after(text, end)
    spaced = text[start - 1 : start] == " " and text[end : end + 1] == " "
    if not set(match[0]).isdisjoint(characters.TILDES):
        if before and (not after or after in places.ANY_MARK) and before not in places.ANY_MARK:
            return mend(start, end, "")
        return ask(start, end, "", orth.comma, "到") if orth.han else ask(start, end, "", orth.comma)
    if spaced and before in _ENDS and before and not orth.hokkien:
        return ask(start, end, "")  # - Hello. - Hi.: two people, as in subtitles
    if not after and before:
        return ask(start, end, *orth.ends) if before not in orth.marks[1:] else mend(start, end, "")
    if len(match[0]) > 1 or match[0] not in _HYPHEN_LIKE:
        double = len(match[0]) > 1
        if not before or before in places.ANY_MARK or after in places.ANY_MARK:
            return mend(start, end, "")
        if double or (not orth.han and (spaced or match[0] == "—")):
            return mend(start, end, orth.comma)
        return ask(start, end, orth.comma, "到", "")
    if not before and text[end : end + 1] == " ":
        return mend(start, end, "")  # a list's dash
    if (
        spaced
        and not orth.han
        and not orth.hokkien
        and match[0] in "-–"
        and not _between_numbers(text, start, end)
    ):
        return mend(start, end, orth.comma)
    return ask(start, end, *(("", "到", orth.comma) if orth.han else (orth.comma, " ", "-")))
