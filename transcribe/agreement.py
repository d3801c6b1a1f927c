"""How far two transcripts agree: error rates after folding, punctuation, aligned differences.

Everything is computed on the tokens of `transcribe.text.fold`, so that width,
case, Unicode form and the spelling of a syllable never count as errors.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from protocol.errors import CodedError
from transcribe import characters, orthography
from transcribe import text as texts
from transcribe.orthography import Orthography


class DistanceLibraryMissing(CodedError):
    """Distances need rapidfuzz, which the linter alone does not."""

    code = "LIBRARY_MISSING"


class Difference(NamedTuple):
    """One aligned piece of two transcripts, for display.

    Attributes
    ----------
    kind : str
        ``equal``, ``replace``, ``delete`` (only in the first) or ``insert`` (only in the second).
    first, second : tuple of str
        The tokens on either side.
    """

    kind: str
    first: tuple[str, ...]
    second: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """Errors against a reference of so many tokens; counts of many utterances add up."""

    errors: int
    reference: int

    @property
    def rate(self) -> float:
        """Errors per reference token; 0 if both are empty, 1 if only the reference is."""
        if self.reference == 0:
            return float(self.errors > 0)
        return self.errors / self.reference

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.errors + other.errors, self.reference + other.reference)


def _levenshtein() -> Any:
    try:
        from rapidfuzz.distance import Levenshtein
    except ModuleNotFoundError as error:
        raise DistanceLibraryMissing(
            library="rapidfuzz", command="pip install 'xiangyin[agreement]'"
        ) from error
    return Levenshtein


def _counts(first: Sequence[str], second: Sequence[str]) -> Counts:
    return Counts(_levenshtein().distance(first, second), len(first))


def _blocks(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    return [
        (block.tag, block.src_start, block.src_end, block.dest_start, block.dest_end)
        for block in _levenshtein().opcodes(a, b)
    ]


def _ruleset(ruleset: str | Orthography) -> Orthography:
    return orthography.load(ruleset) if isinstance(ruleset, str) else ruleset


def mixed_errors(a: str, b: str, ruleset: str | Orthography, *, fillers: bool = False) -> Counts:
    """Errors of `b` against the reference `a`, one token a Han character, syllable or word.

    With `fillers` all fillers count as one word; see `transcribe.text.fold`.
    """
    return _counts(texts.fold(a, ruleset, fillers=fillers), texts.fold(b, ruleset, fillers=fillers))


def mixed_error_rate(a: str, b: str, ruleset: str | Orthography, *, fillers: bool = False) -> float:
    """Mixed error rate of `b` against the reference `a`.

    >>> mixed_error_rate("我來。", "我来，", "zh-Hant")
    0.5
    """
    return mixed_errors(a, b, ruleset, fillers=fillers).rate


def syllable_errors(
    a: str, b: str, ruleset: str | Orthography, *, tone: bool = True, fillers: bool = False
) -> Counts:
    """Errors counted on romanised syllables, with or without their tones.

    In a ruleset without romanisation nothing has a tone to leave out: mp3 stays mp3.
    """
    orth = _ruleset(ruleset)
    first, second = texts.fold(a, orth, fillers=fillers), texts.fold(b, orth, fillers=fillers)
    if not tone and orth.romanisation != "none":
        first = [token.rstrip("0123456789") or token for token in first]
        second = [token.rstrip("0123456789") or token for token in second]
    return _counts(first, second)


def differences(a: str, b: str, ruleset: str | Orthography) -> list[Difference]:
    """Two transcripts aligned token by token, neighbours of one kind joined."""
    first, second = texts.fold(a, ruleset), texts.fold(b, ruleset)
    return [
        Difference(kind, tuple(first[i:j]), tuple(second[k:m])) for kind, i, j, k, m in _blocks(first, second)
    ]


@dataclass(frozen=True, slots=True)
class MarkCounts:
    """How often one mark stands at the same gap in both transcripts."""

    both: int = 0
    first_only: int = 0
    second_only: int = 0

    @property
    def f1(self) -> float | None:
        """F1 of the mark; None where neither transcript has it."""
        total = 2 * self.both + self.first_only + self.second_only
        return None if total == 0 else 2 * self.both / total

    def __add__(self, other: MarkCounts) -> MarkCounts:
        return MarkCounts(
            self.both + other.both,
            self.first_only + other.first_only,
            self.second_only + other.second_only,
        )


def punctuation(a: str, b: str, ruleset: str | Orthography) -> dict[str, MarkCounts]:
    """Agreement on each of the four marks, at gaps between aligned tokens.

    The two texts' tokens are aligned; where only one has a token, the gaps on both sides of it are
    the same place in the other text. So two utterances that end alike agree on the end mark, even if
    one lacks the last word. Of several marks at one gap the strongest counts, and other widths and
    pause marks count as the mark that the linter would write.
    """
    orth = _ruleset(ruleset)
    first, first_gaps = _with_gaps(a, orth)
    second, second_gaps = _with_gaps(b, orth)
    counted = {mark: MarkCounts() for mark in orth.marks}
    seen_first: set[int] = set()
    seen_second: set[int] = set()
    for gap, other in _aligned_gaps(first, second):
        mark = first_gaps.get(gap)
        fresh = gap not in seen_first and other not in seen_second
        if mark is not None and mark == second_gaps.get(other) and fresh:
            counted[mark] += MarkCounts(1)
            seen_first.add(gap)
            seen_second.add(other)
    for gap, mark in first_gaps.items():
        counted[mark] += MarkCounts(0, int(gap not in seen_first))
    for gap, mark in second_gaps.items():
        counted[mark] += MarkCounts(0, 0, int(gap not in seen_second))
    return counted


def _aligned_gaps(first: Sequence[str], second: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Gaps that are the same place; a gap is named by how many tokens stand before it."""
    for kind, i, j, k, m in _blocks(first, second):
        if kind in ("equal", "replace"):
            yield from ((i + n, k + n) for n in range(1, j - i + 1))
        elif kind == "delete":
            yield from ((n, k) for n in range(i + 1, j + 1))
        else:
            yield from ((i, n) for n in range(k + 1, m + 1))


