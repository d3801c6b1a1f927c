"""Some neighbouring lines of one split, and what several formats write of each: worked out once for all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property

from corpus.exporters.job import Job, spaced
from corpus.manifest import Line, Split

_RESERVED = frozenset({"<s>", "</s>", "#0"})  # utils/validate_text.pl refuses the directory for one of them


@dataclass(frozen=True)
class Batch:
    """Lines of one split in their order, and one of the exports that they are for."""

    lines: Sequence[Line]
    job: Job

    @property
    def split(self) -> Split:
        """The split of them all."""
        return self.lines[0].split

    @cached_property
    def paths(self) -> Sequence[str]:
        """References to their sounds."""
        folder = self.job.release_folder
        return [f"{folder}/{line.audio}" for line in self.lines]

    @cached_property
    def spaced(self) -> Sequence[str]:
        """Their texts with single spaces."""
        return [spaced(line.text) for line in self.lines]

    @cached_property
    def durations_s(self) -> Sequence[float]:
        """Their lengths at full precision."""
        return [line.samples / line.sample_rate_hz for line in self.lines]

    @cached_property
    def wav_scp(self) -> bytes:
        """Each id and path."""
        pairs = zip(self.lines, self.paths, strict=True)
        return "".join([f"{line.id} {path}\n" for line, path in pairs]).encode()

    @cached_property
    def text(self) -> bytes:
        """Each id and text."""
        pairs = zip(self.lines, self.spaced, strict=True)
        return "".join([f"{line.id} {words}\n" for line, words in pairs]).encode()

    @cached_property
    def utt2spk(self) -> bytes:
        """Each id and speaker."""
        return "".join([f"{line.id} {line.speaker_id}\n" for line in self.lines]).encode()

    @cached_property
    def utt2dur(self) -> bytes:
        """Each id and length."""
        pairs = zip(self.lines, self.durations_s, strict=True)
        return "".join([f"{line.id} {duration_s!r}\n" for line, duration_s in pairs]).encode()

    @cached_property
    def utt2lang(self) -> bytes:
        """Each id and language."""
        return "".join([f"{line.id} {line.language}\n" for line in self.lines]).encode()

    @cached_property
    def utt2snr(self) -> bytes:
        """Each id, SNR and grade."""
        return "".join([f"{line.id} {line.snr_db} {line.grade}\n" for line in self.lines]).encode()

    @cached_property
    def for_kaldi(self) -> tuple[Batch | None, Sequence[tuple[str, str]]]:
        """Those that Kaldi takes, if there are any; and the ids of the others with what is wrong."""
        troubles = [(line.id, wrong) for line in self.lines if (wrong := _reserved(line.text)) is not None]
        if not troubles:
            return self, ()
        bad = {name for name, _ in troubles}
        good = [line for line in self.lines if line.id not in bad]
        return Batch(good, self.job) if good else None, troubles


# Takes the batches in order; leaving the context ends the files.
BatchExporter = Callable[[Job], AbstractContextManager[Callable[[Batch], None]]]


def _reserved(text: str) -> str | None:
    """Whether a text holds a word that Kaldi keeps for itself."""
    if "<" not in text and "#" not in text:
        return None
    found = sorted(_RESERVED.intersection(text.split()))
    return f"Kaldi keeps the word {found[0]} for itself" if found else None
