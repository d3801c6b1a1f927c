"""What the recorder says to a speaker; the sentences stand in ``wording.toml``."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources

from protocol.errors import Language, nearest_language


@cache
def wording() -> Mapping[str, Mapping[str, str]]:
    """All sentences: key -> language -> text."""
    source = resources.files("recorder") / "wording.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


def say(key: str, language: Language, **parameters: object) -> str:
    """One sentence with its parameters filled in; a figure that is None reads as a dash."""
    shown = {name: _shown(value) for name, value in parameters.items()}
    return wording()[key][language].format(**shown)


def language_of(environ: Mapping[str, str] = os.environ) -> Language:
    """The interface language that the user's environment asks for."""
    for name in ("XIANGYIN_LANGUAGE", "LC_ALL", "LC_MESSAGES", "LANG"):
        if wanted := environ.get(name):
            return nearest_language(wanted.partition(".")[0])
    return "en"


def _shown(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.1f}" if isinstance(value, float) else str(value)
