"""Joining, the project, sound in ranges, withdrawal, the account, strict JSON, the description of it all."""

from __future__ import annotations

import json

import pytest

from protocol.errors import catalogue

VOICE = {"gender": "male", "age_band": "50-59", "region": "Lukang", "native_language": "nan"}


def asked(site, make, role="speaker", **more):
    yes = {"version": make.project.consent["version"], "yes": True}
    return {"invite": make.invitation(site, role), "consent": yes, "attributes": VOICE, **more}


def test_an_invitation_works_once(app, site, make):
    client, body = app.test_client(), asked(site, make)
    first = client.post("/api/v1/join", json=body)
    assert first.status_code == 201
    assert first.get_json()["speaker_id"].startswith("S") and len(first.get_json()["speaker_id"]) == 9
    second = client.post("/api/v1/join", json=body)
    assert (second.status_code, second.get_json()["code"]) == (410, "INVITATION_INVALID")


def test_a_join_whose_answer_was_lost_can_be_repeated(app, site, make):
    client, body = app.test_client(), asked(site, make, nonce="ab" * 16)
    answers = [client.post("/api/v1/join", json=body).get_json() for _ in range(3)]
    assert answers[0] == answers[1] == answers[2] and "token" in answers[0]
    assert client.post("/api/v1/join", json={**body, "nonce": "cd" * 16}).status_code == 410


@pytest.mark.parametrize(
    "change",
    [{"consent": None}, {"consent": {"version": "consent-1", "yes": False}}, {"attributes": None},
     {"consent": {"version": "consent-0", "yes": True}}, {"attributes": {**VOICE, "region": " "}}],
)  # fmt: skip
def test_a_speaker_needs_consent_and_attributes_and_keeps_the_invitation_meanwhile(app, site, make, change):
    client, body = app.test_client(), asked(site, make)
    refused = client.post("/api/v1/join", json={**body, **change})
    assert (refused.status_code, refused.get_json()["code"]) == (422, "CONSENT_REQUIRED")
    assert client.post("/api/v1/join", json=body).status_code == 201


def test_the_project_tells_a_member_what_to_know_before_work(speaker, make):
    found = speaker.ask("GET", "/api/v1/project").get_json()
    assert found["project"] == "tales"
    assert found["prompts"] == [{"id": "p1", "seq": 1, "text": "你食飽未"}]
    assert found["consent"]["license"] and found["terms"]["version"]
    from noise_profiles.profile import NoiseProfile

    assert NoiseProfile.from_json(found["profile"]).id == "everyday"


