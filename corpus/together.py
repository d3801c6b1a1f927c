"""Several threads' changes in one transaction, so that they share its sync.

A commit waits for the disk for longer than it works. While one thread commits, the others put their
changes in a row; the first to get its turn takes them all along. Nobody waits for company: a change that
comes alone is committed alone. If one of several fails, all are rolled back and each is tried by itself, so
that nobody pays for another's mistake; what is wrong with the database itself, everybody is told.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from sqlalchemy.engine import Connection, Engine

from corpus.database import BUSY_S, DatabaseBusy, DatabaseUnusable, begin
from corpus.disk import DiskFull, StoreSuspect
from corpus.ledger import Tail

T = TypeVar("T")
_OF_THE_DATABASE = (DatabaseBusy, DatabaseUnusable, DiskFull, StoreSuspect)
MOST_AT_ONCE = 32


class Change:
    """The transaction that a piece of work runs in.

    Attributes
    ----------
    db : Connection
    """

    def __init__(self, db: Connection) -> None:
        self.db = db
        self._tail: Tail | None = None
        self._last: list[Callable[[], None]] = []

    @property
    def tail(self) -> Tail:
        """The end of the log, held from here to the transaction's end."""
        if self._tail is None:
            self._tail = Tail(self.db)
        return self._tail

    def at_the_end(self, work: Callable[[], None]) -> None:
        """Do `work` in the same transaction when everybody has added to it, as signing the log's head."""
        self._last.append(work)

    def finish(self) -> None:
        """Do what was put off to the end."""
        for work in self._last:
            work()


Work = Callable[[Change], T]


@dataclass(eq=False)
class _Item(Generic[T]):
    work: Work[T]
    synced: bool
    done: bool = False
    result: T | None = None
    error: BaseException | None = field(default=None)

    def outcome(self) -> T:
        if self.error is not None:
            raise self.error
        return cast(T, self.result)


class Together:
    """The row of one database's changes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._state = threading.Condition()
        self._row: list[_Item[Any]] = []
        self._committing = False

    def run(self, work: Work[T], *, synced: bool = True) -> T:
        """Do `work` in a transaction, perhaps with others' beside it; durable on return if `synced`.

        It may be done twice, the first time rolled back: it must change nothing but the database.

        Raises
        ------
        DatabaseBusy
            If another writer holds the database for too long.
        """
        item = _Item(work, synced)
        with self._state:
            self._row.append(item)
            free = self._state.wait_for(lambda: item.done or not self._committing, timeout=BUSY_S)
            if not free and item not in self._row:  # somebody has it in hand right now
                free = self._state.wait_for(lambda: item.done)
            if not free:
                self._row.remove(item)
                raise DatabaseBusy()
            if item.done:
                return item.outcome()
            self._committing = True
            self._row.remove(item)
            others = self._row[: MOST_AT_ONCE - 1]
            del self._row[: len(others)]
        try:
            self._commit([item, *others])
        finally:
            with self._state:
                self._committing = False
                for one in (item, *others):
                    one.done = True
                self._state.notify_all()
        return item.outcome()

    def _commit(self, items: list[_Item[Any]]) -> None:
        try:
            with begin(self._engine, synced=any(item.synced for item in items)) as db:
                change = Change(db)
                for item in items:
                    item.result = item.work(change)
                change.finish()
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that it belongs to
            if len(items) > 1 and isinstance(error, Exception) and not isinstance(error, _OF_THE_DATABASE):
                for item in items:
                    self._commit([item])
                return
            for item in items:
                item.error = error
