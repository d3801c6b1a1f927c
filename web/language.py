"""The interface language of a request, and the sentences of the pages.

The texts stand in ``translations/*.toml``, one table a key, in the three languages. The language is
that of ``?lang=`` (kept in a cookie), else of the cookie, else of the browser.
"""

from __future__ import annotations

import string
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any, cast

from flask import Flask, Response, g, has_request_context, request

from protocol.errors import LANGUAGES, Language, nearest_language

COOKIE = "xiangyin_lang"
NAMES: Mapping[Language, str] = {"zh-Hant": "繁體中文", "zh-Hans": "简体中文", "en": "English"}
_YEAR_S = 365 * 24 * 60 * 60


@cache
def texts() -> Mapping[str, Mapping[Language, str]]:
    """Every sentence of the pages by key.

    Raises
    ------
    ValueError
        If a key stands twice or lacks a language.
    """
    found: dict[str, Mapping[Language, str]] = {}
    folder = resources.files("web") / "translations"
    for path in sorted(folder.iterdir(), key=lambda p: p.name):
        if not path.name.endswith(".toml"):
            continue
        for key, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            if key in found:
                raise ValueError(f"{key} stands twice in the translations, again in {path.name}")
            missing = [language for language in LANGUAGES if not table.get(language)]
            if missing:
                raise ValueError(f"{key} in {path.name} has no text in {', '.join(missing)}")
            found[key] = {language: table[language] for language in LANGUAGES}
    return found


def current() -> Language:
    """The language of this request."""
    if not has_request_context():
        return "en"
    if "language" not in g:
        wanted = request.args.get("lang") or request.cookies.get(COOKIE)
        g.language = (
            wanted if wanted in LANGUAGES else nearest_language(request.headers.get("Accept-Language"))
        )
    return cast(Language, g.language)


def t(key: str, **parameters: object) -> str:
    """The page text `key` in the language of this request, its parameters filled in."""
    return string.Formatter().vformat(texts()[key][current()], (), parameters)


def spoken(prefix: str) -> dict[str, str]:
    """The texts whose keys begin with `prefix` and a dot, without it: what a page's script says."""
    start = prefix + "."
    language = current()
    return {key.removeprefix(start): row[language] for key, row in texts().items() if key.startswith(start)}


def install(app: Flask) -> None:
    """Give templates ``t``, ``language``, ``languages``, and keep a chosen language in a cookie."""

    @app.context_processor
    def _offer() -> dict[str, Any]:
        return {"t": t, "language": current(), "languages": NAMES, "spoken": spoken}

    @app.after_request
    def _keep(response: Response) -> Response:
        if request.args.get("lang") in LANGUAGES:
            response.set_cookie(
                COOKIE, request.args["lang"], max_age=_YEAR_S, samesite="Lax", secure=request.is_secure
            )
        return response
