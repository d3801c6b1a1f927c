"""What a close that came half-way leaves is found again: closed by the sweep, or erased, without a check."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
import sqlalchemy as sa

from corpus import closing, erasure, withdrawal
from corpus.database import begin
from corpus.tables import upload

CORE = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def wav(make):
    return make.clip(make.file(make.samples(11), "WAV"))


def late(site):
    return replace(site.intake, clock_ms=lambda: site.clock_ms() + 10**10)


def lose_the_bytes(site, location: str) -> None:
    """As a power cut does with what was never synced."""
    site.intake.partials.path(location[-32:]).write_bytes(b"")


@pytest.mark.parametrize(
    ("how", "lost"),
    [("ended", False), ("ended", True), ("expired", True)],  # what is complete is closed, never expired
    ids=["ended", "ended, its bytes lost", "expired, its bytes lost"],
)
def test_a_voice_that_was_encoded_anew_goes_with_its_upload(speaker, site, wav, closed_half_way, how, lost):
    """Who ends an upload is told that it is dropped; there is no clip of it to be withdrawn later."""
    location = closed_half_way(speaker, wav)
    if lost:
        lose_the_bytes(site, location)
    if how == "ended":
        assert speaker.ask("DELETE", location, CORE).status_code == 204
    else:
        assert late(site).sweep() == 1
    withdrawal.sweep(site.custody)  # as the server does every minute
    assert list(site.store) == [] and site.custody.holds.noted() == []


def test_an_encoder_that_codes_otherwise_after_an_update_leaves_nothing(
    speaker, site, wav, monkeypatch, closed_half_way
):
    """The second close names another blob than the first did."""
    location = closed_half_way(speaker, wav)
    hear = closing.hear

    def otherwise(*args, **more):
        heard = hear(*args, **more)
        return replace(heard, sound=replace(heard.sound, flac=heard.sound.flac + b"\0"))

    monkeypatch.setattr(closing, "hear", otherwise)
    assert speaker.head(location) == len(wav.data)
    assert len(list(site.store)) == 2
    withdrawal.sweep(site.custody)
    assert len(list(site.store)) == 1
    assert speaker.ask("GET", f"/api/v1/clips/{wav.clip_id}/audio").status_code == 200


def test_a_close_that_is_done_again_keeps_its_sound(speaker, site, wav, closed_half_way):
    """Also when what it had left was erased in between: it puts it anew."""
    location = closed_half_way(speaker, wav)
    withdrawal.sweep(site.custody)
    assert list(site.store) == []
    assert speaker.head(location) == len(wav.data)
    assert speaker.ask("GET", f"/api/v1/clips/{wav.clip_id}").get_json()["state"] == "accepted"
    assert site.custody.holds.noted() == []
    assert withdrawal.sweep(site.custody) == 0
    assert len(list(site.store)) == 1


def test_what_a_close_is_at_right_now_is_left_alone(speaker, site, wav, monkeypatch):
    record = closing.record

    def meanwhile(*args, **more):  # the blob is in the store, its row is not
        assert withdrawal.sweep(site.custody) == 0
        assert len(list(site.store)) == 1
        return record(*args, **more)

    monkeypatch.setattr(closing, "record", meanwhile)
    assert speaker.send(wav)["state"] == "accepted"
    assert withdrawal.sweep(site.custody) == 0 and len(list(site.store)) == 1


def test_another_clip_of_the_same_sound_keeps_it(speaker, join, site, wav, make, closed_half_way):
    location = closed_half_way(speaker, wav)
    other = join("speaker").send(make.clip(wav.data))
    assert other["state"] == "accepted"
    assert speaker.ask("DELETE", location, CORE).status_code == 204
    withdrawal.sweep(site.custody)
    assert len(list(site.store)) == 1


@pytest.mark.parametrize("how", ["finished", "ended", "begun anew"])
def test_a_server_killed_before_it_dropped_the_bytes_drops_them_later(speaker, site, good, make, how):
    """The file of an upload is the voice itself, under a name that no withdrawal knows."""
    location = speaker.create(good).headers["Location"]
    part = site.intake.partials.path(location[-32:])
    if how == "finished":
        assert speaker.patch(location, 0, good.data).status_code == 204
    else:
        assert speaker.ask("DELETE", location, CORE).status_code == 204
    if how == "begun anew":
        again = speaker.create(good).headers["Location"]
        assert speaker.patch(again, 0, good.data[:5000]).status_code == 204
    part.write_bytes(good.data)  # as it was when the row was committed
    site.intake.sweep()
    left = [path.stem for path in site.intake.partials.folder.iterdir()]
    assert left == ([again[-32:]] if how == "begun anew" else [])


def test_a_writer_killed_before_it_named_a_blob_leaves_no_sound(site, tmp_path):
    """And one that is at work is left in peace, however old the file that it takes in."""
    folder = site.store.folder
    old, young = folder / f".{'0' * 32}.part", folder / f".{'1' * 32}.part"
    old.write_bytes(b"a voice")
    withdrawal.sweep(replace(site.custody, clock_ms=lambda: site.clock_ms() + 601_000))
    assert not old.exists()
    (tmp_path / "source").write_bytes(b"a voice")
    os.utime(tmp_path / "source", (1, 1))
    young.hardlink_to(tmp_path / "source")
    withdrawal.sweep(site.custody)
    assert young.exists()


def test_who_takes_all_back_leaves_no_half_of_a_clip(speaker, join, site, make):
    """What was sent of it would have lain there for a week; another speaker's goes on."""
    mine, theirs = (make.clip(make.file(make.samples(n))) for n in (13, 14))
    other = join("speaker")
    places = []
    for who, clip in ((speaker, mine), (other, theirs)):
        places.append(who.create(clip).headers["Location"])
        assert who.patch(places[-1], 0, clip.data[:9000]).status_code == 204
    assert speaker.ask("DELETE", "/api/v1/me").status_code == 200
    assert site.intake.sweep() == 1
    assert [path.stem for path in site.intake.partials.folder.iterdir()] == [places[1][-32:]]
    with begin(site.engine) as db:
        rows = dict(db.execute(sa.select(upload.c.id, upload.c.metadata)).all())
    assert rows[places[0][-32:]] == {} and rows[places[1][-32:]]["filename"] == "take.flac"
    assert other.patch(places[1], 9000, theirs.data[9000:]).status_code == 204


