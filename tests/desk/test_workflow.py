"""Who may do what, and what follows from two texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcribe import workflow
from transcribe.workflow import STEPS, Final, Review, Text, may_take, next_step, settle

FIRST = Text("ann", "first", "我來。")
SECOND = Text("ben", "second", "我來。")


def test_a_clip_waits_for_two_writers_and_then_for_a_reviewer():
    texts = []
    stages = []
    for step in STEPS:
        found = next_step(texts, is_final=False)
        stages.append(found.stage)
        texts.append(Text(step.stage, step.stage, "x"))
    assert stages == ["first", "second", "review"]
    assert next_step(texts, is_final=False) is None


def test_a_final_text_ends_the_work_whatever_was_written():
    assert next_step([FIRST, SECOND], is_final=True) is None


def test_one_text_settles_nothing():
    assert settle([FIRST], style="read", difference=None) is None


@pytest.mark.parametrize("style", ["read", "monologue", "dialogue"])
def test_two_texts_agree_up_to_the_cap_and_not_beyond(style):
    cap = workflow.AGREEMENT_CAP[style]
    assert settle([FIRST, SECOND], style=style, difference=cap) == Final(0, cap)
    assert settle([FIRST, SECOND], style=style, difference=cap + 1e-9) == Review(("differ",), cap + 1e-9)


def test_anyone_can_ask_for_a_second_look():
    asked = Text("ben", "second", "我來。", wants_review=True)
    assert settle([FIRST, asked], style="read", difference=0.0) == Review(("asked",), 0.0)


def test_one_who_understood_and_one_who_did_not_need_a_reviewer():
    lost = Text("ben", "second", "", status="incomplete")
    assert settle([FIRST, lost], style="read", difference=None) == Review(("incomplete",), None)


def test_what_nobody_understood_is_final_as_incomplete():
    lost = [Text(name, stage, "", "incomplete") for name, stage in (("ann", "first"), ("ben", "second"))]
    assert settle(lost, style="read", difference=None) == Final(0, None)


def test_a_reviewers_text_stands():
    review = Text("cho", "review", "我走。")
    assert settle([FIRST, SECOND, review], style="read", difference=0.5) == Final(2, 0.5)


people = st.sampled_from(["ann", "ben", "cho", "dan"])


@given(
    person=people,
    speaker=people,
    had=st.sets(people),
    role=st.sampled_from(["transcriber", "reviewer", "speaker"]),
)
def test_nobody_is_given_their_own_voice_or_a_clip_twice(person, speaker, had, role):
    for step in STEPS:
        if may_take(step, person_id=person, role=role, speaker_person_id=speaker, had_by=had):
            assert person != speaker
            assert person not in had
            assert role == step.role


def test_finishing_a_clip_comes_before_beginning_one():
    assert [step.stage for step in workflow.steps_of("transcriber")] == ["second", "first"]
    assert [step.stage for step in workflow.steps_of("reviewer")] == ["review"]
    assert workflow.steps_of("speaker") == ()
