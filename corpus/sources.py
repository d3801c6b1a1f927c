"""Where a release is pulled from: a folder, or a server (`corpus.http_source`); neither is believed in."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol
from urllib.parse import unquote, urlsplit

from corpus import header
from corpus.disk import disk_errors
from corpus.header import FileEntry
from protocol.errors import CodedError


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
            old = source.open("rb")
        except OSError as error:
            problem = f"{path}: {error.strerror or error}"
            raise PullFailed(source=self.address, problem=problem) from error
        with old, disk_errors(), part.open("wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
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
    from corpus.http_source import HttpSource

    return HttpSource(f"{parts.scheme}://{parts.netloc}{root}", token), name and header.check_name(name)
