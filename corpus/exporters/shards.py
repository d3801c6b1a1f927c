"""Formats that hold sound themselves: planned while the lines go by, written by workers, a shard each.

A shard holds whole speakers, so that a withdrawal touches one shard. It is described by its first and
last id, so that a plan for a million clips is a few hundred rows: a worker finds its lines in the sorted
manifest by bisection. What a shard holds does not depend on how many workers there are.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import msgspec

from corpus import compute, manifest
from corpus.dataset import Wanted
from corpus.exporters.job import Job, LeftOut
from corpus.manifest import Line

SHARD_BYTES = 512 << 20
_BISECT_BYTES = 1 << 16


class _Id(msgspec.Struct):
    id: str


_line_of = msgspec.json.Decoder(Line).decode
_id_of = msgspec.json.Decoder(_Id).decode


class SoundBad(Exception):
    """A sound is not what its line says; the message tells how."""


@dataclass
class Shard:
    """Some neighbouring speakers of one split."""

    split: str
    number: int
    first: str
    last: str
    bytes: int = 0


@dataclass(frozen=True)
class Task:
    """All that a worker must know to write one shard."""

    folder: Path
    wanted: Wanted
    shard: Shard
    target: Path
    write: Callable[[Task], tuple[LeftOut, ...]]

    def lines(self) -> Iterator[Line]:
        """The shard's lines. They were checked when the plan was made."""
        shard, wanted = self.shard, self.wanted
        with (self.folder / manifest.FILE_NAME).open("rb") as file:
            _seek(file, shard.first)
            for raw in file:
                line = _line_of(raw)
                if line.id > shard.last:
                    return
                if line.split == shard.split and wanted.takes(line):
                    yield line

    def sounds(self, left_out: list[LeftOut], room: Callable[[int], memoryview]) -> Iterator[Line]:
        """Lines whose sound has been read into the `room` for so many bytes; the others go to `left_out`.

        Memory that is used again lies in the processor's cache, and is not taken from the system anew for
        each sound: that costs half as much as the digest.
        """
        for line in self.lines():
            try:
                read_sound(self.folder, line.audio, line.sha256, room(line.bytes))
            except SoundBad as error:
                left_out.append(LeftOut(line.id, str(error)))
            else:
                yield line


def read_sound(folder: Path, name: str, sha256: str, room: memoryview) -> None:
    """Fill `room` with the bytes of a clip's file, which are those that the manifest names.

    Raises
    ------
    SoundBad
        If they are not all there, or others.
    """
    size = len(room)
    try:
        descriptor = os.open(f"{folder}/{name}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor).st_size
            if found != size:
                raise SoundBad(f"{name} has {found} bytes, the manifest says {size}")
            count = 0
            while count < size and (more := os.readv(descriptor, [room[count:]])):
                count += more
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SoundBad(f"{name} is missing") from error
    if count != size or hashlib.sha256(room).hexdigest() != sha256:
        raise SoundBad(f"{name}: its digest is not the one in the manifest")


@dataclass
class Plan:
    """The shards of each split, in the order of their numbers."""

    limit_bytes: int
    shards: list[Shard] = field(default_factory=list)
    languages: set[str] = field(default_factory=set)
    _open: dict[str, Shard] = field(default_factory=dict)

    def feed(self, line: Line) -> None:
        """Put a line into the last shard of its split, or begin the next one."""
        shard = self._open.get(line.split)
        full = shard is not None and shard.bytes >= self.limit_bytes
        if shard is None or (full and not shard.last.startswith(line.speaker_id + "-")):
            shard = Shard(line.split, 0 if shard is None else shard.number + 1, line.id, line.id)
            self._open[line.split] = shard
            self.shards.append(shard)
            self.languages.add(line.language)
        elif line.language not in self.languages:
            self.languages.add(line.language)
        shard.last = line.id
        shard.bytes += line.bytes

    def total(self, split: str) -> int:
        """How many shards a split has."""
        return self._open[split].number + 1 if split in self._open else 0

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that have any, in their usual order."""
        return tuple(split for split in manifest.SPLITS if split in self._open)


@contextmanager
def sharded(
    job: Job, name: Callable[[Shard, int], str], write: Callable[[Task], tuple[LeftOut, ...]]
) -> Iterator[Plan]:
    """Plan while lines are fed, then write the shards where the job computes.

    Parameters
    ----------
    name : callable
        The name of a shard's file, given how many shards its split has.
    """
    plan = Plan(SHARD_BYTES)
    yield plan

    def tasks() -> Iterator[Task]:
        for shard in plan.shards:
            target = (job.to / name(shard, plan.total(shard.split))).absolute()
            target.parent.mkdir(parents=True, exist_ok=True)
            yield Task(job.copy.folder.absolute(), job.wanted, shard, target, write)

    for left_out in compute.run(job.compute, run, tasks()):
        for one in left_out:
            job.damage.add(one.id, one.problem)


def run(task: Task) -> tuple[LeftOut, ...]:
    """Write one shard; again if a worker was lost, with the same bytes."""
    return task.write(task)


def _seek(file: BinaryIO, first: str) -> None:
    """Let the next line of a sorted manifest be one at or shortly before the id `first`."""
    low, high = 0, file.seek(0, 2)
    while high - low > _BISECT_BYTES:
        middle = (low + high) // 2
        file.seek(middle)
        file.readline()
        raw = file.readline()
        if raw and _id_of(raw).id < first:
            low = middle
        else:
            high = middle
    file.seek(low)
    if low:
        file.readline()
    start = file.tell()
    while (raw := file.readline()) and _id_of(raw).id < first:
        start = file.tell()
    file.seek(start)
