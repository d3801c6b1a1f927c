"""Every row of one database into another, between SQLite and PostgreSQL either way.

The source is read in one snapshot, so that a copy made under load fits together; the target is filled in one
transaction, so that it is whole or as empty as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from corpus import migrate
from corpus.database import begin, is_sqlite, reading
from corpus.tables import metadata

_ROWS = 1000


def is_empty(engine: Engine) -> bool:
    """Whether nothing was ever kept in this database."""
    with reading(engine) as db:
        return not sa.inspect(db).get_table_names()


def copy(source: Engine, target: Engine) -> int:
    """Copy every row into `target`, which holds none; both are brought to this version's tables. How many."""
    migrate.upgrade(target)
    count = 0
    with source.connect() as plain:
        snapshot = {} if is_sqlite(plain) else {"isolation_level": "REPEATABLE READ"}
    reading_one = source.connect().execution_options(xiangyin_reads=True, **snapshot)
    with reading_one as old, old.begin(), begin(target) as new:
        for table in metadata.sorted_tables:
            rows = old.execute(sa.select(table), execution_options={"yield_per": _ROWS})
            for some in rows.mappings().partitions():
                new.execute(sa.insert(table), [dict(row) for row in some])
                count += len(some)
        _count_on(new)
    return count


def _count_on(db: Connection) -> None:
    """Let PostgreSQL number new rows behind those that came with their numbers; SQLite does so by itself."""
    if is_sqlite(db):
        return
    for table in metadata.sorted_tables:
        column = table.autoincrement_column
        if column is None:
            continue
        sequence = db.execute(sa.select(sa.func.pg_get_serial_sequence(table.name, column.name))).scalar()
        last = db.execute(sa.select(sa.func.max(column))).scalar()
        if sequence is not None and last is not None:
            db.execute(sa.select(sa.func.setval(sequence, last)))
