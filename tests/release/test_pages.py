"""The pages of releases: cards, a table to filter and hear, lines to copy, tokens for teams."""

from __future__ import annotations

import html
import re

import pytest
import requests
import sqlalchemy as sa

from corpus import publish, tables
from corpus.database import reading
from corpus.exporters import EXPORTERS


def listened(world) -> list[tuple[str, str]]:
    a = tables.audit.c
    with reading(world.engine) as db:
        rows = db.execute(sa.select(a.object, a.role).where(a.action == "listen")).all()
    return [(row.object, row.role) for row in rows]


def test_the_page_shows_a_card_for_each_release_in_the_readers_language(served):
    served.world.clip(served.world.speaker(), "後來的錄音。")
    served.world.cut("r2")
    publish.set_status(served.world.shelf, "r1", "withdrawn")
    page = served.get("/releases", **{"Accept-Language": "zh-TW"})
    assert page.status_code == 200 and "發行版" in page.text
    assert '<a class="mono" href="/releases/r2">r2</a>' in page.text
    assert 'href="/releases/r1"' not in page.text and "已收回" in page.text
    assert served.get("/releases", served.member("speaker")).status_code == 403


def test_every_format_has_a_line(served):
    page = served.get("/releases/r1").text
    for name in EXPORTERS:
        line = f"xiangyin pull {served.url}/releases/r1 --to r1 --format {name}"
        assert f">{line}<" in page, name


@pytest.mark.parametrize(
    ("query", "clips"),
    [("", 24), ("?grade=noisy", 8), ("?grade=noisy&min_snr=40", 0), ("?dialect=coast&max_snr=32.5", 24)],
)
def test_the_table_shows_what_the_filters_say(query, clips, served):
    page = served.get(f"/releases/r1{query}").text
    assert f"{clips} clips," in page
    assert page.count("data-play=") == min(clips, 25)


@pytest.mark.parametrize(
    "query",
    [
        "grade=loud",
        "min_snr=1e9",
        "order=text",
        "page=x",
        "page=99999999999",
        "split=all",
        "dialect=" + "x" * 300,
    ],
)
def test_a_filter_that_makes_no_sense_is_refused(query, served):
    assert served.get(f"/releases/r1?{query}").status_code == 400


def test_a_page_that_is_too_high_is_the_last(served):
    assert "24 clips" in served.get("/releases/r1?page=77").text


def test_what_a_filter_was_given_is_inert_in_the_page(served):
    page = served.get("/releases/r1?dialect=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text
    assert "<script>alert" not in page and "0 clips" in page


def test_a_clip_is_heard_in_ranges_and_the_speaker_can_see_it(served):
    clip_id, digest = served.world.first_clip()
    path = f"/releases/r1/clips/{clip_id}/audio"
    whole = served.get(path)
    assert whole.status_code == 200 and whole.headers["ETag"] == f'"{digest}"'
    assert "no-cache" in whole.headers["Cache-Control"]  # withdrawn, it must not be heard from a cache
    part = served.get(path, Range="bytes=100-")
    assert (part.status_code, part.content) == (206, whole.content[100:])
    assert listened(served.world) == [(clip_id, "consumer")]
    served.world.withdraw(clip_id)
    assert served.get(path).status_code == 410


def test_another_projects_clips_are_not_there(served):
    served.world.project("songs", "Songs")
    stranger = served.member("consumer", "songs")
    clip_id, _ = served.world.first_clip()
    for path in ("/releases/r1", f"/releases/r1/clips/{clip_id}/audio", "/releases/none"):
        assert served.get(path, stranger).status_code == 404
    assert "r1" not in re.findall(r'href="/releases/(\w+)', served.get("/releases", stranger).text)


def post(served, path: str, token: str | None = None, **fields: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token or served.token}"}
    return requests.post(served.url + path, data=fields, headers=headers, timeout=30, allow_redirects=False)


def test_a_token_made_on_the_page_is_in_every_line_reads_releases_and_can_be_ended(served):
    made = post(served, "/releases", label="gpu <1>", days="30")
    assert made.status_code == 201
    tokens = set(re.findall(r"XIANGYIN_TOKEN=(\w+)", html.unescape(made.text)))
    assert len(tokens) == 1
    [token] = tokens
    assert "gpu &lt;1&gt;" in made.text
    assert served.get("/api/v1/releases", token).status_code == 200
    assert served.get("/releases/r1", token).status_code == 200
    assert served.get("/account", token).status_code == 403
    assert post(served, "/releases", token, label="more", days="30").status_code == 403
    again = served.get("/releases").text
    assert token not in again
    [token_id] = re.findall(r"/releases/tokens/(\w+)/revoke", again)
    assert post(served, f"/releases/tokens/{token_id}/revoke").status_code == 303
    assert served.get("/api/v1/releases", token).status_code == 401


@pytest.mark.parametrize("days", ["0", "9999", "-1", "x", ""])
def test_a_token_has_an_end(days, served):
    assert post(served, "/releases", label="", days=days).status_code == 400


def test_a_token_of_another_member_cannot_be_ended(served):
    post(served, "/releases", label="mine", days="7")
    [token_id] = re.findall(r"/releases/tokens/(\w+)/revoke", served.get("/releases").text)
    other = served.member("consumer")
    assert post(served, f"/releases/tokens/{token_id}/revoke", other).status_code == 404
