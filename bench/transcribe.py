"""How fast the rules run in each ruleset, what a long line costs, and what others make of the same texts.

    python bench/transcribe.py [--utterances 2000] [--line 4000] [--rulesets zh-Hant,en] [--peers]

Time is processor time of this process, so that other programs on the machine count little. Peers are asked
where they are installed: `autocorrect-py` and `opencc` from PyPI, and `zhlint` from npm, run under node;
`--peers` installs all three into a temporary folder first. They are made for typography and conversion:
the last table counts what they do to texts that must not be changed.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import importlib
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
sys.path[:] = [entry for entry in sys.path if Path(entry).resolve() != HERE]  # this file is no package
lint = importlib.import_module("transcribe.lint")
texts = importlib.import_module("transcribe.text")
agreement = importlib.import_module("transcribe.agreement")
TEXTS = tomllib.loads((HERE / "transcribe.toml").read_text(encoding="utf-8"))
PHRASES: dict[str, list[str]] = TEXTS["phrases"]
CASES = HERE.parent / "tests" / "transcribe" / "cases"
ENGINES = ("zh-Hant", "nan-Hant", "nan-Latn", "yue-Latn", "en")  # one for each set of rules
HALF_WIDTH = ("en", "nan-Latn", "nan-Latn-pehoeji", "yue-Latn")

Case = dict[str, Any]
Work = Callable[[Sequence[str], str], list[str]]
Breach = Callable[[str, random.Random], str]


# -- utterances --------------------------------------------------------------------------------


def clean(ruleset: str, count: int, seed: int) -> list[str]:
    """Utterances of one to three phrases with the ruleset's marks; the same ones in every run."""
    rng = random.Random(f"{seed} {ruleset}")
    found = []
    for _ in range(count):
        phrases = rng.sample(PHRASES[ruleset], rng.choice((1, 2, 2, 3)))
        if ruleset in HALF_WIDTH:
            text = ", ".join(phrases) + rng.choice("..?!")
            found.append(text[0].upper() + text[1:])
        else:
            found.append("，".join(phrases) + rng.choice("。。？！"))
    return found


def _inserted(*signs: str) -> Breach:
    def breach(text: str, rng: random.Random) -> str:
        at = rng.randrange(1, len(text) + 1)
        return text[:at] + rng.choice(signs) + text[at:]

    return breach


def _ended(*ends: str) -> Breach:
    return lambda text, rng: text[:-1] + rng.choice(ends)


def _begun(*signs: str) -> Breach:
    return lambda text, rng: rng.choice(signs) + text


def _replaced(old: str, new: str) -> Breach:
    return lambda text, _: text.translate(str.maketrans(old, new))


COMMON = (
    _inserted(" "),
    _inserted("\u200b"),
    _inserted(*"0123456789"),
    _inserted("…"),
    _begun("[noise] "),
    _ended(""),
)
FULL = (
    *COMMON,
    _replaced("，。？！", ",.?!"),
    _replaced("，", "、"),
    _inserted("「", "」"),
    _inserted("～"),
    _inserted("OK"),
    _begun("甲："),
    _ended("？？", "！？", "……", "，"),
)
HALF = (
    *COMMON,
    _replaced(",.?!", "，。？！"),
    _inserted("’", '"'),
    _inserted("-", " -", "—"),
    _inserted("x"),
    _begun("A: "),
    _ended("??", "!?", "...", ","),
)


def breaching(ruleset: str, count: int, seed: int) -> list[str]:
    """The same with one or two breaches in each."""
    rng = random.Random(f"breach {seed} {ruleset}")
    kinds = HALF if ruleset in HALF_WIDTH else FULL
    found = []
    for text in clean(ruleset, count, seed):
        for _ in range(rng.choice((1, 1, 2))):
            text = rng.choice(kinds)(text, rng)
        found.append(text)
    return found


def typical(ruleset: str, count: int) -> list[str]:
    """Four clean ones, one not, and so on."""
    good, bad = clean(ruleset, count, 3), breaching(ruleset, count, 4)
    return [bad[n] if n % 5 == 4 else good[n] for n in range(count)]


# -- time --------------------------------------------------------------------------------------


def seconds(work: Callable[[], object], runs: int = 3) -> float:
    """Processor time of the best of some runs; the first one only fills caches."""
    work()
    took = []
    for _ in range(runs):
        start = time.process_time()
        work()
        took.append(time.process_time() - start)
    return min(took)


def ours(batch: Sequence[str], ruleset: str) -> list[str]:
    """What the linter gives back."""
    return [lint.fix(text, ruleset).text for text in batch]


