"""Requests that a stranger would try: each gets the answer of its kind, and nobody else's data or key."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as run_with
from hypothesis import strategies as st

FORM = {"Accept": "text/html"}


@pytest.mark.parametrize("key", ["http://[/join/x", "//[x", "http://a]b/", "\0", "", "https://[::1"])
def test_a_key_that_is_no_link_is_told_so(app, key):
    answer = app.test_client().post("/signin", data={"key": key})
    assert answer.status_code == 403 and "xiangyin_session" not in answer.headers.get("Set-Cookie", "")


@pytest.mark.parametrize("site_of", ["cross-site", "same-site"])
def test_another_sites_page_cannot_sign_anybody_in(app, speaker, site_of):
    """Who is signed in as somebody else without knowing it would give their voice to that person."""
    client = app.test_client()
    answer = client.post("/signin", data={"key": speaker.token}, headers={"Sec-Fetch-Site": site_of})
    assert answer.status_code == 403 and answer.get_json()["code"] == "FORGERY_SUSPECTED"
    assert "Set-Cookie" not in answer.headers
    assert client.post("/signin", data={"key": speaker.token}).status_code == 303


@pytest.mark.parametrize("nonce", [None, "", "a", "a" * 31, "A" * 32, "a" * 32 + "\n"])
def test_a_used_link_does_not_give_the_key_again(app, site, make, nonce):
    """Only the browser that holds the page's own nonce may ask twice."""
    path = f"/join/{make.invitation(site, 'transcriber')}"
    form = {} if nonce is None else {"nonce": nonce}
    assert app.test_client().post(path, data=form).status_code == 200
    again = app.test_client().post(path, data=form)
    assert again.status_code == 410 and "xy_" not in again.text


def test_a_nonce_ends_where_its_pattern_ends(app, site, make):
    body = {"invite": make.invitation(site, "transcriber"), "nonce": "ab" * 16 + "\n"}
    answer = app.test_client().post("/api/v1/join", json=body)
    assert answer.status_code == 400 and answer.get_json()["code"] == "REQUEST_INVALID"


@pytest.mark.parametrize("name", ["x", "A" * 64, "..%2f..%2fkeys%2fsecret", "%00", "0" * 64])
def test_a_blob_that_cannot_be_looks_like_one_that_is_not_there(join, name):
    answer = join("consumer").ask("GET", f"/api/v1/blobs/{name}")
    assert (answer.status_code, answer.get_json()["code"]) == (404, "NOT_FOUND")


def test_an_overridden_head_announces_no_body(speaker, good):
    """The server's own reply to the POST must have the length that it names."""
    location = speaker.create(good).headers["Location"]
    headers = {"Tus-Resumable": "1.0.0", "X-HTTP-Method-Override": "HEAD"}
    for path, status in ((location, 200), (location[:-32] + "0" * 32, 404)):
        answer = speaker.ask("POST", path, headers)
        assert (answer.status_code, answer.headers["Content-Length"], answer.data) == (status, "0", b"")


@pytest.mark.parametrize("name", ["a\0b", "a\r\nX: y", "a" * 256])
def test_a_files_name_is_short_and_of_one_line(speaker, good, name):
    pairs = {**good.pairs(), "filename": name}
    encoded = ",".join(f"{k} {base64.b64encode(v.encode()).decode()}" for k, v in pairs.items())
    answer = speaker.create(good, **{"Upload-Metadata": encoded})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "metadata.invalid")


@pytest.mark.parametrize("time", ["2026-99-99T99:99:99Z", "2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z"])
def test_a_day_that_no_calendar_has_is_refused_before_it_is_released(speaker, make, time):
    answer = speaker.create(make.clip(meta=make.meta(recorded_at=time)))
    assert (answer.status_code, answer.get_json()["code"]) == (400, "metadata.invalid")
    assert "recorded_at" in answer.get_json()["detail"]


def test_one_upload_that_cannot_be_closed_does_not_hold_up_the_sweep(site, speaker, make):
    """As after an update that reads stored metadata more strictly."""
    import sqlalchemy as sa

    from corpus.database import begin
    from corpus.tables import upload

    clips = [make.clip(make.file(make.samples(seed))) for seed in (21, 22)]
    for clip in clips:
        location = speaker.create(clip).headers["Location"]
        (site.settings.partials / f"{location[-32:]}.part").write_bytes(clip.data)
    with begin(site.engine) as db:
        row = db.execute(sa.select(upload).where(upload.c.clip_id == clips[0].clip_id)).one()
        broken = json.loads(json.dumps(row.metadata))
        broken["meta"]["recorded_at"] = "2026-99-99T99:99:99Z"
        db.execute(sa.update(upload).where(upload.c.id == row.id).values(metadata=broken))
    assert site.intake.sweep() == 1
    assert speaker.ask("GET", f"/api/v1/clips/{clips[1].clip_id}").get_json()["state"] == "accepted"


RANGES = ["bytes=-9,9-,x", "bytes=" + "0-1," * 500, "bytes=9-1"]
ODD = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, blacklist_characters="\x7f"), max_size=60),
    st.sampled_from(["sha256 é", "clip_id é", '"' * 99, "\\", "a=b;" * 99, *RANGES]),
)
NAMES = [
    "Upload-Metadata", "Upload-Length", "Upload-Offset", "Upload-Checksum", "Upload-Concat", "Content-Type",
    "Tus-Resumable", "X-HTTP-Method-Override", "Range", "If-None-Match", "If-Range", "If-Modified-Since",
    "Cookie", "Accept", "Accept-Language", "Accept-Encoding", "Authorization", "X-Request-Id",
    "X-Forwarded-For", "X-Forwarded-Proto", "Forwarded", "Origin", "Referer", "Host", "Sec-Fetch-Site",
]  # fmt: skip


@pytest.fixture
def sent(speaker, good):
    """A clip that is there, and an upload that is open."""
    speaker.send(good)
    return good.clip_id


@run_with(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(headers=st.dictionaries(st.sampled_from(NAMES), ODD, min_size=1, max_size=3), place=st.integers(0, 5))
def test_no_header_makes_a_fault_of_ours(speaker, sent, make, headers, place):
    """A client's bytes are refused with a code; a 500 says that we did not think of them."""
    clip = make.clip(b"sound" * 10)
    location = speaker.create(clip).headers["Location"]
    method, path, usual = (
        ("POST", "/api/v1/uploads", clip.headers()),
        ("PATCH", location, make.patch_headers(0)),
        ("HEAD", location, {"Tus-Resumable": "1.0.0"}),
        ("GET", f"/api/v1/clips/{sent}/audio", {}),
        ("GET", "/me", {}),
        ("POST", "/api/v1/lint", {}),
    )[place]
    answer = speaker.ask(method, path, {**usual, **headers}, data=b"so" if method != "GET" else None)
    assert answer.status_code < 500, answer.text
    speaker.ask("DELETE", location, {"Tus-Resumable": "1.0.0"})