def test_sound_comes_in_ranges_with_an_etag_that_is_checked_each_time(speaker, good):
    speaker.send(good)
    path = f"/api/v1/clips/{good.clip_id}/audio"
    whole = speaker.ask("GET", path)
    assert whole.data == good.data
    part = speaker.ask("GET", path, {"Range": "bytes=100-199"})
    assert (part.status_code, part.data) == (206, good.data[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(good.data)}"
    assert speaker.ask("GET", path, {"If-None-Match": whole.headers["ETag"]}).status_code == 304
    assert speaker.ask("GET", path, {"Range": f"bytes={len(good.data)}-"}).status_code == 416
    assert whole.headers["Cache-Control"] == "private, no-cache"
    assert whole.headers["X-Content-Type-Options"] == "nosniff"


def test_peaks_bound_the_sound(speaker, make):
    clip = make.clip()
    speaker.send(clip)
    found = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/peaks?points=100").get_json()
    x = make.samples() / 32768
    assert len(found["peaks"]) == 100 and found["samples"] == len(x)
    assert min(p[0] for p in found["peaks"]) == pytest.approx(x.min(), abs=1e-4)
    assert max(p[1] for p in found["peaks"]) == pytest.approx(x.max(), abs=1e-4)
    for points in ("0", "9", "100000", "x", "１００", "-5"):
        assert speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/peaks?points={points}").status_code == 400


def test_a_transcriber_hears_a_clip_only_while_holding_it(speaker, join, good):
    speaker.send(good)
    worker = join("transcriber")
    path = f"/api/v1/clips/{good.clip_id}/audio"
    assert worker.ask("GET", path).status_code == 404
    lease = worker.ask("POST", "/api/v1/assignments").get_json()
    assert lease["clip_id"] == good.clip_id
    assert worker.ask("GET", path).status_code == 200
    assert worker.ask("POST", f"/api/v1/assignments/{lease['id']}/release").status_code == 204
    assert worker.ask("GET", path).status_code == 404


def test_a_refusal_can_be_appealed_once_and_stands_in_the_log(speaker, make):
    clip = make.clip(make.file(make.samples(3, snr_db=5.0)))
    speaker.send(clip)
    path = f"/api/v1/clips/{clip.clip_id}/appeal"
    for _ in range(2):
        answer = speaker.ask("POST", path, json={"reason": "那台冷氣是隔壁的"})
        assert (answer.status_code, answer.get_json()["state"]) == (200, "appealed")
    assert speaker.ask("GET", "/api/v1/me/statement").get_json()["pending"] == 1
    assert speaker.ask("POST", path, json={"reason": ""}).status_code == 400


def test_an_accepted_clip_cannot_be_appealed(speaker, good):
    speaker.send(good)
    answer = speaker.ask("POST", f"/api/v1/clips/{good.clip_id}/appeal", json={"reason": "?"})
    assert (answer.status_code, answer.get_json()["code"]) == (409, "CLIP_STEP_IMPOSSIBLE")


def test_the_statement_counts_what_the_log_says(speaker, make):
    speaker.send(make.clip())
    speaker.send(make.clip(make.file(make.samples(2, seconds=4.0))))
    speaker.send(make.clip(b"no sound"))
    found = speaker.ask("GET", "/api/v1/me/statement").get_json()
    assert (found["accepted"], found["refused"], found["pending"]) == (2, 1, 0)
    assert (found["payable_ms"], found["accepted_s"]) == (7000, 7.0)
    assert [c["state"] for c in found["clips"]] == ["accepted", "accepted", "refused"]
    assert found["clips"][2]["reasons"][0]["code"] == "container.not_audio"
    assert found["head"].startswith("xiangyin/")


def test_the_statement_tells_the_figure_and_the_limit_of_each_refusal(speaker, make):
    speaker.send(make.clip(make.file(make.samples(3, snr_db=5.0))))
    (row,) = speaker.ask("GET", "/api/v1/me/statement").get_json()["clips"]
    reason = next(r for r in row["reasons"] if r["code"] == "snr.below_band")
    assert reason["value"] == pytest.approx(5.0, abs=1.5)
    assert reason["limit"] > reason["value"]
    assert f"{reason['limit']:g} dB" in reason["message"] and "?" not in reason["message"]


def test_the_record_of_work_is_signed_and_names_nobody(speaker, make):
    speaker.send(make.clip())
    found = speaker.ask("GET", "/api/v1/me/record").get_json()
    from corpus.keys import verify_ed25519
    from protocol import tlog

    key = tlog.VerifierKey.parse(found["vkey"])
    header, line, _ = tlog.open_note(found["record"], key, verify_ed25519).split("\n")
    said = json.loads(line)
    assert (header, said["clips_accepted"], said["accepted_s"]) == ("xiangyin-record/v1", 1, 3.0)
    assert said["person"] == speaker.joined["speaker_id"] and "阿美" not in found["record"]
    with pytest.raises(tlog.ReceiptInvalid):
        tlog.open_note(
            found["record"].replace('"clips_accepted":1', '"clips_accepted":9'), key, verify_ed25519
        )
    with pytest.raises(tlog.ReceiptInvalid):
        tlog.open_checkpoint(found["record"], key, verify_ed25519)


def test_a_withdrawn_clip_is_gone_and_its_receipt_is_new(speaker, site, good, make):
    speaker.send(good)
    keep = make.clip(make.file(make.samples(8)))
    speaker.send(keep)
    answer = speaker.ask("DELETE", f"/api/v1/clips/{good.clip_id}").get_json()
    assert answer["clips"] == 1
    assert json.loads(answer["receipts"][0]["entry"])["event"] == "withdrawn"
    assert speaker.ask("DELETE", f"/api/v1/clips/{good.clip_id}").get_json()["receipts"] == []
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}/audio").status_code == 404
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}").get_json()["state"] == "withdrawn"
    assert good.sha256 not in site.store and keep.sha256 in site.store
    assert speaker.ask("GET", "/api/v1/me/statement").get_json()["withdrawn"] == 1
    from corpus import check

    assert list(check.everything(site.engine, site.store, site.signer.verifier, site.shelf)) == []


