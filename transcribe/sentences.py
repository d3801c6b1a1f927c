"""What is said about each rule, in the three interface languages; read when first needed."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from protocol.errors import LANGUAGES, Language


@cache
def entries() -> Mapping[str, Mapping[str, Any]]:
    """Sentences, titles and reasons by code, from ``sentences/*.toml``.

    Raises
    ------
    ValueError
        If a code lacks a language.
    """
    found: dict[str, Mapping[str, Any]] = {}
    folder = resources.files("transcribe") / "sentences"
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".toml"):
            continue
        for code, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            missing = [language for language in LANGUAGES if not table.get(language)]
            if missing or code in found:
                raise ValueError(f"{code} in {path.name} stands twice or lacks {', '.join(missing)}")
            found[code] = table
    return found


def message(code: str, language: Language, found: str) -> str:
    """The sentence of a finding, quoting what was found where the sentence does."""
    table = entries().get(code)
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
