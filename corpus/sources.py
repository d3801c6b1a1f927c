"""Where a release is pulled from: a server over HTTP, or a folder.

A source is believed in nothing. It is asked for bytes up to a stated size; a longer answer, a redirect or
another encoding is an error. Whoever asks compares digests.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, NoReturn, Protocol
from urllib.parse import quote, unquote, urlsplit

from corpus import header
from corpus.disk import disk_errors
from corpus.header import FileEntry
from protocol.errors import CodedError

if TYPE_CHECKING:
    import requests

_PIECE_BYTES = 1 << 16
_TIMEOUT_S = (10.0, 60.0)
_TRIES = 5
_MOST_KEYS_BYTES = 4 << 20  # each handover takes some 2 kB


class PullFailed(CodedError):
    """A source cannot be reached or answers nonsense."""

    code: ClassVar[str] = "PULL_FAILED"


class PullRefused(CodedError):
    """The token is missing, wrong or of another role."""

    code: ClassVar[str] = "PULL_REFUSED"


class DigestWrong(CodedError):
    """The bytes are not those that were promised."""

    code: ClassVar[str] = "PULL_DIGEST_WRONG"


class Gone(CodedError):
    """The source no longer has it: a withdrawal since we last looked."""

    code: ClassVar[str] = "BLOB_WITHDRAWN"


class NotFound(CodedError):
    """There is no such release at the source."""

    code: ClassVar[str] = "RELEASE_UNKNOWN"


class Source(Protocol):
    """What a puller asks for."""

    @property
    def address(self) -> str:
        """What the copy remembers, and what errors name."""

    def latest(self, etag: str | None) -> tuple[bytes, str | None] | None:
        """``latest.json`` and its ETag; None if it is what that ETag stood for."""

    def small(self, path: str, max_bytes: int) -> bytes | None:
        """A small file beside the releases or, as ``NAME/file``, in one; None if there is none."""

    def file(self, release: str, path: str, entry: FileEntry, part: Path) -> None:
        """Fetch a file of a release into `part`, going on where `part` ends, and verify it."""

    def blob(self, release: str, path: str, entry: FileEntry, part: Path) -> None:
        """Fetch a sound into `part`, going on where `part` ends, and verify it."""

    def keys(self) -> object:
        """The publisher's list of keys, as JSON from a stranger; None if there is none."""


@dataclass
class FolderSource:
    """A release's folder, or a folder of releases, on this machine."""

    folder: Path

    @property
    def address(self) -> str:
        """What the copy remembers."""
        return str(self.folder)

    def latest(self, etag: str | None) -> tuple[bytes, str | None] | None:
        """``latest.json``; for a single release's folder one is made up from its header."""
        path = self.folder / header.LATEST_NAME
        raw = path.read_bytes() if path.is_file() else self._of_one()
        made = header.sha256_of(raw)
        return None if made == etag else (raw, made)

    def small(self, path: str, max_bytes: int) -> bytes | None:
        """A small file."""
        found = self._path(path)
        try:
            if found.stat().st_size > max_bytes:
                raise PullFailed(source=self.address, problem=f"{path} is larger than {max_bytes} bytes")
            return found.read_bytes()
        except FileNotFoundError:
            return None

    def file(self, release: str, path: str, entry: FileEntry, part: Path) -> None:
        """Copy and verify."""
        source = self._path(f"{release}/{path}")
        try:
            with disk_errors(), source.open("rb") as old, part.open("wb") as new:
                shutil.copyfileobj(old, new, 1 << 20)
        except FileNotFoundError as error:
            raise PullFailed(source=self.address, problem=f"{path} is missing") from error
        check(part, entry, path, self.address)

    blob = file

    def keys(self) -> object:
        """None: a folder is as trustworthy as whoever gave it."""
        return None

    def _path(self, path: str) -> Path:
        if (self.folder / header.LATEST_NAME).is_file():
            return self.folder / path
        return self.folder / path.partition("/")[2] if "/" in path else self.folder / path

    def _of_one(self) -> bytes:
        head, raw = header.read(self.folder)
        stones = header.file_entry(self.folder / header.TOMBSTONES_NAME)
        digest = header.sha256_of(raw)
        entry = header.LatestEntry(
            name=head.name,
            project=head.project,
            revision=head.revision,
            status=head.status,
            created_at=head.created_at,
            sha256=digest,
            bytes=len(raw),
            clips=head.counts["clips"],
            hours=head.hours["total"],
        )
        return header.pretty(
            header.Latest(
                name=head.name, revision=head.revision, sha256=digest, tombstones=stones, releases=(entry,)
            )
        )