def test_a_person_can_take_back_everything(speaker, site, make):
    for seed in (1, 2):
        speaker.send(make.clip(make.file(make.samples(seed))))
    assert speaker.ask("DELETE", "/api/v1/me").get_json()["clips"] == 2
    assert list(site.store) == []
    answer = speaker.create(make.clip(make.file(make.samples(3))))
    assert answer.get_json()["code"] == "consent.missing"


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"text":"a","ruleset":NaN}', b'{"text":"\\ud800","ruleset":"en"}', b"\xff\xfe",
     b'{"text":"a","text":"b","ruleset":"en"}', b"[" * 50_000, b'{"a":' * 500 + b"1" + b"}" * 500,
     b'{"text":"a","ruleset":"en","speech_s":' + b"9" * 5000 + b"}",
     b'{"text":"a","ruleset":"en","speech_s":1e999}',
     b'{"text":1,"ruleset":"en"}', b'{"text":"a","ruleset":"en","more":1}', b'{"ruleset":"en"}', b"null",
     b'{"text":"' + b"a" * 20_000 + b'","ruleset":"en"}'],
)  # fmt: skip
def test_json_that_not_everyone_reads_alike_is_refused(speaker, body):
    answer = speaker.ask("POST", "/api/v1/lint", {"Content-Type": "application/json"}, data=body)
    assert (answer.status_code, answer.get_json()["code"]) == (400, "REQUEST_INVALID")
    assert answer.mimetype == "application/problem+json"


def test_a_body_beyond_the_limit_is_413_and_another_type_415(speaker):
    big = speaker.ask("POST", "/api/v1/lint", {"Content-Type": "application/json"}, data=b" " * 300_000)
    assert big.status_code == 413
    assert speaker.ask("POST", "/api/v1/lint", data=b"text").status_code == 415


def test_a_problem_speaks_the_readers_language(speaker):
    for wanted, tag in (("zh-TW", "zh-Hant"), ("zh-CN", "zh-Hans"), ("fr", "en")):
        answer = speaker.ask("GET", "/api/v1/clips/" + "0" * 36, {"Accept-Language": wanted})
        found = answer.get_json()
        assert found["detail"] == catalogue()["NOT_FOUND"].sentences[tag]
        assert (found["status"], found["title"], answer.headers["Content-Language"]) == (
            404,
            "NOT_FOUND",
            tag,
        )


def test_the_description_names_every_route_with_its_roles(app, speaker):
    found = app.test_client().get("/api/v1/openapi.json").get_json()
    assert found["openapi"].startswith("3.1")
    described = {(p, m) for p, item in found["paths"].items() for m in item}
    for call in (
        ("/api/v1/join", "post"), ("/api/v1/uploads", "post"), ("/api/v1/uploads/{upload_id}", "patch"),
        ("/api/v1/uploads/{upload_id}", "head"), ("/api/v1/clips/{clip_id}/audio", "get"),
        ("/api/v1/me", "delete"),
        ("/api/v1/assignments", "post"), ("/api/v1/assignments/{assignment_id}", "put"),
    ):  # fmt: skip
        assert call in described
    assert found["paths"]["/api/v1/uploads"]["post"]["x-roles"] == ["speaker"]
    for item in found["paths"].values():
        for operation in item.values():
            assert operation["summary"], operation["operationId"]


def test_the_keys_are_public_and_check_a_receipt(app, speaker, good):
    receipt = speaker.send(good)["receipt"]
    published = app.test_client().get("/.well-known/xiangyin-keys.json").get_json()
    assert receipt["vkey"] in published["vkeys"]
    assert published["head"] in receipt["proof"]


def test_health_says_what_is_wrong(app, site, settings):
    from dataclasses import replace

    import server

    client = app.test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").get_json()["ready"] is True
    assert "xiangyin_ledger_entries 0" in client.get("/metrics").text
    full = replace(settings, disk_reserve_bytes=1 << 60)
    answer = server.create_app(full, replace(site, settings=full)).test_client().get("/readyz")
    assert (answer.status_code, answer.get_json()["disk"]) == (503, "DISK_FULL")


def test_a_page_can_run_only_its_own_scripts(app):
    answer = app.test_client().get("/", headers={"Accept": "text/html"})
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "unsafe" not in policy


def test_a_missing_page_answers_a_browser_with_a_page(app):
    answer = app.test_client().get("/nowhere", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
