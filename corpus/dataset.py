"""A folder that holds a release, whole or the part that was pulled: its mark, its header, its lines."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import msgspec

from corpus import header, manifest
from corpus.header import Header
from corpus.manifest import Line
from protocol.errors import CodedError

STATE_FOLDER = ".xiangyin"  # in a pulled copy: what the puller knows, and unfinished files
MARK_NAME = "copy.json"


class CopyIncomplete(CodedError):
    """A pull into this folder did not end."""

    code: ClassVar[str] = "COPY_INCOMPLETE"


class Facts(msgspec.Struct, frozen=True):
    """The fields of a manifest line that `Wanted` asks for."""

    split: str
    grade: str
    language: str
    snr_db: float
    dialect: str | None
    glottocode: str | None


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which clips of a release; None wants all."""

    split: str | None = None
    grade: str | None = None
    language: str | None = None
    min_snr_db: float | None = None
    dialect: str | None = None

    def takes(self, line: Line | Facts) -> bool:
        """Whether a line is wanted. ``nan`` takes ``nan-Hant-TW`` too; a dialect may be a Glottocode."""
        return (
            self.split in (None, line.split)
            and self.grade in (None, line.grade)
            and (self.min_snr_db is None or line.snr_db >= self.min_snr_db)
            and (self.dialect is None or self.dialect in (line.dialect, line.glottocode))
            and (
                self.language is None or (line.language.lower() + "-").startswith(self.language.lower() + "-")
            )
        )


class Holds(msgspec.Struct, frozen=True):
    """What a copy holds: clips, milliseconds of sound, and clips by split."""

    clips: int = 0
    ms: int = 0
    splits: dict[str, int] = {}


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """What a puller writes last: this copy is whole, and which clips were wanted."""

    source: str
    name: str
    revision: int
    sha256: str
    wanted: Wanted
    complete: bool
    latest_etag: str | None = None
    tombstones_sha256: str | None = None
    vkey: str | None = None  # signed this copy
    newest_vkey: str | None = None  # the last of the publisher's keys that is known
    holds: Holds = Holds()


@dataclass(frozen=True)
class Copy:
    """A folder that holds a release, whole or the part that was pulled."""

    folder: Path
    header: Header
    sha256: str
    mark: Mark | None

    def lines(self, wanted: Wanted | None = None) -> Iterator[Line]:
        """Manifest lines, streamed."""
        every = manifest.read(self.folder / manifest.FILE_NAME)
        if wanted is None or wanted == Wanted():
            return every
        return (line for line in every if wanted.takes(line))

    def audio(self, line: Line) -> Path:
        """Where a line's sound lies."""
        return self.folder / line.audio


def open_copy(folder: Path) -> Copy:
    """The release or complete copy in `folder`.

    Raises
    ------
    ReleaseInvalid
        If there is none.
    CopyIncomplete
        If a pull into it was interrupted.
    """
    mark = read_mark(folder)
    if mark is not None and not mark.complete:
        raise CopyIncomplete(folder=str(folder), source=mark.source)
    if mark is None and (folder / STATE_FOLDER).is_dir():
        raise CopyIncomplete(folder=str(folder), source="the same address")
    head, raw = header.read(folder)
    digest = header.sha256_of(raw)
    if mark is not None and mark.sha256 != digest:
        raise CopyIncomplete(folder=str(folder), source=mark.source)
    return Copy(folder, head, digest, mark)


def read_mark(folder: Path) -> Mark | None:
    """What the last pull into `folder` left, or None."""
    path = folder / STATE_FOLDER / MARK_NAME
    try:
        return msgspec.json.decode(path.read_bytes(), type=Mark)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, OSError) as error:
        raise header.ReleaseInvalid(file=str(path), problem=str(error)) from error
