"""Walks through a session, as a table: events in, actions out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recorder.session import (
    Consented,
    Do,
    Heard,
    Judged,
    Key,
    Phase,
    Rules,
    SourceEnded,
    UtteranceEnded,
    begin,
    step,
)

RULES = Rules("prompted", room_samples=200, lead_in_samples=50, longest_samples=600, prompts=2)
HANDS_FREE = Rules("hands_free", room_samples=200, lead_in_samples=50, longest_samples=600, room_tries=1)
YES, NO = Consented(yes=True), Consented(yes=False)
QUIET, SPEECH = Heard(100, speaking=False), Heard(100, speaking=True)


def walk(events, rules=RULES):
    """Where the events lead, and all that was done on the way."""
    state, done = begin()[0], []
    for event in events:
        state, actions = step(state, event, rules)
        done += actions
    return state, done


READY = [YES, QUIET, QUIET]  # consent, two seconds of room tone
RECORDING = [*READY, Key.START, QUIET]

TABLE = {
    "no consent, no sound": ([NO], Phase.DONE, [Do.FINISH]),
    "consent leads to the room": ([YES], Phase.ROOM, [Do.LISTEN_TO_ROOM]),
    "a quiet room is measured": (
        READY,
        Phase.PROMPT,
        [Do.LISTEN_TO_ROOM, Do.MEASURE_ROOM, Do.SHOW_PROMPT],
    ),
    "who speaks is asked again": (
        [YES, QUIET, SPEECH],
        Phase.ROOM,
        [Do.LISTEN_TO_ROOM, Do.TELL_ROOM_NOT_QUIET, Do.LISTEN_TO_ROOM],
    ),
    "after three tries without a room tone": (
        [YES, SPEECH, SPEECH, SPEECH],
        Phase.PROMPT,
        [
            Do.LISTEN_TO_ROOM,
            *[Do.TELL_ROOM_NOT_QUIET, Do.LISTEN_TO_ROOM] * 2,
            Do.GO_WITHOUT_ROOM_TONE,
            Do.SHOW_PROMPT,
        ],
    ),
    "start waits for the lead-in": ([*READY, Key.START], Phase.LEAD_IN, [..., Do.OPEN_TAKE]),
    "then the speaker may speak": (RECORDING, Phase.TAKE, [..., Do.OPEN_TAKE, Do.SAY_SPEAK]),
    "who begins too soon is told and recorded": (
        [*READY, Key.START, SPEECH],
        Phase.TAKE,
        [..., Do.OPEN_TAKE, Do.TELL_SPOKE_TOO_SOON],
    ),
    "stop measures": ([*RECORDING, SPEECH, Key.STOP], Phase.VERDICT, [..., Do.MEASURE_TAKE]),
    "a take has a longest length": ([*RECORDING, *[SPEECH] * 6], Phase.VERDICT, [..., Do.MEASURE_TAKE]),
    "keep goes to the next prompt": (
        [*RECORDING, Key.STOP, Judged(accepted=True), Key.KEEP],
        Phase.PROMPT,
        [..., Do.MEASURE_TAKE, Do.COMMIT_TAKE, Do.SHOW_PROMPT],
    ),
    "a refused take may be kept all the same": (
        [*RECORDING, Key.STOP, Judged(accepted=False), Key.KEEP],
        Phase.PROMPT,
        [..., Do.COMMIT_TAKE, Do.SHOW_PROMPT],
    ),
    "redo throws it away": (
        [*RECORDING, Key.STOP, Judged(accepted=False), Key.REDO],
        Phase.PROMPT,
        [..., Do.DISCARD_TAKE, Do.SHOW_PROMPT],
    ),
    "redo while recording": ([*RECORDING, Key.REDO], Phase.PROMPT, [..., Do.DISCARD_TAKE, Do.SHOW_PROMPT]),
    "stop before speaking throws it away": (
        [*READY, Key.START, Key.STOP],
        Phase.PROMPT,
        [..., Do.OPEN_TAKE, Do.DISCARD_TAKE, Do.SHOW_PROMPT],
    ),
    "the room has changed": ([*READY, Key.ROOM], Phase.ROOM, [..., Do.LISTEN_TO_ROOM]),
    "skip": ([*READY, Key.SKIP], Phase.PROMPT, [..., Do.SHOW_PROMPT, Do.SHOW_PROMPT]),
    "after the last prompt it ends": ([*READY, Key.SKIP, Key.SKIP], Phase.DONE, [..., Do.FINISH]),
    "quit keeps what is being said": (
        [*RECORDING, SPEECH, Key.QUIT],
        Phase.DONE,
        [..., Do.SAY_SPEAK, Do.MEASURE_TAKE, Do.COMMIT_TAKE, Do.FINISH],
    ),
    "quit keeps what waits for a verdict": (
        [*RECORDING, Key.STOP, Judged(accepted=True), Key.QUIT],
        Phase.DONE,
        [..., Do.MEASURE_TAKE, Do.COMMIT_TAKE, Do.FINISH],
    ),
    "a device that stops is a quit": (
        [*RECORDING, SPEECH, SourceEnded()],
        Phase.DONE,
        [..., Do.COMMIT_TAKE, Do.FINISH],
    ),
    "keys that mean nothing here": ([YES, Key.KEEP, Key.STOP], Phase.ROOM, [Do.LISTEN_TO_ROOM]),
    "after the end nothing happens": (
        [NO, YES, Key.START, QUIET],
        Phase.DONE,
        [Do.FINISH],
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_a_walk_leads_where_the_table_says(name):
    events, phase, wanted = TABLE[name]
    state, done = walk(events)
    assert state.phase is phase
    if wanted[0] is ...:
        assert done[-len(wanted) + 1 :] == wanted[1:]
    else:
        assert done == wanted


HANDS_FREE_TABLE = {
    "the recording is open before the room is heard": ([YES], [Do.OPEN_TAKE, Do.LISTEN_TO_ROOM]),
    "utterances are kept, silence is not": (
        [YES, QUIET, QUIET, UtteranceEnded(has_speech=True), UtteranceEnded(has_speech=False)],
        [..., Do.SAY_SPEAK, Do.CUT_AND_COMMIT, Do.DROP_IDLE],
    ),
    "a file plays its room tone once": ([YES, SPEECH], [..., Do.GO_WITHOUT_ROOM_TONE, Do.SAY_SPEAK]),
    "an utterance may end before the room tone does": (
        [YES, UtteranceEnded(has_speech=True)],
        [..., Do.CUT_AND_COMMIT],
    ),
    "the end": ([YES, QUIET, SourceEnded()], [..., Do.FINISH]),
}


@pytest.mark.parametrize("name", HANDS_FREE_TABLE)
def test_a_hands_free_walk(name):
    events, wanted = HANDS_FREE_TABLE[name]
    done = walk(events, HANDS_FREE)[1]
    assert (done[-len(wanted) + 1 :] == wanted[1:]) if wanted[0] is ... else (done == wanted)


def test_speech_just_after_the_room_tone_does_not_spoil_it():
    """The detector is late, so the room is heard a little longer; speech in that time ends it well."""
    rules = Rules("prompted", 200, 50, 600, delay_samples=100)
    assert walk([YES, QUIET, QUIET], rules)[0].phase is Phase.ROOM
    assert Do.MEASURE_ROOM in walk([YES, QUIET, QUIET, SPEECH], rules)[1]
    assert Do.MEASURE_ROOM in walk([YES, QUIET, QUIET, QUIET], rules)[1]


EVENTS = st.one_of(
    st.sampled_from([*Key, YES, QUIET, SPEECH, SourceEnded()]),
    st.builds(Judged, accepted=st.booleans()),
)


@given(st.lists(EVENTS, max_size=60))
def test_a_take_is_opened_before_anything_is_done_to_it_and_never_left(events):
    """Whatever the speaker presses: every open take is kept or thrown away, and only one is open."""
    is_open = False
    for action in walk([YES, *events, SourceEnded()])[1]:
        if action is Do.OPEN_TAKE:
            assert not is_open
            is_open = True
        elif action in (Do.COMMIT_TAKE, Do.DISCARD_TAKE):
            assert is_open
            is_open = False
        elif action is Do.MEASURE_TAKE:
            assert is_open
    assert not is_open
