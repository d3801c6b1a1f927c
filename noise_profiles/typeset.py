"""Text in columns: how wide it is, where it may be broken, and names that can do no harm to a terminal."""

from __future__ import annotations

import unicodedata

# What may not begin a line of Chinese, and what may not end one.
_NOT_FIRST = frozenset("，。、；：？！）」』】》…—％%,.;:?!)]}")
_NOT_LAST = frozenset("（「『【《([{")


def printable(text: str) -> str:
    """The text with everything that is not printed written out, so that no name moves a cursor or a reader.

    Control and format characters become escapes, as do bytes of names that are not UTF-8.
    """
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode("ascii") for c in text
    )


def columns(text: str) -> int:
    """How many columns of a terminal it takes: two for a Chinese character, none for a combining mark."""
    return sum(
        0 if unicodedata.category(c) in ("Mn", "Me") else 2 if unicodedata.east_asian_width(c) in "WF" else 1
        for c in text
    )


def fitted(text: str, width: int) -> str:
    """Exactly `width` columns: filled up with spaces, or its end only, since ends of paths differ."""
    if columns(text) > width:
        kept = text
        while kept and columns(kept) > width - 1:
            kept = kept[1:]
        text = "…" + kept
    return text + " " * (width - columns(text))


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, broken at spaces and between Chinese characters."""
    lines, line = [], ""
    for piece in _pieces(text):
        for part in [piece] if columns(piece.rstrip()) <= width else list(piece):
            if line and columns((line + part).rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            line += part if line else part.lstrip()
    return [*lines, line.rstrip()] if line.strip() or not lines else lines


def _pieces(text: str) -> list[str]:
    """What may not be broken: words with the space after them, characters with marks that cling to them."""
    pieces: list[str] = []
    for before, c in zip(" " + text, text, strict=False):
        wide = unicodedata.east_asian_width(c) in "WF" or unicodedata.east_asian_width(before) in "WF"
        begins = (before == " " != c) or (
            wide and c != " " and c not in _NOT_FIRST and before not in _NOT_LAST
        )
        if begins or not pieces:
            pieces.append(c)
        else:
            pieces[-1] += c
    return pieces
