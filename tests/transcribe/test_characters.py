"""The vendored tables know what the interpreter may not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from transcribe import characters, lint, orthography, text, unicode_table


def test_the_table_tells_its_version() -> None:
    assert int(unicode_table.unicode_version().split(".")[0]) >= 17


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


def test_nothing_but_ideographs_and_the_four_marks_passes_between_ideographs() -> None:
    """Whatever Unicode has, at both ends of each run of its table: it is mended or it is refused."""
    ends = {edge for run in unicode_table.runs(lambda *_: True) for edge in run}
    for point in sorted(ends - set(range(0xD800, 0xE000))):
        char = chr(point)
        given = f"我{char}好。"
        fixed = lint.fix(given, "zh-Hant")
        if fixed.clean and fixed.text == given:
            assert characters.is_han(char) or char in characters.FULL_MARKS, f"U+{point:04X}"


def _encoded(codec: str, first: str, last: str) -> set[str]:
    """The ideographs that an old national encoding has between two codes."""
    low, high = bytes.fromhex(first), bytes.fromhex(last)
    every = map(chr, range(0x4E00, 0xA000))
    return {char for char in every if low <= char.encode(codec, "ignore") <= high}


@pytest.mark.parametrize("ruleset", ["zh-Hant", "yue-Hant", "hak-Hant", "nan-Hant"])
def test_no_everyday_character_of_taiwan_is_called_simplified(ruleset: str) -> None:
    """Big5's 5,401; a handful are written in simplified texts only, whatever they once were."""
    refused = orthography.load(ruleset).foreign_variety.keys() & _encoded("big5", "a440", "c67e")
    assert refused <= set("儿听并扑虫")


@pytest.mark.parametrize("ruleset", ["zh-Hans", "wuu-Hans"])
def test_no_character_of_the_mainland_standard_is_called_traditional(ruleset: str) -> None:
    """GB 2312's 6,763; it has a few traditional ones for names."""
    refused = orthography.load(ruleset).foreign_variety.keys() & _encoded("gb2312", "b0a1", "f7fe")
    assert refused <= set("後摺於菸麴")


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
    assert unicode_table.properties(char)[:2] == (category, script)


def test_linting_loads_nothing_heavy() -> None:
    code = (
        "import sys; from transcribe import lint; lint.lint_json('我家在3樓,', 'zh-Hant');"
        "heavy = {'numpy', 'flask', 'sqlalchemy', 'librosa', 'rapidfuzz', 'regex', 'opencc'};"
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
