"""The publisher's keys as a puller sees them: pinned at the first pull, followed by handovers only."""

from __future__ import annotations

import json

import pytest

from corpus import http_source, publish, pull, rotation, verify
from tests.release.trees import tree


def rotated(served, number: int = 1) -> str:
    """Let a new key follow; its vkey."""
    made = rotation.rotate(
        served.world.engine, served.world.shelf.signer, item_id="ab" * 16, salt=bytes(16), now_ms=number
    )
    return str(made.new)


def test_a_new_key_is_learnt_from_the_old_one_and_old_releases_stay_good(served, tmp_path):
    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    newest = rotated(served)
    served.world.withdraw(served.world.first_clip()[0])
    publish.erase(served.world.shelf, now_ms=1_900_000_000_000)  # a revision that the new key signs
    assert pull.pull(served.source(), copy).signature == "good"
    mark = json.loads((copy / ".xiangyin/copy.json").read_text())
    assert mark["vkey"] == mark["newest_vkey"] == newest
    assert verify.verify(copy, setting="inline").signature == "good"


def test_a_release_from_before_the_new_key_can_be_pulled_by_who_knows_the_new_one(served, tmp_path):
    old = str(served.world.shelf.signer.verifier)
    newest = rotated(served)
    copy = tmp_path / "copy"
    assert pull.pull(served.source(), copy).signature == "good"
    mark = json.loads((copy / ".xiangyin/copy.json").read_text())
    assert (mark["vkey"], mark["newest_vkey"]) == (old, newest)
    assert verify.verify(copy, setting="inline").signature == "good"


def test_a_key_that_the_pinned_one_did_not_hand_over_to_is_refused(served, tmp_path, monkeypatch):
    copy = tmp_path / "copy"
    pull.pull(served.source(), copy)
    before = tree(copy)
    newest = rotated(served)
    served.world.withdraw(served.world.first_clip()[0])
    publish.erase(served.world.shelf, now_ms=1_900_000_000_000)
    for listed in ({"vkeys": [newest]}, {"vkeys": []}, ["x"], None):
        monkeypatch.setattr(http_source.HttpSource, "keys", lambda self, answer=listed: answer)
        with pytest.raises(pull.SignatureWrong):
            pull.pull(served.source(), copy)
    after = tree(copy)
    assert after.items() <= before.items()  # only the withdrawn sound is gone
