"""Blobs in a bucket of an S3-compatible object store: Amazon's, or one of your own.

A blob is put in one request, only if its name is free, with its SHA-256 in the signed header; the answer
means that it is whole and durable. It is read by ranges through the server and never by a signed link,
because such a link would go on playing a voice that was withdrawn; nor is it cached on any disk. Requests
are tried again a few times, with growing pauses; whoever still gets no answer is told to come back.

A client of this library does not live through a fork: nothing may be asked of a store before a server's
processes are forked, only after.

References
----------
https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html
"""

from __future__ import annotations

import hashlib
import io
import logging
import mmap
import os
import re
import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, ClassVar, NoReturn, cast

from corpus.disk import disk_errors, move_aside
from corpus.settings import s3_place
from corpus.store import YOUNG_S, BlobMissing, digest_of, name_of
from protocol.clip import Sha256
from protocol.errors import CodedError

if TYPE_CHECKING:
    from obstore.store import S3Config, S3Store
    from typing_extensions import Buffer

_WINDOW_BYTES = 1 << 20  # of a blob, asked for at a time
_log = logging.getLogger("xiangyin.store")
_log.addHandler(logging.NullHandler())  # a server has a log; a command says it in the line that it ends with


class StoreUnreachable(CodedError):
    """The object store gave no answer, or said that it cannot work now."""

    code: ClassVar[str] = "STORE_UNREACHABLE"


class StoreRefused(CodedError):
    """The object store answers, and will not do what was asked: a matter of settings or rights."""

    code: ClassVar[str] = "STORE_REFUSED"


class StoreKeepsVersions(CodedError):
    """The bucket keeps what is erased, so that a withdrawn voice would stay in it."""

    code: ClassVar[str] = "STORE_KEEPS_VERSIONS"


class ObstoreMissing(CodedError):
    """The library for object stores is not installed."""

    code: ClassVar[str] = "LIBRARY_MISSING"


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
        self._client = _client(self.where, self._aws)

    def __reduce__(self) -> tuple[type[ObjectStore], tuple[str, dict[str, str]]]:
        return ObjectStore, (self.where, self._aws)

    def put(self, path: Path) -> Sha256:
        """Copy a file into the store, durable on return."""
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                return self.put_bytes(b"")
            # Pages of the file itself: sixteen large uploads at once are not to be copied into memory.
            return self._put(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))

    def put_bytes(self, data: bytes) -> Sha256:
        """Store these bytes, durable on return."""
        return self._put(data)

    def _put(self, data: bytes | mmap.mmap) -> Sha256:
        import obstore
        from obstore.exceptions import AlreadyExistsError

        digest = Sha256(hashlib.sha256(data).hexdigest())
        with _answers():
            try:
                obstore.put(self._client, name_of(digest), data, mode="create")
                return digest
            except AlreadyExistsError:
                pass  # there already, or being put by another server at this moment
        try:
            there_bytes = self.size(digest)
        except BlobMissing as error:
            raise StoreUnreachable(problem="Conflict") from error
        if there_bytes != len(data):
            raise StoreRefused(problem="SizeMismatch")
        return digest

    def open(self, digest: Sha256) -> BinaryIO:
        """A seekable reader of the blob, which asks for ranges of it as they are needed."""
        return io.BufferedReader(_Blob(self._client, digest, self.size(digest)), _WINDOW_BYTES)

    def path(self, digest: Sha256) -> None:
        """None: no blob is a file of this machine."""

    def size(self, digest: Sha256) -> int:
        """Bytes of the blob."""
        import obstore

        with _answers():
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

    def need_room(self, wanted_bytes: int) -> None:
        """The store says itself when it is full."""

    def check(self) -> None:
        """List, write, read and drop one byte, and see that dropping drops."""
        import obstore

        name = f".{secrets.token_hex(16)}.part"
        with _answers():
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
            with _answers():
                for page in obstore.list(self._client):
                    for item in page:
                        name = item["path"]
                        age_s = time.time() - item["last_modified"].timestamp()
                        if digest_of(name) is None and not (name.endswith(".part") and age_s < YOUNG_S):
                            yield name
        except InvalidPathError as error:
            yield _strange(error)  # the library reads no page with such a key, so the rest stays unseen

    def aside(self, name: str, quarantine: Path) -> Path | None:
        """Move an object into quarantine, under a name that nothing there has."""
        import obstore

        with disk_errors():
            quarantine.mkdir(parents=True, exist_ok=True, mode=0o700)
            part = quarantine / f".{secrets.token_hex(16)}.part"
        try:
            with _answers():
                try:
                    found = obstore.get(self._client, name)
                except (FileNotFoundError, ValueError):  # gone, or a name that cannot be asked for
                    return None
                with disk_errors(), part.open("xb") as file:
                    for piece in found.stream(min_chunk_size=_WINDOW_BYTES):
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

        with _answers():
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
                with _answers():
                    for page in obstore.list(self._client, f"{number:02x}"):
                        for item in page:
                            digest = digest_of(item["path"])
                            if digest is not None:
                                yield digest
            except InvalidPathError as error:
                raise StoreRefused(problem=f"InvalidKey {_strange(error)}") from error


