"""Naming a blob and erasing it exclude each other, between threads and between processes.

Whoever is about to name a blob in a row finds it in the store, or puts it there, and holds it until the row
is committed. Whoever erases one looks for rows that name it, and holds it until it is gone. Without that the
blob of a receipt could be erased between the two, because an earlier clip of the same bytes was withdrawn.

What is about to be named is also noted, as an empty file that has its digest for a name, until the row is
there. A note that nobody holds is of a close that came half-way: its blob may be in the store, under a
digest that no row knows where the sound was encoded anew. The note is not synced: on a file system that
keeps names in order, as ext4 and XFS do, the sync of the blob's own name takes it along.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from corpus import filelocks
from corpus.disk import disk_errors
from protocol.clip import Sha256

_NOTE = re.compile(r"[0-9a-f]{64}")


class Holds:
    """Locks for digests: a file for each of their 256 beginnings, which ends with its holder.

    Parameters
    ----------
    folder : Path
        Made if it is not there; shared by all servers of one corpus.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextmanager
    def naming(self, digest: Sha256) -> Iterator[None]:
        """Hold a blob beside others who name it; waits for one who erases.

        The note of it is dropped when the block ends without an error: then a row names it.
        """
        descriptor = self._open(digest[:2])
        try:
            filelocks.take(descriptor, filelocks.AMONG_OTHERS)
            os.close(self._open(digest))
            yield
            with suppress(OSError):  # the clip is safe; a note of it costs a look and nothing more
                self.forget(digest)
        finally:
            os.close(descriptor)

    @contextmanager
    def erasing(self, digest: Sha256) -> Iterator[bool]:
        """Hold a blob alone; False at once if somebody else holds it."""
        descriptor = self._open(digest[:2])
        try:
            try:
                filelocks.take(descriptor, filelocks.ALONE | filelocks.AT_ONCE)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def noted(self) -> list[Sha256]:
        """What is about to be named, or was and never came to it."""
        return sorted(Sha256(path.name) for path in self._folder.iterdir() if _NOTE.fullmatch(path.name))

    def forget(self, digest: Sha256) -> None:
        """Drop the note of a blob; the caller holds it."""
        (self._folder / digest).unlink(missing_ok=True)

    def _open(self, name: str) -> int:
        with disk_errors():
            return os.open(self._folder / name, os.O_RDWR | os.O_CREAT, 0o600)
