"""What the operator's commands share: their options, how they open the data and print a result."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from protocol.errors import CodedError

if TYPE_CHECKING:
    from corpus.database import Engine
    from web.context import Site

Command = TypeVar("Command", bound=Callable[..., Any])
HELP = {"help_option_names": ["-h", "--help"]}


class FileUnreadable(CodedError):
    """A file that a command was given cannot be read."""

    code: ClassVar[str] = "FILE_UNREADABLE"


class DataFolderMissing(CodedError):
    """The folder holds no data of a server."""

    code: ClassVar[str] = "DATA_FOLDER_MISSING"


def data_option(command: Command) -> Command:
    """``--data DIR``."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path),
        help="The server's data folder; XIANGYIN_DATA if not given.",
    )(command)


def format_option(command: Command) -> Command:
    """``--format text|json``."""
    return click.option(
        "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True,
        help="json: one object a line.",
    )(command)  # fmt: skip


def tell(form: str, row: Mapping[str, Any], text: str) -> None:
    """Print one result."""
    click.echo(json.dumps(row, ensure_ascii=False) if form == "json" else text)


def open_data(data: Path | None, *, new: bool = False) -> Site:
    """The data folder's parts, as the server opens them; a folder is begun only where it may be `new`.

    Raises
    ------
    DataFolderMissing
        If nothing was ever kept there: a misspelt ``--data`` must not leave a second, empty corpus.
    """
    import server
    from corpus.settings import load

    settings = load(os.environ, data)
    if not new and not settings.keys.is_dir():
        raise DataFolderMissing(folder=str(settings.data))
    return server.open_site(settings)


def console_note(engine: Engine, action: str, about: str | None, *, project_id: str | None = None) -> None:
    """Keep what was done at the server's own console, by nobody who signed in."""
    from corpus import audit
    from corpus.database import begin

    now_ms = time.time_ns() // 1_000_000
    with begin(engine) as db:
        audit.note(db, action, about, person_id=None, role=None, project_id=project_id, now_ms=now_ms)


def read_text(path: Path) -> str:
    """The text of a file, or `FileUnreadable`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(file=str(path), problem=str(error)) from error
