"""Tar shards for sequential reading: WebDataset, WeNet's and NeMo's, and lhotse Shar.

The headers are USTAR with no time and no owner; the members of a sample lie side by side, and no key
has a dot.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import msgspec

from corpus import manifest
from corpus.exporters import lhotse
from corpus.exporters.job import Feed, Job, LeftOut, gzip_packer, spaced
from corpus.exporters.nemo import nemo_row
from corpus.exporters.shards import Task, sharded

_encode = msgspec.json.Encoder().encode
_BLOCK = 512
_RECORD = 20 * _BLOCK
_PADDING = tuple(bytes(-size % _BLOCK) for size in range(_BLOCK))
# POSIX.1-1988, mode 0644, owner and group 0 without names, mtime 0; name, size and checksum are filled in.
_ZERO = b"0000000" + bytes(1)
_TIME = b"00000000000" + bytes(1)
_HEAD = b"0000644" + bytes(1) + _ZERO + _ZERO
_TAIL = b"0" + bytes(100) + b"ustar" + bytes(1) + b"00" + bytes(64 + 16 + 167)
_BARE_SUM = sum(_HEAD) + sum(_TAIL) + sum(_TIME) + 8 * ord(" ")
_LONGEST = 8**11 - 1
_GATHERED_BYTES = 1 << 19


class Tar:
    """Writes a tar file that appears under its name only when it is whole.

    Members are put together in one stretch of memory, small enough to stay in the processor's cache, and
    handed over as it fills.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(f"{path.name}.part")
        self._memory = memoryview(bytearray(_GATHERED_BYTES))
        self._filled = 0
        self._bytes = 0

    def add(self, name: str, data: bytes) -> None:
        """Append a file. `name` is ASCII and has at most 100 characters."""
        self.room(len(data))[:] = data
        self.take(name, len(data))

    def room(self, size: int) -> memoryview:
        """Where the next file's `size` bytes go; they are part of the tar once `take` names them."""
        wanted = _BLOCK + size + -size % _BLOCK
        if self._filled + wanted > len(self._memory):
            self._flush()
            if wanted > len(self._memory):
                self._memory = memoryview(bytearray(wanted))
        start = self._filled + _BLOCK
        return self._memory[start : start + size]

    def take(self, name: str, size: int) -> None:
        """Append the file whose bytes were put into the `room` that was given last."""
        start = self._filled + _BLOCK
        end = start + size + -size % _BLOCK
        self._memory[self._filled : start] = header(name, size)
        self._memory[start + size : end] = _PADDING[size % _BLOCK]
        self._filled = end

    def _flush(self) -> None:
        rest = self._memory[: self._filled]
        while rest:
            rest = rest[self._file.write(rest) :]
        self._bytes += self._filled
        self._filled = 0

    def __enter__(self) -> Tar:
        self._file = self._part.open("wb", buffering=0)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file:
            if error is None:
                self._flush()
                end = bytes(2 * _BLOCK + -(self._bytes + 2 * _BLOCK) % _RECORD)
                while end:
                    end = end[self._file.write(end) :]
        if error is None:
            self._part.replace(self._path)


def header(name: str, size: int) -> bytes:
    """A USTAR header; the same bytes that `tarfile` writes for a file of which it knows only this.

    Examples
    --------
    >>> import tarfile
    >>> info = tarfile.TarInfo("a.txt"); info.size = 5
    >>> header("a.txt", 5) == info.tobuf(tarfile.USTAR_FORMAT)
    True
    """
    raw = name.encode("ascii")
    if len(raw) > 100 or size > _LONGEST:
        raise ValueError(f"{name} with {size} bytes does not fit a USTAR header")
    digits = b"%011o\0" % size
    checksum = _BARE_SUM + sum(raw) + sum(digits)
    return b"%b%b%b%b%06o\0 %b" % (raw.ljust(100, b"\0"), _HEAD, digits, _TIME, checksum, _TAIL)


