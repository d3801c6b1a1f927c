"""What rules look for: word lists, and regular expressions that are compiled when they are first used.

The rules have some hundred and fifty of them, a text sets off a few, and compiling
them all would take longer than linting a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator


def words(text: str) -> frozenset[str]:
    """The words of a text as a set: a list that reads as one."""
    return frozenset(text.split())


def table(rows: str) -> dict[str, tuple[str, ...]]:
    """Keys to alternatives, a row each: ``key key: one | another``."""
    found: dict[str, tuple[str, ...]] = {}
    for row in filter(str.strip, rows.splitlines()):
        keys, _, alternatives = row.partition(": ")
        found.update(dict.fromkeys(keys.split(), tuple(each.strip() for each in alternatives.split("|"))))
    return found


class Lazy:
    """A regular expression; its methods are those of `re.Pattern`.

    Parameters
    ----------
    source : str
        The expression.
    flags : int
        As for `re.compile`.
    """

    finditer: Callable[..., Iterator[re.Match[str]]]
    findall: Callable[..., list[str]]
    search: Callable[..., re.Match[str] | None]
    match: Callable[..., re.Match[str] | None]
    fullmatch: Callable[..., re.Match[str] | None]
    sub: Callable[..., str]
    split: Callable[..., list[str]]

    def __init__(self, source: str, flags: int = 0) -> None:
        self._source, self._flags = source, flags

    def __getattr__(self, name: str) -> object:
        """Compile, and keep the methods on the instance, so that this runs once."""
        if name not in Lazy.__annotations__:
            raise AttributeError(name)
        compiled = re.compile(self._source, self._flags)
        for method in Lazy.__annotations__:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