def speed(rulesets: Sequence[str], count: int, others: dict[str, Peer | None]) -> None:
    """Utterances a second; a corpus at work is mostly clean."""
    heads = ("clean", "typical", "breaching", *others)
    print(f"\n{'utterances/s, one core':26}" + "".join(f"{head:>13}" for head in heads))
    for ruleset in rulesets:
        kinds = (clean(ruleset, count, 1), typical(ruleset, count), breaching(ruleset, count, 2))
        rates = [count / seconds(partial(ours, batch, ruleset)) for batch in kinds]
        for peer in others.values():
            rates.append(0.0 if peer is None else count / peer.seconds(kinds[1]))
        print(f"{ruleset:26}" + "".join(f"{rate:13,.0f}" if rate else f"{'-':>13}" for rate in rates))
    print("typical: four of five clean, the fifth with one or two breaches; peers are given the typical ones")
    for name, peer in others.items():
        if peer is None:
            print(f"{name} is not installed: --peers installs it into a temporary folder")


def start_up() -> None:
    """Processor time from nothing to the first finding, in a fresh interpreter."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "take.txt"
        path.write_text("我來,\n", encoding="utf-8")
        compiled = {**os.environ, "PYTHONPYCACHEPREFIX": folder, "PYTHONDONTWRITEBYTECODE": ""}
        for label, words in (
            ("python -c pass", ["-c", "pass"]),
            ("python -c 'import click'", ["-c", "import click"]),
            ("xiangyin lint", ["-m", "xiangyin", "lint", "--ruleset", "zh-Hant", str(path)]),
        ):
            took = []
            for _ in range(12):
                before = resource.getrusage(resource.RUSAGE_CHILDREN)
                subprocess.run([sys.executable, *words], capture_output=True, env=compiled, cwd=HERE.parent)
                after = resource.getrusage(resource.RUSAGE_CHILDREN)
                took.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
            took = sorted(took[1:])  # the first run compiles
            print(f"{label:26}{1000 * took[0]:13.0f}{1000 * took[len(took) // 2]:13.0f}")


# -- long lines --------------------------------------------------------------------------------


def linear(rulesets: Sequence[str], length: int) -> None:
    """Cost of a line four times as long: 4 where it is proportional, 16 where it is the square.

    Garbage is not collected meanwhile: when that is done hangs on how much was allocated before.
    """
    gc.disable()
    jobs: dict[str, Callable[[str, str], object]] = {
        "fix": lint.fix,
        "fold": texts.fold,
        "spoken": texts.spoken,
        "agreement": lambda line, ruleset: agreement.mixed_errors(line, line, ruleset),
    }
    head = f"{length:,} code points, then x4"
    print(f"\n{head:28}{'worst ratio':>13}{'for':>18}{'us/code point':>15}{'for':>18}")
    for name, job in jobs.items():
        for ruleset in rulesets:
            ratios, costs = [], []
            for piece in TEXTS["long"]:
                took = []
                for size in (length, 4 * length):
                    line = (piece * size)[:size]
                    took.append(seconds(partial(job, line, ruleset), 2))
                if took[1] > 0.005:  # below it the clock's own grain is what is compared
                    ratios.append((took[1] / took[0], piece))
                costs.append((1e6 * took[1] / (4 * length), piece))
            (ratio, slow), (cost, dear) = max(ratios, default=(0.0, "")), max(costs)
            gc.collect()
            print(f"{name + ' ' + ruleset:28}{ratio:13.1f}{slow!a:>18}{cost:15.1f}{dear!a:>18}")


# -- peers -------------------------------------------------------------------------------------


class Peer:
    """Another program, asked for many texts at once."""

    def __init__(self, answers: Callable[[Sequence[str]], list[str]], clock: Callable[[], float]) -> None:
        self.answers, self._clock = answers, clock

    def seconds(self, batch: Sequence[str]) -> float:
        """Processor time of a batch, without the program's start."""
        self.answers(batch)
        before = self._clock()
        self.answers(batch)
        return self._clock() - before


ZHLINT = """
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";
const [folder, read, write] = process.argv.slice(2);
const { run } = await import(pathToFileURL(folder + "/zhlint/lib/index.js"));
const texts = JSON.parse(readFileSync(read, "utf8"));
const all = () => texts.map((text) => { try { return run(text, { rules: { preset: "default" } }).result; }
                                        catch { return null; } });
all();
const before = process.cpuUsage();
const results = all();
const { user, system } = process.cpuUsage(before);
writeFileSync(write, JSON.stringify({ results, seconds: (user + system) / 1e6 }));
"""


