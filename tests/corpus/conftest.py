"""Databases of both kinds, migrated as the server does it."""

from __future__ import annotations

import pytest

from corpus import migrate
from corpus.database import open_engine


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request, tmp_path):
    """A migrated database."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'x.sqlite'}"
    else:
        import sqlalchemy as sa

        url = request.getfixturevalue("postgres_url")
        with sa.create_engine(url, isolation_level="AUTOCOMMIT").connect() as db:
            db.execute(sa.text("DROP SCHEMA public CASCADE"))
            db.execute(sa.text("CREATE SCHEMA public"))
    made = open_engine(url, pool_size=8)
    migrate.upgrade(made)
    yield made
    made.dispose()
