"""P006-P010, P018, P019: where the four marks stand, once they are the right ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from transcribe import text as texts
from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography

_RUN = {True: re.compile(f"[{FULL_MARKS}]{{2,}}"), False: re.compile(f"[{HALF_MARKS}]{{2,}}")}
_REPEATED = {True: re.compile(f"([{FULL_MARKS}])\\1+"), False: re.compile(f"([{HALF_MARKS}])\\1+")}
_LEADING = {
    True: re.compile(f"[ {FULL_MARKS}]*[{FULL_MARKS}]"),
    False: re.compile(f"[ {HALF_MARKS}]*[{HALF_MARKS}]"),
}
MAX_WITHOUT_MARK, MAX_WITHOUT_END = 60, 100  # syllables


@cache
def _speech() -> re.Pattern[str]:
    return re.compile(f"[{texts.han_class()}{texts.LETTERS}]")


@rule("P006", stage=Stage.RUNS, on=Kind.MARK, fix="safe")
def repeated_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """Each mark once.

    Why: three question marks ask no more than one. Three stops are an ellipsis (P011).
    Bad: ``真的？？``
    Good: ``真的？``
    """
    for match in _REPEATED[orth.full].finditer(text):
        yield mend(*match.span(), match[1])


@rule("P007", stage=Stage.RUNS, on=Kind.MARK, fix="safe")
def mixed_run(text: str, orth: Orthography) -> Iterable[Hit]:
    """One mark at a place: the question wins, then the exclamation, then the stop.

    Why: four marks, one a pause; the words are untouched.
    Bad: ``真的？！``
    Good: ``真的？``
    """
    for match in _RUN[orth.full].finditer(text):
        if len(set(match[0])) > 1:
            yield mend(
                *match.span(), next(mark for mark in orth.marks[2:] + orth.marks[1::-1] if mark in match[0])
            )


@rule("P008", stage=Stage.RUNS, on=Kind.MARK, fix="safe")
def leading_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """An utterance does not begin with a mark.

    Why: a mark follows words.
    Bad: ``，我來。``
    Good: ``我來。``
    """
    match = _LEADING[orth.full].match(text)
    if match and match.end() < len(text):
        yield mend(*match.span(), "")


@rule("P009", stage=Stage.END, on=Kind.ALWAYS, fix="ask")
def no_end_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """An utterance ends with a stop, a question mark or an exclamation mark.

    Why: a model learns ends from it, and only the sound says which it is.
    Bad: ``我來``
    Good: ``我來。``
    """
    if text and (text[-1] not in orth.marks or text.endswith(("...", "。。。"))) and _speech().search(text):
        yield Hit(len(text), len(text), orth.ends[0], False, tuple(orth.ends))


@rule("P010", stage=Stage.END, on=Kind.MARK, fix="ask")
def ends_in_a_comma(text: str, orth: Orthography) -> Iterable[Hit]:
    """An utterance does not end in a comma.

    Why: it was cut off or it is finished; only the sound says which.
    Bad: ``我來，``
    Good: ``我來。``
    """
    if text[-1] == orth.comma and len(text) > 1:
        yield ask(len(text) - 1, len(text), *orth.ends)


@rule("P018", stage=Stage.END, on=Kind.HAN | Kind.LATIN, fix="ask")
def long_without_marks(text: str, orth: Orthography) -> Iterable[Hit]:
    """A mark at least every 60 syllables, and an end mark at least every 100.

    Why: nobody speaks that long without a pause; the ends of sentences were not marked.
    Bad: one hundred characters with commas only
    Good: two sentences
    """
    if len(text) <= MAX_WITHOUT_MARK:
        return
    marks = re.escape(orth.marks)
    ends = re.escape(orth.ends)
    for pattern, limit in ((f"[^{ends}]+", MAX_WITHOUT_END), (f"[^{marks}]+", MAX_WITHOUT_MARK)):
        for match in re.finditer(pattern, text):
            if match.end() - match.start() > limit and texts.syllables(match[0], orth) > limit:
                yield Hit(*match.span())


@rule("P019", stage=Stage.EVENTS, on=Kind.ALWAYS, fix="none")
def marks_only(text: str, orth: Orthography) -> Iterable[Hit]:
    """An utterance has words.

    Why: marks alone are no transcript.
    Bad: ``。``
    Good: ``嗯。``
    """
    if _speech().search(text) or not text or text.isspace():
        return
    if not any(char.isalnum() or orth.kinds[char] & _OTHER for char in set(text)):
        yield Hit(0, len(text))


_OTHER = Kind.FOREIGN | Kind.EMOJI | Kind.BROKEN | Kind.PRIVATE | Kind.LOOK_ALIKE | Kind.CONTROL
