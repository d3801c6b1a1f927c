"""Refusal, appeal, decision, silence, payment: who may, until when, and what the log says of it."""

from __future__ import annotations

import json
import secrets

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from corpus import clips, ledger, payments, projects, review, statement, tables, terms, withdrawal
from corpus.database import begin, reading
from corpus.lifecycle import AppealLate, DecisionLate, StepImpossible
from corpus.terms import DAY_MS
from protocol.errors import CodedError
from recorder import receipts as checking

PAID = {"version": "t2", "text": "Paid.", "currency": "TWD", "rate_per_s": "0.5", "rate_per_clip": 2}


@pytest.fixture
def refused(speaker, make):
    """A clip that the measuring refused: too noisy for the grade it was made for."""
    clip = make.clip(make.file(make.samples(snr_db=5.0)))
    assert speaker.send(clip)["state"] == "refused"
    return clip.clip_id


@pytest.fixture
def act(site):
    """The steps that people take, at a time of the test's choosing."""

    class Act:
        person = "nobody"

        def common(self, now_ms):
            return {"signer": site.signer, "salt": secrets.token_bytes(16), "now_ms": now_ms}

        def appeal(self, clip_id, now_ms):
            with begin(site.engine) as db:
                review.appeal(db, clips.find(db, clip_id), reason="Listen.", **self.common(now_ms))

        def decide(self, clip_id, person_id, step, now_ms):
            with begin(site.engine) as db:
                review.decide_appeal(
                    db, clip_id, person_id=person_id, project_id="tales", step=step, **self.common(now_ms)
                )

        def silence(self, now_ms):
            return review.settle_silent(site.engine, site.signer, random_hex=site.random_hex, now_ms=now_ms)

        def clip(self, clip_id):
            with reading(site.engine) as db:
                return clips.find(db, clip_id)

    return Act()


def test_an_appeal_after_its_deadline_is_refused_with_the_deadline(act, site, refused):
    late = act.clip(refused).received_ms + 14 * DAY_MS + 1
    with pytest.raises(AppealLate) as caught:
        act.appeal(refused, late)
    assert caught.value.parameters["until"] == ledger.rfc3339(late - 1)
    act.appeal(refused, late - 1)
    assert act.clip(refused).state == "appealed"


def test_the_time_to_appeal_is_that_of_the_terms_the_clip_came_under(act, site, refused):
    with begin(site.engine) as db:
        projects.revise(db, "tales", "terms", {**PAID, "appeal_days": 1}, now_ms=site.clock_ms())
    act.appeal(refused, act.clip(refused).received_ms + 10 * DAY_MS)
    assert act.clip(refused).state == "appealed"


def test_a_decided_appeal_is_final_and_every_step_has_a_receipt(act, speaker, join, refused):
    reviewer = join("reviewer").joined["person_id"]
    now = act.clip(refused).received_ms
    act.appeal(refused, now)
    act.decide(refused, reviewer, "refuse", now)
    act.decide(refused, reviewer, "refuse", now)  # the same again, as after a lost answer
    with pytest.raises(StepImpossible):
        act.appeal(refused, now)
    rows = speaker.ask("GET", f"/api/v1/clips/{refused}/receipts").get_json()["receipts"]
    checked = [checking.check(row, [row["vkey"]]) for row in rows]
    assert [one.event for one in checked] == ["refused", "appealed", "decided"]
    entry = json.loads(rows[2]["entry"])
    assert entry["reasons"] == ["snr.below_band"]
    assert entry["terms"] == "terms-1" and entry["profile"] and entry["rules"]
    told = speaker.ask("GET", f"/api/v1/clips/{refused}").get_json()
    assert told["final"] and [row["outcome"] for row in told["decisions"]] == [
        "refused",
        "appealed",
        "refused",
    ]
    last = told["decisions"][-1]["reasons"][0]
    assert last["value"] is not None and last["limit"] is not None and last["end_s"] == 3.0


def test_neither_its_speaker_nor_an_outsider_decides_an_appeal(act, speaker, join, refused):
    now = act.clip(refused).received_ms
    act.appeal(refused, now)
    with pytest.raises(clips.ClipNotFound):
        act.decide(refused, speaker.joined["person_id"], "accept", now)
    one, other = (join("reviewer").joined["person_id"] for _ in range(2))
    act.decide(refused, one, "accept", now)
    with pytest.raises(clips.ClipNotFound):
        act.decide(refused, other, "refuse", now)
    assert act.clip(refused).state == "accepted" and act.clip(refused).grade == "quiet"


