"""Tar shards for sequential reading: WebDataset, and WeNet's shards, which have the same shape.

A shard holds whole speakers, so that a withdrawal touches one shard. The headers are USTAR with no time
and no owner; the members of a sample lie side by side, and no key has a dot.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from corpus import manifest
from corpus.exporters.job import Job
from corpus.header import ReleaseInvalid
from corpus.manifest import Line

SHARD_BYTES = 512 << 20

Members = Callable[[Line], dict[str, bytes]]


def write_webdataset(job: Job) -> int:
    """Write ``<split>-000000.tar`` …: ``key.flac``, ``key.json`` (the manifest line) and ``key.txt``."""
    return _write(job, "{split}-{number:06d}.tar", _webdataset_members)


def write_wenet_shards(job: Job) -> int:
    """Write ``<split>/shards_000000.tar`` … and ``<split>/shards.list``."""
    count = _write(job, "{split}/shards_{number:06d}.tar", lambda line: {"txt": line.text.encode()})
    root = job.root if job.root is not None else "."
    for folder in sorted(path for path in job.to.iterdir() if path.is_dir()):
        names = sorted(path.name for path in folder.glob("*.tar"))
        (folder / "shards.list").write_text(
            "".join(f"{root}/{folder.name}/{name}\n" for name in names), encoding="utf-8"
        )
    return count


def _webdataset_members(line: Line) -> dict[str, bytes]:
    return {"json": manifest.encode(line), "txt": line.text.encode()}


def _write(job: Job, pattern: str, members: Members) -> int:
    count = 0
    shards: dict[str, _Shard] = {}
    try:
        for line in job.lines():
            count += 1
            shard = shards.get(line.split)
            if shard is None or shard.is_full_for(line):
                number = 0 if shard is None else shard.number + 1
                if shard is not None:
                    shard.tar.close()
                shard = shards[line.split] = _Shard(
                    job.to / pattern.format(split=line.split, number=number), number
                )
            shard.add(job, line, members(line))
    finally:
        for shard in shards.values():
            shard.tar.close()
    return count


class _Shard:
    def __init__(self, path: Path, number: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.number = number
        self.tar = tarfile.open(path, "w", format=tarfile.USTAR_FORMAT)  # noqa: SIM115
        self._bytes = 0
        self._speaker = ""

    def is_full_for(self, line: Line) -> bool:
        return self._bytes >= SHARD_BYTES and line.speaker_id != self._speaker

    def add(self, job: Job, line: Line, members: dict[str, bytes]) -> None:
        self._speaker = line.speaker_id
        self._bytes += line.bytes
        with _checked(job, line) as sound:
            self._add(f"{line.id}.flac", line.bytes, sound)
        for suffix, data in sorted(members.items()):
            self._add(f"{line.id}.{suffix}", len(data), io.BytesIO(data))

    def _add(self, name: str, size: int, file: io.BufferedIOBase | _Pieces) -> None:
        info = tarfile.TarInfo(name)  # mtime 0, mode 0644, no owner
        info.size = size
        self.tar.addfile(info, file)  # type: ignore[arg-type]


class _Pieces:
    """A reader over checked pieces of a file, as tarfile wants it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._rest += piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken


@contextmanager
def _checked(job: Job, line: Line) -> Iterator[_Pieces]:
    pieces = job.pieces(line)
    try:
        yield _Pieces(pieces)
        if next(pieces, b""):  # the digest is compared once the last piece was taken
            raise ReleaseInvalid(
                file=str(job.copy.audio(line)), problem="it is longer than the manifest says"
            )
    except OSError as error:
        raise ReleaseInvalid(file=str(job.copy.audio(line)), problem=str(error)) from error
