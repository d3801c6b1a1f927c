"""Locks that a file system refuses, or hands out to everybody, are told before they do harm."""

from __future__ import annotations

import errno
import fcntl

import pytest

from corpus import filelocks
from corpus.filelocks import LocksUnusable


def test_a_file_system_that_locks_is_fine_and_nothing_is_left_there(tmp_path):
    filelocks.check(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_that_refuses_is_said_to(tmp_path, monkeypatch, number):
    def refuse(descriptor: int, how: int) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(LocksUnusable) as caught:
        filelocks.check(tmp_path)
    assert caught.value.http_status == 503 and "lock" in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_says_yes_to_everybody_is_found_out(tmp_path, monkeypatch):
    """As one whose locks are switched off: each holder would believe to be alone."""
    monkeypatch.setattr(fcntl, "flock", lambda descriptor, how: None)
    with pytest.raises(LocksUnusable, match="two held one lock"):
        filelocks.check(tmp_path)
