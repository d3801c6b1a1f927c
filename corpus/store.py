"""Blobs: files named by the SHA-256 of their bytes, never changed.

``ab/cdef….`` in a folder or under a prefix of a bucket (`corpus.object_store`): the same names in both, so
that one can be copied to the other. In a folder a name appears only by rename, after its bytes are on the
disk. A name that is there already is not believed: its bytes are read, and those that were damaged since
give way to the good ones.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, ClassVar, Protocol

from corpus.disk import StoreSuspect, disk_errors, move_aside, need_room, sync_path
from corpus.settings import Settings
from protocol.clip import Sha256, sha256
from protocol.errors import CodedError

YOUNG_S = 600.0  # a temporary file of this age may be at work
_NAME = re.compile(r"[0-9a-f]{2}/[0-9a-f]{62}")
_PIECE_BYTES = 1 << 20
_log = logging.getLogger("xiangyin.store")
_FOLDERS = tuple(f"{number:02x}" for number in range(256))


class BlobMissing(CodedError):
    """A blob that a row names is not in the store."""

    code: ClassVar[str] = "BLOB_MISSING"


class BlobStore(Protocol):
    """What every store can do.

    A store that cannot work raises a coded error, and nothing of what it was asked was acknowledged.

    Attributes
    ----------
    where : str
        How a person finds it: a folder, or a bucket with its prefix.
    """

    where: str

    def put(self, path: Path) -> Sha256:
        """Copy a file into the store, durable and whole on return; the same bytes twice are one blob."""

    def put_bytes(self, data: bytes) -> Sha256:
        """Store these bytes, durable on return."""

    def adopt(self, path: Path, digest: Sha256) -> Sha256:
        """Take in a finished file whose digest was checked, durable on return."""

    def open(self, digest: Sha256) -> BinaryIO:
        """A seekable reader of the blob, or `BlobMissing`."""

    def path(self, digest: Sha256) -> Path | None:
        """Where the blob lies as a file of this machine, be it there or not; None if it never does."""

    def size(self, digest: Sha256) -> int:
        """Bytes of the blob, or `BlobMissing`."""

    def erase(self, digest: Sha256) -> bool:
        """Remove the blob; False if it was not there."""

    def drop_leftovers(self, now_s: float) -> None:
        """Remove temporary files of writers that died: each may be a voice that was withdrawn since."""

    def need_room(self, wanted_bytes: int) -> None:
        """Raise `DiskFull` if so many bytes are known not to fit."""

    def check(self) -> None:
        """Write something small, see it and drop it again: raises what is wrong with the store."""

    def strays(self) -> Iterator[str]:
        """Names in the store that are no blobs and that nobody is at work on."""

    def aside(self, name: str, quarantine: Path) -> Path | None:
        """Move what has this name (`name_of` a blob, or a stray's) into a folder; None if it is gone."""

    def __contains__(self, digest: Sha256) -> bool: ...

    def __iter__(self) -> Iterator[Sha256]: ...


def open_store(settings: Settings) -> BlobStore:
    """The store that the settings name: the one place that chooses."""
    if not settings.store_url.startswith("s3://"):
        return LocalStore(settings.blobs)
    from corpus.object_store import ObjectStore

    return ObjectStore(settings.store_url, settings.aws)


def name_of(digest: Sha256) -> str:
    """The name of a blob within its store."""
    known = sha256(digest)
    return f"{known[:2]}/{known[2:]}"


def digest_of(name: str) -> Sha256 | None:
    """The digest of the blob that has this name, or None for a name that no blob has."""
    return Sha256(name.replace("/", "")) if _NAME.fullmatch(name) else None


@contextmanager
def as_file(store: BlobStore, digest: Sha256) -> Iterator[BinaryIO]:
    """The blob as a file with a descriptor, for other processes; a nameless copy where it has none."""
    with store.open(digest) as blob:
        if store.path(digest) is not None:
            yield blob
            return
        with tempfile.TemporaryFile() as copy:
            shutil.copyfileobj(blob, copy, _PIECE_BYTES)
            copy.flush()
            # A reader of its own: one that also writes would seek back over what others read, and fail.
            with os.fdopen(os.dup(copy.fileno()), "rb") as file:
                file.seek(0)
                yield file


def copy_blob(source: BlobStore, target: BlobStore, digest: Sha256) -> Sha256:
    """Copy a blob from store to store. Returns the digest of what was found, for comparison."""
    path = source.path(digest)
    if path is not None:
        return target.put(path)
    with source.open(digest) as blob:
        return target.put_bytes(blob.read())


class LocalStore:
    """Blobs in a local folder.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.where = str(folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / _FOLDERS[-1]).is_dir():  # all at once: later each of them would cost a sync
            for name in _FOLDERS:
                (folder / name).mkdir(exist_ok=True)
            sync_path(folder)

    def path(self, digest: Sha256) -> Path:
        """Where the blob lies, whether it is there or not."""
        return self.folder / name_of(digest)

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
        if self._is_whole(digest):
            return digest
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
        if self._is_whole(digest):
            return digest
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
            sync_path(path.parent)
        return True

    def drop_leftovers(self, now_s: float) -> None:
        """Remove temporary files that nobody was at for ten minutes."""
        with disk_errors():
            for path in self.folder.glob(".*.part"):
                with suppress(FileNotFoundError):
                    # Not the time of writing: one that was adopted has that of the upload's last byte.
                    if now_s - path.lstat().st_ctime > YOUNG_S:
                        path.unlink()

    def need_room(self, wanted_bytes: int) -> None:
        """Raise `DiskFull` unless so many bytes fit on the disk."""
        need_room(self.folder, wanted_bytes, 0)

    def check(self) -> None:
        """Write, sync and drop one byte: a disk that went read-only still reads well."""
        if not self.folder.is_dir():
            raise StoreSuspect(problem="its folder is not there")
        with disk_errors(), tempfile.TemporaryFile(dir=self.folder) as file:
            file.write(b"x")
            file.flush()
            os.fsync(file.fileno())

    def strays(self) -> Iterator[str]:
        """Names of files that are no blobs, but for temporary ones that are young."""
        for path in sorted(p for p in self.folder.rglob("*") if not p.is_dir()):
            name = path.relative_to(self.folder).as_posix()
            if digest_of(name) is None and not at_work(path):
                yield name

    def aside(self, name: str, quarantine: Path) -> Path | None:
        """Move a file of the store into quarantine, under a name that nothing there has."""
        digest = digest_of(name)
        return move_aside(self.folder / name, quarantine, digest or Path(name).name.lstrip("."))

    def __contains__(self, digest: Sha256) -> bool:
        return self.path(digest).is_file()

    def __iter__(self) -> Iterator[Sha256]:
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            for path in sorted(folder.iterdir()):
                digest = digest_of(f"{folder.name}/{path.name}")
                if digest is not None:
                    yield digest

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

    def _is_whole(self, digest: Sha256) -> bool:
        """Whether the blob is there, with the bytes of its name, which is durable then."""
        path = self.path(digest)
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return False
        except OSError as error:  # a sector that cannot be read
            found = error.strerror or "unreadable"
        if found != digest:
            tell_damaged(digest)
            return False
        with disk_errors():
            sync_path(path.parent)  # whoever put it there may not have come so far
        return True

    def _keep(self, part: Path, file: BinaryIO, digest: Sha256) -> Sha256:
        file.flush()
        os.fsync(file.fileno())
        path = self.path(digest)
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            sync_path(self.folder)
        part.replace(path)  # over what another writer put there meanwhile, or what was damaged
        sync_path(path.parent)
        return digest


def tell_damaged(digest: Sha256) -> None:
    """Log that a blob is about to give way to a good one: what spoiled it may spoil others."""
    _log.warning("the blob %s was damaged, and is replaced by the same sound that just arrived", digest)


def at_work(path: Path) -> bool:
    """Whether a file may be a temporary one that somebody is writing right now."""
    try:
        return path.suffix == ".part" and time.time() - path.lstat().st_mtime < YOUNG_S
    except FileNotFoundError:
        return True
