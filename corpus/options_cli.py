"""What the operator's commands share: their options, how they open the data and print a result."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import click

from protocol.errors import CodedError

if TYPE_CHECKING:
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


def read_text(path: Path) -> str:
    """The text of a file, or `FileUnreadable`."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(file=str(path), problem=str(error)) from error
