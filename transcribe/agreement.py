"""How far two transcripts agree: error rates after folding, punctuation, aligned differences.

Everything is computed on the tokens of `transcribe.text.fold`, so that width,
case, Unicode form and the spelling of a syllable never count as errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from protocol.errors import CodedError
from transcribe import orthography
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


def _distance() -> Callable[[Sequence[str], Sequence[str]], int]:
    try:
        from rapidfuzz.distance import Levenshtein
    except ModuleNotFoundError as error:
        raise DistanceLibraryMissing(
            library="rapidfuzz", command="pip install 'xiangyin[agreement]'"
        ) from error
    return Levenshtein.distance


def _blocks(a: Sequence[str], b: Sequence[str]) -> list[tuple[str, int, int, int, int]]:
    try:
        from rapidfuzz.distance import Levenshtein
    except ModuleNotFoundError as error:
        raise DistanceLibraryMissing(
            library="rapidfuzz", command="pip install 'xiangyin[agreement]'"
        ) from error
    return [
        (block.tag, block.src_start, block.src_end, block.dest_start, block.dest_end)
        for block in Levenshtein.opcodes(a, b)
    ]


def _ruleset(ruleset: str | Orthography) -> Orthography:
    return orthography.load(ruleset) if isinstance(ruleset, str) else ruleset


def mixed_errors(a: str, b: str, ruleset: str | Orthography) -> Counts:
    """Errors of `b` against the reference `a`, one token a Han character, syllable or word."""
    first, second = texts.fold(a, ruleset), texts.fold(b, ruleset)
    return Counts(_distance()(first, second), len(first))


def mixed_error_rate(a: str, b: str, ruleset: str | Orthography) -> float:
    """Mixed error rate of `b` against the reference `a`.

    >>> mixed_error_rate("我來。", "我来，", "zh-Hant")
    0.5
    """
    return mixed_errors(a, b, ruleset).rate


def syllable_errors(a: str, b: str, ruleset: str | Orthography, *, tone: bool = True) -> Counts:
    """Errors counted on romanised syllables, with or without their tones."""
    first, second = texts.fold(a, ruleset), texts.fold(b, ruleset)
    if not tone:
        first = [token.rstrip("0123456789") or token for token in first]
        second = [token.rstrip("0123456789") or token for token in second]
    return Counts(_distance()(first, second), len(first))


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
    """Agreement on each of the four marks, at gaps between aligned tokens."""
    orth = _ruleset(ruleset)
    first, first_gaps = _with_gaps(a, orth)
    second, second_gaps = _with_gaps(b, orth)
    aligned: dict[int, int] = {}
    for kind, i, j, k, _ in _blocks(first, second):
        if kind in ("equal", "replace"):
            aligned.update((i + n, k + n) for n in range(j - i))
    counted = {mark: MarkCounts() for mark in orth.marks}
    seen: set[int] = set()
    for gap, mark in first_gaps.items():
        other = aligned.get(gap)
        matched = other is not None and second_gaps.get(other) == mark
        counted[mark] += MarkCounts(int(matched), int(not matched))
        if matched and other is not None:
            seen.add(other)
    for gap, mark in second_gaps.items():
        if gap not in seen:
            counted[mark] += MarkCounts(0, 0, 1)
    return counted


def _with_gaps(text: str, orth: Orthography) -> tuple[list[str], dict[int, str]]:
    """Tokens, and the last mark that stands after each."""
    tokens: list[str] = []
    gaps: dict[int, str] = {}
    for piece, mark in _pieces(text, orth.marks):
        tokens += texts.fold(piece, orth)
        if mark and tokens:
            gaps[len(tokens) - 1] = mark
    return tokens, gaps


def _pieces(text: str, marks: str) -> Iterator[tuple[str, str]]:
    start = 0
    for at, char in enumerate(text):
        if char in marks:
            yield text[start:at], char
            start = at + 1
    yield text[start:], ""


def total(counts: Iterable[Counts]) -> Counts:
    """The counts of a whole file."""
    found = Counts(0, 0)
    for each in counts:
        found += each
    return found
