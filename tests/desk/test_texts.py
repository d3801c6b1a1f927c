"""The pages' words and colours."""

from __future__ import annotations

import re
import string

import pytest

from protocol.errors import LANGUAGES
from web import language


def test_every_text_has_the_same_placeholders_in_every_language():
    for key, row in language.texts().items():
        names = {
            tag: {name for _, name, _, _ in string.Formatter().parse(row[tag]) if name is not None}
            for tag in LANGUAGES
        }
        assert names["en"] == names["zh-Hant"] == names["zh-Hans"], key


def test_templates_and_scripts_use_only_texts_that_exist(root):
    known = set(language.texts())
    for path in (root / "web" / "templates").glob("*.html"):
        for key in re.findall(
            r"""\bt\(["']([a-z_0-9.]+[a-z0-9])["'][,)]""", path.read_text(encoding="utf-8")
        ):
            assert key in known, f"{key} in {path.name}"
    for path in (root / "web" / "static").glob("*.js"):
        for key in re.findall(r"\bsay\.([a-z_]+)", path.read_text(encoding="utf-8")):
            assert f"js.{key}" in known, f"{key} in {path.name}"


def test_simplified_texts_hold_no_traditional_characters_and_the_other_way_round():
    simplified, traditional = (
        set("录传语实际网络进选词话请这个们来对说"),
        set("錄傳語實際網絡進選詞話請這個們來對說"),
    )
    for key, row in language.texts().items():
        assert not traditional & set(row["zh-Hans"]), key
        assert not simplified & set(row["zh-Hant"]), key


def themes(css: str) -> list[dict[str, str]]:
    blocks = re.findall(r":root \{(.*?)\}", css, flags=re.DOTALL)
    light, dark = (dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block)) for block in blocks[:2])
    return [light, {**light, **dark}]


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
def test_words_and_controls_have_the_contrast_of_wcag_aa(root, theme):
    colours = themes((root / "web" / "static" / "site.css").read_text(encoding="utf-8"))[theme]
    words = [
        (ink, ground)
        for ink in ("ink", "ink-soft", "accent", "error", "warn", "good")
        for ground in ("paper", "sheet", "sunk")
    ]
    words += [("accent-ink", "accent"), ("ink", "accent-soft"), ("ink", "warn-soft"), ("ink", "good-soft")]
    words += [("ink", "error-soft"), ("ink-soft", "error-soft"), ("ink-soft", "warn-soft")]
    words += [("error", "error-soft"), ("warn", "warn-soft"), ("good", "good-soft")]
    for ink, ground in words:
        assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
    for line in ("line-strong", "focus", "seal", "wave"):
        for ground in ("paper", "sheet", "sunk"):
            assert contrast(colours[line], colours[ground]) >= 3.0, (line, ground)
