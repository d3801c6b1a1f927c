"""A text under repair that remembers where each of its characters stood at first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Edit(NamedTuple):
    """Put `text` in place of the characters from `start` up to `end`."""

    start: int
    end: int
    text: str


class Draft:
    """The text as mended so far.

    The map back to the first text is only kept once something was edited,
    because most utterances need nothing.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts: list[int] | None = None
        self._ends: list[int] = []
        self._length = len(text)

    def apply(self, edits: Sequence[Edit]) -> None:
        """Apply edits that are in order and do not overlap; linear in the text."""
        starts = self._starts if self._starts is not None else list(range(self._length))
        ends = self._ends if self._starts is not None else list(range(1, self._length + 1))
        pieces: list[str] = []
        new_starts: list[int] = []
        new_ends: list[int] = []
        done = 0
        for start, end, text in edits:
            pieces.append(self.text[done:start])
            new_starts += starts[done:start]
            new_ends += ends[done:start]
            if text:
                first, last = self.origin(start, end)
                pieces.append(text)
                new_starts += [first] * len(text)
                new_ends += [last] * len(text)
            done = end
        pieces.append(self.text[done:])
        new_starts += starts[done:]
        new_ends += ends[done:]
        self.text = "".join(pieces)
        self._starts, self._ends = new_starts, new_ends

    def origin(self, start: int, end: int) -> tuple[int, int]:
        """Where a span of the current text stood in the first text."""
        if self._starts is None:
            return start, end
        if start < end:
            return self._starts[start], self._ends[end - 1]
        if start < len(self._starts):
            return self._starts[start], self._starts[start]
        at = self._length if not self._ends or start == len(self.text) else self._ends[start - 1]
        return at, at
