"""A clip and what is said about it: identifiers, meta data, verdict, receipt, and their JSON forms.

Parsing is strict. What arrives here came from a client, so every value is
checked for type, range and shape, and refused with `MetadataInvalid` that names
the field. Positions in audio are integer samples.
"""

from __future__ import annotations

import math
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, ClassVar, Literal, NewType, cast, get_args

from protocol.errors import CodedError, Language, sentence

ClipId = NewType("ClipId", str)
Sha256 = NewType("Sha256", str)

Grade = Literal["quiet", "moderate", "noisy"]
Style = Literal["read", "monologue", "dialogue"]
Role = Literal["speaker", "transcriber", "reviewer", "consumer", "operator"]
Severity = Literal["error", "warning"]
Decision = Literal["accept", "refuse"]

GRADES: tuple[Grade, ...] = get_args(Grade)
STYLES: tuple[Style, ...] = get_args(Style)
ROLES: tuple[Role, ...] = get_args(Role)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_UTC = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?Z")
MOST_THIRD_OCTAVES = 26  # 50 Hz to 16 kHz
_MAX_SAMPLE = 2**53 - 1  # what a JSON number holds exactly


class MetadataInvalid(CodedError):
    """A value sent with a clip is missing, of a wrong type or out of range."""

    code: ClassVar[str] = "metadata.invalid"


def clip_id(text: object) -> ClipId:
    """A clip's UUID in its canonical lower-case form, or `MetadataInvalid`."""
    if not isinstance(text, str) or not _UUID.fullmatch(text):
        raise MetadataInvalid(field="clip_id", problem="need a UUID such as " + str(uuid.UUID(int=0)))
    return ClipId(text)


def sha256(text: object) -> Sha256:
    """A SHA-256 as 64 lower-case hex digits, or `MetadataInvalid`."""
    if not isinstance(text, str) or not _SHA256.fullmatch(text):
        raise MetadataInvalid(field="sha256", problem="need 64 lower-case hexadecimal digits")
    return Sha256(text)


@dataclass(frozen=True)
class RoomTone:
    """The noise of the room as measured without speech, at the start of a session.

    `noise_dbfs` and `noise_dba_fs` are relative to a full-scale sine, the latter
    A-weighted; `duration_s` says how much sound they rest on. `third_octaves_dbfs` are the levels of the
    bands of IEC 61260-1 from 50 Hz up, as many as lie below half the rate: of them others can make the room.
    """

    noise_dbfs: float
    noise_dba_fs: float
    duration_s: float
    method: str
    third_octaves_dbfs: tuple[float, ...] | None = None


@dataclass(frozen=True)
class ClipMeta:
    """What the client says about a clip. All of it is a claim until the server has checked it.

    Attributes
    ----------
    session_id, recording_id : str
        Names made by the client, ``[A-Za-z0-9._-]``, at most 64 characters. Clips of one recording are
        cut from one continuous take and can be joined again by `channel` and `start_sample`.
    channel, start_sample : int
        Where the clip lies in its recording.
    lead_in_s : float
        How much of the clip's start is known to be room tone without speech, in seconds.
    recorded_at : str
        RFC 3339 UTC, by the client's clock.
    calibration_offset_db : float or None
        dB SPL of a sine that reads 0 dBFS, where the device was calibrated.
    """

    session_id: str
    recording_id: str
    style: Style
    grade: Grade
    consent_version: str
    recorded_at: str
    channel: int = 0
    start_sample: int = 0
    lead_in_s: float = 0.0
    prompt_id: str | None = None
    device_class: str | None = None
    room_tone: RoomTone | None = None
    calibration_offset_db: float | None = None
    lost_samples: int = 0
    software: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The JSON form; `from_json` reads it back to an equal value."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: object) -> ClipMeta:
        """Read a client's JSON. Unknown fields are refused, so that a typing error is not lost in silence.

        Raises
        ------
        MetadataInvalid
            Naming the first field that is wrong, and why.
        """
        row = _mapping(data, "meta")
        unknown = sorted(set(row) - set(cls.__dataclass_fields__))
        if unknown:
            raise MetadataInvalid(field=f"meta.{unknown[0]}", problem="there is no such field")
        tone = row.get("room_tone")
        return cls(
            session_id=_name(row, "session_id"),
            recording_id=_name(row, "recording_id"),
            style=cast(Style, _choice(row, "style", STYLES)),
            grade=cast(Grade, _choice(row, "grade", GRADES)),
            consent_version=_name(row, "consent_version"),
            recorded_at=utc(row.get("recorded_at"), "recorded_at"),
            channel=_whole(row, "channel", 0, 63),
            start_sample=_whole(row, "start_sample", 0, _MAX_SAMPLE),
            lead_in_s=_real(row.get("lead_in_s", 0.0), "lead_in_s", 0.0, 60.0),
            prompt_id=_optional_name(row, "prompt_id"),
            device_class=_optional_name(row, "device_class"),
            room_tone=None if tone is None else _room_tone(tone),
            calibration_offset_db=_optional_real(row, "calibration_offset_db", 0.0, 250.0),
            lost_samples=_whole(row, "lost_samples", 0, _MAX_SAMPLE),
            software=_optional_name(row, "software"),
        )


@dataclass(frozen=True)
class Consent:
    """A speaker's yes to one version of a project's consent text."""

    version: str
    given_at: str


