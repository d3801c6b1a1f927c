"""The bytes of uploads that are not finished: one file each, whose size is the offset.

No number is kept beside the file. A piece is written only after all of it has arrived, and what a
failed write left is truncated away. Processes exclude each other by a lock on the file itself, which
ends with its holder, and never wait for it.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, ClassVar

from corpus import filelocks
from corpus.disk import disk_errors
from protocol.errors import CodedError

_PIECE_BYTES = 1 << 20
_NAME = re.compile(r"[0-9a-f]{32}\.part")


class UploadBusy(CodedError):
    """Another request holds the upload."""

    code: ClassVar[str] = "UPLOAD_BUSY"


class OffsetMismatch(CodedError):
    """The client's idea of what is stored is not the truth."""

    code: ClassVar[str] = "UPLOAD_OFFSET_MISMATCH"


class UploadOverflow(CodedError):
    """A piece goes beyond the declared length."""

    code: ClassVar[str] = "UPLOAD_OVERFLOW"


class Partials:
    """A folder of unfinished files.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def path(self, upload_id: str) -> Path:
        """Where the bytes lie. `upload_id` is one of ours: 32 hexadecimal digits."""
        return self.folder / f"{upload_id}.part"

    def offset(self, upload_id: str) -> int:
        """How many bytes are stored."""
        try:
            return self.path(upload_id).stat().st_size
        except FileNotFoundError:
            return 0

    def sizes(self) -> Mapping[str, int]:
        """How many bytes are stored of each upload that has a file."""
        found = {}
        for entry in os.scandir(self.folder):
            if _NAME.fullmatch(entry.name):
                with suppress(FileNotFoundError):  # finished since
                    found[entry.name.removesuffix(".part")] = entry.stat().st_size
        return found

    @contextmanager
    def locked(self, upload_id: str) -> Iterator[FileIO]:
        """The file, made if needed, held against every other request and process.

        Raises
        ------
        UploadBusy
            At once, if another one holds it.
        """
        with disk_errors():
            descriptor = os.open(self.path(upload_id), os.O_RDWR | os.O_CREAT, 0o600)
        with FileIO(descriptor, "r+b") as file:
            try:
                filelocks.take(descriptor, filelocks.ALONE | filelocks.AT_ONCE)
            except BlockingIOError as error:
                raise UploadBusy(stored_bytes=os.fstat(descriptor).st_size) from error
            if os.fstat(descriptor).st_nlink == 0:  # ended or finished while we opened it
                raise UploadBusy(stored_bytes=0)
            try:
                yield file
            finally:
                filelocks.give_up(descriptor)

    def append(
        self,
        file: BinaryIO,
        offset_bytes: int,
        length_bytes: int,
        pieces: Iterable[bytes | bytearray],
        size_bytes: int,
    ) -> int:
        """Write a piece that has arrived whole. Returns the new offset.

        Parameters
        ----------
        file : FileIO
            From `locked`.
        length_bytes : int
            The declared length of the whole.
        pieces, size_bytes : iterable of bytes, int
            The bytes to add, and how many they are.

        Raises
        ------
        OffsetMismatch, UploadOverflow
            And nothing was written.
        DiskFull, StoreSuspect
            And what was written was truncated away.
        """
        stored = os.fstat(file.fileno()).st_size
        if offset_bytes != stored:
            raise OffsetMismatch(stored_bytes=stored)
        if stored + size_bytes > length_bytes:
            raise UploadOverflow(length_bytes=length_bytes)
        with disk_errors():
            try:
                written = stored
                for data in pieces:
                    view = memoryview(data)
                    while view:
                        done = os.pwrite(file.fileno(), view, written)
                        written, view = written + done, view[done:]
            except OSError:
                os.ftruncate(file.fileno(), stored)
                raise
        return written

    def sha256(self, file: FileIO) -> str:
        """The digest of what is stored."""
        digest, at = hashlib.sha256(), 0
        while data := os.pread(file.fileno(), _PIECE_BYTES, at):
            digest.update(data)
            at += len(data)
        return digest.hexdigest()

    def reader(self, upload_id: str) -> FileIO:
        """The same file for a process that hears it, which can neither write to it nor has its lock."""
        with disk_errors():
            return FileIO(self.path(upload_id), "rb")

    def sync(self, upload_id: str, file: FileIO) -> None:
        """Make what is stored durable.

        Raises
        ------
        StoreSuspect
            If the disk does not keep it; what is stored is not to be trusted any more, and is dropped.
        """
        with disk_errors():
            try:
                os.fsync(file.fileno())
            except OSError:
                # A second sync of the same file may succeed and be wrong. It loses its name and not its
                # bytes: after a close that came half-way they are a blob's too.
                self.discard(upload_id)
                raise

    def discard(self, upload_id: str) -> None:
        """Remove the bytes; the caller holds the lock."""
        self.path(upload_id).unlink(missing_ok=True)
