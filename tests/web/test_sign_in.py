"""Passphrases, links, tokens and limits: the owner always gets in, a stranger learns nothing."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import sqlalchemy as sa

from corpus import limits, passphrases, tables
from corpus.database import begin, reading

GOOD = "阿嬤 灶跤 番薯 落雨 天光 2 evening"


@pytest.fixture
def browser(app, site, make):
    """A browser that joined in a role, with the csrf word of its pages."""

    def join(role):
        client = app.test_client()
        assert client.post(f"/join/{make.invitation(site, role)}", data={}).status_code == 200
        return client

    return join


def csrf(client):
    text = client.get("/account").text
    return text.partition('name="csrf" value="')[2].partition('"')[0]


def code_of(client):
    return client.get("/account").text.partition('<b class="mono">')[2].partition("<")[0]


def set_passphrase(client, new=GOOD, **more):
    form = {"csrf": csrf(client), "passphrase": new, "again": new, **more}
    return client.post("/account/passphrase", data=form)


def test_a_passphrase_opens_a_new_session_and_only_with_its_own_code(browser, app):
    client, other = browser("transcriber"), browser("reviewer")
    assert set_passphrase(client).status_code == 303
    fresh = app.test_client()
    answer = fresh.post("/signin", data={"code": code_of(client), "passphrase": GOOD})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/desk")
    assert fresh.get("/account").status_code == 200
    for form in ({"code": code_of(other), "passphrase": GOOD}, {"code": code_of(client), "passphrase": "x"}):
        refused = app.test_client().post("/signin", data=form)
        assert refused.status_code == 403
    assert "PASSPHRASE" not in refused.text


def test_a_wrong_code_and_a_wrong_passphrase_look_the_same(browser, app):
    client = browser("reviewer")
    set_passphrase(client)
    answers = [
        app.test_client().post("/signin", data={"code": code, "passphrase": "not this one at all"})
        for code in (code_of(client), "P00000000")
    ]
    assert len({(a.status_code, a.text, str(sorted(a.headers.keys()))) for a in answers}) == 1


@pytest.mark.parametrize(
    "weak",
    ["", "short", "passwordpassword", "123456789012", "aaaaaaaaaaaa", "qwertyqwerty1", "abababababab",
     "correct horse battery staple", "x" * 129, "abcdefghijklmnop"],
)  # fmt: skip
def test_a_passphrase_that_everybody_tries_is_refused(weak):
    with pytest.raises(passphrases.PassphraseWeak):
        passphrases.check_strength(weak)


def test_any_long_passphrase_is_taken_without_rules_of_composition():
    for fine in (GOOD, "tiger lamp quiet orange", "落雨天 行路 去買 魚丸湯 喔"):
        passphrases.check_strength(fine)


def test_only_parameters_salt_and_hash_are_stored(browser, site):
    set_passphrase(browser("reviewer"))
    with reading(site.engine) as db:
        stored = db.execute(sa.select(tables.sign_in.c.passphrase)).scalar_one()
    name, cost, block, parallel, salt, _ = stored.split("$")
    assert (name, int(cost), int(block), int(parallel)) == ("scrypt", 2**15, 8, 3)
    assert len(bytes.fromhex(salt)) == 16 and "阿嬤" not in stored


def test_changing_a_passphrase_needs_the_old_one_and_signs_other_browsers_out(browser, app):
    client = browser("reviewer")
    set_passphrase(client)
    other = app.test_client()
    other.post("/signin", data={"code": code_of(client), "passphrase": GOOD})
    assert other.get("/account").status_code == 200
    assert set_passphrase(client, "another long one, please").status_code == 403
    assert set_passphrase(client, "another long one, please", current=GOOD).status_code == 303
    assert other.get("/account").status_code == 401
    assert client.get("/account").status_code == 200


def test_a_hash_of_older_parameters_is_renewed_at_sign_in(browser, app, site, monkeypatch):
    client = browser("reviewer")
    set_passphrase(client)
    with monkeypatch.context() as older:
        older.setattr(passphrases, "_COST", 1 << 12)
        weak = f"scrypt${1 << 12}$8$3${'00' * 16}$" + passphrases._scrypt(GOOD, b"\0" * 16, 1 << 12).hex()
    with begin(site.engine) as db:
        db.execute(sa.update(tables.sign_in).values(passphrase=weak))
    form = {"code": code_of(client), "passphrase": GOOD}
    assert app.test_client().post("/signin", data=form).status_code == 303
    with reading(site.engine) as db:
        assert not passphrases.is_outdated(db.execute(sa.select(tables.sign_in.c.passphrase)).scalar_one())


def test_guessing_is_slowed_and_the_owner_still_gets_in(browser, app, monkeypatch):
    """A lock-out would let a stranger shut a person out of their own account."""
    owner = browser("reviewer")
    set_passphrase(owner)  # this browser is known from now on
    code = code_of(owner)
    monkeypatch.setattr(passphrases, "_scrypt", lambda text, salt, *_: text.encode()[:32].ljust(32))
    stranger = app.test_client()
    last = None
    for _ in range(limits.SIGN_IN_ACCOUNT.burst + 1):
        last = stranger.post("/signin", data={"code": code, "passphrase": "guess"})
    assert last.status_code == 429 and int(last.headers["Retry-After"]) >= 1
    monkeypatch.undo()
    assert owner.post("/signout", data={"csrf": csrf(owner)}).status_code == 303
    answer = owner.post("/signin", data={"code": code, "passphrase": GOOD})
    assert answer.status_code == 303


def test_wrong_invitations_are_counted_by_address_and_right_ones_are_not(app, site, make):
    client = app.test_client()
    for _ in range(limits.WRONG_INVITE.burst):
        assert client.post("/api/v1/join", json={"invite": "x" * 32}).status_code == 410
    assert client.post("/api/v1/join", json={"invite": "x" * 32}).status_code == 429
    right = client.post("/api/v1/join", json={"invite": make.invitation(site, "reviewer")})
    assert right.status_code == 201
    stored = b"".join(path.read_bytes() for path in site.settings.data.glob("xiangyin.sqlite*"))
    assert b"127.0.0.1" not in stored


def test_a_bucket_fills_again_and_a_clock_set_back_does_not_shut_anybody_out(site):
    limit = limits.Limit("test", 2, 1000)
    with begin(site.engine) as db:
        limits.take(db, "k", limit, now_ms=10_000_000)
        limits.take(db, "k", limit, now_ms=10_000_000)
        with pytest.raises(limits.TooOften) as caught:
            limits.take(db, "k", limit, now_ms=10_000_000)
        assert caught.value.parameters["wait_s"] == 1
        limits.take(db, "k", limit, now_ms=10_001_000)
        with pytest.raises(limits.TooOften) as caught:
            limits.take(db, "k", limit, now_ms=1000)
        assert caught.value.parameters["wait_s"] == 1


def test_a_link_signs_in_once_and_looking_at_it_uses_nothing_up(speaker, app):
    made = speaker.ask("POST", "/api/v1/me/link")
    path = "/" + made.get_json()["url"].split("/", 3)[3]
    client = app.test_client()
    assert client.get(path).status_code == client.get(path).status_code == 200
    assert client.post(path).headers["Location"] == "/me"
    assert client.get("/me").status_code == 200
    assert app.test_client().post(path).status_code == 410


def test_an_old_session_ends_when_the_browser_signs_in_again(browser, speaker):
    client = browser("reviewer")
    before = client.get_cookie("xiangyin_session").value
    form = {"key": speaker.token, "csrf": csrf(client)}
    assert client.post("/signin", data=form).status_code == 303
    assert client.get_cookie("xiangyin_session").value != before
    client.set_cookie("xiangyin_session", before)
    assert client.get("/account").status_code == 401


@pytest.mark.parametrize(
    ("role", "scope", "reaches", "stops"),
    [
        ("speaker", "upload", "/api/v1/project", "/api/v1/me/heard"),
        ("consumer", "read-releases", "/api/v1/releases", "/api/v1/me/tokens"),
        ("operator", "read-releases", "/api/v1/releases", "/operator"),
        ("reviewer", "desk", "/api/v1/me/statement", "/review"),
    ],
)
def test_a_token_reaches_as_far_as_its_scopes(join, role, scope, reaches, stops):
    caller = join(role)
    made = caller.ask("POST", "/api/v1/me/tokens", json={"scopes": [scope], "label": "夜間", "days": 3})
    assert made.status_code == 201
    narrow = {"Authorization": f"Bearer {made.get_json()['token']}"}
    assert caller.client.get(reaches, headers=narrow).status_code == 200
    assert caller.client.get(stops, headers=narrow).status_code == 403
    again = caller.client.post("/api/v1/me/tokens", headers=narrow, json={"scopes": [scope]})
    assert again.status_code == 403  # a token makes no token
    assert caller.client.post("/signin", data={"key": made.get_json()["token"]}).status_code == 403
    assert caller.client.delete("/api/v1/me", headers=narrow).status_code == 403


def test_a_token_is_listed_and_ended_by_its_owner_alone(join):
    owner, other = join("consumer"), join("consumer")
    made = owner.ask("POST", "/api/v1/me/tokens", json={"scopes": ["read-releases"]}).get_json()
    listed = owner.ask("GET", "/api/v1/me/tokens").get_json()["tokens"]
    assert made["id"] in [row["id"] for row in listed] and made["token"] not in json.dumps(listed)
    theirs = other.ask("DELETE", f"/api/v1/me/tokens/{made['id']}")
    nothing = other.ask("DELETE", f"/api/v1/me/tokens/{'0' * 24}")
    assert (theirs.status_code, theirs.data) == (nothing.status_code, nothing.data)
    bearer = {"Authorization": f"Bearer {made['token']}"}
    assert owner.client.get("/api/v1/releases", headers=bearer).status_code == 200
    for _ in range(2):
        assert owner.ask("DELETE", f"/api/v1/me/tokens/{made['id']}").status_code == 204
    assert owner.client.get("/api/v1/releases", headers=bearer).status_code == 401


def test_nobody_makes_a_token_beyond_their_role_and_the_same_nonce_makes_one(join):
    caller = join("consumer")
    assert caller.ask("POST", "/api/v1/me/tokens", json={"scopes": ["operate"]}).status_code == 422
    assert caller.ask("POST", "/api/v1/me/tokens", json={"scopes": ["sign-in"]}).status_code == 422
    body = {"scopes": ["read-releases"], "nonce": "ab" * 16}
    made = {caller.ask("POST", "/api/v1/me/tokens", json=body).get_json()["token"] for _ in range(2)}
    assert len(made) == 1


def test_a_listening_is_one_entry_whatever_ranges_it_took_and_the_speaker_sees_the_role(
    speaker, join, good, site
):
    speaker.send(good)
    reviewer = join("reviewer")
    for ranges in ("bytes=0-99", "bytes=100-199", "bytes=1-"):
        path = f"/api/v1/clips/{good.clip_id}/audio"
        assert reviewer.ask("GET", path, {"Range": ranges}).status_code == 206
    (row,) = speaker.ask("GET", "/api/v1/me/heard").get_json()["heard"]
    assert (row["clip_id"], row["role"], row["times"]) == (good.clip_id, "reviewer", 1)
    assert reviewer.joined["person_id"] not in json.dumps(row)
    operator = join("operator")
    entries = operator.ask("GET", "/api/v1/audit").get_json()["entries"]
    assert {"join", "listen"} <= {e["action"] for e in entries}
    said = operator.ask("GET", "/operator/audit").text
    assert "阿美" not in said and speaker.token not in said


def test_a_session_is_withdrawn_by_its_speaker_alone_with_receipts(speaker, join, good, site):
    speaker.send(good)
    other = join("speaker")
    theirs, nothing = (other.ask("DELETE", f"/api/v1/me/sessions/{s}") for s in ("s1", "nowhere"))
    assert (theirs.status_code, theirs.data) == (nothing.status_code, nothing.data)
    answer = speaker.ask("DELETE", "/api/v1/me/sessions/s1").get_json()
    assert answer["clips"] == len(answer["receipts"]) == 1
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}/audio").status_code == 404


def test_a_joined_speaker_withdraws_and_finds_the_page_from_the_command(shared, tmp_path, make):
    """The terminal was the only way in; it must be a way out too."""
    import os

    environ = {**os.environ, "XDG_CONFIG_HOME": str(tmp_path / "c"), "XDG_DATA_HOME": str(tmp_path / "d")}
    environ.pop("XIANGYIN_DATA", None)

    def run(*words):
        return subprocess.run(
            [sys.executable, "-m", "xiangyin", *words, "--format", "json"],
            capture_output=True, text=True, env=environ, timeout=60, check=False,
        )  # fmt: skip

    (made,) = shared.command("invite", make.project.id, "--role", "speaker")
    joined = run("join", made["url"], "--yes", "--gender", "f", "--age-band", "30-39", "--region", "Tainan",
                 "--native-language", "nan")  # fmt: skip
    assert joined.returncode == 0, joined.stderr
    member = json.loads(next((tmp_path / "c").rglob("memberships/*.json")).read_text())
    import requests

    bearer = {"Authorization": f"Bearer {member['token']}"}
    for seed, session in ((31, "sa"), (32, "sb")):
        clip = make.clip(make.file(make.samples(seed)), meta=make.meta(session_id=session))
        created = requests.post(
            f"{shared.url}/api/v1/uploads", headers={**bearer, **clip.headers()}, timeout=30
        )
        location = shared.url + created.headers["Location"]
        sent = requests.patch(
            location, headers={**bearer, **make.patch_headers(0)}, data=clip.data, timeout=30
        )
        assert sent.status_code == 204
    done = json.loads(run("withdraw", "--session", "sa").stdout)
    assert done["clips"] == 1
    verified = run("receipts", "verify", *done["receipts"])
    assert json.loads(verified.stdout)["good"], verified.stdout
    assert json.loads(run("withdraw", "--all").stdout)["clips"] == 2
    assert run("withdraw", "--session", "nowhere").returncode == 2
    link = json.loads(run("page").stdout)["url"]
    assert requests.get(link, timeout=30).status_code == 200
    assert "bearer" in run("tokens", "list").stdout
    actions = {row["action"] for row in shared.command("audit")}
    assert {"join", "withdraw-session", "withdraw-all", "invite"} <= actions
