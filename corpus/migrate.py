"""Bring a database to this version's tables, or say that it is newer than this version."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from corpus.database import begin, is_sqlite, reading
from protocol.errors import CodedError

HEAD = "0009"  # the newest of migrations/versions; a look at it spares the import of Alembic
_LOCK = 0x7869616E676D6967


class DatabaseNewer(CodedError):
    """The data was written by a later version, which may mean things that this one would damage."""

    code: ClassVar[str] = "DATABASE_NEWER"


def upgrade(engine: Engine) -> None:
    """Run every migration that is missing, in one transaction.

    Raises
    ------
    DatabaseNewer
        If the database's revision is not one of ours.
    """
    with reading(engine) as db:
        if revision(db) == HEAD:
            return
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    folder = Path(__file__).parent / "migrations"
    config = Config()
    config.set_main_option("script_location", str(folder).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with begin(engine) as db:
        if not is_sqlite(db):
            db.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        found = revision(db)
        if found is not None and found not in known:
            raise DatabaseNewer(revision=found)
        config.attributes["connection"] = db
        command.upgrade(config, "head")


def revision(db: Connection) -> str | None:
    """The revision that the database is at, or None for an empty one."""
    if not sa.inspect(db).has_table("alembic_version"):
        return None
    return db.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
