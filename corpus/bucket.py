"""The client of an S3-compatible object store: how it is made, what its errors mean, and reading by ranges.

Requests are tried again a few times, with growing pauses; whoever still gets no answer is told to come back.
A client does not live through a fork: nothing may be asked of a store before a server's processes are
forked, only after.
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn, cast

from corpus.settings import s3_place
from corpus.store import BlobMissing, name_of
from protocol.clip import Sha256
from protocol.errors import CodedError

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store
    from typing_extensions import Buffer

WINDOW_BYTES = 1 << 20  # of a blob, asked for at a time
_log = logging.getLogger("xiangyin.store")
_log.addHandler(logging.NullHandler())  # a server has a log; a command says it in the line that it ends with


class StoreUnreachable(CodedError):
    """The object store gave no answer, or said that it cannot work now."""

    code: ClassVar[str] = "STORE_UNREACHABLE"


class StoreRefused(CodedError):
    """The object store answers, and will not do what was asked: a matter of settings or rights."""

    code: ClassVar[str] = "STORE_REFUSED"


class ObstoreMissing(CodedError):
    """The library for object stores is not installed."""

    code: ClassVar[str] = "LIBRARY_MISSING"


class Reader(io.RawIOBase):
    """The bytes of a blob by position; `io.BufferedReader` over it reads ahead."""

    def __init__(self, client: S3Store, digest: Sha256, size_bytes: int) -> None:
        self._client, self._digest, self._size_bytes, self._at = client, digest, size_bytes, 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def tell(self) -> int:
        """The position."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move the position; past the end there is nothing to read."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size_bytes}[whence]
        if base + offset < 0:
            raise ValueError(f"negative position {base + offset}")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        """Ask for as much as `buffer` takes."""
        view = memoryview(buffer).cast("B")
        data = self._range(len(view))
        view[: len(data)] = data
        return len(data)

    def readall(self) -> bytes:
        """Ask for the rest at once; in the standard library's own way each request would be of 8 kB."""
        return bytes(self._range(self._size_bytes))

    def _range(self, most_bytes: int) -> memoryview:
        import obstore

        wanted = min(most_bytes, self._size_bytes - self._at)
        if wanted <= 0:
            return memoryview(b"")
        with answers():
            try:
                data = obstore.get_range(self._client, name_of(self._digest), start=self._at, length=wanted)
            except FileNotFoundError as error:  # erased since it was opened
                raise BlobMissing(digest=self._digest) from error
        if len(data) != wanted:
            raise StoreUnreachable(problem="ShortRead")
        self._at += wanted
        return memoryview(data)


def open_client(url: str, aws: Mapping[str, str]) -> S3Store:
    """A client for ``s3://bucket/prefix`` with `Settings.aws`; it asks nothing yet."""
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
    options: ClientConfig = {
        "allow_http": (endpoint or "").startswith("http://"),
        "connect_timeout": timedelta(seconds=2),
        "timeout": timedelta(seconds=30),
    }
    if "AWS_CA_BUNDLE" in aws:
        options["root_certificate"] = Path(aws["AWS_CA_BUNDLE"]).read_bytes()
    return S3Store(
        bucket,
        prefix=prefix or None,
        config=cast("S3Config", config),
        client_options=options,
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
def answers() -> Iterator[None]:
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


def strange_key(error: Exception) -> str:
    """The key in the library's complaint about one that it cannot read, fit to be printed."""
    found = re.search(r'Path "(.*?)"(?::| contained)', str(error), re.DOTALL)
    return repr(found[1] if found else str(error)[:200])[1:-1]
