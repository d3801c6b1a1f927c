"""tus 1.0.0, MUST by MUST, and what a careless or hostile client may send."""

from __future__ import annotations

import base64

import pytest

CORE = {"Tus-Resumable": "1.0.0"}


def test_a_file_goes_up_in_pieces_and_comes_out_receipted(speaker, make):
    clip = make.clip()
    location = speaker.create(clip).headers["Location"]
    half = len(clip.data) // 2
    first = speaker.patch(
        location, 0, clip.data[:half], **{"Upload-Checksum": make.checksum(clip.data[:half])}
    )
    assert (first.status_code, first.headers["Upload-Offset"]) == (204, str(half))
    assert speaker.head(location) == half
    rest = speaker.patch(
        location, half, clip.data[half:], **{"Upload-Checksum": make.checksum(clip.data[half:], "sha1")}
    )
    assert (rest.status_code, rest.headers["Upload-Offset"]) == (204, str(len(clip.data)))
    found = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").get_json()
    assert found["state"] == "accepted"
    assert found["receipt"]["details"]["sha256"] == clip.sha256


def test_options_says_what_there_is_without_a_version_or_a_token(app):
    answer = app.test_client().options("/api/v1/uploads")
    assert answer.status_code == 204
    assert answer.headers["Tus-Version"] == "1.0.0"
    assert {"creation", "creation-with-upload", "checksum", "termination", "expiration"} <= set(
        answer.headers["Tus-Extension"].split(",")
    )
    assert answer.headers["Tus-Checksum-Algorithm"] == "sha1,sha256"
    assert int(answer.headers["Tus-Max-Size"]) > 0


@pytest.mark.parametrize("version", [None, "0.2.2", "1.0.1"])
def test_another_version_gets_412_with_the_ones_that_are_known(speaker, good, version):
    headers = good.headers()
    del headers["Tus-Resumable"]
    if version:
        headers["Tus-Resumable"] = version
    answer = speaker.ask("POST", "/api/v1/uploads", headers)
    assert (answer.status_code, answer.headers["Tus-Version"]) == (412, "1.0.0")


def test_every_reply_names_the_version_and_stays_out_of_caches(speaker, good):
    created = speaker.create(good)
    for method in ("HEAD", "DELETE", "HEAD"):
        answer = speaker.ask(method, created.headers["Location"], CORE)
        assert answer.headers["Tus-Resumable"] == "1.0.0"
        assert answer.headers["Cache-Control"] == "no-store"


def test_creation_answers_with_a_relative_location_whatever_the_host_header_says(speaker, good):
    answer = speaker.create(good, Host="evil.example")
    assert answer.headers["Location"].startswith("/api/v1/uploads/")
    assert len(answer.headers["Location"].rpartition("/")[2]) == 32
    assert "GMT" in answer.headers["Upload-Expires"]


def test_creation_with_upload_takes_the_first_piece(speaker, good):
    headers = good.headers(**{"Content-Type": "application/offset+octet-stream"})
    answer = speaker.ask("POST", "/api/v1/uploads", headers, data=good.data)
    assert answer.headers["Upload-Offset"] == str(len(good.data))
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}").get_json()["state"] == "accepted"


def test_the_same_clip_and_digest_give_the_same_upload(speaker, good):
    locations = {speaker.create(good).headers["Location"] for _ in range(3)}
    assert len(locations) == 1
    location = locations.pop()
    assert speaker.patch(location, 0, good.data).status_code == 204
    again = speaker.create(good)
    assert (again.status_code, again.headers["Location"]) == (201, location)
    assert speaker.head(location) == len(good.data)


def test_a_clip_id_for_another_file_is_a_conflict(speaker, good, make):
    speaker.create(good)
    other = make.clip(make.file(make.samples(7)), clip_id=good.clip_id)
    answer = speaker.create(other)
    assert (answer.status_code, answer.get_json()["code"]) == (409, "UPLOAD_CONFLICT")


def test_a_wrong_offset_changes_nothing_and_learns_the_true_one(speaker, good):
    location = speaker.create(good).headers["Location"]
    speaker.patch(location, 0, good.data[:100])
    for offset in (0, 99, 101, 10**14):
        answer = speaker.patch(location, offset, b"x")
        assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "100")
    assert speaker.head(location) == 100


