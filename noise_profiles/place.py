"""Where in a TOML file a value stands, so that an error can name the line to correct."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from noise_profiles.words import word
from protocol.errors import Language


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
        return where(self.source, self.line if self.text else None, self.field)

    @property
    def field(self) -> str:
        """The keys with dots between them."""
        return ".".join(key if key.isprintable() else ascii(key) for key in self.path)

    @property
    def line(self) -> int:
        """The line, from 1; of a value that is missing, the line of the table that lacks it."""
        deepest, found = 0, 1
        for line, path in _statements(self.text):
            shared = _shared(path, self.path)
            if shared > deepest:
                deepest, found = shared, line
        return found


def where(source: str, line: int | None, field: str, language: Language = "en") -> str:
    """A place as people read it: ``car.toml, line 7, car.version``; of JSON ``profile.version``."""
    if line is None:
        return ".".join(part for part in (source, field) if part)
    comma = ", " if language == "en" else "，"
    return comma.join(part for part in (source, word("line", language, n=line), field) if part)


def open_statement(text: str) -> int:
    """Where the statement begins that is not complete when the text ends, as of a bracket left open."""
    return max((line for line, _ in _statements(text)), default=1)


LONGEST_STATEMENT = 200  # lines; what is longer is a bracket that nobody closed


def _statements(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each statement's first line, and the keys it gives a value to.

    tomllib keeps no positions, and a second parser would differ from it in some corner; so it says
    itself where a statement ends: at the first line at which it can be read alone.
    """
    lines = text.split("\n")
    header: tuple[str, ...] = ()
    begin = 0
    while begin < len(lines):
        for end in range(begin + 1, min(len(lines), begin + LONGEST_STATEMENT) + 1):
            try:
                table = tomllib.loads("\n".join(lines[begin:end]))
            except tomllib.TOMLDecodeError:
                continue
            break
        else:
            yield begin + 1, ()
            return
        keys = _keys(table)
        if lines[begin].lstrip().startswith("["):
            header, keys = keys, ()
        if table:
            yield begin + 1, (*header, *keys)
        begin = end


def _keys(table: object) -> tuple[str, ...]:
    """The dotted key of one statement: what leads, without a choice, to its value."""
    keys: list[str] = []
    while isinstance(table, Mapping) and len(table) == 1:
        key, table = next(iter(table.items()))
        keys.append(key)
    return tuple(keys)


def _shared(path: tuple[str, ...], wanted: tuple[str, ...]) -> int:
    """How many keys the two begin with in common."""
    return next(
        (n for n, pair in enumerate(zip(path, wanted, strict=False)) if pair[0] != pair[1]),
        min(len(path), len(wanted)),
    )
