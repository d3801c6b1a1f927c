"""Writing so that a crash at any moment leaves the old state or the new one.

The order is always: data to a temporary name, its sync, the rename, the folder's sync. A sync that
fails is raised and never tried again on the same file: after a failed fsync nobody knows what the
disk holds.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from protocol.errors import CodedError

_NO_ROOM = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))


class DiskFull(CodedError):
    """No room for what comes next; all that was synced before is on disk."""

    code = "DISK_FULL"


@contextmanager
def naming_a_full_disk() -> Iterator[None]:
    """Turn the system's error for a full disk into the coded one."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise DiskFull() from error
        raise


def sync_file(file: IO[bytes]) -> None:
    """Return when the file's bytes are on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_path(path: Path) -> None:
    """Return when the bytes of the file at `path`, written by another library, are on the disk."""
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Return when the names in `folder` are on the disk."""
    if os.name == "nt":  # Windows journals names and cannot open a folder for this
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def make_folder(folder: Path, *, mode: int = 0o700) -> None:
    """Create `folder` and what is missing above it; the names are on the disk on return."""
    missing = [p for p in (folder, *folder.parents) if not p.exists()]
    folder.mkdir(mode=mode, parents=True, exist_ok=True)
    for path in missing:
        sync_folder(path.parent)


def write_bytes(path: Path, data: bytes, *, mode: int = 0o600) -> None:
    """Replace the file at `path` as one step."""
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with naming_a_full_disk():
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            sync_file(file)
    part.replace(path)
    sync_folder(path.parent)


def write_json(path: Path, value: Mapping[str, Any], *, mode: int = 0o600) -> None:
    """Replace the file at `path` by `value` as JSON, as one step."""
    text = json.dumps(value, ensure_ascii=False, indent=1, allow_nan=False)
    write_bytes(path, (text + "\n").encode(), mode=mode)
