"""Backup and restore: a copy that fits together, made while the server runs.

The database is copied first, in one state: by SQLite's own backup or, from PostgreSQL, row by row into a file
of SQLite, so that a backup can be brought back into either. Then come the blobs that this state names. Blobs
are never rewritten, so those copied later are still the right ones.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

from corpus import migrate, transfer
from corpus.database import Engine, open_engine
from corpus.disk import DiskFull, disk_errors, sync_path
from corpus.settings import Settings
from corpus.store import BlobStore, LocalStore, copy_blob, open_store
from protocol.clip import Sha256
from protocol.errors import CodedError

DATABASE = "xiangyin.sqlite"
_SQLITE = b"SQLite format 3\0"


class BackupImpossible(CodedError):
    """The copy cannot be made or brought back as asked."""

    code: ClassVar[str] = "BACKUP_IMPOSSIBLE"


def back_up(settings: Settings, engine: Engine, store: BlobStore, folder: Path) -> dict[str, Any]:
    """Copy everything that is kept into `folder`; what a former copy there has already is not copied again.

    Raises
    ------
    BackupImpossible
        If the database cannot be copied.
    """
    with disk_errors():
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        part = folder / f".{DATABASE}.part"
        for leftover in folder.glob(f"{part.name}*"):
            leftover.unlink()
        _copy_keys(settings.keys, folder / "keys")  # also before: a key that gives way meanwhile is deleted
        if engine.dialect.name == "sqlite":
            _copy_sqlite(engine, part)
        else:
            _transfer(engine, f"sqlite:///{part}")
        target = sqlite3.connect(part)
        target.execute("PRAGMA journal_mode=DELETE")
        digests = [
            row[0]
            for row in target.execute(
                "SELECT DISTINCT sha256 FROM clip WHERE state != 'withdrawn' ORDER BY 1"
            )
        ]
        target.close()
        kept = LocalStore(folder / "blobs")
        for digest in digests:
            if Sha256(digest) not in kept:
                with disk_errors():
                    copy_blob(store, kept, Sha256(digest))
        _copy_keys(settings.keys, folder / "keys")
        if settings.releases.is_dir():
            shutil.copytree(settings.releases, folder / "releases", dirs_exist_ok=True)
        _sync(part)
        part.replace(folder / DATABASE)  # last: it alone makes the copy whole
        sync_path(folder)
    return {"folder": str(folder), "blobs": len(digests), "bytes": (folder / DATABASE).stat().st_size}


def _copy_sqlite(engine: Engine, part: Path) -> None:
    try:
        with sqlite3.connect(str(engine.url.database)) as source, sqlite3.connect(part) as target:
            source.backup(target)
    except sqlite3.Error as error:
        part.unlink(missing_ok=True)
        if error.sqlite_errorname == "SQLITE_FULL":
            raise DiskFull() from error
        raise BackupImpossible(problem=f"the database cannot be copied: {error}") from error
    source.close()
    target.close()


def _transfer(source: Engine, url: str) -> None:
    """Every row of PostgreSQL into a database of SQLite."""
    target = open_engine(url, pool_size=1)
    try:
        transfer.copy(source, target)
    finally:
        target.dispose()


def bring_back(folder: Path, settings: Settings) -> dict[str, Any]:
    """Copy a backup into a data folder that holds nothing yet, comparing every blob with its name.

    Raises
    ------
    BackupImpossible
        If the folder is no backup, a blob of it is damaged, or the data folder is in use.
    """
    _check(folder)
    if settings.data.exists() and any(settings.data.iterdir()):
        raise BackupImpossible(problem=f"{settings.data} is not empty; restore beside it")
    elsewhere = bool(settings.database_url)
    if elsewhere:
        _check_empty(settings)
    with disk_errors():
        settings.data.mkdir(mode=0o700, parents=True, exist_ok=True)
        there, target = LocalStore(folder / "blobs"), open_store(settings)
        count = 0
        for digest in there:
            if target.put(there.path(digest)) != digest:
                raise BackupImpossible(problem=f"the blob {digest} of the backup is damaged")
            count += 1
        _copy_keys(folder / "keys", settings.keys)
        if (folder / "releases").is_dir():
            shutil.copytree(folder / "releases", settings.releases)
        part = settings.data / f".{DATABASE}.part"
        shutil.copyfile(folder / DATABASE, part)
        _sync(part)
        if elsewhere:
            _bring_rows(part, settings)
            part.unlink()
        else:
            part.replace(settings.data / DATABASE)
        sync_path(settings.data)
    return {"data": str(settings.data), "blobs": count}


def _check_empty(settings: Settings) -> None:
    engine = open_engine(settings.engine_url, pool_size=1)
    try:
        if not transfer.is_empty(engine):
            raise BackupImpossible(problem="the database is not empty; restore into a new one")
    finally:
        engine.dispose()


def _bring_rows(part: Path, settings: Settings) -> None:
    """The backup's rows into the database that is set by URL: all of them or none."""
    source = open_engine(f"sqlite:///{part}", pool_size=1)
    target = open_engine(settings.engine_url, pool_size=1)
    try:
        migrate.upgrade(source)  # a backup of an earlier version
        transfer.copy(source, target)
    finally:
        source.dispose()
        target.dispose()


def _check(folder: Path) -> None:
    """Refuse what is no backup before any of it is copied: a link would bring in files from beside it."""
    for name, there in ((DATABASE, (folder / DATABASE).is_file()), ("keys", (folder / "keys").is_dir())):
        if not there:
            raise BackupImpossible(problem=f"{folder} holds no {name}")
    for path in (folder, *sorted(folder.rglob("*"))):
        if (path != folder and path.is_symlink()) or not (path.is_file() or path.is_dir()):
            raise BackupImpossible(problem=f"{path} is neither a file nor a folder")
    for path in sorted((folder / "blobs").glob("[0-9a-f][0-9a-f]/*")):
        if not re.fullmatch("[0-9a-f]{62}", path.name):
            raise BackupImpossible(problem=f"{path} is no blob")
    with (folder / DATABASE).open("rb") as file:
        if file.read(len(_SQLITE)) != _SQLITE:
            raise BackupImpossible(problem=f"{folder / DATABASE} is not a database")


def _copy_keys(source: Path, target: Path) -> None:
    target.mkdir(mode=0o700, parents=True, exist_ok=True)
    for path in sorted(source.iterdir()):
        if not path.is_file():
            continue
        mode = path.stat().st_mode & 0o777
        copy = target / path.name
        copy.unlink(missing_ok=True)
        with os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
            file.write(path.read_bytes())
            file.flush()
            os.fsync(file.fileno())


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