class _Blob(io.RawIOBase):
    """The bytes of a blob by position; `io.BufferedReader` over it reads ahead."""

    def __init__(self, client: S3Store, digest: Sha256, size_bytes: int) -> None:
        self._client, self._digest, self._size_bytes, self._at = client, digest, size_bytes, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        data = self._range(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:  # of the standard library's own, each piece would be a request of 8 kB
        return bytes(self._range(self._size_bytes))

    def _range(self, most_bytes: int) -> memoryview:
        import obstore

        wanted = min(most_bytes, self._size_bytes - self._at)
        if wanted <= 0:
            return memoryview(b"")
        with _answers():
            try:
                data = obstore.get_range(self._client, name_of(self._digest), start=self._at, length=wanted)
            except FileNotFoundError as error:  # erased since it was opened
                raise BlobMissing(digest=self._digest) from error
        if len(data) != wanted:
            raise StoreUnreachable(problem="ShortRead")
        self._at += wanted
        return memoryview(data)


def _client(url: str, aws: Mapping[str, str]) -> S3Store:
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError as error:
        raise ObstoreMissing(library="obstore", command="pip install 'xiangyin[s3]'") from error
    bucket, prefix = s3_place(url)
    endpoint = aws.get("AWS_ENDPOINT_URL_S3") or aws.get("AWS_ENDPOINT_URL")
    known = {
        # The library reads the environment by itself, and there this name goes before all others.
        "aws_endpoint_url_s3": endpoint,
        "region": aws.get("AWS_REGION") or aws.get("AWS_DEFAULT_REGION") or "us-east-1",
        "access_key_id": aws.get("AWS_ACCESS_KEY_ID"),
        "secret_access_key": aws.get("AWS_SECRET_ACCESS_KEY"),
        "session_token": aws.get("AWS_SESSION_TOKEN"),
        "checksum_algorithm": "SHA256",
    }
    # Not every store has the call that deletes many.
    config = {**{name: value for name, value in known.items() if value}, "disable_bulk_delete": True}
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=cast("S3Config", config),
        client_options={
            "allow_http": (endpoint or "").startswith("http://"),
            "connect_timeout": timedelta(seconds=2),
            "timeout": timedelta(seconds=30),
        },
        retry_config={
            "max_retries": 3,
            "retry_timeout": timedelta(seconds=5),  # after it no more tries are begun
            "backoff": {
                "init_backoff": timedelta(milliseconds=100),
                "max_backoff": timedelta(seconds=1),
                "base": 2,
            },
        },
    )


@contextmanager
def _answers() -> Iterator[None]:
    """Turn what the library says of the store into a code; a missing object is the caller's to explain."""
    from obstore.exceptions import BaseError, InvalidPathError

    try:
        yield
    except InvalidPathError:
        raise
    except (BaseError, FileNotFoundError) as error:
        _explain(error)


def _explain(error: Exception) -> NoReturn:
    """A short reason for whoever asked, without addresses and names; the whole for the log."""
    text = " ".join(str(error).partition("\n\nDebug source")[0].split())
    _log.warning("%s", text[:500])
    status = re.search(r"status code: ([0-9]{3})", text)
    reason = re.search(r"<Code>([A-Za-z0-9.]{1,60})</Code>", text)
    if isinstance(error, FileNotFoundError):  # where no object was asked for, it is the bucket
        raise StoreRefused(problem=reason[1] if reason else "NoSuchBucket") from error
    if status is None:
        raise StoreUnreachable(problem="NoConnection") from error
    problem = reason[1] if reason else f"HTTP {status[1]}"
    # What arrived damaged on the way can be sent again.
    passing = status[1][0] == "5" or status[1] in ("408", "409", "429") or "Digest" in problem
    raise (StoreUnreachable if passing else StoreRefused)(problem=problem) from error


def _strange(error: Exception) -> str:
    """The key in the library's complaint about one that it cannot read, fit to be printed."""
    found = re.search(r'Path "(.*?)"(?::| contained)', str(error), re.DOTALL)
    return repr(found[1] if found else str(error)[:200])[1:-1]
