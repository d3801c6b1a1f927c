"""What an exporter is given, and how it writes: many files at once, streamed, the same bytes each time."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, ClassVar, Literal, Protocol

from isal import isal_zlib

from corpus.dataset import Copy, Wanted
from corpus.header import ReleaseInvalid
from corpus.manifest import Line
from protocol.errors import CodedError

AudioForm = Literal["pipe", "path"]
_BUFFER_BYTES = 1 << 18
_PIECE_BYTES = 1 << 20
# Toolkits split lines at spaces, expand brackets to sets of files, and take a tilde or a bar for themselves.
_UNSAFE_PATH = re.compile(r"[\s()\[\]<>{}|~\"'$`\\]")
GZIP_LEVEL = 2  # of isal: 10 times faster than zlib at 7 % more bytes


class PathUnsafe(CodedError):
    """The release lies under a path that a toolkit would misread."""

    code: ClassVar[str] = "EXPORT_PATH_UNSAFE"


@dataclass(frozen=True)
class Job:
    """One export: from which copy, which clips, into which new folder.

    Attributes
    ----------
    audio : str
        ``pipe`` where a format may call a decoder, ``path`` for readers that open FLAC themselves.
    root : str or None
        What stands for the release's folder in references to its audio, for use on another machine.
    """

    copy: Copy
    to: Path
    wanted: Wanted = field(default_factory=Wanted)
    audio: AudioForm = "pipe"
    root: str | None = None

    def lines(self) -> Iterator[Line]:
        """The wanted lines, by id."""
        return self.copy.lines(self.wanted)

    def path(self, line: Line) -> str:
        """The reference to a clip's sound: an absolute path unless another root was given."""
        return f"{self._root}/{line.audio}"

    def place(self, line: Line, to: Path) -> None:
        """Put a clip's sound at `to`: the same file where the disk can share it, else a verified copy."""
        source = self.copy.audio(line)
        try:
            os.link(source, to)
        except OSError:
            with to.open("wb") as file:
                for piece in self.pieces(line):
                    file.write(piece)

    def pieces(self, line: Line) -> Iterator[bytes]:
        """The bytes of a clip's file; raises `ReleaseInvalid` at the end if they are not the right ones."""
        path = self.copy.audio(line)
        digest = hashlib.sha256()
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    digest.update(piece)
                    yield piece
        except FileNotFoundError as error:
            raise ReleaseInvalid(file=str(path), problem="the file is missing") from error
        if digest.hexdigest() != line.sha256:
            raise ReleaseInvalid(file=str(path), problem="its digest is not the one in the manifest")

    @cached_property
    def _root(self) -> str:
        root = self.root if self.root is not None else str(self.copy.folder.resolve())
        bad = _UNSAFE_PATH.search(root)
        if bad:
            raise PathUnsafe(path=root, character=bad.group())
        return root.rstrip("/")


class Exporter(Protocol):
    """Writes one format into an empty folder."""

    def __call__(self, job: Job, /) -> int:
        """Write, and say how many utterances."""


class Outputs:
    """Files of a folder, opened as they are first written to; names that end in ``.gz`` are compressed.

    The gzip header carries neither time nor name, and the level is fixed, so that the same text gives the
    same bytes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files: dict[str, BinaryIO] = {}
        self._packers: dict[str, Any] = {}
        self._buffers: dict[str, bytearray] = {}
        self._stack = ExitStack()

    def write(self, name: str, data: bytes) -> None:
        """Append to the file `name` (relative, with ``/``)."""
        buffer = self._buffers.get(name)
        if buffer is None:
            path = self._folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            self._files[name] = self._stack.enter_context(path.open("wb"))
            if name.endswith(".gz"):
                self._packers[name] = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31)
            buffer = self._buffers[name] = bytearray()
        buffer += data
        if len(buffer) >= _BUFFER_BYTES:
            self._drain(name)

    def text(self, name: str, line: str) -> None:
        """Append a line of text; the newline is added."""
        self.write(name, line.encode() + b"\n")

    def _drain(self, name: str) -> None:
        buffer = self._buffers[name]
        packer = self._packers.get(name)
        self._files[name].write(buffer if packer is None else packer.compress(bytes(buffer)))
        buffer.clear()

    def __enter__(self) -> Outputs:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if error is None:
                for name, file in self._files.items():
                    self._drain(name)
                    if name in self._packers:
                        file.write(self._packers[name].flush())


def quoted(path: str) -> str:
    """A path as one word of a shell command."""
    return shlex.quote(path)


def make_empty(folder: Path) -> None:
    """An empty folder at `folder`, whatever an interrupted export left there."""
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)


def without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    """The entries that have a value."""
    return {name: value for name, value in values.items() if value is not None}
