"""The server's log: one record a line on stderr, JSON unless text is wanted.

A line tells of routes, codes and figures. Texts that people wrote, names, tokens and the addresses of
requests are not put into it, nor are messages of exceptions, which may quote them: of an exception there is
its class and where it was raised. Every character that could end a line or command a terminal is escaped.
"""

from __future__ import annotations

import json
import logging
import sys
import time
import traceback
from collections.abc import Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import Any

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
_MOST_FRAMES = 12
_MOST_CHARACTERS = 1000  # of a message: a line of one write stays whole among those of other processes
_ROOT = Path(__file__).resolve().parents[1]


class JsonLines(logging.Formatter):
    """A JSON object a line; ``extra={"fields": {...}}`` adds to it."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, ASCII."""
        return json.dumps(_fields(record), default=str)


class TextLines(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, ASCII."""
        fields = _fields(record)
        head = [fields.pop(name) for name in ("time", "level", "logger", "message")]
        rest = [f"{name}={json.dumps(value, default=str)}" for name, value in fields.items()]
        return " ".join([*head[:3], json.dumps(head[3])[1:-1], *rest])


def install(form: str, *, requests: bool) -> None:
    """Send everything that is logged to stderr.

    Parameters
    ----------
    form : str
        ``json`` or ``text``.
    requests : bool
        Whether each request leaves a line.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(TextLines() if form == "text" else JsonLines())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("xiangyin.access").setLevel(logging.INFO if requests else logging.WARNING)
    # A line for each request that waits for a thread: most at the time when nobody has time for it.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)


def log(logger: logging.Logger, level: int, message: str, fields: Mapping[str, Any]) -> None:
    """One record with fields."""
    logger.log(level, message, extra={"fields": dict(fields)})


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    found: dict[str, Any] = {
        "time": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "logger": record.name,
        "message": _message(record),
    }
    if (asked := request_id.get()) is not None:
        found["request_id"] = asked
    found.update(getattr(record, "fields", {}))
    if record.exc_info and record.exc_info[0] is not None:
        found["error"] = record.exc_info[0].__name__
        found["frames"] = _frames(record.exc_info[2])
    return found


def _message(record: logging.LogRecord) -> str:
    if record.name.startswith("waitress") and record.exc_info:
        return "fault"  # its own message quotes the request's address
    return record.getMessage()[:_MOST_CHARACTERS]


def _frames(trace: Any) -> list[str]:
    frames = traceback.extract_tb(trace)[-_MOST_FRAMES:]
    return [f"{_place(frame.filename)}:{frame.lineno} {frame.name}" for frame in frames]


def _place(name: str) -> str:
    path = Path(name)
    return path.relative_to(_ROOT).as_posix() if path.is_relative_to(_ROOT) else "/".join(path.parts[-2:])
