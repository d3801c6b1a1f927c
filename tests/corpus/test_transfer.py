"""A backup holds one moment of either database and can be brought back into either."""

from __future__ import annotations

import secrets
import threading
from dataclasses import replace

import pytest
import sqlalchemy as sa

from corpus import keyring, keys, ledger, ledger_check, migrate, rotation, safekeeping, tables, transfer
from corpus.database import begin, open_engine, reading
from corpus.safekeeping import BackupImpossible
from corpus.settings import Settings
from corpus.store import LocalStore

SOUND = b"fLaC and so on"


def append(engine) -> None:
    with begin(engine) as db:
        entry = ledger.Entry(
            "accepted", secrets.token_hex(16), {"text": "囝仔 𠢕 U+2028:\u2028", "n": [1, 2.5, None]}
        )
        ledger.append(db, entry, salt=secrets.token_bytes(16), now_ms=1_800_000_000_000)


@pytest.fixture
def filled(engine, tmp_path):
    """A store with something in tables of every kind: settings, engine, blobs."""
    url = "" if engine.dialect.name == "sqlite" else engine.url.render_as_string(hide_password=False)
    settings = Settings(data=tmp_path / "data", database_url=url)
    if engine.dialect.name == "sqlite":
        engine.dispose()
        engine = open_engine(settings.engine_url)
        migrate.upgrade(engine)
    signer, store = keys.signer(settings.keys), LocalStore(settings.blobs)
    digest = store.put_bytes(SOUND)
    t, text = tables, "山 \u2028 𠢕"
    with begin(engine) as db:
        db.execute(
            sa.insert(t.project).values(
                id="hills", title=text, language="nan", orthography="nan-Hant", profile_id="everyday",
                terms={"version": "t1"}, consent={"version": "c1", "text": text}, created_ms=2**53,
            )
        )  # fmt: skip
        db.execute(sa.insert(t.person).values(id="ann", attributes={"region": text}, created_ms=5))
        db.execute(
            sa.insert(t.consent).values(
                id="c", person_id="ann", project_id="hills", version="c1", text_sha256="", given_ms=5
            )
        )
        db.execute(
            sa.insert(t.clip).values(
                id="k", item_id="i", project_id="hills", person_id="ann", consent_id="c", session_id="s",
                recording_id="r", channel=0, start_sample=0, style="read", grade_wanted="quiet",
                recorded_at="", upload_sha256="", sha256=digest, pcm_md5="", bytes=len(SOUND), samples=1,
                sample_rate_hz=1, channels=1, meta={}, state="accepted", received_ms=5,
            )
        )  # fmt: skip
        for number in range(3):
            db.execute(sa.insert(t.audit).values(time_ms=number, action="a"))
    for _ in range(5):
        append(engine)
    rotation.rotate(engine, signer, item_id="ab" * 16, salt=bytes(16), now_ms=1)
    append(engine)
    with begin(engine) as db:
        ledger.sign_head(db, signer, now_ms=1)
    yield settings, engine, store
    engine.dispose()


def everything(engine) -> dict[str, list[tuple[object, ...]]]:
    with reading(engine) as db:
        return {
            table.name: sorted((tuple(row) for row in db.execute(sa.select(table))), key=repr)
            for table in tables.metadata.sorted_tables
        }


def log_holds(settings, engine) -> list[str]:
    with reading(engine) as db:
        key = keyring.current(db, keys.signer(settings.keys)).verifier
        return ledger_check.check_stored(db, key)


def test_a_backup_is_brought_back_into_sqlite_to_the_row(filled, tmp_path):
    settings, engine, store = filled
    assert safekeeping.back_up(settings, engine, store, tmp_path / "copy")["blobs"] == 1
    again = Settings(data=tmp_path / "again")
    safekeeping.bring_back(tmp_path / "copy", again)
    found = open_engine(again.engine_url)
    assert everything(found) == everything(engine)
    assert log_holds(again, found) == []
    (digest,) = LocalStore(again.blobs)
    assert (again.blobs / digest[:2] / digest[2:]).read_bytes() == SOUND
    append(found)
    with begin(found) as db:  # rows are numbered on
        db.execute(sa.insert(tables.audit).values(time_ms=9, action="later"))
    found.dispose()


@pytest.mark.postgres
def test_a_backup_is_brought_back_into_postgresql_to_the_row(filled, tmp_path, postgres_url):
    settings, engine, store = filled
    safekeeping.back_up(settings, engine, store, tmp_path / "copy")
    before = everything(engine)
    engine.dispose()
    with sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT").connect() as db:
        db.execute(sa.text("DROP SCHEMA public CASCADE"))
        db.execute(sa.text("CREATE SCHEMA public"))
    again = Settings(data=tmp_path / "again", database_url=postgres_url)
    safekeeping.bring_back(tmp_path / "copy", again)
    found = open_engine(postgres_url)
    assert everything(found) == before
    assert log_holds(again, found) == []
    with begin(found) as db:  # rows are numbered on, not over those that came
        db.execute(sa.insert(tables.audit).values(time_ms=9, action="later"))
        assert db.execute(sa.select(sa.func.max(tables.audit.c.id))).scalar() == 4
    found.dispose()
    assert not list(again.data.glob(".*part*"))
    other = replace(again, data=tmp_path / "third")
    with pytest.raises(BackupImpossible, match="not empty"):
        safekeeping.bring_back(tmp_path / "copy", other)


def test_a_backup_under_load_is_of_one_moment(filled, tmp_path):
    """Entries, hashes and heads of different moments would not fit together."""
    settings, engine, store = filled
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            append(engine)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        for number in range(3):
            safekeeping.back_up(settings, engine, store, tmp_path / f"copy{number}")
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    for number in range(3):
        again = Settings(data=tmp_path / f"again{number}")
        safekeeping.bring_back(tmp_path / f"copy{number}", again)
        found = open_engine(again.engine_url)
        assert log_holds(again, found) == []
        found.dispose()


def test_a_transfer_that_fails_leaves_its_target_empty(filled, tmp_path):
    _, engine, _ = filled
    target = open_engine(f"sqlite:///{tmp_path / 'target.sqlite'}")
    migrate.upgrade(target)

    @sa.event.listens_for(target, "before_cursor_execute")
    def stop(_db, _cursor, statement, *_more):
        if statement.startswith("INSERT INTO ledger_node"):
            raise KeyError("killed")

    with pytest.raises(KeyError):
        transfer.copy(engine, target)
    assert not any(everything(target).values())
    target.dispose()


def test_a_key_that_gives_way_during_a_backup_is_in_it(filled, tmp_path, monkeypatch):
    """The database may be copied before the change and the keys after it, when the old one is deleted."""
    settings, engine, store = filled
    signer = keys.signer(settings.keys)
    name = "_copy_sqlite" if engine.dialect.name == "sqlite" else "_transfer"
    original = getattr(safekeeping, name)

    def copied(*words):
        original(*words)
        rotation.rotate(engine, signer, item_id="cd" * 16, salt=bytes(16), now_ms=2)

    monkeypatch.setattr(safekeeping, name, copied)
    safekeeping.back_up(settings, engine, store, tmp_path / "copy")
    again = Settings(data=tmp_path / "again")
    safekeeping.bring_back(tmp_path / "copy", again)
    found = open_engine(again.engine_url)
    assert log_holds(again, found) == []
    append(found)
    with begin(found) as db:
        assert ledger.receipt(db, 7, keys.signer(again.keys), now_ms=3)
    found.dispose()
