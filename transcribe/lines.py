"""Transcript files: text, one utterance a line, or JSON Lines; a bad line never stops the rest."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from protocol.errors import CodedError

JSONL_SUFFIXES = (".jsonl", ".ndjson", ".json")


class LineNotUtf8(CodedError):
    """The bytes of a line are not UTF-8."""

    code = "LINE_NOT_UTF8"


class TranscriptEmpty(CodedError):
    """A file without a single line."""

    code = "TRANSCRIPT_EMPTY"


class LineNotJson(CodedError):
    """A line of a JSON Lines file is no object."""

    code = "LINE_NOT_JSON"


class LineFieldInvalid(CodedError):
    """A field of a line is missing or of the wrong type."""

    code = "LINE_FIELD_INVALID"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a transcript file.

    Attributes
    ----------
    number : int
        From 1.
    raw : bytes
        As it stands in the file, with its line end.
    id : object
        What the file calls the utterance; the line's number in a text file.
    text : str
        The utterance; empty if `error` is set.
    speech_s : float or None
        Seconds of active speech, where the file has them.
    record : dict or None
        The whole JSON object.
    error : CodedError or None
        Why the line cannot be read.
    """

    number: int
    raw: bytes
    id: object
    text: str = ""
    speech_s: float | None = None
    record: dict[str, Any] | None = None
    error: CodedError | None = None

    def rewritten(self, text: str, events: list[dict[str, object]]) -> bytes:
        """The line with another text and the events that were lifted out of it."""
        ending = b"\r\n" if self.raw.endswith(b"\r\n") else b"\n" if self.raw.endswith(b"\n") else b""
        if self.record is None:
            return text.encode("utf-8") + ending
        record = {**self.record, "text": text}
        if events:
            record["events"] = [*(self.record.get("events") or ()), *events]
        return self._as_it_was_written(record).encode("utf-8") + ending

    def _as_it_was_written(self, record: dict[str, Any]) -> str:
        """JSON with the spaces and escapes that the line has, so that a diff shows only what changed."""
        compact = b'": ' not in self.raw
        written = json.dumps(record, ensure_ascii=False, separators=(",", ":") if compact else None)
        escaped = b"\\u" in self.raw and self.raw.isascii()
        if escaped or any("\ud800" <= char <= "\udfff" for char in written):
            return json.dumps(record, separators=(",", ":") if compact else None)
        return written


def read(stream: Iterable[bytes], *, jsonl: bool | None = None) -> Iterator[Line]:
    """Read a transcript file line by line.

    Parameters
    ----------
    stream : iterable of bytes
        Lines with their ends.
    jsonl : bool, optional
        Whether it is JSON Lines; by default the first line that is not blank tells.
    """
    for number, raw in enumerate(stream, start=1):
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            yield Line(number, raw, number, error=LineNotUtf8(line=number, offset=error.start))
            continue
        text = text.removesuffix("\n").removesuffix("\r")
        if jsonl is None and text.strip():
            jsonl = _is_object(text)
        yield _from_json(number, raw, text) if jsonl else Line(number, raw, number, text)


def _is_object(text: str) -> bool:
    if not text.lstrip("\ufeff \t").startswith("{"):
        return False
    try:
        return isinstance(json.loads(text.lstrip("\ufeff")), dict)
    except (ValueError, RecursionError):
        return False


def _from_json(number: int, raw: bytes, text: str) -> Line:
    try:
        record = json.loads(text.lstrip("\ufeff"))
    except RecursionError:
        return Line(number, raw, number, error=LineNotJson(line=number, problem="nested too deeply"))
    except json.JSONDecodeError as error:
        what = f"{error.msg} at column {error.colno}" if text.strip() else "it is blank"
        return Line(number, raw, number, error=LineNotJson(line=number, problem=what))
    except ValueError as error:
        return Line(number, raw, number, error=LineNotJson(line=number, problem=str(error)))
    if not isinstance(record, dict):
        return Line(number, raw, number, error=LineNotJson(line=number, problem="it is no object"))
    name = record.get("id", number)
    if not isinstance(record.get("text"), str):
        problem = LineFieldInvalid(line=number, field="text", wanted="a string")
        return Line(number, raw, name, record=record, error=problem)
    speech_s = record.get("speech_s")
    good = speech_s is None or (isinstance(speech_s, int | float) and not isinstance(speech_s, bool))
    if not good or (isinstance(speech_s, float) and not math.isfinite(speech_s)):
        problem = LineFieldInvalid(line=number, field="speech_s", wanted="a number of seconds")
        return Line(number, raw, name, record=record, error=problem)
    if not isinstance(record.get("events"), list | None):
        problem = LineFieldInvalid(line=number, field="events", wanted="a list")
        return Line(number, raw, name, record=record, error=problem)
    return Line(number, raw, name, record["text"], speech_s, record)