@pytest.mark.parametrize("text", ["1_0", "+5", " 5", "-1", "٥", "0x10", "", "1.0", "1" * 16, "1e3"])
def test_a_number_is_decimal_digits_and_nothing_else(speaker, good, text):
    location = speaker.create(good).headers["Location"]
    answer = speaker.patch(location, 0, b"x", **{"Upload-Offset": text.encode().decode("latin-1")})
    assert answer.status_code in (400, 409)
    assert speaker.head(location) == 0
    bad = speaker.create(good, **{"Upload-Length": text.encode().decode("latin-1")})
    assert bad.status_code in (400, 409)


def test_more_than_declared_is_refused_whole(speaker, good):
    location = speaker.create(good).headers["Location"]
    answer = speaker.patch(location, 0, good.data + b"x")
    assert (answer.status_code, answer.get_json()["code"]) == (413, "UPLOAD_OVERFLOW")
    assert speaker.head(location) == 0
    assert speaker.patch(location, 0, good.data + bytes(3 << 20)).status_code == 413


def test_a_damaged_piece_is_not_kept(speaker, good, make):
    location = speaker.create(good).headers["Location"]
    wrong = make.checksum(b"other")
    answer = speaker.patch(location, 0, good.data[:500], **{"Upload-Checksum": wrong})
    assert (answer.status_code, speaker.head(location)) == (460, 0)


@pytest.mark.parametrize(
    "header",
    ["md5 AAAA", "sha256", "sha256 !!!", "sha256 AAAA", "", "sha1 " + "A" * 44, "sha256 " + "é" * 44],
)
def test_a_checksum_that_is_not_understood_is_refused(speaker, good, header):
    location = speaker.create(good).headers["Location"]
    answer = speaker.patch(location, 0, good.data[:500], **{"Upload-Checksum": header})
    assert (answer.status_code, speaker.head(location)) == (400, 0)


@pytest.mark.parametrize(
    "kind", ["application/octet-stream", "", "application/offset+octet-stream; a=b", "audio/flac"]
)
def test_a_piece_of_another_content_type_gets_415(speaker, good, kind):
    location = speaker.create(good).headers["Location"]
    assert speaker.patch(location, 0, b"x", **{"Content-Type": kind}).status_code == 415


def test_the_method_may_come_in_a_header(speaker, good, make):
    location = speaker.create(good).headers["Location"]
    headers = make.patch_headers(0, **{"X-HTTP-Method-Override": "PATCH"})
    assert speaker.ask("POST", location, headers, data=good.data[:10]).headers["Upload-Offset"] == "10"


def test_an_unfinished_upload_can_be_ended_and_begun_again(speaker, good):
    location = speaker.create(good).headers["Location"]
    speaker.patch(location, 0, good.data[:10])
    assert speaker.ask("DELETE", location, CORE).status_code == 204
    assert speaker.ask("HEAD", location, CORE).status_code in (404, 410)
    assert speaker.patch(location, 10, b"x").status_code in (404, 410)
    again = speaker.create(good).headers["Location"]
    assert speaker.patch(again, 0, good.data).status_code == 204


def test_a_finished_upload_keeps_its_offset_and_cannot_be_ended(speaker, good):
    location = speaker.create(good).headers["Location"]
    speaker.patch(location, 0, good.data)
    assert speaker.head(location) == len(good.data)
    answer = speaker.ask("DELETE", location, CORE)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "UPLOAD_FINISHED")
    again = speaker.patch(location, len(good.data), b"")
    assert (again.status_code, again.headers["Upload-Offset"]) == (204, str(len(good.data)))


def test_the_whole_must_have_the_declared_digest(speaker, good):
    """Bits that flip on the wire unnoticed: the file begins anew, and nothing is receipted."""
    location = speaker.create(good).headers["Location"]
    flipped = bytearray(good.data)
    flipped[1000] ^= 1
    answer = speaker.patch(location, 0, bytes(flipped))
    assert (answer.status_code, answer.get_json()["code"]) == (422, "UPLOAD_DIGEST_MISMATCH")
    assert speaker.head(location) == 0
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}").status_code == 404
    assert speaker.patch(location, 0, good.data).status_code == 204


