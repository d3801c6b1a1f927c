"""A ruleset's TOML file: read, checked, and laid over the ruleset that it extends.

A mistake is refused with its line. `tomllib` does not say where a value stood, so
the line is looked for in the text.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any, NoReturn

from transcribe import orthography
from transcribe.orthography import Orthography, RulesetInvalid

SEVERITIES = ("error", "warning", "off")
_CHOICES: Mapping[str, tuple[str, ...]] = {
    "variety": ("traditional", "simplified", "any"),
    "width": ("full", "half"),
    "boundary": ("one", "none"),
    "romanisation": ("none", "tailo", "poj", "jyutping"),
    "scripts": ("Han", "Latin"),
}
_FIELDS: dict[str, Any] = {each.name: each.default for each in fields(Orthography)}
_NOT_HAN = re.compile("[\\s\u2e80-\U0003ffff]+")


def read(path: Path) -> Orthography:
    """A project's ruleset from its file.

    Raises
    ------
    RulesetInvalid
        With the file, and the line that is wrong.
    """
    return _read(path, ())


def parse(text: str, source: str) -> Orthography:
    """Build a ruleset from TOML; a file that it extends is looked for beside `source`.

    Raises
    ------
    RulesetInvalid
        With the file, and the line that is wrong.
    """
    return _parse(text, source, ())


def _read(path: Path, chain: tuple[Path, ...]) -> Orthography:
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise RulesetInvalid(file=str(path), problem=error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        number = raw.count(b"\n", 0, error.start) + 1
        raise RulesetInvalid(file=str(path), problem=f"line {number}: the bytes are not UTF-8") from error
    return _parse(text, str(path), (*chain, path.resolve()))


def _parse(text: str, source: str, chain: tuple[Path, ...]) -> Orthography:
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise RulesetInvalid(file=source, problem=_with_line(str(error), text)) from error
    parent = table.pop("extends", None)
    file = _File(text, source)
    for name, value in table.items():
        file.check(name, value)
    values = {name: _coerced(_FIELDS.get(name), value) for name, value in table.items()}
    if "id" not in values:
        file.refuse("id is missing", 1)
    base = None if parent is None else _parent(parent, file, chain)
    merged: dict[str, Any] = (
        values
        if base is None
        else {name: _merged(name, getattr(base, name), value) for name, value in values.items()}
    )
    if merged.get("glossary"):
        plain = {word for term in merged["glossary"] for word in _NOT_HAN.split(term) if word}
        merged["words"] = merged.get("words", base.words if base else frozenset()) | plain
    return Orthography(**merged) if base is None else replace(base, **merged)


def _with_line(problem: str, text: str) -> str:
    """The parser's message with its line in front, as the other messages have it."""
    match = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", problem)
    if match is None:
        return problem
    number = match[1] or str(text.rstrip("\n").count("\n") + 1)
    return f"line {number}: {problem[: match.start()]}"


def _parent(parent: object, file: _File, chain: tuple[Path, ...]) -> Orthography:
    line = file.line_of("extends")
    if not isinstance(parent, str):
        file.refuse("extends names one ruleset", line)
    if not parent.endswith(".toml"):
        if parent not in (*orthography.names(), "_common", "_han"):
            file.refuse(
                f"extends: there is no ruleset {parent}; there are {', '.join(orthography.names())}", line
            )
        return orthography.load(parent)
    beside = Path(file.source).parent / parent
    if beside.resolve() in chain:
        file.refuse(f"extends: {parent} extends this file in its turn", line)
    if not beside.is_file():
        file.refuse(f"extends: there is no file {parent} beside this one", line)
    return _read(beside, chain)