def test_an_appeal_that_nobody_decides_counts_as_accepted_once(act, site, speaker, join, refused):
    now = act.clip(refused).received_ms
    assert act.silence(now + 1000 * DAY_MS) == 0  # a refusal alone is not turned by silence
    act.appeal(refused, now)
    assert act.silence(now + 30 * DAY_MS) == 0
    late = now + 30 * DAY_MS + 1
    with pytest.raises(DecisionLate):
        act.decide(refused, join("reviewer").joined["person_id"], "refuse", late)
    assert (act.silence(late), act.silence(late)) == (1, 0)
    assert act.clip(refused).state == "accepted" and act.clip(refused).final_ms == late
    rows = speaker.ask("GET", f"/api/v1/clips/{refused}/receipts").get_json()["receipts"]
    assert json.loads(rows[-1]["entry"])["reasons"] == ["decision.silent"]
    assert checking.check(rows[-1], []).decision == "accept"
    account = speaker.ask("GET", "/api/v1/me/statement").get_json()
    assert (account["accepted"], account["payable_ms"]) == (1, 3000)


def test_what_holds_no_sound_is_not_accepted_by_silence(act, speaker, make):
    clip = make.clip(b"not a sound at all")
    speaker.send(clip)
    now = act.clip(clip.clip_id).received_ms
    act.appeal(clip.clip_id, now)
    assert act.silence(now + 1000 * DAY_MS) == 0
    assert act.clip(clip.clip_id).state == "appealed"


@pytest.fixture
def at_review(site, join, speaker, good):
    """An accepted clip that a reviewer holds: (clip id, assignment id, reviewer)."""
    speaker.send(good)
    with begin(site.engine) as db:
        change = sa.update(tables.clip).where(tables.clip.c.id == good.clip_id)
        db.execute(change.values(text_stage="review"))
    reviewer = join("reviewer")
    held = reviewer.ask("POST", "/api/v1/assignments").get_json()
    return good.clip_id, held["id"], reviewer


@pytest.mark.parametrize(
    "form",
    [
        {"reason": "content.unclear"},
        {"reason": "content.unclear", "start_s": "0.5"},
        {"reason": "content.unclear", "start_s": "0.5", "end_s": "0.5"},
        {"reason": "content.unclear", "start_s": "1", "end_s": "99"},
        {"reason": "timbre", "start_s": "0.5", "end_s": "1"},
        {"reason": "decision.silent", "start_s": "0.5", "end_s": "1"},
        {"reason": "", "note": "bad timbre", "start_s": "0.5", "end_s": "1"},
    ],
)
def test_a_reviewers_refusal_needs_a_listed_reason_and_a_place(at_review, act, form):
    clip_id, assignment_id, reviewer = at_review
    answer = reviewer.ask("POST", f"/review/{assignment_id}/refuse", data=form)
    assert answer.status_code == 400
    assert act.clip(clip_id).state == "accepted"
    good = {"reason": "content.unclear", "start_s": "0.5", "end_s": "1"}
    for _ in range(2):
        assert reviewer.ask("POST", f"/review/{assignment_id}/refuse", data=good).status_code == 303
    assert act.clip(clip_id).state == "refused"


def test_the_refuser_does_not_decide_the_appeal(at_review, act):
    clip_id, assignment_id, reviewer = at_review
    form = {"reason": "content.unclear", "start_s": "0.5", "end_s": "1"}
    reviewer.ask("POST", f"/review/{assignment_id}/refuse", data=form)
    now = act.clip(clip_id).received_ms
    act.appeal(clip_id, now + 1000)
    with pytest.raises(clips.ClipNotFound):
        act.decide(clip_id, reviewer.joined["person_id"], "refuse", now + 2000)


def test_a_refusal_after_the_deadline_is_refused_and_the_clip_stays_accepted(at_review, act, site):
    clip_id, assignment_id, reviewer = at_review
    with begin(site.engine) as db, pytest.raises(CodedError) as caught:
        review.refuse_sound(
            db, assignment_id, person_id=reviewer.joined["person_id"], reason="content.unclear",
            start_s=0.0, end_s=1.0, note=None, **act.common(act.clip(clip_id).received_ms + 30 * DAY_MS + 1),
        )  # fmt: skip
    assert caught.value.code == "DECISION_LATE"
    assert act.clip(clip_id).state == "accepted"


