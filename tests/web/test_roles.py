"""Every route with every role, and between two people: what is not declared is denied."""

from __future__ import annotations

import re

import pytest

from protocol.clip import ROLES
from web import auth

CSRF_FREE = ("GET", "HEAD", "OPTIONS")


def routes(app):
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods):
            yield rule, method


def address(rule) -> str:
    """The route with something in every place that exists nowhere."""
    path = re.sub(r"<[^>]*length=36[^>]*>", "00000000-0000-0000-0000-000000000000", rule.rule)
    return re.sub(r"<[^>]*>", "0" * 32, path)


def test_every_view_declares_whom_it_lets_in(app):
    for rule in app.url_map.iter_rules():
        if rule.endpoint != "static":
            roles = auth.roles_of(app.view_functions[rule.endpoint])
            assert roles is None or roles, f"{rule.rule} declares nobody"


PUBLIC = {
    "/", "/signin", "/signout", "/join/<invite>", "/enter/<secret>",
    "/api/v1/join", "/api/v1/openapi.json", "/api/v1/uploads",
    "/api/v1/uploads/<upload_id>", "/.well-known/xiangyin-keys.json", "/healthz", "/readyz", "/metrics",
    # The log's heads and proofs name nobody, and a client that kept a head must be able to check them.
    "/api/v1/ledger/head", "/api/v1/ledger/proof",
}  # fmt: skip


def test_what_everyone_may_see_is_a_short_list(app):
    """A new public route must be added here by someone who thought about it."""
    found = {
        rule.rule
        for rule in app.url_map.iter_rules()
        if rule.endpoint != "static" and auth.roles_of(app.view_functions[rule.endpoint]) is None
    }
    assert found <= PUBLIC


def test_nobody_gets_in_without_a_token_and_no_wrong_role_with_one(app, site, join):
    callers = {role: join(role) for role in ROLES}
    stranger = app.test_client()
    for rule, method in routes(app):
        roles = auth.roles_of(app.view_functions[rule.endpoint])
        if rule.endpoint == "static" or roles is None:
            continue
        path = address(rule)
        assert stranger.open(path, method=method).status_code == 401, (method, path)
        wrong = {"Authorization": "Bearer xy_" + "0" * 64}
        assert stranger.open(path, method=method, headers=wrong).status_code == 401
        for role, caller in callers.items():
            if rule.rule == "/api/v1/me" and role in roles:
                continue  # it would withdraw this caller
            status = caller.ask(method, path).status_code
            if role in roles:
                assert status not in (401, 403) and status < 500, (method, path, role, status)
            else:
                assert status == 403, (method, path, role, status)


def test_a_view_that_declares_nothing_is_denied(app, join):
    app.add_url_rule("/forgotten", view_func=lambda: "secret")
    for role in ROLES:
        assert join(role).ask("GET", "/forgotten").status_code == 403
    assert app.test_client().get("/forgotten").status_code == 401


def test_a_token_that_is_revoked_or_expired_or_of_a_member_who_left_is_none(site, join, app):
    import sqlalchemy as sa

    from corpus import people, tables
    from corpus.database import begin

    for end in (
        lambda db, t: people.revoke(db, people.hashed(t), now_ms=site.clock_ms()),
        lambda db, t: db.execute(sa.update(tables.token).values(expires_ms=1)),
        lambda db, t: db.execute(sa.update(tables.membership).values(ended_ms=1)),
    ):
        caller = join("transcriber")
        assert caller.ask("GET", "/api/v1/project").status_code == 200
        with begin(site.engine) as db:
            end(db, caller.token)
        assert caller.ask("GET", "/api/v1/project").status_code == 401


def test_tokens_and_invitations_are_stored_only_as_hashes(site, join):
    caller = join("reviewer")
    stored = b"".join(path.read_bytes() for path in site.settings.data.glob("xiangyin.sqlite*"))
    assert caller.joined["person_id"].encode() in stored
    assert caller.token.encode() not in stored


@pytest.fixture
def browser(app, site):
    """Signed in by the session cookie alone."""
    from corpus import people
    from corpus.database import begin

    def sign_in(caller):
        client = app.test_client()
        with app.test_request_context(), begin(site.engine) as db:
            found = people.by_token(db, caller.token, now_ms=site.clock_ms())
            secret = auth.start_session(db, found)
        client.set_cookie(auth.COOKIE, secret)
        return client

    return sign_in


def test_a_cookie_alone_reads_but_changes_nothing(browser, join, good):
    """A page of another site can make a browser send our cookie; it cannot send our header."""
    speaker = browser(join("speaker"))
    assert speaker.get("/api/v1/project").status_code == 200
    forged = speaker.post("/api/v1/uploads", headers=good.headers())
    assert (forged.status_code, forged.get_json()["code"]) == (403, "FORGERY_SUSPECTED")
    assert speaker.delete("/api/v1/me").status_code == 403
    assert speaker.post("/me/withdraw", data={"csrf": "guess"}).status_code == 403
    ours = speaker.post("/api/v1/uploads", headers=good.headers(**{"X-Xiangyin": "1"}))
    assert ours.status_code == 201
    crossed = {"X-Xiangyin": "1", "Sec-Fetch-Site": "cross-site"}
    assert speaker.delete("/api/v1/me", headers=crossed).status_code == 403


def test_a_session_cookie_is_out_of_reach_of_scripts(app, site, make):
    invite = make.invitation(site, "operator", None)
    answer = app.test_client().post(f"/join/{invite}", data={})
    (cookie,) = [c for c in answer.headers.getlist("Set-Cookie") if c.startswith(auth.COOKIE)]
    assert "HttpOnly" in cookie and "SameSite=Lax" in cookie


def test_a_bearer_that_is_wrong_is_not_saved_by_a_cookie(browser, join):
    client = browser(join("speaker"))
    assert client.get("/api/v1/project", headers={"Authorization": "Bearer nonsense"}).status_code == 401


def test_what_is_anothers_looks_like_what_is_not(speaker, join, good):
    speaker.send(good)
    others = [join("speaker"), join("transcriber"), join("consumer")]
    unknown = "00000000-0000-4000-8000-000000000000"
    for path in ("", "/audio", "/peaks"):
        for other in others:
            theirs = other.ask("GET", f"/api/v1/clips/{good.clip_id}{path}")
            nothing = other.ask("GET", f"/api/v1/clips/{unknown}{path}")
            assert theirs.status_code == nothing.status_code in (403, 404)
            assert theirs.data == nothing.data
    stranger = others[0]
    appeal = {"json": {"reason": "?"}}
    for method, path, more in (("DELETE", "", {}), ("POST", "/appeal", appeal)):
        theirs = stranger.ask(method, f"/api/v1/clips/{good.clip_id}{path}", **more)
        nothing = stranger.ask(method, f"/api/v1/clips/{unknown}{path}", **more)
        assert (theirs.status_code, theirs.data) == (nothing.status_code, nothing.data)
        assert theirs.status_code == 404
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}/audio").status_code == 200


def test_staff_of_another_project_sees_nothing(speaker, join, site, good):
    from dataclasses import replace

    from corpus import projects
    from corpus.database import begin, reading

    speaker.send(good)
    with reading(site.engine) as db:
        first = projects.by_id(db, "tales")
    with begin(site.engine) as db:
        projects.create(db, replace(first, id="songs"))
    for role in ("reviewer", "operator"):
        there = join(role, "songs").ask("GET", f"/api/v1/clips/{good.clip_id}")
        assert there.status_code == 404
        assert join(role).ask("GET", f"/api/v1/clips/{good.clip_id}").status_code == 200
