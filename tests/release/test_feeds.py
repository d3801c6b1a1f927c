"""What a puller asks each time costs no more for a long history, and is the digest of the feed itself."""

from __future__ import annotations

import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus import feeds, header, tables
from corpus.database import begin, reading
from tests.release.conftest import NOW_MS


def stones(world, project, count):
    for _ in range(count):
        number = next(world.numbers)
        world.add(
            tables.tombstone,
            project_id=project,
            manifest_id=f"S00000001-{number:032x}",
            sha256=f"{number:064x}",
            erased_ms=NOW_MS + number,
        )


def test_the_digest_is_that_of_the_feed_however_it_grows(world):
    world.project("tales")
    world.project("songs")

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
    @given(st.lists(st.tuples(st.sampled_from(["tales", "songs"]), st.integers(0, 3)), max_size=4))
    def grows(steps):
        known = feeds.Feeds()
        for project, count in [("tales", 0), *steps]:
            stones(world, project, count)
            with reading(world.engine) as db:
                for one in ("tales", "songs", None):
                    raw = feeds.tombstone_feed(db, one)
                    expected = header.FileEntry(header.sha256_of(raw), len(raw))
                    assert known.entry(db, one) == expected

    grows()


def test_only_what_was_added_is_read(world, monkeypatch):
    world.project("tales")
    stones(world, "tales", 20)
    asked = []
    read = feeds.tombstones
    monkeypatch.setattr(feeds, "tombstones", lambda *a, **k: asked.append(read(*a, **k)) or asked[-1])
    known = feeds.Feeds()
    for _ in range(3):
        with reading(world.engine) as db:
            known.entry(db, "tales")
    stones(world, "tales", 1)
    with reading(world.engine) as db:
        known.entry(db, "tales")
    assert [len(rows) for rows in asked] == [20, 1]


def test_a_feed_that_was_put_back_to_an_earlier_state_is_read_anew(world):
    world.project("tales")
    stones(world, "tales", 3)
    known = feeds.Feeds()
    with reading(world.engine) as db:
        known.entry(db, "tales")
    with begin(world.engine) as db:
        db.execute(sa.delete(tables.tombstone).where(tables.tombstone.c.seq == 2))
    with reading(world.engine) as db:
        raw = feeds.tombstone_feed(db, "tales")
        assert known.entry(db, "tales") == header.FileEntry(header.sha256_of(raw), len(raw))
