"""Databases of both kinds, migrated as the server does it."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from corpus import migrate
from corpus.database import open_engine

PROGRAMS = (
    sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb")) if Path("/usr/lib/postgresql").is_dir() else []
)


@pytest.fixture(scope="session")
def postgres_url():
    """A PostgreSQL server of our own, run by a user that is not root, as it demands."""
    found = shutil.which("initdb") or (str(PROGRAMS[-1]) if PROGRAMS else None)
    if found is None:
        pytest.skip("PostgreSQL's server programs (initdb, pg_ctl) are not installed")
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = Path(found).parent
    folder = Path(tempfile.mkdtemp(prefix="xiangyin-pg-"))
    as_user: list[str] = []
    if os.getuid() == 0:
        try:
            user = pwd.getpwnam("nobody")
        except KeyError:
            pytest.skip("PostgreSQL does not run as root, and there is no user nobody")
        if shutil.which("setpriv") is None:
            pytest.skip("PostgreSQL does not run as root, and setpriv is not installed")
        os.chown(folder, user.pw_uid, user.pw_gid)
        as_user = ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]

    def run(*words: str) -> None:
        subprocess.run([*as_user, *words], check=True, capture_output=True, cwd=folder, timeout=60)

    data = str(folder / "data")
    run(
        str(programs / "initdb"), "-D", data, "-U", "corpus", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8",
        "--no-sync",
    )  # fmt: skip
    options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off"
    run(str(programs / "pg_ctl"), "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
    yield f"postgresql+psycopg://corpus@/postgres?host={folder}"
    run(str(programs / "pg_ctl"), "-D", data, "-m", "immediate", "stop")
    shutil.rmtree(folder, ignore_errors=True)


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
