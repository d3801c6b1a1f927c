"""The head of a release: who it is, what it counts, and the digest of every file below it.

`release.json` names each file but the audio, which the manifest names; `SHA256SUMS` names all of them
for people with only `sha256sum`. `latest.json`, beside the releases, says which there are and is all
that a puller must ask for to know that it is up to date.
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import ClassVar

import msgspec

from corpus.manifest import SCHEMA_VERSION
from protocol.errors import CodedError

FILE_NAME = "release.json"
NOTE_NAME = "release.note"
SUMS_NAME = "SHA256SUMS"
TOMBSTONES_NAME = "tombstones.jsonl"
EXCLUDED_NAME = "excluded.jsonl"
SPEAKERS_NAME = "speakers.jsonl"
SESSIONS_NAME = "sessions.jsonl"
LATEST_NAME = "latest.json"
MAX_BYTES = 4 << 20

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FILE = re.compile(
    r"manifest\.(jsonl|parquet)|(speakers|sessions|tombstones|excluded)\.jsonl|README\.md|CHANGELOG\.md"
    r"|croissant\.json|SHA256SUMS|changes/(added|changed|withdrawn)\.jsonl|plots/[a-z][a-z0-9-]{0,40}\.(svg|png)"
)
# What a later version may add: data in the folders that there are, under names that every system takes.
_LATER = re.compile(r"((changes|plots)/)?[a-z][a-z0-9-]{0,40}\.(jsonl|json|parquet|md|svg|png)")
_OURS = ("release", "latest", "copy")  # stems by which a folder of releases or a copy is known
_DEVICES = re.compile(r"con|prn|aux|nul|(com|lpt)[0-9]")  # no files on Windows, whatever follows the dot
_RESERVED = (".json", ".jsonl", ".note")


class ReleaseInvalid(CodedError):
    """A release or what is said of it does not hold together."""

    code: ClassVar[str] = "RELEASE_INVALID"


class ReleaseNameInvalid(CodedError):
    """A name that no release can have."""

    code: ClassVar[str] = "RELEASE_NAME_INVALID"


class SchemaUnknown(CodedError):
    """A release of another schema version."""

    code: ClassVar[str] = "RELEASE_SCHEMA_UNKNOWN"


class FileEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a file must be."""

    sha256: str
    bytes: int


