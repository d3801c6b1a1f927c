"""Puts the sounds of a release into its folder, each verified by digest, and goes on where a kill stopped it.

A journal beside the folder names each shard of lines that is in place. It is trusted for what it spares,
reading a sound again, and no more: that every file is there in its size is looked at.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from corpus import compute, manifest
from corpus.disk import disk_errors, sync_path
from corpus.manifest import Line
from corpus.shelf import Shelf
from corpus.store import BlobMissing, BlobStore
from corpus.verify import sound_problem
from protocol.clip import Sha256

SHARD_LINES = 500


@dataclass(frozen=True)
class Bad:
    """A sound that is missing from the store or not what it was."""

    id: str
    sha256: str
    problem: str


@dataclass(frozen=True)
class Sounds:
    """Some lines whose sounds are to be put into a folder."""

    store: BlobStore
    folder: str
    lines: tuple[Line, ...]


def begin_again(work: Path) -> None:
    """An empty work folder, but for the sounds that a killed cut has placed."""
    work.mkdir(exist_ok=True)
    for path in work.iterdir():
        if path.name != "audio" and path.is_dir():
            shutil.rmtree(path)
        elif path.name != "audio":
            path.unlink()


def forget(work: Path) -> None:
    """Remove a work folder, if it is still there, and its journal."""
    _journal(work).unlink(missing_ok=True)
    if work.exists():
        shutil.rmtree(work)


def place(on: Shelf, lines: Callable[[], Iterable[Line]], work: Path) -> list[Bad]:
    """Put the sound of every line in its place; gives those that are damaged."""
    journal = _journal(work)
    known = set(journal.read_text(encoding="ascii").split()) if journal.exists() else set()
    was_killed = (work / "audio").exists()
    asked: deque[str] = deque()

    def shards() -> Iterator[Sounds]:
        for some in compute.chunks(lines(), SHARD_LINES):
            name = _name(some)
            if name not in known or not _are_there(work, some):
                asked.append(name)
                yield Sounds(on.store, str(work), tuple(some))

    bad = []
    with disk_errors(), journal.open("a", encoding="ascii") as file:
        for found in compute.run(on.setting, place_sounds, shards()):
            name = asked.popleft()
            bad += found
            if not found:
                file.write(name + "\n")
                file.flush()
    if was_killed:
        _drop_strangers(work, lines())
    return bad


def place_sounds(shard: Sounds) -> list[Bad]:
    """Link or copy some blobs into a release's folder; gives those that are damaged, with the reason."""
    bad = []
    for line in shard.lines:
        target = Path(shard.folder) / line.audio
        target.parent.mkdir(parents=True, exist_ok=True)
        digest = Sha256(line.sha256)
        wrong: str | None
        try:
            here = shard.store.path(digest)
            if here is not None:
                _link_or_copy(here, target)
            elif not target.exists() or sound_problem(target, line) is not None:
                _copy(shard.store, digest, target)
            wrong = sound_problem(target, line)
        except (FileNotFoundError, BlobMissing):
            wrong = "it is not in the store"
        if wrong is not None:
            target.unlink(missing_ok=True)
            bad.append(Bad(line.id, line.sha256, wrong))
    return bad


def take_out(folder: Path, digests: Iterable[str]) -> None:
    """Delete sounds of a release, durably; those that are gone already are no matter."""
    parents = set()
    for digest in digests:
        path = folder / manifest.audio_path(digest)
        path.unlink(missing_ok=True)
        parents.add(path.parent)
    for parent in (*sorted(parents), folder / "audio"):
        if parent.exists() and not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent
        if parent.exists():
            sync_path(parent)


def _link_or_copy(source: Path, target: Path) -> None:
    """The same file under a second name; a copy where the disk cannot share it."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError as error:
        if not source.exists():
            raise FileNotFoundError(source) from error
        with source.open("rb") as old, target.open("wb") as new:
            shutil.copyfileobj(old, new, 1 << 20)
            new.flush()
            os.fsync(new.fileno())


def _copy(store: BlobStore, digest: Sha256, target: Path) -> None:
    with store.open(digest) as source, target.open("wb") as file:
        shutil.copyfileobj(source, file, 1 << 20)
        file.flush()
        os.fsync(file.fileno())


def _journal(work: Path) -> Path:
    return work.with_name(f"{work.name}.placed")


def _name(lines: Sequence[Line]) -> str:
    digest = hashlib.blake2b(digest_size=16, person=b"xiangyin-placed")
    for line in lines:
        digest.update(bytes.fromhex(line.sha256))
    return digest.hexdigest()


def _are_there(work: Path, lines: Iterable[Line]) -> bool:
    try:
        return all((work / line.audio).stat().st_size == line.bytes for line in lines)
    except FileNotFoundError:
        return False


def _drop_strangers(work: Path, lines: Iterable[Line]) -> None:
    """Remove what the killed cut had placed and this one does not hold, such as a voice withdrawn since."""
    named = {bytes.fromhex(line.sha256) for line in lines}
    for path in (work / "audio").glob("*/*"):
        if manifest.audio_path(path.stem) != f"audio/{path.parent.name}/{path.name}" or (
            bytes.fromhex(path.stem) not in named
        ):
            path.unlink()
    for folder in (work / "audio").iterdir():
        if not any(folder.iterdir()):
            folder.rmdir()
