"""Proof that no speaker, session, recording or prompt stands in two splits, and no sound twice.

Independent of how the split was made: it looks at manifest lines alone, and is run before a release is
published and again on every copy.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from corpus.manifest import Line, Split

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

    Values are kept as 64-bit hashes, so that a million clips fit in little memory; a leak is thus certain
    to be seen, and a chance of a false one is below one in a million for a million values.

    Parameters
    ----------
    fold : callable
        The scoring view of a line's text; read texts that fold to the same must not be parted.
    """

    def __init__(self, fold: Fold) -> None:
        self._fold = fold
        self._seen: dict[int, Split] = {}
        self._last: dict[str, tuple[str, Split]] = {}
        self._sounds: set[int] = set()
        self._named: dict[tuple[str, Split], set[str]] = defaultdict(set)
        self.leaks: list[Leak] = []
        self.counts: Counter[str] = Counter()
        self.counts_by_split: Counter[tuple[str, Split]] = Counter()

    def feed(self, line: Line) -> None:
        """Take one line into account."""
        self._see("speaker", line.speaker_id, line)
        self._see("session", line.session_id, line)
        self._see("recording", line.recording_id, line)
        if line.prompt_id is not None:
            self._see("prompt", line.prompt_id, line)
        if line.style == "read":
            self._see("text", self._fold(line), line)
        sound = _hash("sound", line.pcm_md5)
        if sound in self._sounds:
            self.leaks.append(Leak("sound", line.pcm_md5, "the release", "it again as " + line.id))
        self._sounds.add(sound)

    def digest(self, kind: str, split: Split) -> str:
        """SHA-256 over the sorted values of a kind in a split, one a line: ``sort -u | sha256sum`` agrees."""
        values = sorted(self._named[kind, split])
        return hashlib.sha256("".join(f"{value}\n" for value in values).encode()).hexdigest()

    def _see(self, kind: str, value: str, line: Line) -> None:
        if self._last.get(kind) == (value, line.split):  # lines stand speaker by speaker
            return
        self._last[kind] = value, line.split
        key = _hash(kind, value)
        known = self._seen.get(key)
        if known is None:
            self._seen[key] = line.split
            self.counts[kind] += 1
            self.counts_by_split[kind, line.split] += 1
            if kind in NAMED:
                self._named[kind, line.split].add(value)
        elif known != line.split:
            self.leaks.append(Leak(kind, value, known, f"{line.split} ({line.id})"))


def _hash(kind: str, value: str) -> int:
    digest = hashlib.blake2b(f"{kind}\n{value}".encode(), digest_size=8, person=b"xiangyin-leaks").digest()
    return int.from_bytes(digest, "big")
