"""Locks on files, by which servers and commands exclude each other; they end with their holder.

A file system that refuses them, or that says yes to everybody, would let two closes of one upload or an
erasure and a receipt go on side by side: so a refusal ends the request, and `check` asks before a server
begins.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from corpus.disk import disk_errors
from protocol.errors import CodedError

ALONE = fcntl.LOCK_EX
AMONG_OTHERS = fcntl.LOCK_SH
AT_ONCE = fcntl.LOCK_NB  # or not at all


class LocksUnusable(CodedError):
    """The file system of the data folder does not lock files."""

    code: ClassVar[str] = "LOCKS_UNUSABLE"


def take(descriptor: int, how: int) -> None:
    """Lock an open file: `ALONE` or `AMONG_OTHERS`, with `AT_ONCE` or waiting for it.

    Raises
    ------
    BlockingIOError
        If another one holds it, and it was to be at once.
    LocksUnusable
        If the file system refuses.
    """
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError as error:
        raise LocksUnusable(problem=os.strerror(error.errno or 0)) from error


def give_up(descriptor: int) -> None:
    """Unlock the file, also for a process that was forked meanwhile and has it open too."""
    with suppress(OSError):  # then it ends when the last of them closes the file
        fcntl.flock(descriptor, fcntl.LOCK_UN)


def check(folder: Path) -> None:
    """See that a second holder of one file is refused.

    Raises
    ------
    LocksUnusable
        If the file system of `folder` refuses locks, or gives the same one twice.
    """
    with disk_errors(), tempfile.NamedTemporaryFile(dir=folder, prefix=".lock-") as one:
        take(one.fileno(), ALONE | AT_ONCE)
        with Path(one.name).open("rb") as other:
            try:
                take(other.fileno(), ALONE | AT_ONCE)
            except BlockingIOError:
                return
    raise LocksUnusable(problem="two held one lock")