@dataclass(frozen=True)
class AudioFinding:
    """One thing heard in a clip that the speaker should know.

    `code` is from the catalogue (``snr.below_band``); `value` and `limit` are in the unit that the
    sentence names; `start_s` and `end_s` bound the place in the clip, or are None for the whole of it.
    """

    code: str
    severity: Severity
    value: float | None = None
    limit: float | None = None
    start_s: float | None = None
    end_s: float | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)

    def message(self, language: Language = "en") -> str:
        """The sentence for a person."""
        values = {"value": _short(self.value), "limit": _short(self.limit)}
        spans = {"start_s": _short(self.start_s), "end_s": _short(self.end_s)}
        return sentence(self.code, language, **{**values, **spans, **self.parameters})

    def as_json(self, language: Language = "en") -> dict[str, Any]:
        """``{"code","severity","value","limit","start_s","end_s","message"}``."""
        return {
            "code": self.code,
            "severity": self.severity,
            "value": _rounded(self.value),
            "limit": _rounded(self.limit),
            "start_s": _rounded(self.start_s),
            "end_s": _rounded(self.end_s),
            "message": self.message(language),
        }


@dataclass(frozen=True)
class Verdict:
    """What a profile says of a measured clip.

    `grade` is the grade that the clip's SNR fits, or None; `decision` is ``refuse`` if and only if a
    finding of severity ``error`` is among `findings`.
    """

    decision: Decision
    grade: Grade | None
    findings: tuple[AudioFinding, ...]
    profile_id: str
    profile_version: str


@dataclass(frozen=True)
class Receipt:
    """Proof, checkable offline, that the server took a clip and what it said of it.

    Attributes
    ----------
    entry : str
        The exact bytes (UTF-8) of the ledger's leaf.
    details : mapping
        What the leaf's commitment hides: clip_id, sha256, samples, figures, verdict, terms, payable_ms.
    salt : str
        32 hex digits; the commitment is SHA-256 over salt bytes and canonical details.
    proof : str
        Text of a C2SP ``tlog-proof@v1``: index, hashes and the signed head.
    vkey : str
        The C2SP verifier key that signed the head.
    """

    entry: str
    details: Mapping[str, Any]
    salt: str
    proof: str
    vkey: str

    def as_json(self) -> dict[str, Any]:
        """The JSON form written to ``<clip_id>.receipt.json``."""
        return {**vars(self), "details": dict(self.details)}

    @classmethod
    def from_json(cls, data: object) -> Receipt:
        """Read a receipt's JSON; the shape only, `protocol.tlog` checks the proof."""
        row = _mapping(data, "receipt")
        texts = {name: row.get(name) for name in ("entry", "salt", "proof", "vkey")}
        for name, value in texts.items():
            if not isinstance(value, str):
                raise MetadataInvalid(field=f"receipt.{name}", problem="need a string")
        return cls(details=_mapping(row.get("details"), "receipt.details"), **cast(dict[str, str], texts))


def utc(value: object, name: str) -> str:
    """An RFC 3339 time in UTC with a final ``Z``, or `MetadataInvalid`."""
    if not isinstance(value, str) or not _UTC.fullmatch(value) or not value.isascii() or not _is_time(value):
        raise MetadataInvalid(field=name, problem="need a UTC time such as 2026-01-31T08:00:00Z")
    return value


def _is_time(text: str) -> bool:
    """Whether the calendar has such a day and the day such a second."""
    try:
        datetime.strptime(text[:19], "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return False
    return True


def _mapping(data: object, name: str) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise MetadataInvalid(field=name, problem="need a JSON object")
    return cast(dict[str, Any], data)


def _name(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise MetadataInvalid(field=key, problem="need 1 to 64 letters, digits, dots, dashes or underscores")
    return value


def _optional_name(row: Mapping[str, Any], key: str) -> str | None:
    return None if row.get(key) is None else _name(row, key)


def _choice(row: Mapping[str, Any], key: str, choices: Sequence[str]) -> str:
    value = row.get(key)
    if not isinstance(value, str) or value not in choices:
        raise MetadataInvalid(field=key, problem="need one of " + ", ".join(choices))
    return value


def _whole(row: Mapping[str, Any], key: str, low: int, high: int) -> int:
    value = row.get(key, 0)
    if type(value) is not int or not low <= value <= high:
        raise MetadataInvalid(field=key, problem=f"need a whole number from {low} to {high}")
    return value


def _real(value: object, key: str, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise MetadataInvalid(field=key, problem="need a number")
    if not low <= value <= high:
        raise MetadataInvalid(field=key, problem=f"need a number from {low} to {high}")
    return float(value)


def _optional_real(row: Mapping[str, Any], key: str, low: float, high: float) -> float | None:
    return None if row.get(key) is None else _real(row[key], key, low, high)


def _room_tone(data: object) -> RoomTone:
    row = _mapping(data, "room_tone")
    return RoomTone(
        noise_dbfs=_real(row.get("noise_dbfs"), "room_tone.noise_dbfs", -200.0, 20.0),
        noise_dba_fs=_real(row.get("noise_dba_fs"), "room_tone.noise_dba_fs", -200.0, 20.0),
        duration_s=_real(row.get("duration_s"), "room_tone.duration_s", 0.0, 3600.0),
        method=_name(row, "method"),
        third_octaves_dbfs=_third_octaves(row.get("third_octaves_dbfs")),
    )


def _third_octaves(value: object) -> tuple[float, ...] | None:
    """Levels of the bands from 50 Hz up, or None where a client has not measured them."""
    name = "room_tone.third_octaves_dbfs"
    if value is None:
        return None
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= MOST_THIRD_OCTAVES:
        raise MetadataInvalid(field=name, problem=f"need 1 to {MOST_THIRD_OCTAVES} levels")
    return tuple(_real(level, name, -200.0, 20.0) for level in value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:.1f}".removesuffix(".0")
