"""What is said about each rule, in the three interface languages; read when first needed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from protocol.errors import LANGUAGES, Language

# One file for each family of codes, so that a finding's sentence is had by reading one.
FILES = {
    "C": "characters",
    "L": "length",
    "N": "numbers",
    "P": "punctuation",
    "R": "romanisation",
    "S": "spacing",
    "V": "verbatim",
}
_FOLDER = Path(__file__).parent / "sentences"


@cache
def entries() -> Mapping[str, Mapping[str, Any]]:
    """Sentences, titles and reasons by code, from ``sentences/*.toml``.

    Raises
    ------
    ValueError
        If a code lacks a language, or stands in another family's file.
    """
    return {code: table for family in FILES for code, table in _family(family).items()}


@cache
def _family(letter: str) -> Mapping[str, Mapping[str, Any]]:
    path = _FOLDER / f"{FILES[letter]}.toml"
    found: Mapping[str, Mapping[str, Any]] = tomllib.loads(path.read_text(encoding="utf-8"))
    for code, table in found.items():
        missing = [language for language in LANGUAGES if not table.get(language)]
        if missing or code[0] != letter:
            raise ValueError(f"{code} in {path.name} is of another family or lacks {', '.join(missing)}")
    return found


def message(code: str, language: Language, found: str) -> str:
    """The sentence of a finding, quoting what was found where the sentence does."""
    table = _family(code[0]).get(code) if code[:1] in FILES else None
    if table is None:
        return code
    sentence: str = table[language]
    return sentence.replace("{found}", visible(found))


def visible(piece: str) -> str:
    """A piece of text in which invisible characters are shown by their code points."""
    return "".join(
        char if (char.isprintable() and not char.isspace()) or char == " " else f"U+{ord(char):04X}"
        for char in piece
    )
