"""Every sample of a recording is in exactly one piece, and no word is cut where somebody paused."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recorder.cutter import CutRules, Cutter
from recorder.importing import merged

RATE_HZ = 1000  # a round number makes the tables readable


def cut(segments, length, block=50, rules=None, levels=None):
    """Play segments as a detector would tell them: closed 0.3 s after their end, open until then."""
    cutter = Cutter(RATE_HZ, rules)
    pieces, closed, opened = [], 0, 0
    for position in range(block, length + block, block):
        at = min(position, length)
        while closed < len(segments) and segments[closed][1] + 300 <= at:
            closed += 1
        while opened < len(segments) and segments[opened][0] + 120 <= at:
            opened += 1
        shown = () if levels is None else levels[at // 10 - 1 : at // 10]
        pieces += cutter.feed(at, segments[:closed], opened > closed, shown)
    return pieces + cutter.finish(length, segments)


@st.composite
def recordings(draw):
    """Segments at least 0.3 s apart, as the detector's hangover makes them."""
    at, segments = draw(st.integers(0, 3000)), []
    for _ in range(draw(st.integers(0, 8))):
        end = at + draw(st.integers(130, 9000))
        segments.append((at, end))
        at = end + draw(st.integers(300, 4000))
    return segments, (segments[-1][1] if segments else 0) + draw(st.integers(1, 30_000))


@given(recordings())
@settings(max_examples=40, deadline=None)
def test_pieces_are_the_whole_recording_in_order_and_once(recording):
    segments, length = recording
    pieces = cut(segments, length)
    assert pieces[0].start == 0 and pieces[-1].end == length
    assert all(one.end == other.start for one, other in pairwise(pieces))
    assert all(piece.end > piece.start for piece in pieces)


@given(recordings())
@settings(max_examples=40, deadline=None)
def test_no_cut_goes_through_speech_unless_forced(recording):
    segments, length = recording
    for piece in cut(segments, length)[:-1]:
        through = [s for s in segments if s[0] < piece.end < s[1]]
        assert piece.forced or not through


@given(recordings())
@settings(max_examples=40, deadline=None)
def test_speech_in_pieces_is_the_speech_there_is(recording):
    segments, length = recording
    pieces = cut(segments, length)
    if not any(piece.forced for piece in pieces):
        assert [s for piece in pieces for s in piece.segments] == segments


@given(recordings(), st.sampled_from([10, 20, 100]))
@settings(max_examples=40, deadline=None)
def test_blocks_do_not_matter(recording, block):
    segments, length = recording
    one, other = cut(segments, length), cut(segments, length, block)
    if not any(piece.forced for piece in one):
        assert one == other


@pytest.mark.parametrize(
    ("pause", "lead_in", "tail"),
    [(600, 400, 200), (800, 600, 200), (900, 600, 300), (2000, 1700, 300), (10_000, 9700, 300)],
)
def test_a_pause_is_shared_so_that_the_next_utterance_has_its_lead_in(pause, lead_in, tail):
    segments = [(1000, 3000), (3000 + pause, 5000 + pause)]
    first, second = cut(segments, 5200 + pause)[:2]
    assert (first.end - 3000, 3000 + pause - second.start) == (tail, lead_in)


def test_a_breath_does_not_end_an_utterance():
    assert len(cut([(1000, 3000), (3500, 5000)], 5200)) == 1


def test_in_a_long_utterance_a_breath_is_enough():
    segments = [(k * 3000, k * 3000 + 2600) for k in range(6)]
    assert len(cut(segments, 18_000)) == 2


def test_who_never_pauses_is_cut_at_the_quietest_moment():
    levels = np.full(7000, -20.0)
    levels[2500] = -60.0  # 25.005 s
    pieces = cut([(500, 69_000)], 70_000, block=10, levels=levels)
    assert pieces[0].forced and pieces[0].end == 25_005
    assert all(piece.end - piece.start <= 30_000 for piece in pieces)


def test_speech_that_a_forced_cut_divides_is_on_both_sides():
    pieces = cut([(500, 40_000)], 41_000)
    assert pieces[0].segments[-1][1] == pieces[0].end == pieces[1].segments[0][0]
    assert pieces[0].lead_in_samples(RATE_HZ) <= 500


def test_a_long_silence_is_a_piece_of_its_own():
    pieces = cut([(25_000, 26_000)], 60_000)
    assert [bool(piece.segments) for piece in pieces] == [False, True, False, False]


def test_a_cough_is_no_utterance():
    assert len(cut([(1000, 1200), (4000, 6000)], 6400)) == 1


def test_the_lead_in_claims_less_than_the_detector_says():
    (piece,) = cut([(700, 2000)], 2100)
    assert piece.lead_in_samples(RATE_HZ) == 600


@given(recordings())
@settings(max_examples=40, deadline=None)
def test_an_import_joins_silence_to_a_neighbour_and_loses_nothing(recording):
    segments, length = recording
    joined = merged(cut(segments, length), 30 * RATE_HZ)
    assert joined[0].start == 0 and joined[-1].end == length
    assert all(one.end == other.start for one, other in pairwise(joined))
    for one, other in pairwise(joined):
        if not (one.segments and other.segments):
            assert other.end - one.start > 30 * RATE_HZ


def test_rules_can_be_chosen():
    assert len(cut([(1000, 3000), (4000, 6000)], 6200, rules=CutRules(pause_s=2.0, lead_in_s=1.5))) == 1
