"""Blobs: files named by the SHA-256 of their bytes, never rewritten.

``ab/cdef….`` in a folder; a name appears only by rename, after its bytes are on the disk.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

from corpus.disk import disk_errors, sync_folder
from protocol.clip import Sha256, sha256
from protocol.errors import CodedError

_PIECE_BYTES = 1 << 20
_FOLDERS = tuple(f"{number:02x}" for number in range(256))


class BlobMissing(CodedError):
    """A blob that a row names is not in the store."""

    code: ClassVar[str] = "BLOB_MISSING"


class BlobStore(Protocol):
    """What every store can do."""

    def put(self, path: Path) -> Sha256:
        """Copy a file into the store, durable on return; the same bytes twice are one blob."""

    def put_bytes(self, data: bytes) -> Sha256:
        """Store these bytes, durable on return."""

    def adopt(self, path: Path, digest: Sha256) -> Sha256:
        """Take in a finished file whose digest was checked, durable on return."""

    def open(self, digest: Sha256) -> BinaryIO:
        """A seekable reader of the blob, or `BlobMissing`."""

    def size(self, digest: Sha256) -> int:
        """Bytes of the blob, or `BlobMissing`."""

    def erase(self, digest: Sha256) -> bool:
        """Remove the blob; False if it was not there."""

    def __contains__(self, digest: Sha256) -> bool: ...

    def __iter__(self) -> Iterator[Sha256]: ...


class LocalStore:
    """Blobs in a local folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / _FOLDERS[-1]).is_dir():  # all at once: later each of them would cost a sync
            for name in _FOLDERS:
                (folder / name).mkdir(exist_ok=True)
            sync_folder(folder)

    def path(self, digest: Sha256) -> Path:
        """Where the blob lies, whether it is there or not."""
        name = sha256(digest)
        return self.folder / name[:2] / name[2:]

    def put(self, path: Path) -> Sha256:
        """Copy a file into the store, durable on return."""
        digest = hashlib.sha256()
        with self._new_file() as (part, file), path.open("rb") as source:
            while piece := source.read(_PIECE_BYTES):
                digest.update(piece)
                file.write(piece)
            return self._keep(part, file, Sha256(digest.hexdigest()))

    def adopt(self, path: Path, digest: Sha256) -> Sha256:
        """Take in a finished file whose digest was checked, durable on return.

        On the same disk it gets a second name and is not copied; nothing may write to it any more.
        """
        if digest in self:
            return self._there(digest)
        part = self._new_name()
        with disk_errors():
            try:
                try:
                    part.hardlink_to(path)
                except OSError:  # another disk, or one that knows no links
                    return self.put(path)
                with part.open("rb") as file:
                    return self._keep(part, file, digest)
            finally:
                part.unlink(missing_ok=True)

    def put_bytes(self, data: bytes) -> Sha256:
        """Store these bytes, durable on return."""
        digest = Sha256(hashlib.sha256(data).hexdigest())
        if digest in self:
            return self._there(digest)
        with self._new_file() as (part, file):
            file.write(data)
            return self._keep(part, file, digest)

    def open(self, digest: Sha256) -> BinaryIO:
        """A seekable reader of the blob."""
        try:
            return self.path(digest).open("rb")
        except FileNotFoundError as error:
            raise BlobMissing(digest=digest) from error

    def size(self, digest: Sha256) -> int:
        """Bytes of the blob."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError as error:
            raise BlobMissing(digest=digest) from error

    def erase(self, digest: Sha256) -> bool:
        """Remove the blob, durably; False if it was not there."""
        path = self.path(digest)
        with disk_errors():
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            sync_folder(path.parent)
        return True

    def __contains__(self, digest: Sha256) -> bool:
        return self.path(digest).is_file()

    def __iter__(self) -> Iterator[Sha256]:
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(folder.iterdir()):
                if len(path.name) == 62:
                    yield Sha256(folder.name + path.name)

    @contextmanager
    def _new_file(self) -> Iterator[tuple[Path, BinaryIO]]:
        part = self._new_name()
        with disk_errors():
            try:
                with part.open("xb") as file:
                    yield part, file
            finally:
                part.unlink(missing_ok=True)

    def _new_name(self) -> Path:
        return self.folder / f".{secrets.token_hex(16)}.part"  # random: two writers never share one

    def _there(self, digest: Sha256) -> Sha256:
        with disk_errors():
            sync_folder(self.path(digest).parent)  # whoever put it there may not have come so far
        return digest

    def _keep(self, part: Path, file: BinaryIO, digest: Sha256) -> Sha256:
        file.flush()
        os.fsync(file.fileno())
        path = self.path(digest)
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            sync_folder(self.folder)
        if not path.exists():
            part.replace(path)
        sync_folder(path.parent)
        return digest
