"""Finds nearly equal texts of two splits in a manifest that lies on the disk."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from corpus import manifest
from corpus.manifest import Line

_MOST_LEAKS = 1000  # named one by one


def fold(line: Line) -> str:
    """The scoring view of a line's text, as one string."""
    from transcribe import text

    return " ".join(text.fold(line.text, line.orthography))


class Texts:
    """Finds texts of two splits that are nearly the same, in bounded memory."""

    def __init__(self, scratch: Path) -> None:
        from corpus.near import Signatures

        self._signatures = Signatures(scratch / "keys")

    def add(self, keys: Iterable[bytes | None]) -> None:
        """Take keys of the next lines, as `near.rows` gives them."""
        for row in keys:
            self._signatures.add(row)

    def leaks(self, lines: Numbered, sides: array[int]) -> Iterator[str]:
        """What is nearly the same on two sides, a sentence a pair."""
        import numpy as np

        self._signatures.close()
        pairs = self._signatures.pairs(np.frombuffer(sides, np.int8).astype(np.int64), lines.folded)
        for first, second in pairs[:_MOST_LEAKS].tolist():
            one, other = lines.some([first, second])
            yield f"the text of {other.id} nearly repeats that of {one.id}, in another split"


class Numbered:
    """The good lines of a manifest by their number among them."""

    def __init__(self, path: Path, starts: array[int]) -> None:
        self._path, self._starts = path, starts

    def some(self, indexes: Sequence[int]) -> list[Line]:
        """Lines of ascending numbers."""
        found = []
        with self._path.open("rb") as file:
            for index in indexes:
                file.seek(self._starts[index])
                raw = file.readline().removesuffix(b"\n")
                found.append(manifest.parse(raw, manifest.FILE_NAME, index + 1))
        return found

    def folded(self, indexes: Sequence[int]) -> list[str]:
        """Scoring views of their texts."""
        return [fold(line) for line in self.some(indexes)]
