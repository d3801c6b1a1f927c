"""What stands beside a sign, as several rules ask it."""

from __future__ import annotations

from transcribe import characters
from transcribe import text as texts
from transcribe.characters import FULL_MARKS, HALF_MARKS
from transcribe.patterns import Lazy

ANY_MARK = FULL_MARKS + HALF_MARKS + characters.ENUMERATION + characters.COLONS
WORDLY = Lazy(f"[{texts.WORD}0-9]")
LETTER = Lazy(f"[{texts.LETTERS}]")
_SEEN_THROUGH = characters.QUOTES + " "


def before(text: str, at: int) -> str:
    """The character before a place, quotes and spaces not counted; empty at the beginning."""
    while at > 0 and text[at - 1] in _SEEN_THROUGH:
        at -= 1
    return text[at - 1 : at]


def after(text: str, at: int) -> str:
    """The character after a place, quotes and spaces not counted; empty at the end."""
    while at < len(text) and text[at] in _SEEN_THROUGH:
        at += 1
    return text[at : at + 1]


def is_a(wanted: Lazy, text: str, at: int) -> bool:
    """Whether there is a character at a place, and of the wanted class."""
    return 0 <= at < len(text) and wanted.match(text, at) is not None
