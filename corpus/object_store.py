"""Blobs in a bucket of an S3-compatible object store: Amazon's, or one of your own.

A blob is put in one request, only if its name is free, with its SHA-256 in the signed header; then the store
is asked whether it has it. Of a name that is not free the bytes are read. Whoever hears a blob reads ranges
through the server and never a signed link, because such a link would go on playing a voice that was
withdrawn; nor is it cached on any disk.

References
----------
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import hashlib
import io
import mmap
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, ClassVar

from corpus import bucket
from corpus.disk import disk_errors, move_aside
from corpus.store import YOUNG_S, BlobMissing, digest_of, name_of, tell_damaged
from protocol.clip import Sha256
from protocol.errors import CodedError


class StoreKeepsVersions(CodedError):
    """The bucket keeps what is erased, so that a withdrawn voice would stay in it."""

    code: ClassVar[str] = "STORE_KEEPS_VERSIONS"


class ObjectStore:
    """Blobs under a prefix of a bucket.

    Parameters
    ----------
    url : str
        ``s3://bucket/prefix``.
    aws : mapping
        `Settings.aws`: endpoint, region and credentials by the names of their variables. Without
        credentials the machine's own role is asked for them.
    """

    def __init__(self, url: str, aws: Mapping[str, str]) -> None:
        self.where = url.rstrip("/")
        self._aws = dict(aws)
        self._client = bucket.open_client(self.where, self._aws)

    def __reduce__(self) -> tuple[type[ObjectStore], tuple[str, dict[str, str]]]:
        return ObjectStore, (self.where, self._aws)

    def put(self, path: Path) -> Sha256:
        """Copy a file into the store, durable on return."""
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return self.put_bytes(b"")
            # Pages of the file itself: sixteen large uploads at once are not to be copied into memory.
            return self._put(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def adopt(self, path: Path, digest: Sha256) -> Sha256:
        """Take in a finished file whose digest was checked, durable on return."""
        return self.put(path)

    def put_bytes(self, data: bytes) -> Sha256:
        """Store these bytes, durable on return."""
        return self._put(data)

    def _put(self, data: bytes | mmap.mmap) -> Sha256:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        digest = Sha256(hashlib.sha256(data).hexdigest())
        with bucket.answers():
            try:
                obstore.put(self._client, name_of(digest), data, mode="create")
            except AlreadyExistsError:  # there already, or being put by another server at this moment
                if self._is_whole(digest):
                    return digest
                tell_damaged(digest)
                obstore.put(self._client, name_of(digest), data, mode="overwrite")
        try:
            kept_bytes = self.size(digest)
        except BlobMissing as error:
            raise bucket.StoreUnreachable(problem="NotKept") from error
        if kept_bytes != len(data):
            raise bucket.StoreUnreachable(problem="SizeMismatch")
        return digest

    def _is_whole(self, digest: Sha256) -> bool:
        try:
            with self.open(digest) as blob:
                return hashlib.file_digest(blob, "sha256").hexdigest() == digest  # type: ignore[arg-type]
        except BlobMissing as error:
            raise bucket.StoreUnreachable(problem="Conflict") from error

    def open(self, digest: Sha256) -> BinaryIO:
        """A seekable reader of the blob, which asks for ranges of it as they are needed."""
        return io.BufferedReader(bucket.Reader(self._client, digest, self.size(digest)), bucket.WINDOW_BYTES)

    def path(self, digest: Sha256) -> None:
        """None: no blob is a file of this machine."""

    def size(self, digest: Sha256) -> int:
        """Bytes of the blob."""
        import obstore

        with bucket.answers():
            try:
                return obstore.head(self._client, name_of(digest))["size"]
            except FileNotFoundError as error:
                raise BlobMissing(digest=digest) from error

    def erase(self, digest: Sha256) -> bool:
        """Remove the blob; False if it was not there."""
        if digest not in self:
            return False
        self._delete(name_of(digest))
        return True

    def drop_leftovers(self, now_s: float) -> None:
        """An object is there whole or not at all."""

    def need_room(self, wanted_bytes: int) -> None:
        """The store says itself when it is full."""

    def check(self) -> None:
        """List, write, read and drop one byte, and see that dropping drops."""
        import obstore

        name = f".{secrets.token_hex(16)}.part"
        with bucket.answers():
            for _ in obstore.list(self._client, "00"):  # some stores make a bucket at the first write
                break
            made = obstore.put(self._client, name, b"x", mode="create")
            try:
                obstore.get(self._client, name).bytes()
            finally:
                obstore.delete(self._client, name)
        if made["version"] not in (None, "null"):
            raise StoreKeepsVersions(store=self.where)

    def strays(self) -> Iterator[str]:
        """Keys under the prefix that are no blobs, but for temporary ones that are young."""
        import obstore
        from obstore.exceptions import InvalidPathError

        try:
            with bucket.answers():
                for page in obstore.list(self._client):
                    for item in page:
                        name = item["path"]
                        age_s = time.time() - item["last_modified"].timestamp()
                        if digest_of(name) is None and not (name.endswith(".part") and age_s < YOUNG_S):
                            yield name
        except InvalidPathError as error:
            yield bucket.strange_key(
                error
            )  # the library reads no page with such a key, so the rest stays unseen

    def aside(self, name: str, quarantine: Path) -> Path | None:
        """Move an object into quarantine, under a name that nothing there has."""
        import obstore

        with disk_errors():
            quarantine.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = quarantine / f".{secrets.token_hex(16)}.part"
        try:
            with bucket.answers():
                try:
                    found = obstore.get(self._client, name)
                except (FileNotFoundError, ValueError):  # gone, or a name that cannot be asked for
                    return None
                with disk_errors(), part.open("xb") as file:
                    for piece in found.stream(min_chunk_size=bucket.WINDOW_BYTES):
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
            stem = digest_of(name) or re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".")[-100:] or "object"
            target = move_aside(part, quarantine, stem)
        finally:
            part.unlink(missing_ok=True)
        self._delete(name)
        return target

    def _delete(self, name: str) -> None:
        import obstore

        with bucket.answers():
            obstore.delete(self._client, name)

    def __contains__(self, digest: Sha256) -> bool:
        try:
            self.size(digest)
        except BlobMissing:
            return False
        return True

    def __iter__(self) -> Iterator[Sha256]:
        import obstore
        from obstore.exceptions import InvalidPathError

        # Folder by folder: a strange key beside them would keep the library from reading its page.
        for number in range(256):
            try:
                with bucket.answers():
                    for page in obstore.list(self._client, f"{number:02x}"):
                        for item in page:
                            digest = digest_of(item["path"])
                            if digest is not None:
                                yield digest
            except InvalidPathError as error:
                raise bucket.StoreRefused(problem=f"InvalidKey {bucket.strange_key(error)}") from error