def _zhlint(modules: Path) -> Peer:
    spent = 0.0

    def answers(batch: Sequence[str]) -> list[str]:
        nonlocal spent
        with tempfile.TemporaryDirectory() as name:
            script, read, write = (Path(name) / each for each in ("run.mjs", "texts.json", "results.json"))
            script.write_text(ZHLINT, encoding="utf-8")
            read.write_text(json.dumps(batch), encoding="utf-8")
            subprocess.run(["node", script, modules, read, write], check=True, capture_output=True)
            told = json.loads(write.read_text(encoding="utf-8"))
        spent += told["seconds"]
        return list(told["results"])

    return Peer(answers, lambda: spent)


def _each(work: Callable[[str], str]) -> Peer:
    def answers(batch: Sequence[str]) -> list[str]:
        found = []
        for text in batch:
            try:
                found.append(work(text))
            except (UnicodeError, ValueError):  # a lone surrogate: it has no answer
                found.append("")
        return found

    return Peer(answers, time.process_time)


def peers(folder: Path | None) -> dict[str, Peer | None]:
    """Every peer, or None where it is not installed."""
    found: dict[str, Peer | None] = dict.fromkeys(("autocorrect", "OpenCC t2s", "zhlint"))
    with contextlib.suppress(ModuleNotFoundError):
        found["autocorrect"] = _each(importlib.import_module("autocorrect_py").format)
    with contextlib.suppress(ModuleNotFoundError):
        found["OpenCC t2s"] = _each(importlib.import_module("opencc").OpenCC("t2s").convert)
    for modules in (folder and folder / "node_modules", HERE.parent / "node_modules"):
        if modules and (modules / "zhlint").is_dir() and shutil.which("node"):
            found["zhlint"] = _zhlint(modules)
            break
    return found


@contextlib.contextmanager
def installed(wanted: bool) -> Iterator[Path | None]:
    """A temporary folder with the peers in it, if that was asked for."""
    if not wanted:
        yield None
        return
    with tempfile.TemporaryDirectory() as name:
        for words in (
            [sys.executable, "-m", "pip", "install", "-q", "--target", name, "autocorrect-py", "opencc"],
            ["npm", "install", "--silent", "--prefix", name, "zhlint"],
        ):
            if shutil.which(words[0]):
                subprocess.run(words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        sys.path.append(name)
        yield Path(name)


def comparison(others: dict[str, Peer | None]) -> None:
    """Right fixes, clean texts left alone, and texts that should have been left for a person."""
    cases: list[Case] = [
        json.loads(row) for path in sorted(CASES.glob("*.jsonl")) for row in path.read_bytes().splitlines()
    ]
    heads = {"fix": "fixes right", "clean": "clean kept", "reject": "unclear kept"}
    print(f"\n{f'on the tests {len(cases)} cases':26}" + "".join(f"{head:>16}" for head in heads.values()))
    answers = {"xiangyin": [lint.fix(case["input"], case["ruleset"]).text for case in cases]}
    for name, peer in others.items():
        if peer is not None:
            answers[name] = peer.answers([case["input"] for case in cases])
    for name, given in answers.items():
        shown = []
        for expect in heads:
            pairs = [
                (case["fixed"] if expect == "fix" else case["input"], answer)
                for case, answer in zip(cases, given, strict=True)
                if case["expect"] == expect
            ]
            shown.append(f"{sum(wanted == answer for wanted, answer in pairs)} of {len(pairs)}")
        print(f"{name:26}" + "".join(f"{each:>16}" for each in shown))


def main() -> None:
    """Print all four tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--utterances", type=int, default=2_000)
    parser.add_argument("--line", type=int, default=4_000, help="code points of the shorter long line")
    parser.add_argument("--rulesets", default=",".join(PHRASES))
    parser.add_argument("--peers", action="store_true", help="install the peers into a temporary folder")
    options = parser.parse_args()
    rulesets = options.rulesets.split(",")
    print(f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} processors")
    with installed(options.peers) as folder:
        others = peers(folder)
        speed(rulesets, options.utterances, others)
        print(f"\n{'start-up, ms of processor':26}{'best':>13}{'middle':>13}")
        start_up()
        linear(
            [each for each in ("zh-Hant", "nan-Hant", "nan-Latn", "yue-Latn", "en") if each in rulesets],
            options.line,
        )
        comparison(others)


if __name__ == "__main__":
    main()
