"""Texts aligned for the eye."""

from hypothesis import given
from hypothesis import strategies as st

from transcribe.beside import beside


def test_what_differs_is_set_apart_with_its_marks():
    pieces = [(p.first, p.second, p.is_same) for p in beside("我來，好。", "我去好。")]
    assert pieces == [("我", "我", True), ("來，", "去", False), ("好。", "好。", True)]


def test_a_syllable_with_its_tone_mark_is_never_torn():
    for piece in beside("tsia\u030dh pn\u0304g", "tsiah png"):
        assert piece.is_same or not piece.first.startswith("\u030d")


@given(st.text(), st.text())
def test_the_pieces_give_both_texts_back(first, second):
    pieces = beside(first, second)
    assert "".join(piece.first for piece in pieces) == first
    assert "".join(piece.second for piece in pieces) == second
    assert all(piece.first == piece.second for piece in pieces if piece.is_same)
