"""Both databases hold the same promises: durable, checked, migrated, and honest about their state."""

from __future__ import annotations

import json
import threading

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from corpus import clips, migrate, projects, tables, terms
from corpus.database import DatabaseUnusable, begin, is_sqlite, open_engine, reading
from corpus.migrate import DatabaseNewer


def test_migrations_build_the_very_tables_of_the_code(engine):
    with engine.connect() as db:
        context = MigrationContext.configure(db, opts={"compare_type": True, "compare_server_default": True})
        differences = compare_metadata(context, tables.metadata)
    assert differences == []


def test_the_head_named_in_the_code_is_the_newest_migration(root):
    config = Config()
    config.set_main_option("script_location", str(root / "corpus" / "migrations"))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.HEAD


def test_migrating_twice_changes_nothing(engine):
    migrate.upgrade(engine)
    with reading(engine) as db:
        assert migrate.revision(db) == migrate.HEAD


def test_a_newer_database_is_left_alone(engine):
    with begin(engine) as db:
        db.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(DatabaseNewer, match="9999"):
        migrate.upgrade(engine)


def test_sqlite_is_durable_and_checks_its_references(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}")
    with reading(engine) as db:
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            assert db.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_only_what_says_so_is_left_unsynced_and_nothing_after_it(tmp_path):
    """The connection is the same one: were it to stay as it was, a receipt could be lost with the power."""
    engine = open_engine(f"sqlite:///{tmp_path / 'x.sqlite'}", pool_size=1)
    for synced, level in ((True, 2), (False, 1), (True, 2)):
        with begin(engine, synced=synced) as db:
            assert db.exec_driver_sql("PRAGMA synchronous").scalar() == level


def test_a_reference_to_nothing_is_refused(engine):
    with pytest.raises(sa.exc.IntegrityError), begin(engine) as db:
        db.execute(sa.insert(tables.prompt).values(id="p", project_id="none", seq=1, text="t", folded="t"))


def test_an_exception_undoes_the_whole_transaction(engine):
    with pytest.raises(KeyError), begin(engine) as db:
        db.execute(sa.insert(tables.audit).values(time_ms=1, action="a"))
        raise KeyError
    with reading(engine) as db:
        assert db.execute(sa.select(sa.func.count()).select_from(tables.audit)).scalar_one() == 0


def test_writers_take_turns_and_none_fails(engine):
    def write() -> None:
        for _ in range(10):
            with begin(engine) as db:
                count = db.execute(sa.select(sa.func.count()).select_from(tables.audit)).scalar_one()
                db.execute(sa.insert(tables.audit).values(time_ms=count, action="a"))

    writers = [threading.Thread(target=write) for _ in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    with reading(engine) as db:
        times = list(db.execute(sa.select(tables.audit.c.time_ms)).scalars())
        assert len(times) == 40
        if is_sqlite(db):  # there a writer sees what the one before it wrote
            assert sorted(times) == list(range(40))


def test_chinese_and_json_come_back_as_they_went_in(engine):
    value = {"text": "囝仔 𠢕 U+2028:\u2028", "n": [1, 2.5, None, True]}
    with begin(engine) as db:
        db.execute(
            sa.insert(tables.person).values(id="p", speaker_id=None, attributes=value, created_ms=2**53)
        )
    with reading(engine) as db:
        row = db.execute(sa.select(tables.person)).one()
    assert (row.attributes, row.created_ms) == (value, 2**53)


def test_a_file_that_is_no_database_is_said_to_be_none(tmp_path):
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"not a database" * 1000)
    with pytest.raises(DatabaseUnusable):
        migrate.upgrade(open_engine(f"sqlite:///{path}"))


def test_a_database_server_that_is_away_is_said_to_be(tmp_path):
    pytest.importorskip("psycopg")
    with pytest.raises(DatabaseUnusable):
        migrate.upgrade(open_engine(f"postgresql+psycopg://nobody@/none?host={tmp_path}"))


def test_a_store_of_the_first_tables_gets_its_terms_from_its_log(tmp_path, root):
    engine = open_engine(f"sqlite:///{tmp_path / 'old.sqlite'}")
    config = Config()
    config.set_main_option("script_location", str(root / "corpus" / "migrations"))
    with begin(engine) as db:
        config.attributes["connection"] = db
        command.upgrade(config, "0001")
        rows = {
            "project": {
                "id": "hills", "title": "Hills", "language": "nan", "orthography": "nan-Hant",
                "profile_id": "everyday", "terms": json.dumps({"version": "t1", "text": "Pay."}),
                "consent": json.dumps({"version": "c1", "text": "Yes.", "license": "CC0-1.0"}),
                "created_ms": 5,
            },
            "person": {"id": "ann", "attributes": "{}", "created_ms": 5},
            "membership": {
                "id": "m", "person_id": "ann", "project_id": "hills", "role": "speaker", "created_ms": 5,
            },
            "consent": {
                "id": "c", "person_id": "ann", "project_id": "hills", "version": "c1", "text_sha256": "",
                "given_ms": 5,
            },
            "clip": {
                "id": "k", "item_id": "i", "project_id": "hills", "person_id": "ann", "consent_id": "c",
                "session_id": "s", "recording_id": "r", "channel": 0, "start_sample": 0, "style": "read",
                "grade_wanted": "quiet", "recorded_at": "", "upload_sha256": "", "sha256": "", "pcm_md5": "",
                "bytes": 1, "samples": 1, "sample_rate_hz": 1, "channels": 1, "meta": "{}",
                "state": "refused", "received_ms": 5,
            },
        }  # fmt: skip
        for table, row in rows.items():
            names = ", ".join(row)
            values = ", ".join(f":{name}" for name in row)
            db.execute(sa.text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)
        for seq, event in enumerate(["refused", "appealed", "decided"]):
            leaf = json.dumps({"terms": "t0" if event == "refused" else None})
            db.execute(
                sa.insert(tables.ledger_entry).values(
                    seq=seq, item_id="i", event=event, leaf=leaf, time_ms=10 + seq
                )
            )
    migrate.upgrade(engine)
    with begin(engine) as db:
        found = clips.find(db, "k")
        assert (found.terms_version, found.stage, found.final_ms) == ("t0", "upheld", 12)
        assert terms.of_version(db, "hills", "t1").text == "Pay."
        assert projects.terms_to_see(db, "m") is None
    engine.dispose()
