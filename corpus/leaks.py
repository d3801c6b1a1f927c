"""Proof that no speaker, session, recording or prompt stands in two splits, and no sound twice.

Independent of how the split was made: it looks at manifest lines alone, and is run before a release is
published and again on every copy.
"""

from __future__ import annotations

import hashlib
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from corpus.manifest import SPLITS, Line, Split
from corpus.seen import Seen

_BATCH = 16_384  # lines whose names are in memory at once
Fold = Callable[[Line], str]
NAMED = ("speaker", "session", "prompt")  # kinds whose names have a digest


@dataclass(frozen=True)
class Leak:
    """Something that lies on both sides of a split."""

    kind: str
    value: str
    first: str
    second: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value} stands in {self.first} and in {self.second}"


class Proof:
    """Feed it every line, then read `leaks` and `counts`.

    Values are kept as 64-bit hashes, nine bytes each, so that a million clips fit in little memory; a leak
    is thus certain to be seen, and a chance of a false one is below one in a million for a million values.

    Parameters
    ----------
    fold : callable
        The scoring view of a line's text; read texts that fold to the same must not be parted.
    """

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._seen = Seen()
        self._sounds = Seen()
        self._waiting: list[tuple[str, str, Split, str]] = []
        self._heard: list[tuple[str, str]] = []
        self._last: dict[str, tuple[str, Split]] = {}
        self._named: dict[tuple[str, Split], set[str]] = defaultdict(set)
        self._leaks: list[Leak] = []
        self._counts_by_split: Counter[tuple[str, Split]] = Counter()

    def feed(self, line: Line) -> None:
        """Take one line into account."""
        self._see("speaker", line.speaker_id, line)
        self._see("session", line.session_id, line)
        self._see("recording", line.recording_id, line)
        if line.prompt_id is not None:
            self._see("prompt", line.prompt_id, line)
        if line.style == "read":
            self._see("text", self._fold(line), line)
        self._heard.append((line.pcm_md5, line.id))
        if len(self._heard) == _BATCH:
            self._look()

    @property
    def leaks(self) -> list[Leak]:
        """Everything that lies on both sides, a batch of lines after the other."""
        self._look()
        return self._leaks

    @property
    def counts_by_split(self) -> Mapping[tuple[str, Split], int]:
        """How many different values each kind has in each split where they were first seen."""
        self._look()
        return self._counts_by_split

    @property
    def counts(self) -> Mapping[str, int]:
        """How many different values each kind has."""
        found: Counter[str] = Counter()
        for (kind, _), count in self.counts_by_split.items():
            found[kind] += count
        return found

    def digest(self, kind: str, split: Split) -> str:
        """SHA-256 over the sorted values of a kind in a split, one a line: ``sort -u | sha256sum`` agrees."""
        self._look()
        values = sorted(self._named[kind, split])
        return hashlib.sha256("".join(f"{value}\n" for value in values).encode()).hexdigest()

    def _see(self, kind: str, value: str, line: Line) -> None:
        now = value, line.split
        if self._last.get(kind) != now:  # lines stand speaker by speaker
            self._last[kind] = now
            self._waiting.append((kind, value, line.split, line.id))

    def _look(self) -> None:
        """Compare what waits with all that came before."""
        keys = array("Q", b"".join(_hash(kind, value) for kind, value, _, _ in self._waiting))
        sides = array("b", [SPLITS.index(split) for _, _, split, _ in self._waiting])
        new, parted = self._seen.add(keys, sides)
        for index in new:
            kind, value, split, _ = self._waiting[index]
            self._counts_by_split[kind, split] += 1
            if kind in NAMED:
                self._named[kind, split].add(value)
        for index, side in parted:
            kind, value, split, name = self._waiting[index]
            if side != SPLITS.index(split):
                self._leaks.append(Leak(kind, value, SPLITS[side], f"{split} ({name})"))
        keys = array("Q", b"".join(_hash("sound", sound) for sound, _ in self._heard))
        _, again = self._sounds.add(keys, array("b", bytes(len(self._heard))))
        for index, _ in again:
            sound, name = self._heard[index]
            self._leaks.append(Leak("sound", sound, "the release", "it again as " + name))
        self._waiting, self._heard = [], []


_BEGUN = {  # a copy of what is common costs less than half of beginning anew
    kind: hashlib.blake2b(f"{kind}\n".encode(), digest_size=8, person=b"xiangyin-leaks")
    for kind in (*NAMED, "recording", "text", "sound")
}


def _hash(kind: str, value: str) -> bytes:
    digest = _BEGUN[kind].copy()
    digest.update(value.encode())
    return digest.digest()
