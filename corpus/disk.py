"""Writing so that it is there after the power fails, and saying so when it is not.

The order is always: sync the data, rename, sync the folder. A failed sync is never tried again on the
same file, because the kernel may have dropped the pages that it could not write.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from protocol.errors import CodedError


class DiskFull(CodedError):
    """There is no room, or what is left is kept for the database."""

    code: ClassVar[str] = "DISK_FULL"


class StoreSuspect(CodedError):
    """The disk failed to take or keep data."""

    code: ClassVar[str] = "STORE_SUSPECT"


@contextmanager
def disk_errors() -> Iterator[None]:
    """Turn the system's errors of writing into coded ones."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise DiskFull() from error
        raise StoreSuspect(problem=os.strerror(error.errno) if error.errno else str(error)) from error


def need_room(folder: Path, wanted_bytes: int, reserve_bytes: int) -> None:
    """Raise `DiskFull` unless `wanted_bytes` fit and `reserve_bytes` are left after them."""
    if shutil.disk_usage(folder).free < wanted_bytes + reserve_bytes:
        raise DiskFull()


def sync_path(path: Path) -> None:
    """Make the bytes of a file, or the names in a folder, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def move_aside(path: Path, folder: Path, stem: str) -> Path | None:
    """Move a file into `folder` under `stem` or, if that is taken, a numbered name; None if it is gone.

    It has both names, durably, before it loses the first one.
    """
    with disk_errors():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target, number = folder / stem, 0
        while target.exists() or target.is_symlink():
            number += 1
            target = folder / f"{stem}.{number}"
        try:
            os.link(path, target, follow_symlinks=False)
        except FileNotFoundError:
            return None
        sync_path(folder)
        path.unlink()
        sync_path(path.parent)
    return target


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write `data` to `path` whole or not at all, durable on return; an existing file is replaced."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with disk_errors():
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        sync_path(path.parent)
