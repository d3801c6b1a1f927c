"""Terms are data: read strictly, kept in every version, paid in whole millionths."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import lifecycle, projects, terms
from corpus.database import begin
from corpus.lifecycle import STEPS, StepImpossible
from corpus.terms import DAY_MS, TermsInvalid

NOW = 1_800_000_000_000
BASE = {"version": "t1", "text": "Pay."}
PROJECT = projects.Project(
    "hills", "Hills", "hak-Hant-TW", "hak-Hant", "everyday", BASE, projects.DEFAULT_CONSENT, NOW
)


def test_what_is_not_said_has_a_default_that_is_shown():
    shown = terms.parse(BASE).as_json()
    assert (shown["appeal_days"], shown["decision_days"]) == (14, 30)
    assert shown["codes"] == list(terms.HEARD)
    assert shown["rate_per_s"] is None and shown["currency"] is None


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"rate_per_s": "0.1"}, "terms.currency"),
        ({"rate_per_s": -1, "currency": "TWD"}, "terms.rate_per_s"),
        ({"rate_per_s": float("nan"), "currency": "TWD"}, "terms.rate_per_s"),
        ({"rate_per_s": True, "currency": "TWD"}, "terms.rate_per_s"),
        ({"rate_per_clip": "0.0000001", "currency": "TWD"}, "terms.rate_per_clip"),
        ({"rate_per_second": 1}, "terms.rate_per_second"),
        ({"currency": "dollars"}, "terms.currency"),
        ({"appeal_days": 0}, "terms.appeal_days"),
        ({"decision_days": float("inf")}, "terms.decision_days"),
        ({"codes": []}, "terms.codes"),
        ({"codes": ["timbre.bad"]}, "terms.codes"),
        ({"codes": [["content.unclear"]]}, "terms.codes"),
        ({"version": "a b"}, "terms.version"),
        ({"text": " "}, "terms"),
    ],
)
def test_terms_of_a_wrong_shape_are_refused_by_field(change, field):
    with pytest.raises(TermsInvalid) as caught:
        terms.parse({**BASE, **change})
    assert caught.value.parameters["field"] == field


def test_what_an_earlier_version_let_pass_does_not_stop_a_clip():
    old = {**BASE, "rate_per_s": 1, "appeal_days": 7, "codes": "all", "bonus": 3}
    assert terms.stored(old).appeal_ms == 7 * DAY_MS
    assert terms.stored(old).pay_micros(1000) == 0  # a rate of no currency
    assert terms.stored({**old, "currency": "TWD"}).pay_micros(1000) == 1_000_000


def test_a_tenth_is_paid_as_a_tenth():
    # 0.1 has no exact binary form; thirty seconds of it must be 3 and not 3.0000000000000004.
    agreed = terms.parse({**BASE, "currency": "TWD", "rate_per_s": 0.1, "rate_per_clip": "0.05"})
    assert terms.decimal(agreed.pay_micros(30_000)) == "3.05"


@given(st.integers(0, 10**15 - 1))
def test_amounts_survive_being_written(amount):
    assert terms.micros(terms.decimal(amount)) == amount


def test_an_old_version_stays_readable_and_is_never_rewritten(engine):
    with begin(engine) as db:
        projects.create(db, PROJECT)
        assert projects.revise(db, "hills", "terms", {**BASE, "version": "t2", "appeal_days": 3}, now_ms=NOW)
        assert not projects.revise(
            db, "hills", "terms", {**BASE, "version": "t2", "appeal_days": 3}, now_ms=NOW + 1
        )
        assert terms.of_version(db, "hills", "t1").appeal_ms == 14 * DAY_MS
        assert terms.of_version(db, "hills", "t2").appeal_ms == 3 * DAY_MS
        with pytest.raises(terms.VersionTaken):
            projects.revise(db, "hills", "terms", {**BASE, "appeal_days": 1}, now_ms=NOW + 2)
        with pytest.raises(terms.VersionUnknown):
            terms.of_version(db, "hills", "t9")
        with pytest.raises(projects.ProjectInvalid):
            projects.revise(db, "hills", "terms", {"version": "t3"}, now_ms=NOW + 3)


def test_a_project_cannot_be_made_with_bad_terms(engine):
    with begin(engine) as db, pytest.raises(projects.ProjectInvalid):
        projects.create(db, replace(PROJECT, terms={**BASE, "rate_per_s": "much"}))


def test_a_decided_clip_can_only_be_withdrawn():
    for final in ("reversed", "upheld"):
        assert [step for step, known in STEPS.items() if final in known] == ["withdraw"]


def test_only_a_person_comes_between_a_refusal_and_its_reversal():
    # No way leads from refused to accepted but by way of an appeal.
    reached, front = set(), {"refused"}
    while front:
        reached |= front
        front = {
            known[at]
            for step, known in STEPS.items()
            for at in front
            if at in known and step not in ("appeal", "withdraw")
        } - reached
    assert reached == {"refused"}


@given(st.sampled_from(sorted(STEPS)), st.sampled_from(sorted({s for k in STEPS.values() for s in k})))
def test_a_step_is_in_the_table_or_impossible(step, before):
    if before in STEPS[step]:
        assert lifecycle.after(step, before) == STEPS[step][before]
    else:
        with pytest.raises(StepImpossible):
            lifecycle.after(step, before)