def test_a_withdrawn_clip_leaves_no_name_of_its_file(speaker, site, good):
    """People name files after people."""
    speaker.send(good)
    assert speaker.ask("DELETE", f"/api/v1/clips/{good.clip_id}").status_code == 200
    with begin(site.engine) as db:
        assert db.execute(sa.select(upload.c.metadata)).scalars().all() == [{}]
    assert speaker.create(good).status_code == 201  # the same as ever: it was taken in once
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}").get_json()["state"] == "withdrawn"


@pytest.mark.parametrize("ahead_ms", [3_600_000, 10**11], ids=["an hour", "years"])
def test_a_clock_that_ran_ahead_does_not_put_an_erasure_off(site, speaker, good, ahead_ms):
    speaker.send(good)
    now_ms = site.clock_ms()
    with begin(site.engine) as db:
        erasure.note(db, [good.sha256], now_ms=now_ms + ahead_ms)
        erasure.settle(db, [good.sha256], [], None, now_ms=now_ms + ahead_ms)  # tried, in vain
        due = erasure.waiting(db, due_ms=now_ms + 3_700_000)
    assert [one.sha256 for one in due] == [good.sha256]


def test_a_crowd_of_declared_uploads_hides_none_that_is_complete(speaker, site, make):
    """They expire before it, and only the first thousand used to be looked at."""
    clip = make.clip(make.file(make.samples(12)))
    location = speaker.create(clip).headers["Location"]
    site.intake.partials.path(location[-32:]).write_bytes(clip.data)
    with begin(site.engine) as db:
        row = db.execute(sa.select(upload).where(upload.c.id == location[-32:])).one()
        crowd = [
            {**row._asdict(), "id": f"{n:032x}", "clip_id": f"{n:08x}-0000-4000-8000-000000000000",
             "expires_ms": row.expires_ms - 1000}
            for n in range(3000)
        ]  # fmt: skip
        db.execute(sa.insert(upload), crowd)
    assert site.intake.sweep() == 1
    assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").get_json()["state"] == "accepted"
