"""What an exporter is given, and how it writes: many files at once, streamed, the same bytes each time."""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Literal

import msgspec
from isal import isal_zlib

from corpus.dataset import Copy, Wanted
from corpus.manifest import Line
from protocol.errors import CodedError

AudioForm = Literal["pipe", "path"]
LEFT_OUT_NAME = ".xiangyin-left-out.jsonl"
GZIP_LEVEL = 2  # of isal: 10 times faster than zlib at 7 % more bytes
_BUFFER_BYTES = 1 << 21
# Toolkits split lines at spaces, expand brackets to sets of files, and take a tilde or a bar for themselves.
_UNSAFE_PATH = re.compile(r"[\s()\[\]<>{}|~\"'$`\\]")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufffe\uffff]+")

Feed = Callable[[Line], None]


class PathUnsafe(CodedError):
    """The release lies under a path that a toolkit would misread."""

    code: ClassVar[str] = "EXPORT_PATH_UNSAFE"


class LeftOut(msgspec.Struct, frozen=True):
    """An utterance that an export could not take, and why."""

    id: str
    problem: str


@dataclass
class Damage:
    """What an export left out: a line each in a file of its folder, so that they never fill memory."""

    path: Path
    count: int = 0
    first: LeftOut | None = None

    def add(self, clip_id: str, problem: str) -> None:
        """Name an utterance that is left out."""
        one = LeftOut(clip_id, problem)
        self.first = self.first or one
        self.count += 1
        with self.path.open("ab") as file:
            file.write(msgspec.json.encode(one) + b"\n")


@dataclass(frozen=True)
class Job:
    """One export: from which copy, which clips, into which new folder.

    Attributes
    ----------
    audio : str
        ``pipe`` where a format may call a decoder, ``path`` for readers that open FLAC themselves.
    root : str or None
        What stands for the release's folder in references to its audio, for use on another machine.
    compute : str
        Where heavy work runs, as `corpus.compute.executor` takes it.
    home : Path or None
        What `to` is renamed to when all is written.
    recordings : bool
        Whether formats of whole recordings rebuild their sound too.
    """

    copy: Copy
    to: Path
    wanted: Wanted = field(default_factory=Wanted)
    audio: AudioForm = "pipe"
    root: str | None = None
    compute: str = "inline"
    home: Path | None = None
    recordings: bool = False

    @cached_property
    def damage(self) -> Damage:
        """Where what is left out is named."""
        return Damage(self.to / LEFT_OUT_NAME)

    def path(self, line: Line) -> str:
        """The reference to a clip's sound: an absolute path unless another root was given."""
        return f"{self.release_folder}/{line.audio}"

    def own_path(self, name: str) -> str:
        """The absolute path that a file of this export will have."""
        return f"{_plain_path(str((self.home or self.to).resolve()))}/{name}"

    def place(self, line: Line, to: Path) -> bool:
        """Put a clip's sound at `to`: the same file where the disk can share it, else a copy.

        A sound that is missing or cut off is named as left out, and the answer is False.
        """
        source = self.copy.audio(line)
        wrong = sound_problem(self.copy, line)
        if wrong is not None:
            self.damage.add(line.id, wrong)
            return False
        try:
            os.link(source, to)
        except OSError:
            shutil.copyfile(source, to)
        return True

    @cached_property
    def release_folder(self) -> str:
        """What references to sound begin with."""
        if self.root is not None:
            return _plain_path(self.root).rstrip("/")
        return _plain_path(str(self.copy.folder.resolve()))


# Takes the lines in order; leaving the context ends the files, or does what the lines only prepared.
ShardExporter = Callable[[Job], AbstractContextManager[Feed]]


def sound_problem(copy: Copy, line: Line) -> str | None:
    """Whether a clip's sound is there in full; digests are the business of pulling and verifying."""
    try:
        size = os.stat(f"{copy.folder}/{line.audio}").st_size  # noqa: PTH116 (a Path costs as much again)
    except OSError:
        return f"{line.audio} is missing"
    return None if size == line.bytes else f"{line.audio} has {size} bytes, the manifest says {line.bytes}"


class Outputs:
    """Files of a folder, opened as they are first written to; names that end in ``.gz`` are compressed.

    The gzip header carries neither time nor name, and the level is fixed, so that the same text gives the
    same bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._packers: dict[str, Any] = {}
        self._rows: dict[str, list[Any]] = {}
        self._pending_bytes = 0
        self._stack = ExitStack()

    def rows(self, name: str) -> Callable[[Any], None]:
        """What takes rows of the file `name` (relative, with ``/``), all text or all bytes.

        It only collects: call `collected` with about as many bytes, once for several files if you like.
        """
        rows = self._rows.get(name)
        if rows is None:
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[name] = self._stack.enter_context(path.open("wb", buffering=0))
            if name.endswith(".gz"):
                self._packers[name] = gzip_packer()
            rows = self._rows[name] = []
        return rows.append

    def collected(self, size: int) -> None:
        """Write what was collected, once it is enough to be worth a call to the system."""
        self._pending_bytes += size
        if self._pending_bytes >= _BUFFER_BYTES:
            self._drain()

    def write(self, name: str, data: bytes) -> None:
        """Append bytes to the file `name`."""
        self.rows(name)(data)
        self.collected(len(data))

    def text(self, name: str, line: str) -> None:
        """Append a line of text; the newline is added."""
        self.rows(name)(f"{line}\n")
        self.collected(len(line))

    def _drain(self) -> None:
        self._pending_bytes = 0
        for name, rows in self._rows.items():
            if rows:
                data = b"".join(rows) if isinstance(rows[0], bytes) else "".join(rows).encode()
                rows.clear()
                packer = self._packers.get(name)
                self._put(name, data if packer is None else packer.compress(data))

    def _put(self, name: str, data: bytes) -> None:
        view = memoryview(data)
        while view:  # an unbuffered file may take a part only
            view = view[self._files[name].write(view) :]

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if error is None:
                self._drain()
                for name, packer in self._packers.items():
                    self._put(name, packer.flush())


def gzip_packer() -> Any:
    """A gzip compressor whose header carries neither time nor name."""
    return isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31)


def _plain_path(path: str) -> str:
    bad = _UNSAFE_PATH.search(path)
    if bad:
        raise PathUnsafe(path=path, character=bad.group())
    return path


def quoted(path: str) -> str:
    """A path as one word of a shell command."""
    return shlex.quote(path)


def spaced(text: str) -> str:
    """Words with one ASCII space between them: what readers of lines and columns leave unchanged.

    They strip the ends and split at U+3000, U+00A0 and their like, which Kaldi refuses outright.
    """
    return " ".join(text.split())


@lru_cache(maxsize=1024)  # a dialect's name stands in many lines
def plain(text: str | None) -> str:
    """A person's own words, such as the name of a dialect, fit for a column: no controls, single spaces."""
    return spaced(_CONTROLS.sub(" ", text)) if text else ""


def make_empty(folder: Path) -> None:
    """An empty folder at `folder`, whatever an interrupted export left there."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
