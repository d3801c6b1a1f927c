"""The manifest of a release: one line a clip, the same bytes for the same clips.

`Line` fixes the fields and their order. Reading streams, checks every line and names the first bad one
by file and number; writing refuses lines out of order. Times are integer samples; the seconds and
levels beside them are rounded here, once, so that one writer fixes their digits.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgspec

from protocol.clip import Grade, Style
from protocol.errors import CodedError

SCHEMA_VERSION = 1
FILE_NAME = "manifest.jsonl"

Split = Literal["train", "dev", "test"]
SPLITS: tuple[Split, ...] = ("train", "dev", "test")

_MAX_LINE_BYTES = 1 << 20
_MOST = (1 << 63) - 1
_ID = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)+")
_NAME = re.compile(r"[A-Za-z0-9]+(-[A-Za-z0-9]+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MD5 = re.compile(r"[0-9a-f]{32}")
DAY = re.compile(r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])", re.ASCII)
LANGUAGE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*")
GLOTTOCODE = re.compile(r"[a-z0-9]{4}\d{4}", re.ASCII)
LICENSE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]*")
_FORMS = re.compile(  # of a good line's texts together, a newline after each: one search instead of eight
    "\n".join(form.pattern for form in (_ID, _SHA256, _MD5, LANGUAGE, _NAME, _NAME, DAY, LICENSE)), re.ASCII
)
_SPACE_OR_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class ManifestInvalid(CodedError):
    """A line of a manifest is not one that this version writes."""

    code: ClassVar[str] = "MANIFEST_INVALID"


class Event(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """Something heard beside the words."""

    start_s: float
    end_s: float
    label: str


class Line(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """One clip of a release. The order of these fields is the order in the file."""

    id: str
    audio: str
    sha256: str
    pcm_md5: str
    bytes: int
    samples: int
    sample_rate_hz: int
    channels: int
    duration_s: float
    text: str
    text_raw: str
    events: tuple[Event, ...]
    language: str
    glottocode: str | None
    dialect: str | None
    orthography: str
    rules_version: str
    speaker_id: str
    gender: str | None
    age_band: str | None
    region: str | None
    native_language: str | None
    session_id: str
    recording_id: str
    channel: int
    start_sample: int
    style: Style
    prompt_id: str | None
    grade: Grade
    snr_db: float
    speech_dbfs: float
    noise_dbfs: float
    noise_dba: float | None
    measure_method: str
    device_class: str | None
    recorded_on: str
    consent_version: str
    license: str
    split: Split
    transcribers: int
    agreement_cer: float | None
    first_release: str


FIELDS: tuple[str, ...] = Line.__struct_fields__
Row = tuple[bytes, Line]  # a line beside its bytes, newline included
encode = msgspec.json.Encoder().encode
decode = msgspec.json.Decoder(Line).decode


@dataclass(frozen=True)
class Written:
    """What was written: how many lines, how many bytes, and their digest."""

    lines: int
    bytes: int
    sha256: str


def audio_path(sha256: str) -> str:
    """Where a release keeps the sound with this digest, relative to its folder."""
    return f"audio/{sha256[:2]}/{sha256}.flac"


def seconds(samples: int, sample_rate_hz: int) -> float:
    """The seconds that stand for `samples` in a manifest: 6 decimals."""
    return round(samples / sample_rate_hz, 6)


def problem(line: Line) -> str | None:
    """What is wrong with a line, as a sentence for its reader, or None."""
    formed = _FORMS.fullmatch(
        f"{line.id}\n{line.sha256}\n{line.pcm_md5}\n{line.language}\n"
        f"{line.session_id}\n{line.recording_id}\n{line.recorded_on}\n{line.license}"
    )
    if not (formed or _ID.fullmatch(line.id)) or len(line.id) > 100:
        return f"id {line.id!r} is not letters and digits joined by dashes"
    if not line.id.startswith(line.speaker_id + "-") or not line.speaker_id.isalnum():
        return f"id {line.id} does not begin with its speaker_id {line.speaker_id!r}"
    if not (formed or _SHA256.fullmatch(line.sha256)):
        return "sha256 is not 64 lower-case hexadecimal digits"
    if line.audio != audio_path(line.sha256):
        return f"audio is {line.audio!r} and must be {audio_path(line.sha256)}"
    if not (formed or _MD5.fullmatch(line.pcm_md5)):
        return "pcm_md5 is not 32 lower-case hexadecimal digits"
    numbers = line.bytes, line.samples, line.start_sample, line.sample_rate_hz, line.channels, line.channel
    if max(numbers) > _MOST or line.transcribers > _MOST:
        return "a number is larger than the 63 bits of a column hold"
    if line.bytes < 1 or line.samples < 1 or line.sample_rate_hz < 1 or line.channels < 1:
        return "bytes, samples, sample_rate_hz and channels must be at least 1"
    if line.duration_s != (expected_s := seconds(line.samples, line.sample_rate_hz)):
        return f"duration_s is {line.duration_s} and its samples say {expected_s}"
    if line.channel < 0 or line.start_sample < 0 or line.transcribers < 1:
        return "channel and start_sample must be at least 0, transcribers at least 1"
    if not line.text.strip() or (not line.text.isprintable() and _SPACE_OR_CONTROL.search(line.text)):
        return "text is empty or holds a control character"
    if not (formed or LANGUAGE.fullmatch(line.language)):
        return f"language {line.language!r} is not a BCP 47 tag"
    if line.glottocode is not None and not GLOTTOCODE.fullmatch(line.glottocode):
        return f"glottocode {line.glottocode!r} is not four letters and four digits"
    for name in () if formed else (line.session_id, line.recording_id):
        if not _NAME.fullmatch(name):
            return f"{name!r} is not a session_id or recording_id"
    if not (formed or DAY.fullmatch(line.recorded_on)):
        return f"recorded_on {line.recorded_on!r} is not a day such as 2026-01-31"
    if not (formed or LICENSE.fullmatch(line.license)):
        return f"license {line.license!r} is not an SPDX identifier"
    if line.events and any(
        not 0 <= e.start_s <= e.end_s <= line.duration_s + 0.001 or not e.label for e in line.events
    ):
        return "an event lies outside the clip or has no label"
    return None


def parse(raw: bytes, file: str, number: int) -> Line:
    """One line from its bytes, without the newline.

    Raises
    ------
    ManifestInvalid
        Naming file, line and what is wrong.
    """
    try:
        line = decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ManifestInvalid(file=file, line=number, problem=str(error)) from error
    wrong = problem(line)
    if wrong is None and encode(line) != raw:
        wrong = "its fields are not in the order and form that this version writes"
    if wrong is not None:
        raise ManifestInvalid(file=file, line=number, problem=wrong)
    return line


def read(path: Path) -> Iterator[Line]:
    """The lines of a manifest, each checked, in bounded memory.

    Raises
    ------
    ManifestInvalid
        At the first line that is malformed, of another schema, out of order or a repetition.
    """
    for _, line in read_raw(path):
        yield line


def read_raw(path: Path) -> Iterator[Row]:
    """The lines of a manifest with their bytes (newline included); otherwise as `read`."""
    before = ""
    with path.open("rb") as file:
        number = 0
        while raw := file.readline(_MAX_LINE_BYTES):
            number += 1
            if not raw.endswith(b"\n"):
                raise ManifestInvalid(file=str(path), line=number, problem="the line is cut off")
            line = parse(raw[:-1], str(path), number)
            if line.id <= before:  # ASCII by `problem`, so text order is byte order
                what = "stands twice" if line.id == before else f"stands after {before}"
                raise ManifestInvalid(file=str(path), line=number, problem=f"id {line.id} {what}")
            before = line.id
            yield raw, line


def rows(lines: Iterable[Line], file: str = FILE_NAME) -> Iterator[Row]:
    """Lines that are already sorted by id, each checked, with the bytes that stand for it.

    Raises
    ------
    ManifestInvalid
        At the first line that `read` would refuse.
    """
    before = ""
    for number, line in enumerate(lines, start=1):
        wrong = problem(line) or (f"id {line.id} is not after {before}" if line.id <= before else None)
        if wrong is not None:
            raise ManifestInvalid(file=file, line=number, problem=wrong)
        before = line.id
        yield encode(line) + b"\n", line


def write(path: Path, lines: Iterable[Line]) -> Written:
    """Write lines that are already sorted by id.

    Raises
    ------
    ManifestInvalid
        At the first line that `read` would refuse; the file is then incomplete and the caller's to delete.
    """
    digest = hashlib.sha256()
    count, size = 0, 0
    with path.open("wb") as file:
        for raw, _ in rows(lines, str(path)):
            count += 1
            digest.update(raw)
            size += len(raw)
            file.write(raw)
    return Written(count, size, digest.hexdigest())


def columns() -> Any:
    """The fields as columns of Arrow, as ``manifest.parquet`` has them."""
    import pyarrow as pa

    event = pa.struct([("start_s", pa.float64()), ("end_s", pa.float64()), ("label", pa.string())])
    kinds = {"int": pa.int64(), "float": pa.float64(), "float | None": pa.float64()}
    return pa.schema(
        [
            pa.field(name, pa.list_(event) if name == "events" else kinds.get(str(kind), pa.string()))
            for name, kind in Line.__annotations__.items()
        ]
    )
