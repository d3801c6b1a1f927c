"""Invitations, tokens, consents, prompts: the rules that hold on both databases."""

from __future__ import annotations

import secrets
from dataclasses import replace

import pytest

from corpus import people, projects, prompts
from corpus.database import begin
from corpus.people import ConsentRequired, InvitationInvalid
from corpus.projects import ProjectExists, ProjectInvalid
from corpus.prompts import PromptsInvalid

NOW = 1_800_000_000_000
VOICE = {"gender": "f", "age_band": "20-29", "region": "Meixian", "native_language": "hak"}
PROJECT = projects.Project(
    "hills",
    "Hills",
    "hak-Hant-TW",
    "hak-Hant",
    "everyday",
    projects.DEFAULT_TERMS,
    projects.DEFAULT_CONSENT,
    NOW,
)


@pytest.fixture
def db(engine):
    with begin(engine) as connection:
        projects.create(connection, PROJECT)
        yield connection


def invite(db, role="speaker", expires_ms=NOW + 1000) -> str:
    secret = secrets.token_urlsafe(24)
    people.invite(db, secret, project_id="hills", role=role, now_ms=NOW, expires_ms=expires_ms)
    return secret


def accept(db, secret, **changes):
    given = {
        "random_hex": secrets.token_hex(32),
        "name": None,
        "given_attributes": VOICE,
        "consent_version": PROJECT.consent["version"],
        "now_ms": NOW,
    }
    return people.accept(db, secret, **{**given, **changes})


def test_an_invitation_makes_one_member_with_consent_and_pseudonym(db):
    secret = invite(db)
    member = accept(db, secret)
    assert member.role == "speaker" and len(member.speaker_id) == 9
    assert people.consent_id(db, member.person_id, "hills", "consent-1")
    assert people.consent_id(db, member.person_id, "hills", "consent-2") is None
    with pytest.raises(InvitationInvalid):
        accept(db, secret)
    with pytest.raises(InvitationInvalid):
        accept(db, invite(db, expires_ms=NOW))
    with pytest.raises(InvitationInvalid):
        accept(db, "no such secret")


def test_without_consent_the_invitation_stays_usable(db):
    secret = invite(db)
    with pytest.raises(ConsentRequired):
        accept(db, secret, consent_version=None)
    assert accept(db, secret)


def test_a_token_is_found_by_its_hash_until_it_ends(db):
    member = accept(db, invite(db, "reviewer"))
    people.add_token(db, "t0k", member.membership_id, kind="bearer", now_ms=NOW, expires_ms=NOW + 10)
    assert people.by_token(db, "t0k", now_ms=NOW).person_id == member.person_id
    assert people.by_token(db, "t0k", now_ms=NOW, kind="session") is None
    assert people.by_token(db, "t0k", now_ms=NOW + 10) is None
    people.revoke(db, people.hashed("t0k"), now_ms=NOW)
    assert people.by_token(db, "t0k", now_ms=NOW) is None


@pytest.mark.parametrize(
    "given",
    [
        [],
        "x",
        {"name": "Lim"},
        {"gender": 1},
        {"gender": "x" * 101},
        {"region": "a\nb"},
        {"region": "\u202e"},
    ],
)
def test_attributes_are_few_short_and_printable(given):
    with pytest.raises(people.AttributeInvalid):
        people.attributes(given)


def test_the_same_project_again_changes_nothing_another_is_refused(db):
    projects.create(db, PROJECT)
    with pytest.raises(ProjectExists):
        projects.create(db, replace(PROJECT, title="Other"))


@pytest.mark.parametrize(
    "change",
    [{"id": "Hills"}, {"id": "-"}, {"id": "../x"}, {"title": " "}, {"title": "a\0b"}, {"language": "Hakka!"},
     {"terms": {"version": "1"}}, {"terms": {"version": "a b", "text": "x"}},
     {"consent": {"version": "1", "text": "x"}}],
)  # fmt: skip
def test_a_project_of_wrong_shape_is_refused(db, change):
    with pytest.raises(ProjectInvalid):
        projects.create(db, replace(PROJECT, **{"id": "other", **change}))


def test_prompts_are_read_from_text_csv_and_jsonl():
    assert prompts.read("\ufeff你好\r\n\n 食飽未 \n", "p.txt") == [(None, "你好"), (None, "食飽未")]
    assert prompts.read('id,text\na1,"一,二"\n,三\n', "p.csv") == [("a1", "一,二"), (None, "三")]
    assert prompts.read('{"id":"a","text":"一"}\n\n{"text":"二"}\n', "p.jsonl") == [("a", "一"), (None, "二")]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("p.txt", "好\n好\n", "line 2: the same text as line 1"),
        ("p.txt", "", "holds no prompt"),
        ("p.txt", "a\x07b\n", "line 1: the text holds control characters"),
        ("p.txt", "x" * 1001, "line 1: the text is longer"),
        ("p.csv", "words\na\n", "column named text"),
        ("p.csv", "id,text\na,b,c\n", "line 2"),
        ("p.jsonl", '{"text":"a"}\n{"text":', "line 2: this is not JSON"),
        ("p.jsonl", '["a"]', 'line 1: need an object with "text"'),
        ("p.jsonl", '{"id":"a b","text":"x"}', "line 1: the id"),
        ("p.jsonl", '{"id":"a","text":"x"}\n{"id":"a","text":"y"}', "line 2: the same id as line 1"),
        ("p.jsonl", "[" * 100_000, "line 1: this is not JSON"),
    ],
)
def test_one_bad_line_refuses_the_whole_file_and_is_named(name, text, says):
    with pytest.raises(PromptsInvalid) as caught:
        prompts.read(text, name)
    assert says in str(caught.value)


def test_importing_prompts_again_adds_only_what_is_new(db):
    assert prompts.add(db, "hills", [(None, "一", "一"), ("x", "二", "二")]) == 2
    assert prompts.add(db, "hills", [(None, "一", "一"), (None, "三", "三")]) == 1
    assert [(p.seq, p.text) for p in prompts.of_project(db, "hills")] == [(1, "一"), (2, "二"), (3, "三")]
    projects.create(db, replace(PROJECT, id="plains"))
    assert prompts.add(db, "plains", [("x", "二", "二")]) == 1
    assert [p.id for p in prompts.of_project(db, "plains")] == ["plains-x"]
