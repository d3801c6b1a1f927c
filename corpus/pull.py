"""Pulling a release: tombstones first, then what is new, everything verified, the mark of completeness last.

Names of files are made here from digests, or are one of the few that a release may have; whatever the
source says, nothing is written outside the copy's folder. New files wait beside the old ones until all of
them are there; a pull that is killed goes on where it stopped.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec
import rfc8785

from corpus import header, manifest
from corpus.dataset import MARK_NAME, STATE_FOLDER, Mark, Wanted, read_mark
from corpus.disk import disk_errors, need_room, write_durably
from corpus.header import FileEntry, Header, LatestEntry
from corpus.keys import verify_ed25519
from corpus.manifest import Line
from corpus.sources import DigestWrong, Gone, NotFound, PullFailed, Source
from corpus.verify import signature_problem
from protocol import keyring
from protocol.errors import CodedError
from protocol.tlog import ReceiptInvalid

_JOBS = 8
_WINDOW = 256
_RESERVE_BYTES = 16 << 20
_PARTIAL_SKIPS = ("manifest.parquet", header.SUMS_NAME)  # they speak of all clips
_MAX_FEED_BYTES = 256 << 20


class CopyBusy(CodedError):
    """Another pull writes into the folder."""

    code: ClassVar[str] = "COPY_BUSY"


class TargetTaken(CodedError):
    """The folder holds something else."""

    code: ClassVar[str] = "COPY_TARGET_TAKEN"


class ReleaseWithdrawn(CodedError):
    """The publisher took the release back."""

    code: ClassVar[str] = "RELEASE_WITHDRAWN"


class SignatureWrong(CodedError):
    """The release is not signed by who signed it before, or is older than what we have."""

    code: ClassVar[str] = "PULL_SIGNATURE_WRONG"


@dataclass(frozen=True)
class Pulled:
    """What a pull did."""

    name: str
    revision: int
    up_to_date: bool
    clips: int
    fetched: int
    fetched_bytes: int
    deleted: int
    signature: str  # good | absent

    def as_json(self) -> dict[str, object]:
        """For ``--format json``."""
        return {field: getattr(self, field) for field in self.__dataclass_fields__}


Progress = Callable[[int, int], None]  # clips done, clips wanted


def pull(
    source: Source,
    to: Path,
    *,
    name: str | None = None,
    wanted: Wanted | None = None,
    progress: Progress | None = None,
    jobs: int = _JOBS,
) -> Pulled:
    """Make `to` a verified copy of a release, or bring it up to date.

    Raises
    ------
    PullFailed, PullRefused, NotFound, DigestWrong, SignatureWrong, ReleaseWithdrawn
        Each leaves what is fetched for the next try; a copy that was complete stays so, except that
        withdrawn sounds are gone.
    """
    chosen = wanted or Wanted()
    _claim(to)
    with _alone(to):
        try:
            return _Pull(source, to, name, chosen, progress, jobs).run()
        except Gone:  # withdrawn between the header and the sound: look again, once
            return _Pull(source, to, name, chosen, progress, jobs).run()


def _claim(to: Path) -> None:
    """Refuse a folder that holds anything but a copy."""
    with disk_errors():
        to.mkdir(parents=True, exist_ok=True)
        if not (to / STATE_FOLDER).is_dir():
            if any(to.iterdir()):
                raise TargetTaken(folder=str(to))
            (to / STATE_FOLDER).mkdir()


@contextmanager
def _alone(to: Path) -> Iterator[None]:
    descriptor = os.open(to / STATE_FOLDER / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise CopyBusy(folder=str(to)) from error
    finally:
        os.close(descriptor)


class _Pull:
    """One pull: the folder, what it held before, and what was done."""

    def __init__(
        self,
        source: Source,
        to: Path,
        name: str | None,
        wanted: Wanted,
        progress: Progress | None,
        jobs: int,
    ) -> None:
        self.source, self.to, self.name, self.wanted = source, to, name, wanted
        self.progress, self.jobs = progress, jobs
        self.state = to / STATE_FOLDER
        self.parts = self.state / "parts"
        self.next = self.state / "next"
        self.mark = read_mark(to)
        self.newest_vkey = None if self.mark is None else self.mark.newest_vkey
        self.fetched = self.fetched_bytes = self.deleted = 0

    @property
    def partial(self) -> bool:
        return self.wanted != Wanted()

    def run(self) -> Pulled:
        mark = self.mark
        settled = (
            mark is not None
            and mark.complete
            and (mark.source, mark.wanted) == (self.source.address, self.wanted)
            and self.name in (None, mark.name)
        )
        answer = self.source.latest(mark.latest_etag if mark is not None and settled else None)
        if answer is None and mark is not None:
            return self._result(mark.name, mark.revision, up_to_date=True, clips=0, vkey=mark.vkey)
        if answer is None:
            raise PullFailed(source=self.source.address, problem="it says that nothing changed, of nothing")
        raw, etag = answer
        latest = header.parse_latest(raw, f"{self.source.address}: {header.LATEST_NAME}")
        entry = self._entry(latest)
        self._obey(latest.tombstones)
        if mark is not None and settled and (mark.name, mark.sha256) == (entry.name, entry.sha256):
            self._write_mark(entry, complete=True, etag=etag, stones=latest.tombstones.sha256, vkey=mark.vkey)
            return self._result(entry.name, entry.revision, up_to_date=True, clips=0, vkey=mark.vkey)
        head, head_raw = self._header(entry)
        self._start(entry)
        vkey = self._signature(head, head_raw)
        need_room(self.to, sum(file.bytes for file in head.files.values()), _RESERVE_BYTES)
        self._small_files(head, head_raw)
        clips = self._sounds(head)
        self._switch(head)
        self._write_mark(entry, complete=True, etag=etag, stones=latest.tombstones.sha256, vkey=vkey)
        shutil.rmtree(self.parts, ignore_errors=True)
        return self._result(entry.name, entry.revision, up_to_date=False, clips=clips, vkey=vkey)

    def _result(self, name: str, revision: int, *, up_to_date: bool, clips: int, vkey: str | None) -> Pulled:
        signature = "good" if vkey else "absent"
        return Pulled(
            name, revision, up_to_date, clips, self.fetched, self.fetched_bytes, self.deleted, signature
        )

    def _entry(self, latest: header.Latest) -> LatestEntry:
        wanted = self.name or latest.name
        for entry in latest.releases:
            if entry.name == wanted:
                if entry.status == "withdrawn":
                    raise ReleaseWithdrawn(name=entry.name)
                return entry
        raise NotFound(name=wanted or "yet")

    def _obey(self, feed: FileEntry) -> None:
        """Delete what was withdrawn before anything else, whatever becomes of the rest of the pull."""
        if self.mark is not None and self.mark.tombstones_sha256 == feed.sha256:
            return
        if not (self.to / "audio").is_dir():
            return
        raw = self.source.small(header.TOMBSTONES_NAME, min(feed.bytes, _MAX_FEED_BYTES)) or b""
        if header.sha256_of(raw) != feed.sha256:
            raise DigestWrong(
                file=header.TOMBSTONES_NAME, source=self.source.address, problem="it is another file"
            )
        for stone in header.parse_tombstones(raw, header.TOMBSTONES_NAME):
            path = self.to / manifest.audio_path(stone.sha256)
            if path.exists():
                self._unmark()
                path.unlink()
                self.deleted += 1

    def _header(self, entry: LatestEntry) -> tuple[Header, bytes]:
        where = f"{entry.name}/{header.FILE_NAME}"
        raw = self.source.small(where, header.MAX_BYTES)
        if raw is None:
            raise NotFound(name=entry.name)
        if header.sha256_of(raw) != entry.sha256:
            problem = "it is not the one that latest.json names"
            raise DigestWrong(file=header.FILE_NAME, source=self.source.address, problem=problem)
        head = header.parse(raw, where)
        if (head.name, head.revision) != (entry.name, entry.revision):
            raise DigestWrong(
                file=header.FILE_NAME, source=self.source.address, problem="it is of another release"
            )
        if manifest.FILE_NAME not in head.files or header.TOMBSTONES_NAME not in head.files:
            raise PullFailed(source=self.source.address, problem="the release has no manifest")
        return head, raw

    def _signature(self, head: Header, raw: bytes) -> str | None:
        """Check the signed note.

        The key is that of the first pull. Another takes its place only through a handover that it signed.
        """
        pinned = (self.mark.newest_vkey or self.mark.vkey) if self.mark is not None else None
        if self.mark is not None and self.mark.name == head.name and head.revision < self.mark.revision:
            problem = f"revision {head.revision} is older than revision {self.mark.revision}, which you have"
            raise SignatureWrong(name=head.name, source=self.source.address, problem=problem)
        data = self.source.small(f"{head.name}/{header.NOTE_NAME}", 1 << 16)
        if data is None and pinned:
            problem = "it is not signed any more"
            raise SignatureWrong(name=head.name, source=self.source.address, problem=problem)
        if data is None:
            return None
        try:
            note = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise SignatureWrong(
                name=head.name, source=self.source.address, problem="it is not text"
            ) from error
        keys = [pinned] if pinned else self._keys(head.name, None)
        problems = [signature_problem(note, head, raw, key) for key in keys]
        if pinned and None not in problems:
            keys = self._keys(head.name, pinned)
            problems = [signature_problem(note, head, raw, key) for key in keys]
        if problems and None not in problems:
            raise SignatureWrong(name=head.name, source=self.source.address, problem=problems[0])
        self._stage(header.NOTE_NAME, data)
        if not keys:
            return None
        self.newest_vkey = keys[0]
        return keys[problems.index(None)]

    def _keys(self, name: str, pinned: str | None) -> list[str]:
        """The publisher's keys, the newest first; only those that handovers tie to the pinned one."""
        published = self.source.keys()
        if published is None:
            return [pinned] if pinned else []
        try:
            ring = keyring.follow(
                keyring.Ring.of([pinned] if pinned else []),
                published,
                verify_ed25519=verify_ed25519,
                canonical=rfc8785.dumps,  # type: ignore[arg-type]  # it checks the type itself
            )
        except ReceiptInvalid as error:
            problem = str(error.parameters["problem"])
            raise SignatureWrong(name=name, source=self.source.address, problem=problem) from error
        return list(reversed(ring.vkeys))

    def _stage(self, name: str, data: bytes) -> None:
        path = self.next / name
        with disk_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def _start(self, entry: LatestEntry) -> None:
        """Remember where this comes from, so that an interrupted copy can say how to go on."""
        with disk_errors():
            if self.next.exists() and not _is(
                self.next / header.FILE_NAME, FileEntry(entry.sha256, entry.bytes)
            ):
                shutil.rmtree(self.next)  # it waited for another revision
            self.parts.mkdir(parents=True, exist_ok=True)
            self.next.mkdir(parents=True, exist_ok=True)
        if self.mark is None:
            self._write_mark(entry, complete=False, etag=None, stones=None, vkey=None)

    def _write_mark(
        self, entry: LatestEntry, *, complete: bool, etag: str | None, stones: str | None, vkey: str | None
    ) -> None:
        self.mark = Mark(
            source=self.source.address,
            name=entry.name,
            revision=entry.revision,
            sha256=entry.sha256,
            wanted=self.wanted,
            complete=complete,
            latest_etag=etag,
            tombstones_sha256=stones,
            vkey=vkey,
            newest_vkey=self.newest_vkey,
        )
        write_durably(self.state / MARK_NAME, msgspec.json.encode(self.mark) + b"\n")

    def _unmark(self) -> None:
        if self.mark is not None and self.mark.complete:
            self.mark = msgspec.structs.replace(
                self.mark, complete=False, latest_etag=None, tombstones_sha256=None
            )
            write_durably(self.state / MARK_NAME, msgspec.json.encode(self.mark) + b"\n")

    def _small_files(self, head: Header, raw: bytes) -> None:
        """Stage every file but the audio, verified; those that did not change are taken from the copy."""
        self._stage(header.FILE_NAME, raw)
        for name, entry in sorted(head.files.items()):
            if self.partial and name in _PARTIAL_SKIPS:
                continue
            staged = self._staged(name)
            if _is(staged, entry):
                continue
            staged.parent.mkdir(parents=True, exist_ok=True)
            if not self.partial and _is(self.to / name, entry):
                os.link(self.to / name, staged)
                continue
            part = self.parts / f"{entry.sha256}.part"
            self.source.file(head.name, name, entry, part)
            with disk_errors():
                part.replace(staged)
            self.fetched_bytes += entry.bytes

    def _staged(self, name: str) -> Path:
        """Where a file waits. In a copy of some clips the whole manifest lies apart, for verifying."""
        if self.partial and name == manifest.FILE_NAME:
            return self.state / "next-manifest.jsonl"
        return self.next / name

    def _lines(self) -> Iterator[tuple[bytes, Line]]:
        for raw, line in manifest.read_raw(self._staged(manifest.FILE_NAME)):
            if self.wanted.takes(line):
                yield raw, line

    def _sounds(self, head: Header) -> int:
        """Fetch the sounds that are not there yet, in parallel; writes the wanted lines on the way."""
        total = head.counts.get("clips", 0)
        done = 0
        missing_bytes = sum(
            line.bytes
            for _, line in self._lines()
            if not _has_size(self.to / manifest.audio_path(line.sha256), line)
        )
        need_room(self.to, missing_bytes, _RESERVE_BYTES)
        with ThreadPoolExecutor(self.jobs) as pool:
            window: list[Future[int]] = []
            for _, line in self._lines():
                done += 1
                if not _has_size(self.to / manifest.audio_path(line.sha256), line):
                    window.append(pool.submit(self._sound, head.name, line))
                if len(window) >= _WINDOW:
                    self._collect(window)
                    window = []
                if self.progress is not None and done % 50 == 0:
                    self.progress(done, total)
            self._collect(window)
        if self.partial:
            with disk_errors(), (self.next / manifest.FILE_NAME).open("wb") as file:
                file.writelines(raw for raw, _ in self._lines())
        if self.progress is not None:
            self.progress(done, done)
        return done

    def _collect(self, window: Sequence[Future[int]]) -> None:
        for future in window:
            self.fetched_bytes += future.result()
            self.fetched += 1

    def _sound(self, release: str, line: Line) -> int:
        path = manifest.audio_path(line.sha256)
        part = self.parts / f"{line.sha256}.part"
        self.source.blob(release, path, FileEntry(line.sha256, line.bytes), part)
        target = self.to / path
        with disk_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
        return line.bytes

    def _switch(self, head: Header) -> None:
        """Let the new files take the place of the old; from here to the mark the copy is not complete."""
        names = {path.relative_to(self.next).as_posix() for path in self.next.rglob("*") if path.is_file()}
        wanted = {manifest.audio_path(line.sha256) for _, line in self._lines()}
        with disk_errors():
            os.sync()
            self._unmark()
            for name in sorted(names - {header.FILE_NAME}):
                (self.to / name).parent.mkdir(parents=True, exist_ok=True)
                (self.next / name).replace(self.to / name)
            (self.next / header.FILE_NAME).replace(self.to / header.FILE_NAME)
            if self.partial:
                self._staged(manifest.FILE_NAME).replace(self.state / manifest.FILE_NAME)
            for path in sorted((self.to / "audio").glob("*/*")):
                if path.relative_to(self.to).as_posix() not in wanted:
                    path.unlink()
                    self.deleted += 1
            for folder in (self.to, self.to / "changes", self.to / "plots"):
                for path in sorted(folder.glob("*")):
                    name = path.relative_to(self.to).as_posix()
                    if path.is_file() and name not in names and header.is_release_file(name):
                        path.unlink()
            shutil.rmtree(self.next)
            os.sync()


def _is(path: Path, entry: FileEntry) -> bool:
    try:
        return path.stat().st_size == entry.bytes and header.file_entry(path) == entry
    except OSError:
        return False


def _has_size(path: Path, line: Line) -> bool:
    try:
        return path.stat().st_size == line.bytes
    except OSError:
        return False
