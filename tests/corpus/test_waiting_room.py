"""Bodies that come in fill neither memory nor disk, and whoever sends much keeps nobody else out."""

from __future__ import annotations

import gc
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import waiting_room
from corpus.disk import StoreSuspect
from corpus.waiting_room import UNCOUNTED_BYTES, BodiesTooMany, Body, Room

KB = 1024


def room(folder, most_kb: int = 10_000, longest_kb: int = 100) -> Room:
    return Room(most_kb * KB, longest_kb * KB, folder)


@given(pieces=st.lists(st.binary(max_size=40)), most=st.integers(0, 100), step=st.integers(1, 50))
def test_a_body_is_kept_whole_or_not_at_all_and_counted_always(tmp_path_factory, pieces, most, step):
    body = Body(room(tmp_path_factory.getbasetemp()), "a", most)
    for piece in pieces:
        body.append(piece)
    whole = b"".join(pieces)
    kept = whole if len(whole) <= most else b""
    assert len(body) == len(whole)
    assert b"".join(body.pieces()) == kept
    read = b""
    while data := body.read(step):
        read += data
    assert read == kept
    body.seek(0)
    assert body.read() == kept
    assert body.readlines() == []
    body.close()


@given(sizes=st.lists(st.integers(1, 300_000), min_size=1, max_size=12))
def test_memory_and_files_hold_the_same_and_everything_is_given_back(tmp_path_factory, sizes):
    here = room(tmp_path_factory.getbasetemp())
    body = Body(here, "a", 1 << 30)
    pieces = [os.urandom(size) for size in sizes]
    for piece in pieces:
        body.append(piece)
    assert b"".join(body.pieces()) == b"".join(pieces)
    assert here.held_bytes == max(0, sum(sizes) - UNCOUNTED_BYTES)
    body.close()
    body.close()
    assert here.held_bytes == 0


def test_what_memory_does_not_hold_lies_in_a_file_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(waiting_room, "_BODY_IN_MEMORY_BYTES", 100 * KB)
    body = Body(room(tmp_path), "a", 1 << 30)
    pieces = [os.urandom(60 * KB) for _ in range(4)]
    for piece in pieces:
        body.append(piece)
    assert b"".join(body.pieces()) == b"".join(pieces)
    assert body.read(10) == pieces[0][:10]
    assert list(tmp_path.iterdir()) == []
    body.close()


def test_one_person_has_a_quarter_and_what_is_small_always_passes(tmp_path):
    here = room(tmp_path, most_kb=800, longest_kb=100)
    bodies = [Body(here, "greedy", 1 << 30) for _ in range(4)]
    for body in bodies:
        body.append(bytes(130 * KB))  # 66 kB of it are counted
    with pytest.raises(BodiesTooMany) as error:
        bodies[3].check()
    assert error.value.http_status == 503 and error.value.parameters["wait_s"] > 0
    for body in bodies[:3]:
        body.check()
    other, small = Body(here, "other", 1 << 30), Body(here, "greedy", 1 << 30)
    other.append(bytes(200 * KB))
    small.append(bytes(64 * KB))
    other.check()
    small.check()


def test_many_people_together_have_no_more_than_all(tmp_path):
    here = room(tmp_path, most_kb=800, longest_kb=100)
    bodies = [Body(here, f"person {n}", 1 << 30) for n in range(10)]
    for body in bodies:
        body.append(bytes(190 * KB))
    assert here.held_bytes <= 800 * KB
    refused = [body for body in bodies if not b"".join(body.pieces())]
    assert len(refused) == 4  # 126 kB of each are counted, and six times that fit
    for body in bodies:
        body.close()
    assert here.held_bytes == 0


def test_one_person_can_always_send_the_longest_body(tmp_path):
    """However small the budget is set, a share is at least one upload."""
    body = Body(room(tmp_path, most_kb=1000, longest_kb=900), "a", 1 << 30)
    body.append(bytes(900 * KB))
    body.check()


def test_a_disk_that_fails_is_said_by_the_request_and_ends_nothing_else(tmp_path, monkeypatch):
    """The thread that all connections share must not meet an exception."""
    monkeypatch.setattr(waiting_room, "_BODY_IN_MEMORY_BYTES", 0)
    here = room(tmp_path / "gone")
    body = Body(here, "a", 1 << 30)
    body.append(bytes(100 * KB))
    body.append(b"more")
    with pytest.raises(StoreSuspect):
        body.check()
    assert len(body) == 100 * KB + 4 and body.read() == b"" and here.held_bytes == 0


def test_a_body_that_the_collector_finds_while_another_is_counted_holds_up_nobody(tmp_path):
    """A connection that is gone leaves its body to the collector, which runs in any thread at any moment."""
    here = room(tmp_path)

    left = Body(here, "gone", 1 << 30)
    left.append(bytes(100 * KB))
    left.itself = left  # only the collector finds it
    gc.disable()
    del left

    class Collecting(dict):
        def get(self, *args):
            gc.collect()
            return super().get(*args)

    here._held = Collecting(here._held)
    body = Body(here, "a", 1 << 30)
    counting = threading.Thread(target=body.append, args=(bytes(100 * KB),), daemon=True)
    counting.start()
    counting.join(timeout=30)
    gc.enable()
    assert not counting.is_alive()
    body.close()
    assert here.held_bytes == 0 and here._memory_bytes == 0


def test_what_was_dropped_is_never_taken_for_what_came(tmp_path):
    body = Body(room(tmp_path), "", 10)
    body.append(bytes(100))
    body.check()  # too long for its route, which says so in its own words
    with pytest.raises(BodiesTooMany):
        body.need()
