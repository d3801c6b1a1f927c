"""A migration that is killed leaves the store as it was, on both databases, and the next start goes on.

Each statement of an upgrade is a step at which the process can end.
"""

from __future__ import annotations

import os
import signal

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from corpus import migrate, tables
from corpus.database import begin, open_engine, reading
from corpus.migrate import DatabaseNewer

VERSIONS = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008"]


def config(root) -> Config:
    made = Config()
    made.set_main_option("script_location", str(root / "corpus" / "migrations"))
    return made


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request, tmp_path):
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'x.sqlite'}"
    found = request.getfixturevalue("postgres_url")
    emptied(found)
    return found


def emptied(url: str) -> None:
    with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as db:
        db.execute(sa.text("DROP SCHEMA public CASCADE"))
        db.execute(sa.text("CREATE SCHEMA public"))


def at_version(url: str, root, version: str) -> None:
    """A store as that version made it, with a project and a person."""
    engine = open_engine(url, pool_size=1)
    made = config(root)
    with begin(engine) as db:
        made.attributes["connection"] = db
        command.upgrade(made, version)
        db.execute(
            sa.text(
                "INSERT INTO project"
                " (id, title, language, orthography, profile_id, terms, consent, created_ms)"
                " VALUES ('hills', '山', 'nan', 'nan-Hant', 'everyday', :terms, :consent, 5)"
            ),
            {
                "terms": '{"version": "t1", "text": "Pay."}',
                "consent": '{"version": "c1", "text": "Yes.", "license": "CC0-1.0"}',
            },
        )
    engine.dispose()


def upgraded(url: str, *, killed_at: int | str | None = None) -> int:
    """Upgrade in a process of its own; killed before its n-th statement that writes, or at the commit."""
    pid = os.fork()
    if pid == 0:
        engine = open_engine(url, pool_size=1)
        count = 0

        def step(_db, _cursor, statement, *_more):
            nonlocal count
            if statement.split()[0].upper() not in ("SELECT", "PRAGMA"):
                count += 1
                if count == killed_at:
                    os.kill(os.getpid(), signal.SIGKILL)

        def at_commit(_db):
            if count and killed_at == "commit":
                os.kill(os.getpid(), signal.SIGKILL)

        sa.event.listen(engine, "before_cursor_execute", step)
        sa.event.listen(engine, "commit", at_commit)
        status = 1
        try:
            migrate.upgrade(engine)
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def shape(url: str) -> tuple[str | None, list[str], str]:
    """The revision, the tables and what is in the project's row."""
    engine = open_engine(url, pool_size=1)
    with reading(engine) as db:
        found = migrate.revision(db), sorted(sa.inspect(db).get_table_names())
        title = str(db.execute(sa.text("SELECT title FROM project")).scalar())
    engine.dispose()
    return *found, title


@pytest.mark.parametrize("version", VERSIONS)
def test_killed_at_any_step_the_store_is_as_before_and_the_next_start_goes_on(url, root, version):
    at_version(url, root, version)
    before = shape(url)
    assert before[0] == version
    assert upgraded(url, killed_at="commit") == -signal.SIGKILL
    assert shape(url) == before
    steps = 1
    while (status := upgraded(url, killed_at=steps)) == -signal.SIGKILL:
        assert shape(url) == before, f"killed at statement {steps}"
        steps += 1
    assert status == 0 and 1 < steps < 100
    after = shape(url)
    assert (after[0], after[2]) == (migrate.HEAD, "山")
    engine = open_engine(url, pool_size=1)
    with engine.connect() as db:
        context = MigrationContext.configure(db, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []
    engine.dispose()


@pytest.mark.parametrize("older", VERSIONS)
def test_a_server_of_an_older_version_refuses_a_newer_store(url, root, older, monkeypatch):
    """It knows the migrations of its own time and no others."""
    at_version(url, root, "0001")
    assert upgraded(url) == 0
    newest = shape(url)
    revisions = ScriptDirectory.from_config(config(root)).walk_revisions()
    known = [one for one in revisions if one.revision <= older]
    monkeypatch.setattr(migrate, "HEAD", older)
    monkeypatch.setattr(ScriptDirectory, "walk_revisions", lambda self: iter(known))
    engine = open_engine(url, pool_size=1)
    with pytest.raises(DatabaseNewer, match=str(newest[0])):
        migrate.upgrade(engine)
    engine.dispose()
    assert shape(url) == newest
