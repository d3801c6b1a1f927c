"""Pulling over HTTP: ranges that go on where a line was cut, digests taken while the bytes are written.

A server is asked for bytes up to a stated size; a longer answer, a redirect or another encoding is an
error. What passes by itself (a cut line, a busy or renewing server) is tried again, a few times, each
later than the one before; what does not is said at once.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar
from urllib.parse import quote, urlsplit

from corpus import header
from corpus.disk import disk_errors
from corpus.header import FileEntry
from corpus.sources import DigestWrong, Gone, PullFailed, PullRefused

if TYPE_CHECKING:
    import requests

_PIECE_BYTES = 1 << 18
_TIMEOUT_S = (10.0, 60.0)
_TRIES = 5
_MOST_KEYS_BYTES = 4 << 20  # each handover takes some 2 kB
_FIRST_TRIES = 2  # a wrong address must be said soon
_LONGEST_WAIT_S = 8.0
_BUSY = (408, 425, 429, 500, 502, 503, 504)
Answer = TypeVar("Answer")


class Interrupted(PullFailed):
    """Something that passes: another try may well succeed."""


@dataclass
class HttpSource:
    """A server's ``/api/v1``.

    Attributes
    ----------
    wait : callable
        Sleeps between tries.
    """

    api: str
    token: str | None = field(default=None, repr=False)
    wait: Callable[[float], None] = time.sleep
    _local: threading.local = field(default_factory=threading.local, repr=False)

    @property
    def address(self) -> str:
        """What the copy remembers."""
        return self.api

    def latest(self, etag: str | None) -> tuple[bytes, str | None] | None:
        """``latest.json``: the one small request that says whether anything is new."""

        def ask() -> tuple[bytes, str | None] | None:
            known = {"If-None-Match": etag} if etag else {}
            with self._get(f"{self.api}/releases/{header.LATEST_NAME}", known) as reply:
                if reply.status_code == 304:
                    return None
                self._expect(reply, 200)
                return self._body(reply, header.MAX_BYTES), reply.headers.get("ETag")

        return self._patiently(ask, tries=_FIRST_TRIES)

    def small(self, path: str, max_bytes: int) -> bytes | None:
        """A small file."""
        url = f"{self.api}/releases/{quote(path)}"
        if path.endswith("/" + header.FILE_NAME):
            url = url.removesuffix("/" + header.FILE_NAME)
        return self._small(url, max_bytes)

    def file(self, release: str, path: str, entry: FileEntry, part: Path) -> None:
        """Fetch a file of the release."""
        self._fetch(f"{self.api}/releases/{quote(release)}/{quote(path)}", entry, part, path)

    def blob(self, release: str, path: str, entry: FileEntry, part: Path) -> None:
        """Fetch a sound by its digest."""
        self._fetch(f"{self.api}/blobs/{entry.sha256}", entry, part, path)

    def keys(self) -> object:
        """What ``/.well-known/xiangyin-keys.json`` says."""
        root = self.api.removesuffix("/api/v1")
        data = self._small(f"{root}/.well-known/xiangyin-keys.json", _MOST_KEYS_BYTES)
        try:
            return None if data is None else json.loads(data)
        except (ValueError, RecursionError) as error:
            raise PullFailed(source=self.address, problem="its list of keys is not one") from error

    def _small(self, url: str, max_bytes: int) -> bytes | None:
        def ask() -> bytes | None:
            with self._get(url, {}) as reply:
                if reply.status_code == 404:
                    return None
                self._expect(reply, 200)
                return self._body(reply, max_bytes)

        return self._patiently(ask)

    def _patiently(
        self, ask: Callable[[], Answer], progress: Callable[[], int] = lambda: 0, tries: int = _TRIES
    ) -> Answer:
        """Ask again after something that passes; `progress` tells how many bytes have come for good."""
        failed = 0
        while True:
            before = progress()
            try:
                return ask()
            except Interrupted:
                failed = 0 if progress() > before else failed + 1
                if failed >= tries:
                    raise
                self.wait(min(_LONGEST_WAIT_S, 0.25 * 2**failed))

    def _fetch(self, url: str, entry: FileEntry, part: Path, name: str) -> None:
        """Range requests into `part` until it is whole; once more from the start if a line spoilt bytes."""
        landing = _Part(part, entry, name, self.address)

        def go_on() -> None:
            self._go_on(url, landing)

        try:
            self._patiently(go_on, landing.size)
        except DigestWrong:
            self._patiently(go_on, landing.size)

    def _go_on(self, url: str, landing: _Part) -> None:
        offset = landing.resume()
        if offset == landing.entry.bytes and offset:
            landing.verify()
            return
        headers = {"Range": f"bytes={offset}-", "If-Range": f'"{landing.entry.sha256}"'} if offset else {}
        with self._get(url, headers) as reply:
            if reply.status_code == 416:
                landing.drop()
                raise Interrupted(source=self.address, problem=f"it has no byte {offset} of {landing.name}")
            self._expect(reply, 200, 206)
            resumed = reply.status_code == 206
            if resumed and not reply.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                raise PullFailed(source=self.address, problem="it sent another part than was asked for")
            length = reply.headers.get("Content-Length", "")
            if length.isdecimal() and offset * resumed + int(length) != landing.entry.bytes:
                landing.refuse(f"it has {offset * resumed + int(length)} bytes")
            landing.take(self._pieces(reply), from_start=not resumed)
        landing.verify()

    def _get(self, url: str, headers: dict[str, str]) -> requests.Response:
        import requests

        session = getattr(self._local, "session", None)
        if session is None:
            session = self._local.session = requests.Session()
            session.trust_env = False  # no .netrc: the token goes where it was meant to go, and nowhere else
            session.headers["Accept-Encoding"] = "identity"
            if self.token:
                session.headers["Authorization"] = f"Bearer {self.token}"
        try:
            reply: requests.Response = session.get(
                url, headers=headers, stream=True, timeout=_TIMEOUT_S, allow_redirects=False
            )
        except requests.RequestException as error:
            raise Interrupted(source=self.address, problem=_reason(error)) from error
        return reply

    def _expect(self, reply: requests.Response, *statuses: int) -> None:
        if reply.status_code not in statuses:
            self._refuse(reply)
        if reply.headers.get("Content-Encoding", "identity") != "identity":
            raise PullFailed(source=self.address, problem="it packed its answer without being asked to")

    def _refuse(self, reply: requests.Response) -> NoReturn:
        status = reply.status_code
        if status in (401, 403):
            raise PullRefused(source=self.address, problem=f"status {status}")
        if status == 410:
            raise Gone()
        if 300 <= status < 400:
            raise PullFailed(
                source=self.address, problem="it sent us elsewhere, and redirects are not followed"
            )
        kind = Interrupted if status in _BUSY else PullFailed
        raise kind(source=self.address, problem=f"status {status} for {urlsplit(reply.url).path}")

    def _pieces(self, reply: requests.Response) -> Iterator[bytes]:
        """The body as it arrives, so that nothing that came before a cut is lost; the caller counts."""
        import urllib3

        try:
            while piece := reply.raw.read1(_PIECE_BYTES, decode_content=False):
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Interrupted(source=self.address, problem=_reason(error)) from error

    def _body(self, reply: requests.Response, max_bytes: int) -> bytes:
        data = bytearray()
        for piece in self._pieces(reply):
            data += piece
            if len(data) > max_bytes:
                raise PullFailed(source=self.address, problem=f"an answer is larger than {max_bytes} bytes")
        return bytes(data)


class _Part:
    """A file that is on its way, and the digest of what has come of it."""

    def __init__(self, path: Path, entry: FileEntry, name: str, address: str) -> None:
        self.path, self.entry, self.name, self.address = path, entry, name, address
        self._digest = hashlib.sha256()
        self._hashed = 0

    def size(self) -> int:
        """Bytes on the disk."""
        return self.path.stat().st_size if self.path.exists() else 0

    def resume(self) -> int:
        """How many bytes there are to go on from; the digest is brought to the same place."""
        size = self.size()
        if size > self.entry.bytes:
            self.drop()
            return 0
        if size != self._hashed:  # of an earlier pull
            self._forget()
            if size:
                with self.path.open("rb") as file:
                    self._digest = hashlib.file_digest(file, "sha256")
                self._hashed = size
        return size

    def take(self, pieces: Iterator[bytes], *, from_start: bool) -> None:
        """Write what comes, hashing it; more than was promised is thrown away with all of it."""
        if from_start:
            self._forget()
        with disk_errors():
            file = self.path.open("wb" if from_start else "ab", buffering=0)
        with file:
            for piece in pieces:
                if self._hashed + len(piece) > self.entry.bytes:
                    self.refuse(f"it is longer than {self.entry.bytes} bytes")
                with disk_errors():
                    written = file.write(piece)
                    while written < len(piece):  # a disk that fills up takes a part before it says so
                        written += file.write(piece[written:])
                self._digest.update(piece)
                self._hashed += len(piece)
        if self._hashed < self.entry.bytes:
            problem = f"the line was cut at byte {self._hashed} of {self.name}"
            raise Interrupted(source=self.address, problem=problem)

    def verify(self) -> None:
        """Throw the file away unless it is the one that was promised."""
        found = self._digest.hexdigest()
        if found != self.entry.sha256:
            self.refuse(f"its SHA-256 is {found}")

    def drop(self) -> None:
        """Throw away what there is."""
        self.path.unlink(missing_ok=True)
        self._forget()

    def refuse(self, problem: str) -> NoReturn:
        """Throw away what there is and say why."""
        self.drop()
        raise DigestWrong(file=self.name, source=self.address, problem=problem)

    def _forget(self) -> None:
        self._digest, self._hashed = hashlib.sha256(), 0


def _reason(error: Exception) -> str:
    """What went wrong on the line, without the address and its parameters."""
    return type(error).__name__
