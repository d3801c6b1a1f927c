"""The folder that a pull fills: what it holds, what waits in it, and the one switch to the new state.

Names of files are made here from digests, or are of the few shapes that a release may have; whatever a source
says, nothing is written outside the folder. New files wait beside the old ones until all of them are there.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from corpus import filelocks, header, manifest
from corpus.dataset import MARK_NAME, STATE_FOLDER, Holds, Mark, Wanted, read_mark
from corpus.disk import disk_errors, write_durably
from corpus.header import FileEntry, LatestEntry, Tombstone
from corpus.manifest import Line
from protocol.errors import CodedError

EXPORTS = "export"  # where `pull --format` writes


class CopyBusy(CodedError):
    """Another pull writes into the folder."""

    code: ClassVar[str] = "COPY_BUSY"


class TargetTaken(CodedError):
    """The folder holds something else."""

    code: ClassVar[str] = "COPY_TARGET_TAKEN"


class CopyLinked(CodedError):
    """A symbolic link in the copy leads out of it."""

    code: ClassVar[str] = "COPY_LINKED"


@dataclass
class Plan:
    """What the wanted lines of a release ask of a copy."""

    clips: int = 0
    ms: int = 0
    splits: dict[str, int] = field(default_factory=dict)
    digests: set[bytes] = field(default_factory=set)
    missing: dict[bytes, int] = field(default_factory=dict)  # digest: size of its file

    @property
    def holds(self) -> Holds:
        """What the copy will hold."""
        return Holds(self.clips, self.ms, self.splits)


@contextmanager
def alone(to: Path, *, patient: bool = False) -> Iterator[None]:
    """Hold the copy in `to`, which is made if need be; `patient` waits for another pull to end.

    Raises
    ------
    TargetTaken
        If the folder holds anything but a copy.
    CopyLinked
        If a link in it would lead what is written or deleted elsewhere.
    CopyBusy
        If another pull writes into it.
    """
    state = to / STATE_FOLDER
    with disk_errors():
        to.mkdir(parents=True, exist_ok=True)
        if not state.is_dir():
            others = any(path.name != STATE_FOLDER for path in to.iterdir())
            if others and not state.is_dir():  # asked again: another pull may just have begun
                raise TargetTaken(folder=str(to))
            state.mkdir(exist_ok=True)
        _check_links(to)
        descriptor = os.open(state / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        filelocks.take(descriptor, filelocks.ALONE | (0 if patient else filelocks.AT_ONCE))
        yield
    except BlockingIOError as error:
        raise CopyBusy(folder=str(to)) from error
    finally:
        os.close(descriptor)


def _check_links(to: Path) -> None:
    """No folder that files are moved into, and nothing that is opened for writing, may be a link."""
    places = [to / STATE_FOLDER, to / "changes", to / "plots"]
    for name in ("audio", EXPORTS):
        places += [to / name, *(to / name).glob("*")]
    for folder, folders, files in os.walk(to / STATE_FOLDER):
        places += [Path(folder, name) for name in (*folders, *files)]
    for path in places:
        if path.is_symlink():
            raise CopyLinked(path=str(path))


class Landing:
    """A copy's folder in the hands of the one pull that may write to it."""

    def __init__(self, to: Path, wanted: Wanted) -> None:
        self.to, self.wanted = to, wanted
        self.partial = wanted != Wanted()
        self.mark = read_mark(to)
        self.deleted = 0
        self.dropped_exports: list[str] = []
        self._state = to / STATE_FOLDER
        self._parts = self._state / "parts"
        self._next = self._state / "next"

    def has_sounds(self) -> bool:
        """Whether an earlier pull brought any sound."""
        return (self.to / "audio").is_dir()

    def erase(self, stones: Iterable[Tombstone]) -> None:
        """Delete withdrawn sounds, and every export that may hold them."""
        for stone in stones:
            path = self.to / manifest.audio_path(stone.sha256)
            if path.exists():
                self._unmark()
                self._drop_exports()
                path.unlink()
                self.deleted += 1

    def _drop_exports(self) -> None:
        for name in exports(self.to):
            shutil.rmtree(self.to / EXPORTS / name)
            self.dropped_exports.append(name)

    def begin(self, source: str, entry: LatestEntry) -> None:
        """Remember where this comes from, so that an interrupted copy can say how to go on."""
        with disk_errors():
            old = self._next / header.FILE_NAME
            if self._next.exists() and not is_file(old, FileEntry(entry.sha256, entry.bytes)):
                shutil.rmtree(self._next)  # it waited for another revision
            self._parts.mkdir(parents=True, exist_ok=True)
            self._next.mkdir(parents=True, exist_ok=True)
        if self.mark is None:
            self._write_mark(_mark(source, entry, self.wanted, complete=False))

    def stage(self, name: str, data: bytes) -> None:
        """Keep a small file for the next state."""
        path = self._next / name
        with disk_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def staged(self, name: str) -> Path:
        """Where a file waits. In a copy of some clips the whole manifest lies apart, for verifying."""
        if self.partial and name == manifest.FILE_NAME:
            return self._state / "next-manifest.jsonl"
        return self._next / name

    def has(self, name: str, entry: FileEntry) -> bool:
        """Whether a file waits already; one that did not change is taken from the copy as it is."""
        staged = self.staged(name)
        if is_file(staged, entry):
            return True
        with disk_errors():
            staged.parent.mkdir(parents=True, exist_ok=True)
            if self.partial or not is_file(self.to / name, entry):
                return False
            staged.unlink(missing_ok=True)
            os.link(self.to / name, staged)
        return True

    def part(self, digest: str) -> Path:
        """Where a file is while it comes."""
        return self._parts / f"{digest}.part"

    def keep(self, digest: str, target: Path) -> None:
        """Give a whole, verified file its place."""
        with disk_errors():
            target.parent.mkdir(parents=True, exist_ok=True)
            self.part(digest).replace(target)

    def sound(self, digest: str) -> Path:
        """Where a sound belongs."""
        return self.to / manifest.audio_path(digest)

    def plan(self) -> Plan:
        """Read the staged manifest once: what is wanted, what is missing; keep the wanted lines.

        Raises
        ------
        ManifestInvalid
            At the first line that is not one of ours.
        """
        plan = Plan()
        lines = manifest.read_raw(self.staged(manifest.FILE_NAME))
        if not self.partial:
            for _, line in lines:
                self._count(plan, line)
            return plan
        with disk_errors():
            file = (self._next / manifest.FILE_NAME).open("wb")
        with file:
            for raw, line in lines:
                if self.wanted.takes(line):
                    self._count(plan, line)
                    with disk_errors():
                        file.write(raw)
            with disk_errors():
                file.flush()
        return plan

    def _count(self, plan: Plan, line: Line) -> None:
        plan.clips += 1
        plan.ms += line.samples * 1000 // line.sample_rate_hz
        plan.splits[line.split] = plan.splits.get(line.split, 0) + 1
        digest = bytes.fromhex(line.sha256)
        plan.digests.add(digest)
        try:
            there = self.sound(line.sha256).stat().st_size == line.bytes
        except OSError:
            there = False
        if not there:
            plan.missing[digest] = line.bytes

    def switch(self, plan: Plan) -> None:
        """Let the new files take the place of the old; from here to the mark the copy is not complete."""
        names = {path.relative_to(self._next).as_posix() for path in self._next.rglob("*") if path.is_file()}
        before = self._listed()
        with disk_errors():
            os.sync()
            self._unmark()
            for name in sorted(names - {header.FILE_NAME}):
                (self.to / name).parent.mkdir(parents=True, exist_ok=True)
                (self._next / name).replace(self.to / name)
            (self._next / header.FILE_NAME).replace(self.to / header.FILE_NAME)
            if self.partial:
                self.staged(manifest.FILE_NAME).replace(self._state / manifest.FILE_NAME)
            for path in (self.to / "audio").glob("*/*"):
                if not _is_wanted(path.name, plan.digests):
                    path.unlink()
                    self.deleted += 1
            for folder in (self.to, self.to / "changes", self.to / "plots"):
                for path in folder.glob("*"):
                    name = path.relative_to(self.to).as_posix()
                    if (
                        path.is_file()
                        and name not in names
                        and (name in before or header.is_release_file(name))
                    ):
                        path.unlink()
            shutil.rmtree(self._next)
            os.sync()

    def _listed(self) -> set[str]:
        """The files of the state that is there, those of a later version too; other people's are none."""
        try:
            return set(header.read(self.to)[0].files)
        except (header.ReleaseInvalid, header.ReleaseNameInvalid, header.SchemaUnknown):
            return set()

    def finish(self, source: str, entry: LatestEntry, **known: Any) -> Mark:
        """Write the mark of completeness, last of all."""
        mark = _mark(source, entry, self.wanted, complete=True, **known)
        self._write_mark(mark)
        shutil.rmtree(self._parts, ignore_errors=True)
        return mark

    def _unmark(self) -> None:
        if self.mark is not None and self.mark.complete:
            self._write_mark(
                msgspec.structs.replace(self.mark, complete=False, latest_etag=None, tombstones_sha256=None)
            )

    def _write_mark(self, mark: Mark) -> None:
        self.mark = mark
        write_durably(self._state / MARK_NAME, msgspec.json.encode(mark) + b"\n")


def exports(to: Path) -> list[str]:
    """The formats that stand beside a copy, by our own exporters."""
    if not (to / EXPORTS).is_dir():
        return []
    from corpus import exporters

    marks = (to / EXPORTS).glob(f"*/{exporters.MARK_NAME}")
    return sorted(mark.parent.name for mark in marks if mark.parent.name in exporters.EXPORTERS)


def is_file(path: Path, entry: FileEntry) -> bool:
    """Whether there is a file at `path`, and it is what `entry` says."""
    try:
        return path.stat().st_size == entry.bytes and header.file_entry(path) == entry
    except OSError:
        return False


def _is_wanted(name: str, digests: set[bytes]) -> bool:
    digest = name.removesuffix(".flac")
    try:
        return len(digest) + 5 == len(name) and bytes.fromhex(digest) in digests
    except ValueError:
        return False


def _mark(source: str, entry: LatestEntry, wanted: Wanted, *, complete: bool, **known: Any) -> Mark:
    return Mark(
        source=source,
        name=entry.name,
        revision=entry.revision,
        sha256=entry.sha256,
        wanted=wanted,
        complete=complete,
        **known,
    )
