"""What rules look for: word lists, and regular expressions that are compiled when they are first used.

The rules have some hundred and fifty of them, a text sets off a few, and compiling
them all would take longer than linting a file.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TypeVar


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


Verdict = TypeVar("Verdict")
_KEPT_WORDS, _KEPT_LENGTH = 65536, 40  # a language's words fit; a hostile line's do not stay


class PerWord(dict[str, Verdict]):
    """What a function says of each word, kept: a corpus says the same words again and again.

    Parameters
    ----------
    judge : callable
        Gives the verdict on a word that has not been seen.
    """

    def __init__(self, judge: Callable[[str], Verdict]) -> None:
        super().__init__()
        self._judge = judge

    def __missing__(self, word: str) -> Verdict:
        verdict = self._judge(word)
        if len(word) <= _KEPT_LENGTH:
            if len(self) >= _KEPT_WORDS:
                self.clear()
            self[word] = verdict
        return verdict


_REPEATED_CLASS = re.compile(r"(\[(?:[^\]\\]|\\.)+\])\+", re.DOTALL)


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
        # `re` skips fast to a class, but not to a repeated one: [a]+ is the same as [a][a]*.
        repeated = _REPEATED_CLASS.fullmatch(self._source)
        source = f"{repeated[1]}{repeated[1]}*" if repeated else self._source
        compiled = re.compile(source, self._flags)
        for method in Lazy.__annotations__:
            setattr(self, method, getattr(compiled, method))
        return getattr(compiled, name)