def test_a_whole_that_is_wrong_can_be_sent_again_at_once_however_long_it_is(speaker, make):
    """Who decodes it has the file in hand when its digest turns out wrong, and must let go of it."""
    clip = make.clip(make.file(make.samples(9, seconds=60.0)))
    location = speaker.create(clip).headers["Location"]
    for byte in (5000, 9000):
        flipped = bytearray(clip.data)
        flipped[byte] ^= 1
        assert speaker.patch(location, 0, bytes(flipped)).status_code == 422
    assert speaker.patch(location, 0, clip.data).status_code == 204


def test_a_file_beyond_the_limit_is_refused_before_a_byte_is_sent(speaker, good, settings):
    answer = speaker.create(good, **{"Upload-Length": str(settings.max_upload_bytes + 1)})
    assert (answer.status_code, answer.get_json()["code"]) == (413, "UPLOAD_TOO_LARGE")


def test_uploads_are_not_to_be_read(speaker, good):
    location = speaker.create(good).headers["Location"]
    assert speaker.ask("GET", location, CORE).status_code == 405


def test_another_speaker_sees_nothing_of_it(speaker, join, good):
    location = speaker.create(good).headers["Location"]
    other = join("speaker")
    unknown = "/api/v1/uploads/" + "0" * 32
    for method, headers in (("HEAD", CORE), ("DELETE", CORE)):
        theirs = other.ask(method, location, headers)
        none = other.ask(method, unknown, headers)
        assert (theirs.status_code, theirs.get_data()) == (
            none.status_code,
            none.get_data(),
        ) and none.status_code == 404
    assert other.patch(location, 0, b"x").status_code == 404
    assert other.create(good).status_code == 409
    assert other.ask("GET", f"/api/v1/clips/{good.clip_id}").status_code == 404


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize(
    "header",
    [
        "",
        "clip_id",
        "clip_id !!!",
        "clip_id " + b64("x"),
        "a b c",
        "clip_id MQ==,clip_id MQ==",
        "é MQ==",
        "clip_id é",
        "clip_id MQ",
        "clip_id  MQ==",
        "clip_id M Q==",
        ",,,",
        "meta " + b64("[" * 5000),
        "clip_id " + base64.b64encode(b"\xff\xfe").decode(),
    ],
)
def test_malformed_metadata_is_refused_with_the_field(speaker, good, header):
    answer = speaker.create(good, **{"Upload-Metadata": header.encode().decode("latin-1")})
    assert answer.status_code == 400
    assert answer.get_json()["code"] == "metadata.invalid"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"consent_version": "consent-0"}, "consent.missing"),
        ({"prompt_id": "p9"}, "metadata.prompt_unknown"),
        ({"style": "song"}, "metadata.invalid"),
        ({"channel": -1}, "metadata.invalid"),
        ({"lead_in_s": float("nan")}, "metadata.invalid"),
        ({"surprise": 1}, "metadata.invalid"),
        ({"session_id": "../../etc"}, "metadata.invalid"),
        ({"recorded_at": "yesterday"}, "metadata.invalid"),
    ],
)
def test_a_clip_that_could_never_be_used_is_refused_at_once(speaker, make, change, code):
    answer = speaker.create(make.clip(meta=make.meta(**change)))
    assert answer.get_json()["code"] == code
    assert answer.status_code in (400, 422)


@pytest.mark.parametrize(
    "header", [("Upload-Concat", "partial"), ("Upload-Concat", "final;/a /b"), ("Upload-Defer-Length", "1")]
)
def test_an_extension_that_is_not_offered_is_refused_and_not_ignored(speaker, good, site, header):
    """A client that believes it joins parts would leave each of them as a clip."""
    answer = speaker.create(good, **dict([header]))
    assert (answer.status_code, answer.get_json()["code"]) == (400, "REQUEST_INVALID")
    assert header[0] in answer.get_json()["detail"] and site.intake.sweep() == 0


@pytest.mark.parametrize(
    "length", ["1e3", "0x10", "+5", "-1", "1_0", "1.0", "5, 5", "9" * 16, "9" * 5000, "٥", "５", ""]
)
def test_a_length_is_digits_and_nothing_else(speaker, good, length):
    """`int` takes several of these; two readers of one header must not see two numbers."""
    answer = speaker.create(good, **{"Upload-Length": length.encode().decode("latin-1")})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "REQUEST_INVALID")


