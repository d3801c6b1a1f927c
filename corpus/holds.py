"""Naming a blob and erasing it exclude each other, between threads and between processes.

Whoever is about to name a blob in a row finds it in the store, or puts it there, and holds it until the row
is committed. Whoever erases one looks for rows that name it, and holds it until it is gone. Without that the
blob of a receipt could be erased between the two, because an earlier clip of the same bytes was withdrawn.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpus.disk import disk_errors
from protocol.clip import Sha256


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
        """Hold a blob beside others who name it; waits for one who erases."""
        descriptor = self._open(digest)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)

    @contextmanager
    def erasing(self, digest: Sha256) -> Iterator[bool]:
        """Hold a blob alone; False at once if somebody else holds it."""
        descriptor = self._open(digest)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)

    def _open(self, digest: Sha256) -> int:
        with disk_errors():
            return os.open(self._folder / digest[:2], os.O_RDWR | os.O_CREAT, 0o600)
