"""Two texts beside each other, aligned for the eye of a reviewer.

Unlike `transcribe.agreement` nothing is folded: marks, spaces and case are shown as they were written.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

import regex

# A Latin word is read as one; everything else by grapheme, so that no tone mark is torn from its letter.
_UNIT = regex.compile(r"[\p{Latin}\p{M}'’-]+|\X")


@dataclass(frozen=True)
class Piece:
    """A stretch that both texts have (`is_same`), or that they have differently; either side may be empty."""

    first: str
    second: str
    is_same: bool


def beside(first: str, second: str) -> list[Piece]:
    """Align two texts.

    Joined together, the pieces' sides give the two texts back.
    """
    a, b = _UNIT.findall(first), _UNIT.findall(second)
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return [
        Piece("".join(a[i:j]), "".join(b[k:n]), kind == "equal") for kind, i, j, k, n in matcher.get_opcodes()
    ]