class Audio(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sum of all sound."""

    files: int
    bytes: int
    samples: int


class Previous(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The release before, as it was when this one was cut."""

    name: str
    revision: int
    sha256: str


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """``release.json``. Fields that a later version adds are passed over by an earlier one."""

    name: str
    project: str
    title: str
    revision: int
    schema_version: int
    created_at: str
    previous: Previous | None
    replaces: str | None
    status: str
    language: str
    orthography: str
    rules_version: str
    licenses: tuple[str, ...]
    counts: dict[str, int]
    hours: dict[str, float]
    split: dict[str, float]
    split_notes: tuple[str, ...]
    profiles: tuple[str, ...]
    privacy_k: int
    audio: Audio
    files: dict[str, FileEntry]
    ledger_head: str | None
    made_with: dict[str, str]


class LatestEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One release as ``latest.json`` lists it."""

    name: str
    project: str
    revision: int
    status: str
    created_at: str
    sha256: str
    bytes: int
    clips: int
    hours: float


class Latest(msgspec.Struct, frozen=True, kw_only=True):
    """``latest.json``: the newest release, all that stand, and the digest of the tombstone feed."""

    name: str | None
    revision: int | None
    sha256: str | None
    tombstones: FileEntry
    releases: tuple[LatestEntry, ...]


class Tombstone(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A clip that was withdrawn: every copy must delete it."""

    seq: int
    id: str
    sha256: str
    erased_at: str


class Excluded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A clip that was left out, and why."""

    id: str
    code: str
    detail: str | None


class Speaker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A voice of the release, under its pseudonym."""

    speaker_id: str
    split: str
    clips: int
    duration_s: float
    gender: str | None
    age_band: str | None
    region: str | None
    native_language: str | None
    dialect: str | None


class Room(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The noise of a session's room, as the recorder heard it while nobody spoke.

    `third_octaves_dbfs` are the levels of the third octaves from 50 Hz up (IEC 61260-1, base ten), in dB
    relative to a full-scale sine. A session has as many rooms as times it was listened to.
    """

    session_id: str
    speaker_id: str
    noise_dbfs: float
    noise_dba_fs: float
    duration_s: float
    third_octaves_dbfs: tuple[float, ...]
    method: str


def check_name(name: str) -> str:
    """`name` if a release may be called so.

    Raises
    ------
    ReleaseNameInvalid
        If it could leave its folder, hide, or be taken for a file beside the releases.
    """
    if not _NAME.fullmatch(name) or name.endswith(_RESERVED) or name.endswith("."):
        raise ReleaseNameInvalid(name=name[:80])
    return name


def is_release_file(path: str) -> bool:
    """Whether this version writes a file of this relative path, audio and the header aside."""
    return _FILE.fullmatch(path) is not None


def may_be_file(path: str) -> bool:
    """Whether a release may have such a file: one of ours, or one that a later version adds.

    An unknown one is fetched, verified and kept like the others, and nobody here reads it.
    """
    stem = path.rpartition("/")[2].partition(".")[0]
    if _DEVICES.fullmatch(stem):
        return False
    return is_release_file(path) or (_LATER.fullmatch(path) is not None and stem not in _OURS)


def citation(head: Header) -> str:
    """How a paper names the release."""
    return f"{head.title}, release {head.name}, revision {head.revision}, {head.created_at[:10]}."


def pretty(value: object) -> bytes:
    """JSON for people and programs, the same bytes for the same value."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def parse(raw: bytes, where: str) -> Header:
    """Read ``release.json`` strictly: known schema, known file names, whole numbers.

    Raises
    ------
    SchemaUnknown
        If it was written by a later version in another schema.
    ReleaseInvalid
        If anything else is wrong.
    """
    if len(raw) > MAX_BYTES:
        raise ReleaseInvalid(file=where, problem=f"it is larger than {MAX_BYTES} bytes")
    try:
        version = msgspec.json.decode(raw, type=_Version).schema_version
        if version != SCHEMA_VERSION:
            raise SchemaUnknown(file=where, version=version, known=SCHEMA_VERSION)
        header = msgspec.json.decode(raw, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseInvalid(file=where, problem=str(error)) from error
    check_name(header.name)
    for path, entry in header.files.items():
        if not may_be_file(path):
            raise ReleaseInvalid(file=where, problem=f"a release has no file {path[:120]!r}")
        check_entry(entry, where)
    if len({path.casefold() for path in header.files}) < len(header.files):
        raise ReleaseInvalid(file=where, problem="two files differ in case only")
    if header.audio.bytes < 0 or header.revision < 1:
        raise ReleaseInvalid(file=where, problem="a size or the revision is negative")
    return header


class _Version(msgspec.Struct):
    schema_version: int


def parse_latest(raw: bytes, where: str) -> Latest:
    """Read ``latest.json``; raises `ReleaseInvalid`."""
    try:
        latest = msgspec.json.decode(raw, type=Latest)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseInvalid(file=where, problem=str(error)) from error
    check_entry(latest.tombstones, where)
    for entry in latest.releases:
        check_name(entry.name)
        check_entry(FileEntry(entry.sha256, entry.bytes), where)
    return latest


def parse_tombstones(raw: bytes, where: str) -> list[Tombstone]:
    """Read ``tombstones.jsonl``; raises `ReleaseInvalid`."""
    try:
        found = [msgspec.json.decode(line, type=Tombstone) for line in raw.splitlines()]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ReleaseInvalid(file=where, problem=str(error)) from error
    for stone in found:
        check_entry(FileEntry(stone.sha256, 0), where)
    return found


def read(folder: Path) -> tuple[Header, bytes]:
    """The header of the release or copy in `folder`, and its bytes.

    Raises
    ------
    ReleaseInvalid
        If there is none, or it cannot be read.
    """
    path = folder / FILE_NAME
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ReleaseInvalid(file=str(path), problem=error.strerror or str(error)) from error
    return parse(raw, str(path)), raw


def check_entry(entry: FileEntry, where: str) -> None:
    """Raise `ReleaseInvalid` unless digest and size have their shape."""
    if not re.fullmatch(r"[0-9a-f]{64}", entry.sha256) or entry.bytes < 0:
        raise ReleaseInvalid(file=where, problem="a digest or a size has a wrong shape")


def file_entry(path: Path) -> FileEntry:
    """Digest and size of a file on the disk."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return FileEntry(digest, file.tell())


def vouched(folder: Path, head: Header, name: str) -> Path:
    """Where a file of a release lies, once its bytes were found to be those that the header names.

    Raises
    ------
    ReleaseInvalid
        If they are others.
    """
    path = folder / name
    if file_entry(path) != head.files.get(name):
        raise ReleaseInvalid(file=str(path), problem="it is not the file that the header names")
    return path


def sha256_of(raw: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(raw).hexdigest()


def note_text(header: Header, raw: bytes) -> str:
    """The text that the server signs for a release: its name, its revision and the digest of its header."""
    return f"xiangyin/release\n{header.name}\n{header.revision}\n{sha256_of(raw)}\n"
