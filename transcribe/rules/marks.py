"""P006-P010, P018, P019: where the four marks stand, once they are the right ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache

from transcribe import text as texts
from transcribe.characters import FULL_MARKS, HALF_MARKS, Kind
from transcribe.lint import Hit, Stage, ask, mend, rule
from transcribe.orthography import Orthography
from transcribe.patterns import Lazy

_RUN = {True: Lazy(f"[{FULL_MARKS}][{FULL_MARKS}]+"), False: Lazy(f"[{HALF_MARKS}][{HALF_MARKS}]+")}
_REPEATED = {True: Lazy(f"([{FULL_MARKS}])\\1+"), False: Lazy(f"([{HALF_MARKS}])\\1+")}
_LEADING = {
    True: Lazy(f"[ {FULL_MARKS}]*[{FULL_MARKS}]"),
    False: Lazy(f"[ {HALF_MARKS}]*[{HALF_MARKS}]"),
}
MAX_WITHOUT_MARK, MAX_WITHOUT_END = 60, 100  # syllables
_BETWEEN = {
    full: (
        (Lazy(f"[^{re.escape(marks[1:])}]+"), MAX_WITHOUT_END),
        (Lazy(f"[^{re.escape(marks)}]+"), MAX_WITHOUT_MARK),
    )
    for full, marks in ((True, FULL_MARKS), (False, HALF_MARKS))
}


@cache
def _speech() -> re.Pattern[str]:
    return re.compile(f"[{texts.han_class()}{texts.LETTERS}]")


_NONE: frozenset[str] = frozenset()
_RUNS = frozenset({"P006", "P007", "P008"})


def _runs(text: str, orth: Orthography) -> frozenset[str]:
    """The rules about runs, if marks stand side by side or first."""
    return _RUNS if _RUN[orth.full].search(text) or text[0] in orth.marks or text[0] == " " else _NONE


@rule("P006", stage=Stage.RUNS, on=Kind.MARK, fix="safe", gate=_runs)
def repeated_mark(text: str, orth: Orthography) -> Iterable[Hit]:
    """Each mark once.

    Why: three question marks ask no more than one. Three stops are an ellipsis (P011).
    Bad: ``真的？？``
    Good: ``真的？``
    """
    for match in _REPEATED[orth.full].finditer(text):
        yield mend(*match.span(), match[1])


@rule("P007", stage=Stage.RUNS, on=Kind.MARK, fix="safe", gate=_runs)
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


@rule("P008", stage=Stage.RUNS, on=Kind.MARK, fix="safe", gate=_runs)
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
    for pattern, limit in _BETWEEN[orth.full] if len(text) > MAX_WITHOUT_END else _BETWEEN[orth.full][1:]:
        for match in pattern.finditer(text):
            start, end = match.span()
            few = end - start <= limit or (end - start < 2 * limit and text.isascii())  # no two vowels alone
            if not few and texts.syllables(match[0], orth) > limit:
                yield Hit(start, end)


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
