"""The vendored tables know what the interpreter may not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from transcribe import characters, lint, text


def test_the_table_tells_its_version() -> None:
    assert int(characters.unicode_version().split(".")[0]) >= 17


@pytest.mark.parametrize(
    "point",
    [0x3400, 0x4DBF, 0x4E00, 0x9FFF, 0x20000, 0x2A6DF, 0x2A700, 0x2B739, 0x2B740, 0x2B820, 0x2CEB0, 0x2EBE0,
     0x2EBF0, 0x2EE5D, 0x30000, 0x3134A, 0x31350, 0x323AF, 0x323B0, 0x33479],
)  # fmt: skip
def test_ideographs_of_extensions_a_to_j_are_han_on_every_interpreter(point: int) -> None:
    assert characters.is_han(chr(point))
    assert lint.fix(f"他名字裡有個{chr(point)}字。", "zh-Hant").clean


@pytest.mark.parametrize("char", characters.UNIFIED_TWELVE)
def test_the_twelve_unified_ideographs_stay(char: str) -> None:
    assert lint.fix(f"他姓{char}。", "zh-Hant").text == f"他姓{char}。"


def test_the_han_class_is_small_enough_to_read() -> None:
    assert len(text.han_class()) < 80


@pytest.mark.parametrize(
    ("char", "category", "script"),
    [
        ("a", "Ll", "Latin"),
        ("の", "Lo", "Hiragana"),
        ("\u0301", "Mn", "Inherited"),
        ("我", "Lo", "Han"),
        ("\u0378", "Cn", "Unknown"),
    ],
)
def test_categories_and_scripts(char: str, category: str, script: str) -> None:
    assert characters.properties(char)[:2] == (category, script)


def test_linting_loads_nothing_heavy() -> None:
    code = (
        "import sys; from transcribe import lint; lint.lint_json('我家在3樓,', 'zh-Hant');"
        "heavy = {'numpy', 'flask', 'sqlalchemy', 'librosa', 'rapidfuzz', 'regex', 'opencc'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
