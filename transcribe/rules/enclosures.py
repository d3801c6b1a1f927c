"""P013, P014: quotation marks, which are silent, and brackets, which nobody can judge by sight."""

from __future__ import annotations

import re
from collections.abc import Iterable

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy
from transcribe.rules import apostrophes, places

_L = texts.LETTERS
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
        joins = places.is_a(places.WORDLY, text, start - 1) and places.is_a(places.WORDLY, text, end)
        yield mend(start, end, " " if joins else "")
    if not _LOOSE_SINGLE.search(text) or next(apostrophes.at_the_edge(text), None) is not None:
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
        beside_latin = places.is_a(places.LETTER, text, at - 1) or places.is_a(places.LETTER, text, at + 1)
        if match[0] in "‘’" and not beside_latin:
            yield mend(*match.span(), "")
        else:
            yield ask(*match.span(), "")


_OPEN, _CLOSE = re.escape(characters.OPENING_BRACKETS), re.escape(characters.CLOSING_BRACKETS)
_BRACKETS = Lazy(
    f"[:;=][-']?[)(DPp](?![A-Za-z])|[{_OPEN}]([^{_OPEN}{_CLOSE}]{{0,80}})[{_CLOSE}]|[{_OPEN}{_CLOSE}]"
)


@rule("P014", stage=Stage.PUNCTUATION, on=Kind.BRACKET | Kind.COLON | Kind.OPERATOR, fix="ask")
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