def test_a_person_has_only_so_many_unfinished_uploads(app, site, join, make):
    from dataclasses import replace

    import server

    narrow = replace(site.settings, max_open_uploads=2)
    app = server.create_app(
        narrow, replace(site, settings=narrow, intake=replace(site.intake, settings=narrow))
    )
    speaker = join("speaker")
    speaker.client = app.test_client()
    statuses = [speaker.create(make.clip(b"x" * (n + 1))).status_code for n in range(3)]
    assert statuses == [201, 201, 429]


@pytest.mark.parametrize(
    ("limits", "code"),
    [({"max_open_bytes": 25}, "UPLOAD_BYTES_TOO_MANY"), ({"max_creations_per_hour": 2}, "UPLOADS_TOO_FAST")],
)
def test_one_person_cannot_take_the_room_or_the_time_of_all(site, join, make, limits, code):
    """The third upload is too much; another person, and the same upload asked for again, are not."""
    from dataclasses import replace

    import server

    narrow = replace(site.settings, **limits)
    app = server.create_app(
        narrow, replace(site, settings=narrow, intake=replace(site.intake, settings=narrow))
    )
    speaker, other = join("speaker"), join("speaker")
    speaker.client = other.client = app.test_client()
    made = [make.clip(bytes([65 + n]) * 10) for n in range(3)]
    answers = [speaker.create(clip) for clip in made]
    assert [a.status_code for a in answers] == [201, 201, 429]
    assert answers[2].get_json()["code"] == code
    assert answers[2].headers["Retry-After"]
    assert speaker.create(made[0]).headers["Location"] == answers[0].headers["Location"]
    assert other.create(made[2]).status_code == 201


def test_everybody_together_cannot_declare_without_end(site, join, make):
    """503, not 429: it is not this person's doing, and passes."""
    from dataclasses import replace

    import server

    narrow = replace(site.settings, max_open_bytes_of_all=25)
    app = server.create_app(
        narrow, replace(site, settings=narrow, intake=replace(site.intake, settings=narrow))
    )
    first, second = join("speaker"), join("speaker")
    first.client = second.client = app.test_client()
    begun = [who.create(make.clip(bytes([75 + n]) * 10)) for n, who in enumerate((first, second))]
    assert [answer.status_code for answer in begun] == [201, 201]
    third = second.create(make.clip(b"z" * 10))
    assert third.status_code == 503 and third.get_json()["code"] == "UPLOADS_OF_ALL_TOO_MANY"
    assert int(third.headers["Retry-After"]) > 0
    ended = first.ask("DELETE", begun[0].headers["Location"], {"Tus-Resumable": "1.0.0"})
    assert ended.status_code == 204
    assert second.create(make.clip(b"z" * 10)).status_code == 201


def test_no_room_is_said_and_nothing_is_taken(site, join, good):
    """507 before anything is written; the reserve is for database and ledger."""
    from dataclasses import replace

    import server

    location = join("speaker").create(good).headers["Location"]
    full = replace(site.settings, disk_reserve_bytes=1 << 60)
    app = server.create_app(full, replace(site, settings=full, intake=replace(site.intake, settings=full)))
    speaker = join("speaker")
    speaker.client = app.test_client()
    answer = speaker.create(good)
    assert (answer.status_code, answer.get_json()["code"]) in ((507, "DISK_FULL"), (409, "UPLOAD_CONFLICT"))
    assert location


def test_an_upload_past_its_time_is_dropped_by_its_true_state(site, speaker, good, make):
    from dataclasses import replace

    late = replace(site.intake, clock_ms=lambda: site.clock_ms() + 10**10)
    unfinished, finished = speaker.create(good), make.clip(make.file(make.samples(3)))
    location = unfinished.headers["Location"]
    speaker.patch(location, 0, good.data[:10])
    done = speaker.create(finished).headers["Location"]
    speaker.patch(done, 0, finished.data)
    assert late.sweep() == 1
    assert speaker.ask("HEAD", location, CORE).status_code == 410
    assert speaker.head(done) == len(finished.data)
    assert list(site.intake.partials.folder.iterdir()) == []
