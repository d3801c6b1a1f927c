"""A prepared statement gives what SQLAlchemy's own execution gives, on both databases, or refuses."""

from __future__ import annotations

import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from corpus.database import begin, reading
from corpus.prepared import Prepared
from corpus.tables import project

ROW = {
    "id": "tales",
    "title": "故事 %s ? :x",
    "language": "nan",
    "orthography": "nan-Hant",
    "profile_id": "everyday",
    "terms": {"version": "1", "text": "每一秒\u2028", "rate_per_s": None},
    "consent": {"version": "c", "n": [1.5, {"deep": ["é"]}]},
    "created_ms": 1 << 40,
    "contact": None,
}
ADD = Prepared(sa.insert(project))
FIND = Prepared(sa.select(project).where(project.c.id == sa.bindparam("project")).limit(1))


def test_what_was_put_in_comes_out_as_through_sqlalchemy(engine):
    with begin(engine) as db:
        assert ADD.run(db, ROW) == 1
    with reading(engine) as db:
        (row,) = FIND.rows(db, {"project": "tales"})
        other = db.execute(sa.select(project)).one()
        assert row._asdict() == dict(other._mapping) == ROW
        assert FIND.first(db, {"project": "none"}) is None
        assert FIND.scalar(db, {"project": "tales"}) == "tales"


def test_a_change_says_how_many_rows_it_reached(engine):
    rename = Prepared(sa.update(project).where(project.c.id == sa.bindparam("project")), ["title", "consent"])
    with begin(engine) as db:
        ADD.run_many(db, [ROW, {**ROW, "id": "songs"}])
        assert rename.run(db, {"project": "songs", "title": "S", "consent": {"version": "d"}}) == 1
        assert rename.run(db, {"project": "none", "title": "S", "consent": {}}) == 0
        assert FIND.first(db, {"project": "songs"}).consent == {"version": "d"}


def test_an_error_of_the_database_is_sqlalchemys_and_quotes_nobody(engine):
    with pytest.raises(IntegrityError) as error, begin(engine) as db:
        ADD.run(db, ROW)
        ADD.run(db, ROW)
    assert "故事" not in str(error.value).split("DETAIL")[0]
    with reading(engine) as db:
        assert FIND.rows(db, {"project": "tales"}) == []


def test_a_forgotten_value_is_an_error_and_not_a_null(engine):
    with begin(engine) as db:
        ADD.run(db, ROW)
        with pytest.raises((KeyError, sa.exc.ProgrammingError)):
            FIND.rows(db, {})


def test_a_statement_that_is_different_each_time_is_not_prepared(engine):
    listed = Prepared(sa.select(project).where(project.c.id.in_(sa.bindparam("ids", expanding=True))))
    fraction = Prepared(sa.select(sa.cast(project.c.created_ms, sa.Float)))
    with reading(engine) as db:
        for one, values in ((listed, {"ids": ["a"]}), (fraction, {})):
            with pytest.raises(ValueError, match="prepared"):
                one.rows(db, values)


def test_an_error_after_the_first_row_is_sqlalchemys_too(engine):
    """SQLite looks for further rows only when they are fetched: a bad page is met there, and has a code."""
    # abs() of the smallest number overflows; PostgreSQL finds a division by zero at once.
    failing = {
        "sqlite": "abs(-9223372036854775807 - (id = 'tales'))",
        "postgresql": "1 / (id <> 'tales')::int",
    }
    late = Prepared(
        sa.select(project.c.id, sa.literal_column(failing[engine.dialect.name]).label("n")).order_by(
            project.c.id
        )
    )
    with begin(engine) as db:
        ADD.run_many(db, [{**ROW, "id": "songs"}, ROW])
    with pytest.raises(sa.exc.DBAPIError), reading(engine) as db:
        late.rows(db, {})
    with reading(engine) as db:
        assert FIND.scalar(db, {"project": "tales"}) == "tales"  # the connection is sound


def test_none_truth_and_bytes_are_what_sqlalchemy_makes_of_them(engine):
    """In and out, also None in JSON, which is a null and not the word."""
    kinds = sa.Table(
        "kinds", sa.MetaData(), sa.Column("n", sa.Integer), sa.Column("yes", sa.Boolean),
        sa.Column("raw", sa.LargeBinary), sa.Column("said", sa.JSON(none_as_null=True)),
    )  # fmt: skip
    rows = [
        {"n": 1, "yes": True, "raw": b"\0\xff", "said": {"a": None}},
        {"n": 2, "yes": None, "raw": None, "said": None},
        {"n": 3, "yes": False, "raw": b"", "said": False},
    ]
    with begin(engine) as db:
        kinds.create(db)
        Prepared(sa.insert(kinds)).run_many(db, rows)
        found = [row._asdict() for row in Prepared(sa.select(kinds).order_by(kinds.c.n)).rows(db, {})]
        other = [dict(row._mapping) for row in db.execute(sa.select(kinds).order_by(kinds.c.n))]
        assert found == other == rows
        assert [type(row["yes"]) for row in found] == [bool, type(None), bool]
        nulls = sa.select(sa.func.count()).select_from(kinds).where(kinds.c.said.is_(None))
        assert db.execute(nulls).scalar() == 1
        kinds.drop(db)


def test_threads_that_come_first_together_all_get_their_rows(engine):
    find = Prepared(sa.select(project.c.title).where(project.c.id == sa.bindparam("project")))
    with begin(engine) as db:
        ADD.run(db, ROW)
    together, found = threading.Barrier(8), []

    def look():
        with reading(engine) as db:
            together.wait()
            found.append(find.scalar(db, {"project": "tales"}))

    threads = [threading.Thread(target=look) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [ROW["title"]] * 8
