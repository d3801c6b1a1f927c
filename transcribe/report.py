"""What `xiangyin lint` prints: one function a format, from a finding to text."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

from protocol.errors import CodedError, Language
from transcribe import lint
from transcribe.lines import Line
from transcribe.sentences import visible


def as_text(path: str, line: Line, findings: Iterable[lint.Finding], language: Language) -> str:
    """``path:line:column: CODE sentence``, a line a finding."""
    rows = []
    for found in findings:
        weight = "" if found.severity == "error" else " (warning)"
        rows.append(f"{path}:{line.number}:{found.start + 1}: {found.code}{weight} {found.message(language)}")
        if not found.safe and found.suggestions:
            offered = " | ".join(visible(each) or '""' for each in found.suggestions)
            rows[-1] += f" [{offered}]"
    return "\n".join(rows)


def error_as_text(path: str, line: Line, error: CodedError, language: Language) -> str:
    """The same for a line that cannot be read."""
    return f"{path}:{line.number}: {error.code} {error.sentence(language)}"


def as_github(path: str, line: Line, findings: Iterable[lint.Finding], language: Language) -> str:
    """Workflow commands, which GitHub shows beside the line."""
    return "\n".join(
        f"::{found.severity} file={_property(path)},line={line.number},col={found.start + 1},"
        f"endColumn={max(found.end, found.start + 1)},title={found.code}::{_data(found.message(language))}"
        for found in findings
    )


def error_as_github(path: str, line: Line, error: CodedError, language: Language) -> str:
    """The same for a line that cannot be read."""
    sentence = _data(error.sentence(language))
    return f"::error file={_property(path)},line={line.number},title={error.code}::{sentence}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def as_json(value: object) -> str:
    """One line of JSON; escaped where a lone surrogate could not be written."""
    text = json.dumps(value, ensure_ascii=False)
    return text if text.isprintable() or _encodable(text) else json.dumps(value)


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def as_diff(path: str, line: Line, after: bytes, *, first: bool) -> bytes:
    """One changed line as a hunk of a unified diff without context, which `patch` and `git apply` take.

    Parameters
    ----------
    path : str
        The file, for the two heading lines.
    line : Line
        The line as it stands.
    after : bytes
        The line as it would stand, with its end.
    first : bool
        Whether it is the file's first hunk and needs the headings.
    """
    name = path.encode("utf-8", "surrogateescape")
    heading = b"--- " + name + b"\n+++ " + name + b"\n" if first else b""
    at = f"@@ -{line.number} +{line.number} @@\n".encode()
    return heading + at + _diff_line(b"-", line.raw) + _diff_line(b"+", after)


def _diff_line(sign: bytes, raw: bytes) -> bytes:
    return sign + raw + (b"" if raw.endswith(b"\n") else b"\n\\ No newline at end of file\n")


def statistics(counts: Counter[str], language: Language) -> str:
    """How often each rule spoke, the most frequent first."""
    from transcribe import pages

    rows = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return "\n".join(f"{count:8}  {code}  {pages.title(code, language)}" for code, count in rows)
