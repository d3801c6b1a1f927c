"""The engine and its transactions, the same on SQLite and on PostgreSQL.

Functions elsewhere take an open `Connection`; whoever opened it owns the transaction. `begin` is for
writing and `reading` for looking. On SQLite a writer takes the write lock at once (``BEGIN IMMEDIATE``),
so that a transaction never fails half-way because another one wrote first; within a process the
writers queue at a lock, which is fair where SQLite's own polling is not.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, NoReturn

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from corpus.disk import DiskFull, StoreSuspect
from protocol.errors import CodedError

__all__ = [  # the two types are here so that nothing above needs SQLAlchemy to name them
    "Connection",
    "DatabaseBusy",
    "DatabaseUnusable",
    "Engine",
    "begin",
    "is_sqlite",
    "open_engine",
    "reading",
]

BUSY_S = 10.0
_WRITE_LOCKS: weakref.WeakKeyDictionary[Engine, threading.Lock] = weakref.WeakKeyDictionary()


class DatabaseUnusable(CodedError):
    """The database is corrupt, of the wrong kind, or cannot be opened."""

    code: ClassVar[str] = "DATABASE_UNUSABLE"


class DatabaseBusy(CodedError):
    """Another writer held the database for too long."""

    code: ClassVar[str] = "DATABASE_BUSY"


def open_engine(url: str, *, pool_size: int = 20) -> Engine:
    """An engine whose every connection is durable and checks its foreign keys.

    SQLite runs in WAL with ``synchronous=FULL``: with NORMAL, a commit that was acknowledged can be
    lost with the power.
    """
    parsed = sa.make_url(url)
    if parsed.get_backend_name() == "sqlite":
        if parsed.database:
            Path(parsed.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        engine = sa.create_engine(
            parsed,
            connect_args={"timeout": BUSY_S},
            pool_size=pool_size,
            max_overflow=pool_size,
            pool_use_lifo=True,  # each connection has a cache of pages: few that are warm, not all in turn
            hide_parameters=True,  # an error must not quote what people said
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        _WRITE_LOCKS[engine] = threading.Lock()
    else:
        engine = sa.create_engine(
            parsed, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, hide_parameters=True
        )
    return engine


@contextmanager
def begin(engine: Engine, *, synced: bool = True) -> Iterator[Connection]:
    """A transaction that writes; committed at the end, rolled back on any exception.

    Parameters
    ----------
    synced : bool
        False for what need not survive a power cut, as long as it survives the end of any process: SQLite
        then leaves it to the next synced transaction to bring it to the disk.
    """
    lock = _WRITE_LOCKS.get(engine)
    if lock is not None and not lock.acquire(timeout=BUSY_S):
        raise DatabaseBusy()
    try:
        with engine.connect().execution_options(xiangyin_synced=synced) as db, db.begin():
            yield db
    except DBAPIError as error:
        _explain(error)
    finally:
        if lock is not None:
            lock.release()


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one state of the database and waits for no writer."""
    try:
        with engine.connect().execution_options(xiangyin_reads=True) as db, db.begin():
            yield db
    except DBAPIError as error:
        _explain(error)


def is_sqlite(db: Connection) -> bool:
    """Whether this connection talks to SQLite."""
    return db.dialect.name == "sqlite"


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # SQLAlchemy's BEGIN is ours; the driver must not add its own
    cursor = connection.cursor()
    try:
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        # Each connection fills a cache of its own, 2 MB if it may; what it lacks the system has in memory.
        cursor.execute("PRAGMA cache_size=-256")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.execute("PRAGMA trusted_schema=OFF")
    finally:
        cursor.close()


def _begin_sqlite(db: Connection) -> None:
    options = db.get_execution_options()
    cursor, statement = db.connection.cursor(), "BEGIN"
    level = "FULL" if options.get("xiangyin_synced", True) else "NORMAL"
    try:
        if not options.get("xiangyin_reads", False):
            cursor.execute(f"PRAGMA synchronous={level}")
            statement = "BEGIN IMMEDIATE"
        cursor.execute(statement)
    except sqlite3.Error as error:
        raise DBAPIError.instance(statement, None, error, sqlite3.Error, dialect=db.dialect) from error


def _explain(error: DBAPIError) -> NoReturn:
    """Turn what a database says of its own state into a code; programming errors stay as they are."""
    name = getattr(error.orig, "sqlite_errorname", "")
    state = getattr(error.orig, "sqlstate", None) or ""
    if name.startswith("SQLITE_FULL") or state == "53100":
        raise DiskFull() from error
    if name.startswith("SQLITE_IOERR"):
        raise StoreSuspect(problem=str(error.orig)) from error
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or state in ("55P03", "40001", "40P01"):
        raise DatabaseBusy() from error
    if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CANTOPEN", "SQLITE_READONLY")):
        raise DatabaseUnusable(problem=str(error.orig)) from error
    if error.connection_invalidated or state[:2] in ("08", "57") or (state == "" and _is_connection(error)):
        raise DatabaseUnusable(problem=str(error.orig).splitlines()[0]) from error
    raise error


def _is_connection(error: DBAPIError) -> bool:
    return isinstance(error, sa.exc.OperationalError) and not isinstance(error.orig, sqlite3.Error)
