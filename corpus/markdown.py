"""Markdown for a card: tables and quotations in which the words of strangers stay words."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; cells are Markdown already."""
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def mixture(counts: Counter[str], unit: str) -> str:
    """``headset (60 %), phone (40 %)``; what is alone needs no share."""
    whole = sum(counts.values())
    if len(counts) == 1:
        return f"{plain(next(iter(counts)))}{unit}"
    return ", ".join(f"{plain(n)}{unit} ({100 * c / whole:.0f} %)" for n, c in sorted(counts.items()))


def plain(text: str) -> str:
    """Text that a person gave, unable to be markup, to leave its table cell or to turn the line around."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>|#" else c for c in visible(text))


def visible(text: str) -> str:
    """Words with single spaces, without what cannot be seen; joiners stay, since scripts need them."""
    flat = " ".join(text.split())
    return "".join(c for c in flat if c in "\u200c\u200d" or unicodedata.category(c) not in ("Cc", "Cf"))


def quote(text: str) -> str:
    """A quotation of any words, line by line."""
    return "".join(f"> {plain(line)}".rstrip() + "\n" for line in text.splitlines() or [""])
