"""Options that the recorder's commands share, and what they stand for."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from protocol.clip import ClipId
from protocol.errors import LANGUAGES, Language
from recorder import credentials
from recorder.wording import language_of

Command = TypeVar("Command", bound=Callable[..., Any])


def format_option(command: Command) -> Command:
    """``--format text|json``."""
    option = click.option(
        "--format",
        "form",
        type=click.Choice(["text", "json"]),
        default="text",
        show_default=True,
        help="For people, or one JSON object a line.",
    )
    return option(command)


def language_option(command: Command) -> Command:
    """``--language``."""
    option = click.option(
        "--language",
        type=click.Choice(LANGUAGES),
        default=None,
        callback=lambda _ctx, _option, value: value or language_of(),
        help="Of what is said to you. Default: XIANGYIN_LANGUAGE, or your system's.",
    )
    return option(command)


def data_option(command: Command) -> Command:
    """``--data DIR``."""
    option = click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        default=None,
        callback=lambda _ctx, _option, value: value or credentials.data_folder(),
        help="Where takes and receipts are kept. Default: XIANGYIN_RECORDER_DATA, or your data folder.",
    )
    return option(command)


def project_option(command: Command) -> Command:
    """``--project SLUG``."""
    option = click.option(
        "--project", default=None, metavar="SLUG", help="Which project, if you joined several."
    )
    return option(command)


def terms_option(command: Command) -> Command:
    """``--agree-terms VERSION``."""
    option = click.option(
        "--agree-terms", "terms", metavar="VERSION", help="Agree to this version of changed terms beforehand."
    )
    return option(command)


def open_spool(data: Path) -> Any:
    """The spool in a data folder."""
    from recorder.spool import Spool

    return Spool(data / "spool", data / "receipts", new_id=lambda: ClipId(str(uuid.uuid4())))


def now_utc() -> str:
    """The time as clips and memberships carry it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def print_json(row: Mapping[str, Any]) -> None:
    """One JSON object on a line."""
    click.echo(json.dumps(row, ensure_ascii=False, allow_nan=False))


def figure(value: object) -> str:
    """A figure for people."""
    if value is None:
        return "–"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


__all__ = [
    "Language",
    "data_option",
    "figure",
    "format_option",
    "language_option",
    "now_utc",
    "open_spool",
    "print_json",
    "project_option",
    "terms_option",
]
