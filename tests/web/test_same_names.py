"""Two people who name the same clip, session or sound: one has it, and neither sees or loses by the other."""

from __future__ import annotations

import threading
import unicodedata

import pytest

CORE = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def two(join):
    return join("speaker"), join("speaker")


def test_a_clip_id_belongs_to_who_declared_it_first_whatever_became_of_it(two, make):
    """Unfinished, ended, finished or withdrawn: another's file never gets under it."""
    first, second = two
    mine = make.clip(make.file(make.samples(1)))
    for theirs in (make.clip(mine.data, clip_id=mine.clip_id), make.clip(b"other", clip_id=mine.clip_id)):
        location = first.create(mine).headers["Location"]
        assert second.create(theirs).status_code == 409
        assert first.ask("DELETE", location, CORE).status_code == 204
        assert second.create(theirs).status_code == 409
    assert first.send(mine)["state"] == "accepted"
    assert second.create(mine).status_code == 409
    path = f"/api/v1/clips/{mine.clip_id}"
    for method, end in (("GET", ""), ("GET", "/audio"), ("GET", "/peaks"), ("DELETE", "")):
        assert second.ask(method, path + end).status_code == 404
    assert first.ask("GET", path + "/audio").data == mine.data
    assert first.ask("DELETE", path).status_code == 200
    assert second.create(mine).status_code == 409


def test_a_clip_id_declared_by_many_people_at_once_is_one_persons(shared, make):
    people = [shared.join() for _ in range(6)]
    clip = make.clip(make.file(make.samples(2)))
    answers: list[tuple[int, int, str]] = []

    def declare(number: int) -> None:
        answer = people[number].ask("POST", "/api/v1/uploads", clip.headers())
        answers.append((answer.status_code, number, answer.headers.get("Location", "")))

    threads = [threading.Thread(target=declare, args=(number,)) for number in range(len(people))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(status for status, _, _ in answers) == [201] + [409] * 5
    ((_, winner, location),) = [one for one in answers if one[0] == 201]
    for number, person in enumerate(people):
        if number != winner:
            answer = person.ask("PATCH", location, make.patch_headers(0), data=clip.data)
            assert (answer.status_code, answer.json()["code"]) == (404, "UPLOAD_NOT_FOUND")
    whose = people[winner]
    assert whose.ask("PATCH", location, make.patch_headers(0), data=clip.data).status_code == 204
    seen = [person.ask("GET", f"/api/v1/clips/{clip.clip_id}").status_code for person in people]
    assert seen.count(200) == 1 and seen[winner] == 200 and set(seen) == {200, 404}


def test_a_session_that_two_people_name_alike_is_withdrawn_for_one_alone(two, make):
    """Also under a name that differs from it in a letter's case."""
    first, second = two
    mine = make.clip(make.file(make.samples(3)), meta=make.meta(session_id="Ses-1"))
    other = make.clip(make.file(make.samples(4)), meta=make.meta(session_id="ses-1"))
    theirs = make.clip(make.file(make.samples(5)), meta=make.meta(session_id="Ses-1"))
    for who, clip in ((first, mine), (first, other), (second, theirs)):
        assert who.send(clip)["state"] == "accepted"
    assert second.ask("DELETE", "/api/v1/me/sessions/Ses-1").get_json()["clips"] == 1
    assert second.ask("GET", f"/api/v1/clips/{theirs.clip_id}/audio").status_code == 404
    for clip in (mine, other):
        assert first.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio").data == clip.data
    assert first.ask("DELETE", "/api/v1/me/sessions/Ses-1").get_json()["clips"] == 1
    assert first.ask("GET", f"/api/v1/clips/{other.clip_id}/audio").data == other.data


@pytest.mark.parametrize("form", ["FLAC", "WAV"])
def test_one_sound_of_two_people_is_gone_when_both_took_it_back(two, site, make, form):
    first, second = two
    data = make.file(make.samples(6), form)
    mine, theirs = make.clip(data), make.clip(data)
    assert first.send(mine)["state"] == "accepted"
    assert second.send(theirs)["state"] == "refused"  # a copy
    assert len(list(site.store)) == 1
    assert first.ask("DELETE", f"/api/v1/clips/{mine.clip_id}").status_code == 200
    assert first.ask("GET", f"/api/v1/clips/{mine.clip_id}/audio").status_code == 404
    assert second.ask("GET", f"/api/v1/clips/{theirs.clip_id}/audio").status_code == 200
    assert second.ask("DELETE", "/api/v1/me").status_code == 200
    assert list(site.store) == []


UUID = "1f0c6a52-9b7e-4c1d-8a3e-5d2b7f90c114"
SHAPES = {
    "capitals": UUID.upper(),
    "one capital": UUID.replace("f", "F", 1),
    "full width": UUID.replace("1", "１"),
    "other digits": UUID.replace("1", "١"),
    "decomposed": unicodedata.normalize("NFD", UUID.replace("a", "á")),
    "other dash": UUID.replace("-", "‐"),
    "no dashes": UUID.replace("-", ""),
    "braces": "{" + UUID + "}",
    "urn": "urn:uuid:" + UUID,
    "space": UUID + " ",
    "line": UUID + "\n",
    "nul": UUID + "\0",
    "short": UUID[:-1],
    "long": UUID + "0",
    "very long": UUID * 1000,
    "empty": "",
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_a_clip_id_has_one_spelling(speaker, site, make, shape):
    """Else one clip would be two, and a withdrawal of one would leave the other."""
    answer = speaker.create(make.clip(b"sound", clip_id=shape))
    assert (answer.status_code, answer.get_json()["code"]) == (400, "metadata.invalid")


@pytest.mark.parametrize("change", [str.upper, lambda s: s[:-1], lambda s: s + "0", lambda s: s + "\n"])
def test_a_digest_has_one_spelling(speaker, make, change):
    clip = make.clip(b"sound")
    clip.sha256 = change(clip.sha256)
    answer = speaker.create(clip)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "metadata.invalid")


def test_another_spelling_of_a_clips_address_finds_nothing(speaker, good):
    speaker.send(good)
    for shape in (good.clip_id.upper(), good.clip_id + "%20", good.clip_id + "%00", good.clip_id[:-1]):
        if shape != good.clip_id:
            assert speaker.ask("GET", f"/api/v1/clips/{shape}").status_code == 404
            assert speaker.ask("DELETE", f"/api/v1/clips/{shape}").status_code == 404
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}/audio").data == good.data
