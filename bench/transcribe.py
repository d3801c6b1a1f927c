"""How fast the rules run, what a long line costs, and what others make of the same cases.

    python bench/transcribe.py [--utterances 20000] [--long-line-bytes 1000000]

Peers are asked only where they are installed: `autocorrect-py` and `opencc` from PyPI, `zhlint` on the PATH.
They are made for typography and conversion; the table counts what they do to a text that must not be changed.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != HERE]  # this file is no package
lint = importlib.import_module("transcribe.lint")
CASES = HERE.parent / "tests" / "transcribe" / "cases"
# Pieces that lines are made of: ordinary ones, and those that trip careless expressions.
LONG = [
    "我",
    "我 ",
    "，",
    "？！",
    ".",
    "。",
    "1",
    "一",
    "a ",
    "a-",
    "tai5 ",
    "\u0301",
    "a\u0323\u0301",
    "*",
    "（",
    "<",
    " ",
]

Case = dict[str, Any]


def cases() -> list[Case]:
    """The tests' own tables."""
    return [
        json.loads(row) for path in sorted(CASES.glob("*.jsonl")) for row in path.read_bytes().splitlines()
    ]


def utterances_per_s(work: Callable[[str, str], object], texts: list[tuple[str, str]], count: int) -> float:
    """Median of five runs, in processor time of one core."""
    repeated = (texts * (count // len(texts) + 1))[:count]
    for text, ruleset in texts:
        work(text, ruleset)
    rates = []
    for _ in range(5):
        start = time.process_time()
        for text, ruleset in repeated:
            work(text, ruleset)
        rates.append(count / (time.process_time() - start))
    return statistics.median(rates)


def speed(all_cases: list[Case], count: int) -> None:
    """Utterances a second by kind of text; a corpus at work is nearly all clean."""
    print(f"{'utterances/s, one core':28}{'check':>10}{'fix':>10}")
    kinds = {
        f"{expect}, all rulesets": [(c["input"], c["ruleset"]) for c in all_cases if c["expect"] == expect]
        for expect in ("clean", "fix", "reject")
    }
    clean = kinds["clean, all rulesets"]
    others = kinds["fix, all rulesets"] + kinds["reject, all rulesets"]
    typical = []
    for n, other in enumerate(others):
        typical += [clean[(9 * n + k) % len(clean)] for k in range(9)] + [other]
    kinds["typical: 9 clean, 1 not"] = typical
    for name, texts in kinds.items():
        rates = [utterances_per_s(work, texts, count) for work in (lint.check, lint.fix)]
        print(f"{name:28}{rates[0]:10,.0f}{rates[1]:10,.0f}")


def long_lines(length_bytes: int) -> None:
    """Seconds for lines of one kind, and how they grow when the line is four times longer."""
    print(f"\n{'a line of ' + format(length_bytes, ',') + ' bytes':28}{'seconds':>10}{'x4 costs':>10}")
    for piece in LONG:
        full = (piece * length_bytes).encode()[:length_bytes].decode("utf-8", "ignore")
        seconds = []
        for text in (full[: len(full) // 4], full):
            start = time.process_time()
            lint.fix(text, "nan-Latn" if piece.startswith("tai") else "zh-Hant")
            seconds.append(time.process_time() - start)
        print(f"{piece!a:28}{seconds[1]:10.2f}{seconds[1] / max(seconds[0], 1e-3):10.1f}")


def start_up() -> None:
    """Milliseconds from nothing to the first finding, in a fresh interpreter."""
    took = []
    with tempfile.TemporaryDirectory() as folder:
        compiled = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for _ in range(8):
            start = time.perf_counter()
            subprocess.run(
                [sys.executable, "-m", "xiangyin", "lint", "--ruleset", "zh-Hant"],
                input="我來,\n".encode(),
                capture_output=True,
                env=compiled,
                cwd=HERE.parent,
            )
            took.append(1000 * (time.perf_counter() - start))
    took = sorted(took[1:])  # the first run compiles
    print(
        f"\nstart-up of xiangyin lint: {took[0]:.0f} ms at best, "
        f"{statistics.median(took):.0f} ms in the middle"
    )


def ours(text: str, ruleset: str) -> str:
    """What the linter gives back."""
    return str(lint.fix(text, ruleset).text)


def peers() -> Iterable[tuple[str, Callable[[str, str], str] | None]]:
    """Every peer with a function over one text, or None where it is not installed."""
    try:
        autocorrect = importlib.import_module("autocorrect_py")
        yield "autocorrect", lambda text, _: str(autocorrect.format(text))
    except ModuleNotFoundError:
        yield "autocorrect", None
    try:
        opencc = importlib.import_module("opencc")
        converter = opencc.OpenCC("t2s")
        yield "OpenCC t2s", lambda text, _: str(converter.convert(text))
    except ModuleNotFoundError:
        yield "OpenCC t2s", None
    executable = shutil.which("zhlint")
    yield ("zhlint", (lambda text, _: _zhlint(executable, text)) if executable else None)


def _zhlint(executable: str, text: str) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "line.md"
        path.write_text(text, encoding="utf-8", errors="replace")
        subprocess.run([executable, str(path), "--fix"], capture_output=True, timeout=60)
        return path.read_text(encoding="utf-8")


def comparison(all_cases: list[Case], count: int) -> None:
    """Right fixes, clean texts left alone, and texts that should have been left for a person."""
    total = {expect: sum(c["expect"] == expect for c in all_cases) for expect in ("fix", "clean", "reject")}
    heads = ("fixes right", "clean kept", "unclear kept", "texts/s")
    print(
        f"\n{'on the same ' + str(len(all_cases)) + ' cases':28}" + "".join(f"{head:>14}" for head in heads)
    )
    for name, work in (("xiangyin", ours), *peers()):
        if work is None:
            print(f"{name:28}{'not installed':>14}")
            continue
        good = dict.fromkeys(total, 0)
        for case in all_cases:
            wanted = case["fixed"] if case["expect"] == "fix" else case["input"]
            with contextlib.suppress(UnicodeError, ValueError, subprocess.SubprocessError):
                # a peer that fails on a text has not got it right
                good[case["expect"]] += work(case["input"], case["ruleset"]) == wanted
        texts = [(c["input"], c["ruleset"]) for c in all_cases if c["input"].isprintable()][:50]
        rate = utterances_per_s(work, texts, count // 10) if name != "zhlint" else float("nan")
        shown = [f"{good[expect]} of {total[expect]}" for expect in ("fix", "clean", "reject")]
        print(f"{name:28}" + "".join(f"{each:>14}" for each in shown) + f"{rate:14,.0f}")


def main() -> None:
    """Print all four tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=20_000)
    parser.add_argument("--long-line-bytes", type=int, default=1_000_000)
    options = parser.parse_args()
    all_cases = cases()
    speed(all_cases, options.utterances)
    long_lines(options.long_line_bytes)
    start_up()
    comparison(all_cases, options.utterances)


if __name__ == "__main__":
    main()
