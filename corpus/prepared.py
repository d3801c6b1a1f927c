"""Statements that run for every clip: compiled once, and handed to the driver as they are.

SQLAlchemy looks a statement up, binds it and wraps its result anew each time, which was a third of the
processor time that the server itself spent on a clip. Here that is done at the first use; text, types and
errors are SQLAlchemy's, on every database it knows.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.compiler import SQLCompiler

Values: TypeAlias = Mapping[str, Any]
Statement: TypeAlias = sa.Select[Any] | sa.Insert | sa.Update | sa.Delete
_Change: TypeAlias = Callable[[Any], Any]


@dataclass(frozen=True)
class _Compiled:
    """A statement in one database's words.

    Attributes
    ----------
    order : tuple or None
        Names of the parameters in their places; None where the driver takes them by name.
    fixed : mapping
        What the statement itself says of its parameters.
    binds, results : mapping, tuple
        How values are changed on their way in, by name, and out, by place.
    """

    text: str
    order: tuple[str, ...] | None
    fixed: Mapping[str, Any]
    binds: Mapping[str, _Change]
    row: Callable[[Sequence[Any]], Any]
    results: tuple[tuple[int, _Change], ...]

    def bound(self, values: Values) -> Any:
        """The parameters as the driver takes them."""
        given = {**self.fixed, **values}
        for name, change in self.binds.items():
            given[name] = change(given[name])
        return given if self.order is None else [given[name] for name in self.order]

    def row_of(self, raw: Sequence[Any]) -> Any:
        """A row whose columns have names."""
        if self.results:
            changed = list(raw)
            for place, change in self.results:
                changed[place] = change(changed[place])
            raw = changed
        return self.row(raw)


class Prepared:
    """A statement whose parameters are all `bindparam`, or columns of an insert.

    Parameters
    ----------
    statement : Select, Insert, Update or Delete
        Without lists that are expanded: their text differs from one use to the next. Nor are fractions
        selected: what becomes of them hangs on what the driver says of each result.
    columns : sequence of str
        What an insert or update is given, beside its `bindparam`.
    """

    def __init__(self, statement: Statement, columns: Sequence[str] = ()) -> None:
        self._statement, self._columns = statement, tuple(columns)
        self._compiled: dict[str, _Compiled] = {}

    def rows(self, db: Connection, values: Values) -> list[Any]:
        """Every row."""
        ready = self._ready(db)
        with _errors(db, ready.text):
            cursor = _execute(db, ready.text, ready.bound(values))
            try:
                found = cursor.fetchall()  # SQLite looks for all but the first row only now
            finally:
                cursor.close()
        return [ready.row_of(raw) for raw in found]

    def first(self, db: Connection, values: Values) -> Any | None:
        """The first row, or None."""
        found = self.rows(db, values)
        return found[0] if found else None

    def scalar(self, db: Connection, values: Values) -> Any | None:
        """The first column of the first row, or None."""
        row = self.first(db, values)
        return None if row is None else row[0]

    def run(self, db: Connection, values: Values) -> int:
        """Change something. Returns how many rows were changed."""
        ready = self._ready(db)
        with _errors(db, ready.text):
            cursor = _execute(db, ready.text, ready.bound(values))
        count = int(cursor.rowcount)
        cursor.close()
        return count

    def run_many(self, db: Connection, rows: Sequence[Values]) -> None:
        """Do it once for each of `rows`."""
        ready = self._ready(db)
        with _errors(db, ready.text):
            _execute(db, ready.text, [ready.bound(row) for row in rows], many=True).close()

    def _ready(self, db: Connection) -> _Compiled:
        name = db.dialect.name
        if name not in self._compiled:
            self._compiled[name] = _compile(self._statement, self._columns, db.dialect)
        return self._compiled[name]


def _compile(statement: Statement, columns: Sequence[str], dialect: sa.Dialect) -> _Compiled:
    if isinstance(statement, sa.Insert):
        statement = statement.inline()  # no RETURNING: nobody asks for the row's number
    done = statement.compile(dialect=dialect, column_keys=list(columns) or None)
    if not isinstance(done, SQLCompiler) or done.post_compile_params or done.literal_execute_params:
        raise ValueError("a statement whose text differs from use to use cannot be prepared")
    binds = {}
    for name, parameter in done.binds.items():
        change = parameter.type.dialect_impl(dialect).bind_processor(dialect)
        if change is not None:
            binds[name] = change
    shown = list(statement.selected_columns) if isinstance(statement, sa.Select) else []
    results = []
    for place, column in enumerate(shown):
        if isinstance(column.type, sa.Numeric | sa.Float):
            raise ValueError("a column of fractions, whose kind the driver alone says, cannot be prepared")
        change = column.type.dialect_impl(dialect).result_processor(dialect, None)
        if change is not None:
            results.append((place, change))
    row = namedtuple("Row", [str(column.key) for column in shown])  # type: ignore[misc]
    order = tuple(done.positiontup) if done.positiontup is not None else None
    fixed = {name: one.effective_value for name, one in done.binds.items() if not one.required}
    return _Compiled(str(done), order, fixed, binds, row._make, tuple(results))


@contextmanager
def _errors(db: Connection, text: str) -> Iterator[None]:
    """The driver's errors as SQLAlchemy raises them; the parameters are what people said, and stay out."""
    kind = db.dialect.loaded_dbapi.Error
    try:
        yield
    except kind as error:
        raise DBAPIError.instance(
            text, None, error, kind, hide_parameters=True, dialect=db.dialect
        ) from error


def _execute(db: Connection, text: str, parameters: Any, *, many: bool = False) -> Any:
    if not db.in_transaction():
        raise ValueError("a prepared statement runs within a transaction")
    cursor = db.connection.cursor()
    try:
        (cursor.executemany if many else cursor.execute)(text, parameters)
    except BaseException:
        cursor.close()
        raise
    return cursor
