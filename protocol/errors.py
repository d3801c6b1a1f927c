"""Coded errors and the catalogue of every sentence a person may be shown.

A code is stable and never reused: programs match on it, documentation and
translations hang from it. The sentences live in ``catalogue/*.toml``, one
table a code, in the three interface languages; parameters stand in braces.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

Language = Literal["en", "zh-Hant", "zh-Hans"]
LANGUAGES: tuple[Language, ...] = get_args(Language)


@dataclass(frozen=True)
class Entry:
    """One code of the catalogue.

    Attributes
    ----------
    code : str
        ``UPPER_SNAKE`` for errors of programs, ``family.word`` for reasons given to people about sound.
    sentences : mapping of Language to str
        What is said to a person: what is wrong and what to do next.
    http_status : int
        The status of an HTTP reply that carries this code.
    """

    code: str
    sentences: Mapping[Language, str]
    http_status: int = 400

    def parameters(self) -> frozenset[str]:
        """Names of the parameters that the English sentence uses."""
        import string

        return frozenset(
            name for _, name, _, _ in string.Formatter().parse(self.sentences["en"]) if name is not None
        )


@cache
def catalogue() -> Mapping[str, Entry]:
    """Every code, by name, in the order of the catalogue's files.

    Raises
    ------
    ValueError
        If a code stands in two files or lacks a language.
    """
    import tomllib  # a command that goes well needs no sentence of an error

    entries: dict[str, Entry] = {}
    for path in sorted((Path(__file__).parent / "catalogue").glob("*.toml")):
        for code, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if code in entries:
                raise ValueError(f"{code} stands twice in the catalogue, again in {path.name}")
            missing = [language for language in LANGUAGES if not table.get(language)]
            if missing:
                raise ValueError(f"{code} in {path.name} has no sentence in {', '.join(missing)}")
            sentences = {language: table[language] for language in LANGUAGES}
            entries[code] = Entry(code, sentences, table.get("status", 400))
    return entries


def sentence(code: str, language: Language = "en", **parameters: object) -> str:
    """The sentence of `code` with its parameters filled in.

    A parameter that the sentence names and the caller lacks reads as ``?``:
    a person in trouble is better served by a sentence with a hole than by a
    second error.
    """
    return fill(code, language, parameters)


def fill(code: str, language: Language, parameters: Mapping[str, object]) -> str:
    """As `sentence`, for parameters that are a mapping already."""
    import string

    text = catalogue()[code].sentences[language]
    return string.Formatter().vformat(text, (), _Lenient(parameters))


class _Lenient(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "?"


class CodedError(Exception):
    """An error with a stable code and a sentence that says what to do next.

    Subclasses name a `code` from the catalogue; the sentence is looked up, so
    that one place holds all three languages.

    Parameters
    ----------
    **parameters
        Values for the braces of the sentence; also given to programs as they are,
        so they must be JSON values.
    """

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, **parameters: object) -> None:
        self.parameters = parameters
        super().__init__(self.sentence())

    def __reduce__(self) -> tuple[Any, ...]:  # it may have to travel from another process
        return _again, (type(self), self.parameters)

    def sentence(self, language: Language = "en") -> str:
        """What to tell a person, in their language."""
        return fill(self.code, language, self.parameters)

    @property
    def http_status(self) -> int:
        """The status of an HTTP reply that carries this error."""
        return catalogue()[self.code].http_status

    def as_json(self, language: Language = "en") -> dict[str, object]:
        """``{"code", "detail", ...parameters}``, as programs receive it."""
        return {**self.parameters, "code": self.code, "detail": self.sentence(language)}


def _again(kind: type[CodedError], parameters: Mapping[str, object]) -> CodedError:
    return kind(**parameters)


def nearest_language(wanted: str | None) -> Language:
    """The interface language for a BCP 47 tag or an Accept-Language header.

    Anything unknown gives English; ``zh`` with TW, HK or MO gives Traditional.
    """
    for item in (wanted or "").split(","):
        tag = item.split(";")[0].strip().lower().replace("_", "-")
        if tag in ("zh-hant", "zh-tw", "zh-hk", "zh-mo") or tag.startswith("zh-hant-"):
            return "zh-Hant"
        if tag.split("-")[0] == "zh":
            return "zh-Hans"
        if tag.split("-")[0] == "en":
            return "en"
        if tag.split("-")[0] in ("nan", "hak", "yue"):
            return "zh-Hant"
        if tag.split("-")[0] == "wuu":
            return "zh-Hans"
    return "en"
