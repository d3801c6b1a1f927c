"""Which single quotation marks at a word's edge are part of the word, as in *kids'* and *'em*."""

from __future__ import annotations

from collections.abc import Iterator

from transcribe import text as texts
from transcribe.patterns import Lazy, words

_L = texts.LETTERS
_EDGE = Lazy(f"[‘’'＇](?:(?<![{_L}][‘’'＇])|(?![{_L}]))")
_WORD_AFTER = Lazy(f"[{_L}]{{1,12}}")
_WORD_BEFORE = Lazy(f"[{_L}]{{1,24}}$")
# Words that lost their beginning, and words that lost their end other than -ing.
_CLIPPED = words(
    "em cause cuz coz til till n tis twas twere twill bout round kay neath gainst nother nuff scuse"
)
_CUT = words("o an th ol wi lil mo po fo")
_SHORTEST_ING = 4  # letters of the shortest verb that drops its g: doin'


def at_the_edge(text: str) -> Iterator[int]:
    """Places of apostrophes at a word's beginning or end, if every mark in the text is one.

    A single mark that cannot be an apostrophe makes a pair of quotation marks possible, so then
    none is certain.
    """
    if not ("'" in text or "’" in text or "‘" in text or "＇" in text):
        return
    found = []
    for match in _EDGE.finditer(text):
        if not _in_a_word(text, match.start()):
            return
        found.append(match.start())
    yield from found


def _in_a_word(text: str, at: int) -> bool:
    after = _WORD_AFTER.match(text, at + 1)
    if after is not None:
        return after[0].casefold() in _CLIPPED
    before = _WORD_BEFORE.search(text[max(0, at - 24) : at])
    if before is None or text[at] == "‘":
        return False
    word = before[0].casefold()
    if word == "n":
        return text[max(0, at - 2) : at - 1] in ("'", "’", "‘")
    return word[-1] in "sxz" or word in _CUT or (word.endswith("in") and len(word) >= _SHORTEST_ING)