class _File:
    """The text of a ruleset file, for finding the line of a mistake."""

    def __init__(self, text: str, source: str) -> None:
        self.lines = text.splitlines()
        self.source = source

    def refuse(self, problem: str, line: int) -> NoReturn:
        raise RulesetInvalid(file=self.source, problem=f"line {line}: {problem}")

    def line_of(self, key: str, after: int = 1) -> int:
        """The first line, from `after` on, where a key or a table of that name is; else `after`."""
        key_there = re.compile(rf"(?:^|[\s\[{{,.])[\"']?{re.escape(key)}[\"']?\s*[\].=]")
        return next(
            (number for number, line in self._from(after) if key_there.search(line.split(" #")[0])), after
        )

    def line_of_value(self, value: object, after: int) -> int:
        """The same for a value inside a list or a table."""
        shown = str(value).lower() if isinstance(value, bool) else str(value)
        if isinstance(value, list | dict):
            shown = "[" if isinstance(value, list) else "{"
        elif isinstance(value, str):
            shown = f'"{shown}"'
        start = after + 1 if shown == "[" and self.lines[after - 1].count("[") < 2 else after
        return next((number for number, line in self._from(start) if shown in line), after)

    def _from(self, after: int) -> Iterator[tuple[int, str]]:
        yield from ((n, line) for n, line in enumerate(self.lines, start=1) if n >= after)

    def check(self, name: str, value: object) -> None:
        """Refuse an unknown key, a value of the wrong type, or one that is not to choose from.

        The line is only looked for where there is a mistake: a search for every key took longer
        than the linter's whole start.
        """
        if name not in _FIELDS:
            self.refuse(f"unknown key {name!r}", self.line_of(name))
        default = _FIELDS[name]
        if name == "id" or isinstance(default, str):
            if not isinstance(value, str):
                self._refuse_type(name, "a text")
        elif isinstance(default, bool):
            if not isinstance(value, bool):
                self._refuse_type(name, "true or false")
        elif isinstance(default, frozenset | tuple):
            self._check_list(name, value)
        else:
            self._check_table(name, value)
        for each in value if isinstance(value, list) else [value]:
            if name in _CHOICES and each not in _CHOICES[name]:
                at = self.line_of_value(each, self.line_of(name))
                self.refuse(f"{name} is one of {', '.join(_CHOICES[name])}", at)

    def _refuse_type(self, name: str, wanted: str) -> NoReturn:
        self.refuse(f"{name} has a value of the wrong type: it is {wanted}", self.line_of(name))

    def _check_list(self, name: str, value: object) -> None:
        if not isinstance(value, list):
            self._refuse_type(name, "a list of texts")
        for item in value:
            if not isinstance(item, str) or not item.strip():
                at = self.line_of_value(item, self.line_of(name))
                self.refuse(f"{name} has an item of the wrong type: every item is a text", at)

    def _check_table(self, name: str, value: object) -> None:
        if not isinstance(value, dict):
            self._refuse_type(name, "a table of texts")
        for key, item in value.items():
            problem = ""
            if not key.strip() or not isinstance(item, str):
                problem = f"{name} has a value of the wrong type for {key!r}: it is a text"
            elif name == "severities":
                problem = _problem_of_severity(key, item)
            if problem:
                self.refuse(problem, self.line_of(key, self.line_of(name)))


def _problem_of_severity(code: str, severity: str) -> str:
    """What is wrong with a rule's severity, or an empty text."""
    from transcribe import registry

    if not registry.is_code(code):
        return f"severities: there is no rule {code}; `xiangyin rules` lists them"
    if severity not in SEVERITIES:
        return f"severity of {code!r} is one of {', '.join(SEVERITIES)}"
    return ""


def _coerced(default: object, value: Any) -> Any:
    """A list in the type of its field."""
    if isinstance(default, frozenset | tuple):
        return type(default)(value)
    return value


def _merged(name: str, old: object, new: object) -> object:
    """Lists and tables grow; single values, and the scripts, are replaced."""
    if name == "scripts":
        return new
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **new}
    if isinstance(old, frozenset) and isinstance(new, frozenset):
        return old | new
    if isinstance(old, tuple) and isinstance(new, tuple):
        return tuple(dict.fromkeys((*old, *new)))
    return new
