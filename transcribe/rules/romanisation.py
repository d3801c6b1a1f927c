"""R009, R010, R012: hyphens, the neutral tone and missing tones in Hokkien."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy
from transcribe.rules.syllables import DANGLING, hokkien, toneless

_W = f"[{texts.WORD}0-9]"
_NEUTRAL = Lazy(f"(?<={_W})( *)--( *)(?={_W})")
_FOLLOWING = Lazy(f"[{texts.WORD}-]+")
_MANY = Lazy(f"(?<={_W}) *-{{3,}} *(?={_W})")
_DASH = Lazy(f"(?<={_W}) *[–—―−]+ *(?={_W})")
_SPACED = Lazy(f"(?<={_W})( *)-( *)(?={_W})")
_HYPHENS = Lazy("-+")
_WORDLY = Lazy(_W)
_BROKEN = ("", *"，。？！,.?!")  # beside a hyphen they leave it dangling
MIN_UNTONED = 4  # syllables; shorter texts may rightly have no mark


@cache
def _han_neutral() -> re.Pattern[str]:
    han = texts.han_class()
    return re.compile(f"(?<=[{han}]) *--+ *(?=[{han}{texts.WORD}])|(?<=[{texts.WORD}]) *--+ *(?=[{han}])")


@rule(
    "R009", stage=Stage.CHARACTERS, on=Kind.HYPHEN | Kind.DASH | Kind.OPERATOR, fix="mixed", applies=hokkien
)
def neutral_tone_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """The neutral tone is marked by two hyphens without spaces, between romanised syllables.

    Why: it is audible. A space beside the mark is a slip; a dash or three hyphens may also be a
    pause or a hyphen, and between Han characters the project must choose.
    Bad: ``Guá khì --ah.``
    Good: ``Guá khì--ah.``
    """
    for match in _NEUTRAL.finditer(text) if " --" in text or "-- " in text else ():
        before, after = match.groups()
        if not before and not after:
            continue
        following = _FOLLOWING.match(text, match.end())
        known = following is not None and following[0].casefold() in orth.neutral_words
        if before and after and not known:
            yield ask(*match.span(), "--", orth.comma + " ")
        else:
            yield mend(*match.span(), "--")
    for match in _MANY.finditer(text) if "---" in text else ():
        yield ask(*match.span(), "--", "-", orth.comma + " ")
    dashed = "–" in text or "—" in text or "―" in text or "−" in text
    for match in _DASH.finditer(text) if dashed else ():
        yield ask(*match.span(), "--", "-", orth.comma + " ")
    if orth.han and "--" in text:
        for match in _han_neutral().finditer(text):
            yield ask(*match.span(), "", orth.comma)


@rule("R010", stage=Stage.CHARACTERS, on=Kind.HYPHEN, fix="mixed", applies=hokkien, claims=False)
def hyphen_spacing(text: str, orth: Orthography) -> Iterable[Hit]:
    """A hyphen joins two syllables without spaces.

    Why: a space beside it is a slip. A hyphen with nothing on one side is a word that was cut off or
    left unfinished.
    Bad: ``M̄ -thang án-ne.``
    Good: ``M̄-thang án-ne.``
    """
    for match in _SPACED.finditer(text) if " -" in text or "- " in text else ():
        before, after = match.groups()
        if not before and not after:
            continue
        start, end = match.span()
        restart = after and text[start - 1 : start] and _restarts(text, start, end)
        if (before and after) or restart:
            yield ask(start, end, "-", orth.comma + " ", " ")
        else:
            yield mend(start, end, "-")
    for match in _HYPHENS.finditer(text) if DANGLING.search(text) else ():
        start, end = match.span()
        if start and _WORDLY.match(text, start - 1) and _WORDLY.match(text, end):
            continue
        before, after = text[max(0, start - 8) : start].rstrip(" ")[-1:], text[end : end + 8].lstrip(" ")[:1]
        if (before in _BROKEN and _WORDLY.match(after)) or (after in _BROKEN and _WORDLY.match(before)):
            yield ask(start, end, "")


def _restarts(text: str, start: int, end: int) -> bool:
    """Whether the syllable after the hyphen begins like the one before it, as after a cut-off."""
    words = re.findall(f"[{texts.WORD}]+", text[max(0, start - 20) : start])
    before = words[-1] if words else ""
    return bool(before) and text[end : end + 2].casefold() == before[:2].casefold()


def _latin_only(orth: Orthography) -> bool:
    return orth.hokkien and not orth.han


@rule("R012", stage=Stage.WORDS, on=Kind.LATIN, fix="ask", applies=_latin_only)
def tones_left_out(text: str, orth: Orthography) -> Iterable[Hit]:
    """A sentence of four or more syllables has a tone mark somewhere.

    Why: without any, the tones were most likely left out, and they are part of the words.
    Bad: ``Gua beh khi Tai-lam.``
    Good: ``Guá beh khì Tâi-lâm.``
    """
    if orth.romanisation == "tailo" and not text.isascii():
        return  # there is a mark
    if toneless(text, orth) >= MIN_UNTONED:
        yield Hit(0, len(text))
