"""``/api/v1/assignments`` over HTTP, as a program uses it."""

from __future__ import annotations

import pytest
import requests

GOOD = "我明天要去市場買菜。"


@pytest.fixture
def call(desk):
    """``call(role)`` joins a new person and gives a function that sends their requests."""

    def join(role):
        joined = requests.post(
            f"{desk.address}/api/v1/join", json={"invite": desk.invite(role)}, timeout=30
        ).json()

        def send(method, path, **more):
            headers = {"Authorization": f"Bearer {joined['token']}", **more.pop("headers", {})}
            return requests.request(
                method, f"{desk.address}/api/v1/{path}", headers=headers, timeout=30, **more
            )

        return send

    return join


def test_a_lease_tells_what_its_writer_must_know_and_no_more(desk, call):
    clip_id = desk.upload()
    ask = call("transcriber")
    reply = ask("POST", "assignments")
    body = reply.json()
    assert reply.status_code == 201
    assert reply.headers["Location"] == f"/api/v1/assignments/{body['id']}"
    assert (body["clip_id"], body["stage"], body["draft"], body["version"]) == (clip_id, "first", "", 0)
    assert body["peers"] == []
    assert body["duration_s"] == pytest.approx(4.0)
    assert body["ruleset"] == "zh-Hant"
    assert "speaker" not in reply.text
    again = ask("POST", "assignments").json()
    assert {**again, "expires_at": ""} == {**body, "expires_at": ""}


def test_nothing_left_is_no_content(desk, call):
    assert call("transcriber")("POST", "assignments").status_code == 204


def test_a_save_answers_with_findings_and_a_stale_one_with_the_stored_text(desk, call):
    desk.upload()
    ask = call("transcriber")
    held = ask("POST", "assignments").json()
    saved = ask("PUT", f"assignments/{held['id']}", json={"text": "我住3樓。", "version": 0})
    assert saved.status_code == 200
    assert saved.json()["version"] == 1
    assert saved.json()["clean"] is False
    errors = [found for found in saved.json()["findings"] if found["severity"] == "error"]
    assert [(found["code"], found["start"], found["end"]) for found in errors] == [("N001", 2, 3)]
    stale = ask("PUT", f"assignments/{held['id']}", json={"text": "別的", "version": 0})
    assert stale.status_code == 409
    assert stale.headers["Content-Type"] == "application/problem+json"
    assert (stale.json()["code"], stale.json()["text"], stale.json()["version"]) == (
        "DRAFT_CONFLICT",
        "我住3樓。",
        1,
    )


def test_a_refused_submission_names_its_findings_in_the_askers_language(desk, call):
    desk.upload()
    ask = call("transcriber")
    held = ask("POST", "assignments").json()
    refused = ask(
        "POST",
        f"assignments/{held['id']}/submit",
        json={"text": "我住3樓。", "version": 0},
        headers={"Accept-Language": "zh-TW"},
    )
    assert refused.status_code == 422
    assert refused.json()["code"] == "TRANSCRIPT_REFUSED"
    assert "還有 1 處" in refused.json()["detail"]
    assert refused.json()["version"] == 1
    assert ask("GET", f"assignments/{held['id']}").json()["draft"] == "我住3樓。"


def test_the_same_submission_twice_has_one_effect_and_one_answer(desk, call):
    desk.upload()
    ask = call("transcriber")
    held = ask("POST", "assignments").json()
    path, body = f"assignments/{held['id']}/submit", {"text": "我明天要去市場買菜.", "version": 0}
    first, second = ask("POST", path, json=body), ask("POST", path, json=body)
    assert first.status_code == second.status_code == 200
    assert first.json() == second.json()
    assert first.json()["text"] == GOOD
    assert first.json()["applied"] == ["P001"]
    assert ask("POST", path, json={"text": "別的。", "version": 1}).status_code == 409


def test_a_reviewer_sees_both_texts_without_names(desk, call):
    desk.upload()
    for text in (GOOD, "我後天要到山上採茶。"):
        ask = call("transcriber")
        held = ask("POST", "assignments").json()
        assert held["peers"] == []
        assert ask("POST", f"assignments/{held['id']}/submit", json={"text": text, "version": 0}).ok
    review = call("reviewer")("POST", "assignments").json()
    assert [sorted(peer) for peer in review["peers"]] == [["applied", "status", "text"]] * 2
    assert [peer["text"] for peer in review["peers"]] == [GOOD, "我後天要到山上採茶。"]


def test_anothers_assignment_and_none_look_the_same(desk, call):
    desk.upload()
    ann, ben = call("transcriber"), call("transcriber")
    held = ann("POST", "assignments").json()
    for method, tail, body in (
        ("GET", "", None),
        ("PUT", "", {"text": "x", "version": 0}),
        ("POST", "/submit", {"text": "x", "version": 0}),
        ("POST", "/release", {}),
    ):
        theirs = ben(method, f"assignments/{held['id']}{tail}", json=body)
        nothing = ben(method, f"assignments/{'0' * 32}{tail}", json=body)
        assert theirs.status_code == nothing.status_code == 404
        assert theirs.json()["code"] == nothing.json()["code"]


def test_the_sound_is_heard_by_its_holder_only(desk, call):
    clip_id = desk.upload()
    ann, ben = call("transcriber"), call("transcriber")
    held = ann("POST", "assignments").json()
    assert ann("GET", f"clips/{clip_id}/audio", headers={"Range": "bytes=0-99"}).status_code == 206
    assert ben("GET", f"clips/{clip_id}/audio").status_code == 404
    assert ann("POST", f"assignments/{held['id']}/release").status_code == 204
    assert ann("GET", f"clips/{clip_id}/audio").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {"text": "x"},
        {"text": 1, "version": 0},
        {"text": "x", "version": "0"},
        {"text": "x", "version": 0, "extra": 1},
        {"text": "x" * 20_001, "version": 0},
        {"text": "a\0b", "version": 0},
    ],
)
def test_a_malformed_draft_is_refused_with_a_reason(desk, call, body):
    desk.upload()
    ask = call("transcriber")
    held = ask("POST", "assignments").json()
    reply = ask("PUT", f"assignments/{held['id']}", json=body)
    assert reply.status_code == 400
    assert reply.json()["detail"]
    assert ask("GET", f"assignments/{held['id']}").json()["draft"] == ""
