"""The closed loop as a controller over rooms that are made of numbers, and the loop that it plays."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from noise_profiles import levels
from recorder import servo
from recorder.playback import START_DBFS, RoomNoise
from recorder.servo import Limits, Servo

LIMITS = Limits(lowest_db=-50.0, highest_db=10.0)


def room(gain_db, *, loss_db, ambient_dbfs):
    """What the microphone hears: the room's own noise, and what is played, weakened on its way."""
    played = levels.mean_square(gain_db - 26.0 - loss_db)
    return levels.dbfs(levels.mean_square(ambient_dbfs) + played)


def run(target_dbfs, steps=60, *, start_db=-9.0, unrest_db=0.0, late=0.5, seed=0, **more):
    """The states over so many half seconds; a share `late` of each still has the gain before."""
    rng = np.random.default_rng(seed)
    state, states, before = Servo(start_db), [], Servo(start_db)
    for _ in range(steps):
        old, new = (levels.mean_square(room(s.gain_db, **more)) for s in (before, state))
        heard = levels.dbfs(late * old + (1 - late) * new) + unrest_db * rng.standard_normal()
        before = state
        state = servo.step(state, heard, target_dbfs, LIMITS)
        states.append(state)
    return states


@given(st.floats(-50.0, -30.0), st.floats(0.0, 20.0))
@settings(max_examples=60)
def test_it_settles_within_a_decibel_in_five_seconds_and_holds(target_dbfs, loss_db):
    start_db = START_DBFS + 26.0
    away_db = abs(target_dbfs - (START_DBFS - loss_db))
    states = run(target_dbfs, start_db=start_db, loss_db=loss_db, ambient_dbfs=-75.0)
    if away_db <= 17.0 and target_dbfs + loss_db <= -18.0:
        assert states[10].phase == "holding"
        for state in states[10:]:
            assert abs(room(state.gain_db, loss_db=loss_db, ambient_dbfs=-75.0) - target_dbfs) <= 2.0


def test_a_room_that_is_nearly_loud_enough_is_raised_without_overshoot():
    states = run(-40.0, loss_db=10.0, ambient_dbfs=-43.0)
    heard = [room(state.gain_db, loss_db=10.0, ambient_dbfs=-43.0) for state in states]
    assert states[-1].phase == "holding" and max(heard) <= -38.0


def test_noise_that_is_never_at_rest_is_held_all_the_same():
    for seed in range(20):
        states = run(-40.0, 120, loss_db=8.0, ambient_dbfs=-70.0, unrest_db=0.8, seed=seed)
        heard = [room(s.gain_db, loss_db=8.0, ambient_dbfs=-70.0) for s in states[20:]]
        assert states[-1].phase == "holding" and max(abs(level + 40.0) for level in heard) <= 2.0


@given(st.lists(st.tuples(st.floats(-90.0, 0.0), st.booleans()), max_size=80))
def test_steps_are_small_limits_are_kept_and_speech_freezes(heard):
    state = Servo(-9.0)
    for level, speaking in heard:
        after = servo.step(state, level, -40.0, LIMITS, speaking=speaking)
        assert abs(after.gain_db - state.gain_db) <= servo.STEP_DB + 1e-9
        assert LIMITS.lowest_db <= after.gain_db <= LIMITS.highest_db
        if speaking:
            assert after == state
        state = after


@pytest.mark.parametrize(
    ("reason", "loss_db", "ambient_dbfs"), [("too_weak", 60.0, -70.0), ("room_too_loud", 10.0, -20.0)]
)
def test_what_cannot_be_reached_is_given_up_with_its_reason(reason, loss_db, ambient_dbfs):
    states = run(-40.0, 120, loss_db=loss_db, ambient_dbfs=ambient_dbfs)
    gave_up = [number for number, state in enumerate(states) if state.phase == "gave_up"]
    assert states[-1].reason == reason
    assert (gave_up[0] + 1) * servo.STEP_S >= 15.0
    assert states[gave_up[0]].gain_db == states[-1].gain_db


def test_a_room_that_jumps_about_is_given_up_as_unsteady():
    state = Servo(-9.0)
    for number in range(200):
        state = servo.step(state, -40.0 + (8.0 if number % 2 else -8.0), -40.0, LIMITS)
    assert (state.phase, state.reason) == ("gave_up", "unsteady")


def test_a_calibrated_loop_never_aims_above_80_dba():
    assert servo.safe_target_dbfs(-20.0, 110.0) == -30.0
    assert servo.safe_target_dbfs(-40.0, 110.0) == -40.0
    assert servo.safe_target_dbfs(-20.0, None) == -20.0


# --- the loop that is played -------------------------------------------------------------------------


class Speaker:
    """Remembers what it was asked for."""

    def __init__(self):
        self.gains, self.closed = [], False

    def set_gain_db(self, gain_db):
        self.gains.append(gain_db)

    def close(self):
        self.closed = True


def room_noise(target_dbfs=-40.0):
    speaker = Speaker()
    noise = RoomNoise("pink", 16_000, target_dbfs, lambda loop, rate: speaker)
    return noise, speaker


def test_the_noise_never_passes_full_scale():
    loops = []
    noise = RoomNoise("pink", 16_000, -3.0, lambda loop, rate: loops.append(loop) or Speaker())
    noise.start()
    for _ in range(60):
        noise.hear(np.full(50, -90.0), speaking=False)
    assert np.abs(loops[0]).max() * 10 ** (noise.servo.gain_db / 20) <= 1.0 + 1e-6
    assert noise.servo.reason == "too_weak"


def test_it_begins_softly_and_stops_at_once():
    noise, speaker = room_noise()
    noise.start()
    assert speaker.gains[0] + levels.rms_dbfs(noise._noise) == pytest.approx(START_DBFS, abs=0.1)
    noise.stop()
    assert speaker.closed and not noise.playing


def test_giving_up_silences_the_loudspeaker_and_says_why():
    noise, speaker = room_noise()
    noise.start()
    for _ in range(100):
        noise.hear(np.full(50, -5.0), speaking=False)
    assert speaker.closed and noise.notice()[0] == "playback.room_too_loud"


WORD = np.array([-60.0, -20.0] * 10)


def test_half_a_second_with_a_word_in_it_teaches_nothing():
    noise, speaker = room_noise()
    noise.start()
    noise.hear(WORD, speaking=True)
    noise.hear(np.full(30, -30.0), speaking=False)
    assert speaker.gains == [speaker.gains[0]] * len(speaker.gains)


def test_our_own_noise_is_not_taken_for_a_voice():
    """The voice detector opens on noise that has just begun; it is even, and a voice is not."""
    noise, speaker = room_noise()
    noise.start()
    for _ in range(10):
        noise.hear(np.full(50, -60.0), speaking=True)
    assert speaker.gains[-1] > speaker.gains[0] + 15


def test_somebody_who_never_stops_talking_is_not_waited_for():
    noise, speaker = room_noise()
    noise.start()
    for _ in range(100):
        noise.hear(WORD, speaking=True)
    assert speaker.closed and noise.servo.reason == "unsteady"
