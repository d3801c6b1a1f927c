"""Text in columns: what a terminal shows in line, breaks where a reader would, and is not moved by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noise_profiles import typeset

TEXT = st.text(alphabet=st.sampled_from("ab c，。「」好 說é\u0301(.-"), max_size=80)


@pytest.mark.parametrize(
    "text, columns",
    [("abc", 3), ("台語", 4), ("，", 2), ("e\u0301", 1), ("𪜶", 2), ("…", 1), ("", 0)],
)
def test_a_chinese_character_takes_two_columns_and_a_combining_mark_none(text, columns):
    assert typeset.columns(text) == columns


@given(TEXT, st.integers(2, 60))
def test_fitted_is_exactly_as_wide_as_asked(text, width):
    assert typeset.columns(typeset.fitted(text, width)) == width


@given(TEXT, st.integers(4, 60))
def test_wrapped_lines_fit_and_lose_nothing_but_spaces(text, width):
    lines = typeset.wrapped(text, width)
    assert all(typeset.columns(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


@pytest.mark.parametrize(
    "text, width, lines",
    [
        ("a whole word stays", 10, ["a whole", "word stays"]),
        ("請重錄一次。好", 11, ["請重錄一", "次。好"]),
        ("請說「好」", 6, ["請說", "「好」"]),
        ("高 25 dB。請", 8, ["高 25", "dB。請"]),
        ("verylongword", 5, ["veryl", "ongwo", "rd"]),
    ],
)
def test_lines_break_where_a_reader_breaks_them(text, width, lines):
    """No line of Chinese begins with a comma or ends with an opening bracket."""
    assert typeset.wrapped(text, width) == lines


@given(st.text())
def test_printable_text_is_printable_and_plain_text_is_left_alone(text):
    shown = typeset.printable(text)
    assert shown.isprintable()
    if text.isprintable():
        assert shown == text


def test_what_moves_a_cursor_or_turns_a_line_round_is_written_out():
    assert typeset.printable("a\x1b[2J\u202eb\x9b\udcff") == "a\\x1b[2J\\u202eb\\x9b\\udcff"