@dataclass
class HttpSource:
    """A server's ``/api/v1``.

    Attributes
    ----------
    wait : callable
        Sleeps between tries.
    """

    api: str
    token: str | None = None
    wait: Callable[[float], None] = time.sleep
    _local: threading.local = field(default_factory=threading.local, repr=False)

    @property
    def address(self) -> str:
        """What the copy remembers."""
        return self.api

    def latest(self, etag: str | None) -> tuple[bytes, str | None] | None:
        """``latest.json``: the one small request that says whether anything is new."""
        reply = self._get(
            f"{self.api}/releases/{header.LATEST_NAME}", {"If-None-Match": etag} if etag else {}
        )
        with reply:
            if reply.status_code == 304:
                return None
            self._expect(reply, 200)
            return self._body(reply, header.MAX_BYTES), reply.headers.get("ETag")

    def small(self, path: str, max_bytes: int) -> bytes | None:
        """A small file."""
        url = f"{self.api}/releases/{quote(path)}"
        if path.endswith("/" + header.FILE_NAME):
            url = url.removesuffix("/" + header.FILE_NAME)
        with self._get(url, {}) as reply:
            if reply.status_code == 404:
                return None
            self._expect(reply, 200)
            return self._body(reply, max_bytes)

    def file(self, release: str, path: str, entry: FileEntry, part: Path) -> None:
        """Fetch a file of the release."""
        self._fetch(f"{self.api}/releases/{quote(release)}/{quote(path)}", entry, part, path)

    def blob(self, release: str, path: str, entry: FileEntry, part: Path) -> None:
        """Fetch a sound by its digest."""
        self._fetch(f"{self.api}/blobs/{entry.sha256}", entry, part, path)

    def keys(self) -> object:
        """What ``/.well-known/xiangyin-keys.json`` says."""
        root = self.api.removesuffix("/api/v1")
        with self._get(f"{root}/.well-known/xiangyin-keys.json", {}) as reply:
            if reply.status_code == 404:
                return None
            self._expect(reply, 200)
            try:
                return json.loads(self._body(reply, _MOST_KEYS_BYTES))
            except (ValueError, RecursionError) as error:
                raise PullFailed(source=self.address, problem="its list of keys is not one") from error

    def _fetch(self, url: str, entry: FileEntry, part: Path, name: str) -> None:
        """Range requests into `part` until it is whole; a lost line is tried again while it brings bytes."""
        tries = 0
        spoilt = False
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                self._go_on(url, entry, part, name)
                check(part, entry, name, self.address)
                return
            except DigestWrong:
                if spoilt:
                    raise
                spoilt = True  # once more from the start: a line can spoil bytes too
            except PullFailed:
                after = part.stat().st_size if part.exists() else 0
                tries = 0 if after > before else tries + 1
                if tries >= _TRIES:
                    raise
                self.wait(min(8.0, 0.25 * 2**tries))

    def _go_on(self, url: str, entry: FileEntry, part: Path, name: str) -> None:
        offset = part.stat().st_size if part.exists() else 0
        if offset > entry.bytes:
            part.unlink()
            offset = 0
        if offset == entry.bytes and offset:
            return
        headers = {"Range": f"bytes={offset}-", "If-Range": f'"{entry.sha256}"'} if offset else {}
        with self._get(url, headers) as reply:
            if reply.status_code == 416:
                part.unlink(missing_ok=True)
                raise PullFailed(source=self.address, problem=f"it has no byte {offset} of {name}")
            self._expect(reply, 200, 206)
            resumed = reply.status_code == 206
            if resumed and not reply.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                raise PullFailed(source=self.address, problem="it sent another part than was asked for")
            with disk_errors():
                file = part.open("ab" if resumed else "wb")
            with file:
                size = offset if resumed else 0
                for piece in self._pieces(reply):
                    size += len(piece)
                    if size > entry.bytes:
                        file.close()
                        part.unlink()
                        problem = f"it is longer than {entry.bytes} bytes"
                        raise DigestWrong(file=name, source=self.address, problem=problem)
                    with disk_errors():
                        file.write(piece)
                with disk_errors():
                    file.flush()
            if size < entry.bytes:
                raise PullFailed(source=self.address, problem=f"the line was cut at byte {size} of {name}")

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
            raise PullFailed(source=self.address, problem=_reason(error)) from error
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
        raise PullFailed(source=self.address, problem=f"status {status} for {urlsplit(reply.url).path}")

    def _pieces(self, reply: requests.Response) -> Iterator[bytes]:
        """The body as it arrives, so that nothing that came before a cut is lost; the caller counts."""
        import urllib3

        try:
            while piece := reply.raw.read1(_PIECE_BYTES, decode_content=False):
                yield piece
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise PullFailed(source=self.address, problem=_reason(error)) from error

    def _body(self, reply: requests.Response, max_bytes: int) -> bytes:
        data = bytearray()
        for piece in self._pieces(reply):
            data += piece
            if len(data) > max_bytes:
                raise PullFailed(source=self.address, problem=f"an answer is larger than {max_bytes} bytes")
        return bytes(data)


def check(part: Path, entry: FileEntry, name: str, address: str) -> None:
    """Delete `part` and raise `DigestWrong` unless it is what `entry` says."""
    with part.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size = file.tell()
    if size != entry.bytes or digest != entry.sha256:
        part.unlink()
        problem = f"its SHA-256 is {digest}" if size == entry.bytes else f"it has {size} bytes"
        raise DigestWrong(file=name, source=address, problem=problem)


def parse(address: str, token: str | None) -> tuple[Source, str | None]:
    """The source that an address means, and the release's name if it holds one.

    Raises
    ------
    PullFailed
        If it is neither a folder with a release nor an http address.
    """
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https"):
        folder = Path(address)
        if not (folder / header.FILE_NAME).is_file() and not (folder / header.LATEST_NAME).is_file():
            if (folder.parent / header.LATEST_NAME).is_file():
                return FolderSource(folder.parent), folder.name
            raise PullFailed(
                source=address, problem="it is neither a web address nor a folder with a release"
            )
        return FolderSource(folder), None
    path = parts.path.rstrip("/")
    before, found, after = path.partition("/releases")
    name = unquote(after.strip("/").split("/")[0]) or None if found else None
    root = before if found else path
    if not root.endswith("/api/v1"):
        root += "/api/v1"
    return HttpSource(f"{parts.scheme}://{parts.netloc}{root}", token), name and header.check_name(name)


def _reason(error: Exception) -> str:
    """What went wrong on the line, without the address and its parameters."""
    return type(error).__name__
