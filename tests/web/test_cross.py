"""Every route with every id of another person: it looks like what is not there, and nothing is changed.

An answer that differs for a stranger's id tells that the id exists; one that acts on it is worse.
"""

from __future__ import annotations

import re

import pytest
import sqlalchemy as sa

from corpus import tables
from corpus.database import reading
from protocol.clip import ROLES
from web import auth

UNKNOWN = {
    "clip_id": "00000000-0000-4000-8000-000000000000",
    "upload_id": "0" * 32,
    "assignment_id": "0" * 32,
    "session_id": "nowhere",
    "token_id": "0" * 24,
    "digest": "0" * 64,
    "name": "nowhere",
}
BODIES = {
    "json": {"reason": "?", "text": "好。", "version": 0, "scopes": ["own"]},
    "data": {"reason": "?", "decision": "accept"},
}
# Headers that are made anew for each answer, or that say when it was.
CHANGING = {"X-Request-Id", "Date", "Content-Security-Policy"}


@pytest.fixture
def owned(join, speaker, good, make):
    """A speaker with a clip and an open upload, a transcriber with a lease, and their ids."""
    speaker.send(good)
    open_upload = speaker.create(make.clip(make.file(make.samples(9)))).headers["Location"][-32:]
    transcriber = join("transcriber")
    lease = transcriber.ask("POST", "/api/v1/assignments").get_json()
    token = speaker.ask("POST", "/api/v1/me/tokens", json={"scopes": ["own"]}).get_json()
    return {
        "clip_id": good.clip_id,
        "upload_id": open_upload,
        "assignment_id": lease["assignment"]["id"] if "assignment" in lease else lease["id"],
        "session_id": "s1",
        "token_id": token["id"],
        "digest": good.sha256,
    }


def state(site):
    """All rows but the audit and the buckets of tries, which are there to change."""
    kept = [t for t in tables.metadata.sorted_tables if t.name not in ("audit", "bucket")]
    with reading(site.engine) as db:
        return {t.name: sorted(map(repr, db.execute(sa.select(t)))) for t in kept}


def shape(answer, given):
    """What a stranger can see of an answer, the id that they sent themselves left out."""
    headers = {k: v for k, v in answer.headers.items() if k not in CHANGING}
    return answer.status_code, headers, answer.get_data(as_text=True).replace(given, "")


@pytest.mark.parametrize("role", ROLES)
def test_what_is_anothers_is_as_if_it_were_not(app, site, join, owned, role):
    from dataclasses import replace

    from corpus import projects
    from corpus.database import begin

    with reading(site.engine) as db:
        first = projects.by_id(db, "tales")
    with begin(site.engine) as db:
        projects.create(db, replace(first, id="songs"))
    # Staff hear a whole project, so theirs is another; those who own their work are of the same one.
    stranger = join(role, "tales" if role in ("speaker", "transcriber", "consumer") else "songs")
    before = state(site)
    tried = 0
    for rule in app.url_map.iter_rules():
        names = [name for name in rule.arguments if name in owned]
        roles = auth.roles_of(app.view_functions[rule.endpoint])
        if len(names) != 1 or not roles or role not in roles:
            continue
        if role == "transcriber" and rule.endpoint.startswith("clips_api."):
            continue  # whose clips a transcriber hears follows from the lease, below
        for method in sorted(rule.methods - {"OPTIONS"}):
            answers = []
            for value in (owned[names[0]], UNKNOWN[names[0]]):
                path = re.sub(r"<[^>]*>", value, rule.rule)
                more = {"data": BODIES["data"]} if not rule.rule.startswith("/api/") else {}
                if rule.rule.startswith("/api/v1") and method in ("POST", "PUT"):
                    more = {"json": {k: v for k, v in BODIES["json"].items() if _takes(rule, k)}}
                headers = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0"}
                if method == "PATCH":
                    headers["Content-Type"] = "application/offset+octet-stream"
                answers.append(shape(stranger.ask(method, path, headers, **more), value))
            assert answers[0] == answers[1], (method, rule.rule)
            assert answers[0][0] in (400, 404, 410, 415), (method, rule.rule, answers[0])
            tried += 1
    assert tried >= 2 or role == "operator"
    assert state(site) == before


def _takes(rule, field):
    fields = {"appeal": ("reason",), "submit": ("text", "version"), "show": (), "save": ("text", "version")}
    last = rule.rule.rpartition("/")[2]
    return field in fields.get(last if last in fields else "save", ())


def test_a_transcriber_hears_only_what_was_leased_to_them(join, owned):
    other = join("transcriber")
    for path in ("/audio", "/peaks"):
        theirs = other.ask("GET", f"/api/v1/clips/{owned['clip_id']}{path}")
        nothing = other.ask("GET", f"/api/v1/clips/{UNKNOWN['clip_id']}{path}")
        assert shape(theirs, owned["clip_id"]) == shape(nothing, UNKNOWN["clip_id"])
        assert theirs.status_code == 404