@contextmanager
def webdataset(job: Job) -> Iterator[Feed]:
    """Write ``<split>-000000.tar`` …: ``key.flac``, ``key.json`` (the manifest line) and ``key.txt``."""
    with sharded(job, lambda one, _: f"{one.split}-{one.number:06d}.tar", _webdataset_shard) as plan:
        yield plan.feed


def _webdataset_shard(task: Task) -> tuple[LeftOut, ...]:
    left_out: list[LeftOut] = []
    with Tar(task.target) as tar:
        for line in task.sounds(left_out, tar.room):
            tar.take(f"{line.id}.flac", line.bytes)
            tar.add(f"{line.id}.json", manifest.encode(line))
            tar.add(f"{line.id}.txt", line.text.encode())
    return tuple(left_out)


@contextmanager
def wenet_shards(job: Job) -> Iterator[Feed]:
    """Write ``<split>/shards_000000.tar`` … and ``<split>/shards.list``."""
    with sharded(job, lambda one, _: f"{one.split}/shards_{one.number:06d}.tar", _wenet_shard) as plan:
        yield plan.feed
    for split in plan.splits:
        folder = job.own_path(split) if job.root is None else f"{job.root.rstrip('/')}/{split}"
        names = [f"{folder}/shards_{number:06d}.tar\n" for number in range(plan.total(split))]
        (job.to / split / "shards.list").write_text("".join(names), encoding="utf-8")


def _wenet_shard(task: Task) -> tuple[LeftOut, ...]:
    left_out: list[LeftOut] = []
    with Tar(task.target) as tar:
        for line in task.sounds(left_out, tar.room):
            tar.take(f"{line.id}.flac", line.bytes)
            tar.add(f"{line.id}.txt", spaced(line.text).encode())
    return tuple(left_out)


@contextmanager
def nemo_tarred(job: Job) -> Iterator[Feed]:
    """Write ``<split>/audio_0.tar`` …, ``sharded_manifests/manifest_0.json`` … and them all in one."""
    with sharded(job, lambda one, _: f"{one.split}/audio_{one.number}.tar", _nemo_shard) as plan:
        yield plan.feed
    for split in plan.splits:
        with (job.to / split / "tarred_audio_manifest.json").open("wb") as whole:
            for number in range(plan.total(split)):
                with (job.to / split / f"sharded_manifests/manifest_{number}.json").open("rb") as part:
                    shutil.copyfileobj(part, whole)


def _nemo_shard(task: Task) -> tuple[LeftOut, ...]:
    left_out: list[LeftOut] = []
    folder = task.target.parent / "sharded_manifests"
    folder.mkdir(exist_ok=True)
    number = task.shard.number
    with Tar(task.target) as tar, (folder / f"manifest_{number}.json").open("wb") as rows:
        for line in task.sounds(left_out, tar.room):
            name = f"{line.id}.flac"
            tar.take(name, line.bytes)
            rows.write(_encode({**msgspec.structs.asdict(nemo_row(line, name)), "shard_id": number}) + b"\n")
    return tuple(left_out)


@contextmanager
def shar(job: Job) -> Iterator[Feed]:
    """Write ``<split>/recording.000000.tar`` … and ``<split>/cuts.000000.jsonl.gz`` …, in one order."""
    with sharded(job, lambda one, _: f"{one.split}/recording.{one.number:06d}.tar", _shar_shard) as plan:
        yield plan.feed


def _shar_shard(task: Task) -> tuple[LeftOut, ...]:
    left_out: list[LeftOut] = []
    packer = gzip_packer()
    cuts_path = task.target.with_name(f"cuts.{task.shard.number:06d}.jsonl.gz")
    with Tar(task.target) as tar, cuts_path.open("wb") as cuts:
        for line in task.sounds(left_out, tar.room):
            recording = _encode(lhotse.recording_of(line, "", "shar"))
            supervision = _encode(lhotse.supervision_of(line))
            tar.take(f"{line.id}.flac", line.bytes)
            tar.add(f"{line.id}.json", recording + b"\n")
            cut = lhotse.cut_of(line, msgspec.Raw(recording), msgspec.Raw(supervision))
            cuts.write(packer.compress(_encode(cut) + b"\n"))
        cuts.write(packer.flush())
    return tuple(left_out)
