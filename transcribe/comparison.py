"""Two transcript files side by side: what `xiangyin agreement` prints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from protocol.errors import CodedError
from transcribe import agreement
from transcribe.agreement import Counts, MarkCounts
from transcribe.orthography import Orthography


class TranscriptsUnpaired(CodedError):
    """Two transcript files do not hold the same utterances."""

    code = "TRANSCRIPTS_UNPAIRED"


@dataclass(frozen=True, slots=True)
class Row:
    """One utterance in both files."""

    id: object
    counts: Counts

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "id": self.id,
            "mixed_error_rate": round(self.counts.rate, 4),
            "errors": self.counts.errors,
            "tokens": self.counts.reference,
        }

    def as_text(self) -> str:
        """For people."""
        return f"{self.counts.rate:8.2%}  {self.counts.errors:4} of {self.counts.reference:4}  {self.id}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The rates of two whole files."""

    rows: tuple[Row, ...]
    mixed: Counts
    toned: Counts
    toneless: Counts
    marks: Mapping[str, MarkCounts]

    def as_json(self) -> dict[str, object]:
        """For programs."""
        return {
            "utterances": len(self.rows),
            "tokens": self.mixed.reference,
            "mixed_error_rate": round(self.mixed.rate, 4),
            "syllable_error_rate": round(self.toned.rate, 4),
            "syllable_error_rate_without_tone": round(self.toneless.rate, 4),
            "identical": sum(row.counts.errors == 0 for row in self.rows),
            "punctuation_f1": {
                mark: None if counts.f1 is None else round(counts.f1, 4)
                for mark, counts in self.marks.items()
            },
        }

    def as_text(self) -> str:
        """For people."""
        marks = "  ".join(
            f"{mark} {'-' if counts.f1 is None else f'{counts.f1:.2f}'}"
            for mark, counts in self.marks.items()
        )
        same = sum(row.counts.errors == 0 for row in self.rows)
        return "\n".join(
            (
                f"utterances            {len(self.rows)}, {same} identical",
                f"mixed error rate      {self.mixed.rate:.2%} of {self.mixed.reference} tokens",
                f"syllable error rate   {self.toned.rate:.2%}, without tones {self.toneless.rate:.2%}",
                f"punctuation F1        {marks}",
            )
        )


def compare(
    first: Mapping[object, str],
    second: Mapping[object, str],
    orth: Orthography,
    names: tuple[str, str],
    *,
    fillers: bool = False,
) -> Comparison:
    """Compare texts with the same ids; the first are the reference.

    With `fillers` all fillers count as one word; see `transcribe.text.fold`.

    Raises
    ------
    TranscriptsUnpaired
        If an id is missing on one side.
    """
    lone = [key for key in first if key not in second] + [key for key in second if key not in first]
    if lone:
        raise TranscriptsUnpaired(
            first=names[0], second=names[1], problem=f"{len(lone)} stand in one only, the first is {lone[0]}"
        )
    pairs = [(key, a, second[key]) for key, a in first.items()]
    rows = tuple(Row(key, agreement.mixed_errors(a, b, orth, fillers=fillers)) for key, a, b in pairs)
    marks = {mark: MarkCounts() for mark in orth.marks}
    for _, a, b in pairs:
        for mark, counts in agreement.punctuation(a, b, orth).items():
            marks[mark] += counts
    toned, toneless = (
        agreement.total(
            agreement.syllable_errors(a, b, orth, tone=tone, fillers=fillers) for _, a, b in pairs
        )
        for tone in (True, False)
    )
    return Comparison(rows, agreement.total(row.counts for row in rows), toned, toneless, marks)
