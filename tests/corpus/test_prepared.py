"""A prepared statement gives what SQLAlchemy's own execution gives, on both databases, or refuses."""

from __future__ import annotations

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
    with reading(engine) as db, pytest.raises(ValueError, match="prepared"):
        listed.rows(db, {"ids": ["a"]})