def _with_gaps(text: str, orth: Orthography) -> tuple[list[str], dict[int, str]]:
    """Tokens, and the strongest mark after so many of them; none counts before the first."""
    tokens: list[str] = []
    gaps: dict[int, str] = {}
    strength = orth.marks[0] + orth.marks[1] + orth.marks[3] + orth.marks[2]
    for piece, mark in _pieces(text, orth.marks):
        tokens += texts.fold(piece, orth)
        if mark and tokens:
            gaps[len(tokens)] = max(mark, gaps.get(len(tokens), mark), key=strength.index)
    return tokens, gaps


# Between two of these a dot, comma or colon belongs to a number or an abbreviation.
_INSIDE = re.compile("(?<=[0-9A-Za-z])[.,:](?=[0-9A-Za-z])")
_SAME_MARK: Mapping[str, int] = {
    **{char: n for marks in (characters.FULL_MARKS, characters.HALF_MARKS) for n, char in enumerate(marks)},
    **{form: characters.HALF_MARKS.index(half[0]) for form, half in characters.MARK_FORMS.items()},
    **dict.fromkeys(characters.ENUMERATION + characters.COLONS, 0),
}


def _pieces(text: str, marks: str) -> Iterator[tuple[str, str]]:
    inside = {match.start() for match in _INSIDE.finditer(text)}
    start = 0
    for at, char in enumerate(text):
        if char in _SAME_MARK and at not in inside:
            yield text[start:at], marks[_SAME_MARK[char]]
            start = at + 1
    yield text[start:], ""


def total(counts: Iterable[Counts]) -> Counts:
    """The counts of a whole file."""
    found = Counts(0, 0)
    for each in counts:
        found += each
    return found