def test_new_terms_are_shown_before_further_work(site, join):
    reviewer = join("transcriber")
    assert reviewer.ask("GET", "/desk").status_code == 200
    with begin(site.engine) as db:
        projects.revise(db, "tales", "terms", PAID, now_ms=site.clock_ms())
    assert reviewer.ask("GET", "/desk").headers["Location"] == "/terms"
    assert "0.50 TWD" in reviewer.ask("GET", "/terms", {"Accept-Language": "en"}).text
    assert reviewer.ask("POST", "/terms", data={"version": "t2"}).status_code == 303
    assert reviewer.ask("GET", "/desk").status_code == 200
    assert "terms-1" in reviewer.ask("GET", "/terms/terms-1").text


def test_pay_is_counted_logged_once_and_shown_as_open(site, speaker, good, make):
    with begin(site.engine) as db:
        projects.revise(db, "tales", "terms", PAID, now_ms=site.clock_ms())
    assert speaker.send(good)["receipt"]["details"]["payable_micros"] == 3_500_000  # 3 s and one clip
    person_id = speaker.joined["person_id"]

    def pay(amount_micros, reference):
        with begin(site.engine) as db:
            return payments.pay(
                db, person_id, until_seq=None, amount_micros=amount_micros, reference=reference,
                signer=site.signer, item_id=secrets.token_hex(16), salt=secrets.token_bytes(16), now_ms=1,
            )  # fmt: skip

    assert pay(1_000_000, "may") == pay(1_000_000, "may")
    account = speaker.ask("GET", "/api/v1/me/statement").get_json()
    assert account["money"] == [{"currency": "TWD", "payable": "3.50", "paid": "1.00", "open": "2.50"}]
    assert pay(None, None).amount_micros == 2_500_000
    with pytest.raises(payments.PaymentInvalid):
        pay(None, None)
    with reading(site.engine) as db:
        assert "TWD" not in " ".join(ledger.leaves(db)) and person_id not in " ".join(ledger.leaves(db))


steps = st.lists(
    st.tuples(
        st.sampled_from(["appeal", "accept", "refuse", "withdraw", "silence", "pay", "terms"]),
        st.integers(0, 2),
    ),
    max_size=14,
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_the_statement_is_what_the_log_says_item_by_item(act, site, join, make, taken):
    """P16: recomputed from the exported leaves and their details alone, by other code."""
    speaker, judge = join("speaker"), join("reviewer").joined["person_id"]
    me = speaker.joined["person_id"]
    sent = [
        make.clip(make.file(make.samples(secrets.randbelow(10**6), snr_db=snr))) for snr in (30.0, 5.0, 4.0)
    ]
    for clip in sent:
        speaker.send(clip)
    now = site.clock_ms()
    for step, which in taken:
        clip_id, now = sent[which].clip_id, now + DAY_MS
        try:
            if step == "appeal":
                act.appeal(clip_id, now)
            elif step in ("accept", "refuse"):
                act.decide(clip_id, judge, step, now)
            elif step == "withdraw":
                withdrawal.of_clips(site.custody, [act.clip(clip_id)])
            elif step == "silence":
                act.silence(now + 40 * DAY_MS)
            elif step == "terms":
                with begin(site.engine) as db:
                    body = {**PAID, "version": f"v{which}", "rate_per_clip": which}
                    projects.revise(db, "tales", "terms", body, now_ms=now)
            else:
                with begin(site.engine) as db:
                    payments.pay(
                        db, me, until_seq=None, amount_micros=None, reference=None, signer=site.signer,
                        item_id=secrets.token_hex(16), salt=secrets.token_bytes(16), now_ms=now,
                    )  # fmt: skip
        except CodedError:
            continue  # a step that is not allowed changes nothing
    with reading(site.engine) as db:
        account = statement.of_person(db, me)
        leaves = [json.loads(leaf) for leaf in ledger.leaves(db)]
        details = {row.seq: row.details for row in db.execute(sa.select(tables.ledger_detail))}
        mine = {act.clip(clip.clip_id).item_id for clip in sent}
    final = {}
    for leaf in leaves:
        if leaf["item"] in mine:
            final[leaf["item"]] = leaf
    assert {row["item"]: row["seq"] for row in account["clips"]} == {i: e["seq"] for i, e in final.items()}
    earned = {item: details.get(e["seq"], {}).get("payable_ms", 0) for item, e in final.items()}
    assert {row["item"]: row["payable_ms"] for row in account["clips"]} == earned
    pay = sum(details.get(e["seq"], {}).get("payable_micros", 0) for e in final.values())
    assert sum(terms.micros(row["payable"]) for row in account["money"]) == pay
    assert account["payable_ms"] == sum(earned.values())
