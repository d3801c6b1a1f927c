"""What is told of speakers never singles out fewer than k of them."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from corpus.privacy import withheld

values = st.sampled_from([None, "a", "b", "c"])
populations = st.lists(st.tuples(values, values, values), max_size=40)


@given(populations, st.integers(1, 6))
def test_whoever_is_told_apart_stands_among_k(rows, k):
    told = withheld({f"s{n:03d}": row for n, row in enumerate(rows)}, k)
    groups = Counter(told.values())
    assert all(size >= k for size in groups.values()) or len(groups) <= 1


@given(populations, st.integers(1, 6))
def test_nothing_is_invented(rows, k):
    speakers = {f"s{n:03d}": row for n, row in enumerate(rows)}
    for name, row in withheld(speakers, k).items():
        assert all(mine is None or mine == theirs for mine, theirs in zip(row, speakers[name], strict=True))


@given(populations)
def test_k_of_one_tells_all(rows):
    speakers = {f"s{n:03d}": row for n, row in enumerate(rows)}
    assert withheld(speakers, 1) == speakers


def test_one_man_among_women_is_not_told_by_silence():
    """If only his gender were missing, the gap would say it."""
    speakers = {f"s{n}": ("female",) for n in range(9)} | {"s9": ("male",)}
    told = withheld(speakers, 3)
    assert set(told.values()) == {(None,)}


def test_large_groups_are_told():
    speakers = {f"f{n}": ("female",) for n in range(5)} | {f"m{n}": ("male",) for n in range(4)}
    assert withheld(speakers, 3) == speakers
