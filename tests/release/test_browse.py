"""Looking into a release: the filters of the page are those of a plain walk over the manifest."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus import browse, header, manifest

LEVELS = st.none() | st.sampled_from([-5.0, 30.0, 31.25, 40.0])
FILTERS = st.builds(
    browse.Filter,
    split=st.sampled_from([None, "train", "dev", "test"]),
    grade=st.sampled_from([None, "quiet", "moderate", "noisy"]),
    dialect=st.sampled_from([None, "coast", "hills", browse.WITHHELD]),
    min_snr_db=LEVELS,
    max_snr_db=LEVELS,
    order=st.sampled_from(browse.ORDERS),
)
KEYS = {"id": lambda row: row.id, "snr": lambda row: row.snr_db, "duration": lambda row: row.duration_s}


@pytest.fixture
def folder(cut_world):
    return cut_world.shelf.path("r1")


@given(wanted=FILTERS, number=st.integers(1, 9))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_page_is_what_a_walk_over_the_manifest_finds(folder, wanted, number):
    expected = [
        line
        for line in manifest.read(folder / "manifest.jsonl")
        if wanted.split in (None, line.split)
        and wanted.grade in (None, line.grade)
        and wanted.dialect in (None, line.dialect or line.glottocode or browse.WITHHELD)
        and (wanted.min_snr_db is None or line.snr_db >= wanted.min_snr_db)
        and (wanted.max_snr_db is None or line.snr_db <= wanted.max_snr_db)
    ]
    pages = max(1, -(-len(expected) // 5))
    digest = header.file_entry(folder / "release.json").sha256
    found = browse.page(folder, digest, wanted, number, rows=5)
    assert (found.clips, found.of, found.number) == (len(expected), pages, min(number, pages))
    assert found.seconds == pytest.approx(sum(line.duration_s for line in expected))
    rows = [row for turn in range(1, pages + 1) for row in browse.page(folder, digest, wanted, turn, 5).rows]
    assert sorted(row.id for row in rows) == [line.id for line in expected]
    keys = [KEYS[wanted.order.removeprefix("-")](row) for row in rows]
    assert keys == sorted(keys, reverse=wanted.order.startswith("-"))


def test_the_outline_adds_up_to_the_release(folder):
    found = browse.outline(folder, "any")
    lines = list(manifest.read(folder / "manifest.jsonl"))
    for name, sums in (("grade", found.by_grade), ("split", found.by_split), ("dialect", found.by_dialect)):
        for value, seconds in sums.items():
            here = [line.duration_s for line in lines if getattr(line, name) == value]
            assert seconds == pytest.approx(sum(here)), (name, value)
        assert sum(sums.values()) == pytest.approx(sum(line.duration_s for line in lines))
