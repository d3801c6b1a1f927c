"""Transcript files on disk: found in folders, opened, and replaced whole or not at all."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from protocol.errors import CodedError

STDIN = "-"
SUFFIXES = (".txt", ".jsonl", ".ndjson")  # what is looked for in a folder


class FileUnreadable(CodedError):
    """A file cannot be opened."""

    code = "FILE_UNREADABLE"


class FileUnwritable(CodedError):
    """A mended file cannot be put in place of the old one."""

    code = "TRANSCRIPT_UNWRITABLE"


def expanded(paths: Iterable[str]) -> Iterator[str]:
    """The files that the arguments name: a folder stands for the transcripts in it, at any depth."""
    for path in paths:
        if not Path(path).is_dir():
            yield path
            continue
        for found in sorted(Path(path).rglob("*")):
            hidden = any(part.startswith(".") for part in found.relative_to(path).parts)
            if found.suffix in SUFFIXES and found.is_file() and not hidden:
                yield str(found)


@contextlib.contextmanager
def opened(path: str) -> Iterator[BinaryIO]:
    """A file, or standard input, as bytes.

    Raises
    ------
    FileUnreadable
        If there is none, or it may not be read.
    """
    if path == STDIN:
        yield sys.stdin.buffer
        return
    with contextlib.ExitStack() as stack:
        try:
            stream = stack.enter_context(Path(path).open("rb"))
        except OSError as error:
            raise FileUnreadable(file=path, problem=error.strerror or str(error)) from error
        yield stream


@contextlib.contextmanager
def replacing(path: str) -> Iterator[Replacement]:
    """Write a file anew beside the old one, and put it in its place at the end.

    Whatever happens in between, `path` holds the old bytes or the new ones, never a part.
    A link stays a link; the file that it leads to is replaced.

    Raises
    ------
    FileUnwritable
        If the file or its folder is write-protected, or the disk is full.
    """
    import tempfile  # slow to load, and most runs write nothing

    target = Path(path).resolve()
    beside: Path | None = None
    try:
        if not os.access(target, os.W_OK):
            raise PermissionError(13, "Permission denied")
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        beside = Path(name)
        with os.fdopen(handle, "wb") as out:
            replacement = Replacement(out)
            yield replacement
            out.flush()
            os.fsync(out.fileno())
        if replacement.wanted:
            beside.chmod(target.stat().st_mode & 0o7777)
            beside.replace(target)
    except BrokenPipeError:
        raise  # of the report, not of the file
    except OSError as error:
        raise FileUnwritable(file=path, problem=error.strerror or str(error)) from error
    finally:
        if beside is not None:
            beside.unlink(missing_ok=True)


class Replacement:
    """What is written beside a file; it takes the file's place only if that is `wanted`."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self.wanted = False

    def write(self, raw: bytes) -> None:
        """Add a line."""
        self._out.write(raw)
