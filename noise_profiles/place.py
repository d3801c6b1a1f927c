"""Where in a TOML file a value stands, so that an error can name the line to correct."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A value in a profile: of JSON by its path, of a TOML file by line and path.

    Attributes
    ----------
    source : str
        What a person calls the whole: ``profile``, or the file's name.
    path : tuple of str
        Keys from the outermost to the value.
    text : str
        The TOML it stands in; empty where there are no lines.
    """

    source: str
    path: tuple[str, ...] = ()
    text: str = ""

    def __truediv__(self, key: str) -> Place:
        return Place(self.source, (*self.path, key), self.text)

    def __str__(self) -> str:
        dotted = ".".join(key if key.isprintable() else ascii(key) for key in self.path)
        if not self.text:
            return ".".join(part for part in (self.source, dotted) if part)
        return ", ".join(part for part in (self.source, f"line {self.line}", dotted) if part)

    @property
    def line(self) -> int:
        """The line, from 1; of a value that is missing, the line of the table that lacks it."""
        if not self.text:
            return 1
        return next(
            (
                found
                for depth in range(len(self.path), 0, -1)
                if (found := _first(self.text, self.path[:depth]))
            ),
            1,
        )


def last_statement(text: str) -> int:
    """The line where the first statement begins that is never completed, as of a bracket left open."""
    return max((end for end, _ in _prefixes(text)), default=0) + 1


def _first(text: str, path: tuple[str, ...]) -> int | None:
    """The line of the statement that first gives `path` a value."""
    begins = 1
    for end, table in _prefixes(text):
        if _holds(table, path):
            return begins
        begins = end + 1
    return None


def _prefixes(text: str) -> list[tuple[int, Mapping[str, object]]]:
    """The first n lines, for each n at which a statement is complete: n, and what they hold.

    tomllib keeps no positions, and a second parser would differ from it in some corner; so tomllib says
    itself where a statement ends. Only errors pay for that.
    """
    lines = text.split("\n")
    found: list[tuple[int, Mapping[str, object]]] = []
    for end in range(1, len(lines) + 1):
        try:
            found.append((end, tomllib.loads("\n".join(lines[:end]))))
        except tomllib.TOMLDecodeError:
            continue
    return found


def _holds(table: object, path: tuple[str, ...]) -> bool:
    for key in path:
        if not isinstance(table, Mapping) or key not in table:
            return False
        table = table[key]
    return True
