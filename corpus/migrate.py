"""Bring a database to this version's tables, or say that it is newer than this version."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine

from corpus.database import begin, is_sqlite, reading
from protocol.errors import CodedError

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
    scripts = ScriptDirectory.from_config(_config())
    with reading(engine) as db:
        if _revision(db) == scripts.get_current_head():
            return
    with begin(engine) as db:
        if not is_sqlite(db):
            db.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
        found = _revision(db)
        if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
            raise DatabaseNewer(revision=found)
        config = _config()
        config.attributes["connection"] = db
        command.upgrade(config, "head")


def _revision(db: Connection) -> str | None:
    return MigrationContext.configure(db).get_current_revision()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    return config
