"""Noise profiles: the graded conditions a project pays for, and what they say of a measured clip."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

from noise_profiles.measure import Measurement
from protocol.clip import GRADES, AudioFinding, Grade, Severity, Verdict
from protocol.errors import CodedError

DEFAULT_PROFILE_ID = "everyday"
_SEVERITIES = ("error", "warning")


class ProfileInvalid(CodedError):
    """A profile that cannot be used: where, and why."""

    code: ClassVar[str] = "PROFILE_INVALID"


@dataclass(frozen=True)
class Band:
    """The limits of one grade, both included; `ambient_dba` counts only for calibrated devices."""

    snr_low_db: float
    snr_high_db: float
    ambient_dba: tuple[float, float] | None = None


@dataclass(frozen=True)
class NoiseProfile:
    """Graded conditions under one id and version."""

    id: str
    version: str
    title: str
    margin_db: float
    grades: Mapping[Grade, Band]

    def as_json(self) -> dict[str, Any]:
        """The form that `GET project` gives and `from_json` reads; the same as a table of profiles.toml."""
        return {
            "id": self.id,
            "version": self.version,
            "title": self.title,
            "margin_db": self.margin_db,
            "grades": {
                grade: {
                    "snr_db": [band.snr_low_db, band.snr_high_db],
                    **({} if band.ambient_dba is None else {"ambient_dba": list(band.ambient_dba)}),
                }
                for grade, band in self.grades.items()
            },
        }

    @classmethod
    def from_json(cls, data: object, *, where: str = "profile") -> NoiseProfile:
        """Read and check a profile.

        Raises
        ------
        ProfileInvalid
            Naming the field.
        """
        row = _table(data, where)
        unknown = sorted(set(row) - {"id", "version", "title", "margin_db", "grades"})
        if unknown:
            raise ProfileInvalid(where=f"{where}.{unknown[0]}", problem="there is no such field")
        bands = _table(row.get("grades"), f"{where}.grades")
        grades: dict[Grade, Band] = {}
        for name in GRADES:
            if name in bands:
                grades[name] = _band(bands.pop(name), f"{where}.grades.{name}")
        if bands or not grades:
            wrong = next(iter(bands), "")
            raise ProfileInvalid(
                where=f"{where}.grades.{wrong}".rstrip("."), problem="the grades are " + ", ".join(GRADES)
            )
        ordered = sorted(grades.values(), key=lambda band: band.snr_low_db)
        for lower, upper in pairwise(ordered):
            if lower.snr_high_db > upper.snr_low_db:
                raise ProfileInvalid(where=f"{where}.grades", problem="two SNR bands overlap")
        return cls(
            id=_text(row.get("id"), f"{where}.id"),
            version=_text(row.get("version"), f"{where}.version"),
            title=_text(row.get("title"), f"{where}.title"),
            margin_db=_number(row.get("margin_db", 1.0), f"{where}.margin_db", 0.0, 10.0),
            grades=grades,
        )


def load(path: Path | None = None) -> Mapping[str, NoiseProfile]:
    """Profiles by id, from a TOML file or those that come with the project.

    Raises
    ------
    ProfileInvalid
        If the file is not TOML or a profile in it is wrong.
    """
    if path is None:
        return _built_in()
    try:
        return _parsed(path.read_text(encoding="utf-8"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ProfileInvalid(where=path.name, problem=str(error)) from error


@cache
def _built_in() -> Mapping[str, NoiseProfile]:
    source = resources.files("noise_profiles") / "profiles.toml"
    return _parsed(source.read_text(encoding="utf-8"), "profiles.toml")


def _parsed(text: str, name: str) -> Mapping[str, NoiseProfile]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:  # it names line and column
        raise ProfileInvalid(where=name, problem=str(error)) from error
    profiles = {}
    for profile_id, table in tables.items():
        where = f"{name}, line {_line_of(text, profile_id)}, {profile_id}"
        profiles[profile_id] = NoiseProfile.from_json({"id": profile_id, **_table(table, where)}, where=where)
    if not profiles:
        raise ProfileInvalid(where=name, problem="there is no profile in it")
    return profiles


def _line_of(text: str, profile_id: str) -> int:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip().startswith((f"[{profile_id}]", f"[{profile_id}.")):
            return number
    return 1


def grade_of(m: Measurement, p: NoiseProfile) -> Grade | None:
    """The grade whose SNR band holds the clip's SNR; of two that touch there, the quieter."""
    if m.snr_db is None:
        return None
    quietest_first = sorted(p.grades.items(), key=lambda item: -item[1].snr_low_db)
    for grade, band in quietest_first:
        if band.snr_low_db <= m.snr_db <= band.snr_high_db:
            return grade
    return None


def verdict(m: Measurement, p: NoiseProfile, wanted: Grade | None) -> Verdict:
    """Whether the clip will do for `wanted`, or, if None, for any grade of the profile.

    The SNR is held to the band with the profile's margin or the measurement's own uncertainty,
    whichever reaches further; a clip that only these let in carries a warning.
    """
    grade = grade_of(m, p)
    findings = (*m.defects, *_snr_findings(m, p, wanted, grade))
    refused = any(finding.severity == "error" for finding in findings)
    return Verdict("refuse" if refused else "accept", grade, findings, p.id, p.version)


def _snr_findings(
    m: Measurement, p: NoiseProfile, wanted: Grade | None, grade: Grade | None
) -> Iterator[AudioFinding]:
    if m.snr_db is None or m.snr_low_db is None or m.snr_high_db is None:
        if not any(finding.code == "speech.none" for finding in m.defects):
            yield AudioFinding("speech.none", "error", start_s=0.0, end_s=m.duration_s)
        return
    if wanted is None:
        low_db = min(band.snr_low_db for band in p.grades.values())
        high_db = max(band.snr_high_db for band in p.grades.values())
        between = low_db <= m.snr_db <= high_db and grade is None
        if between:
            yield AudioFinding("snr.between_bands", "warning", m.snr_db)
            return
    elif wanted in p.grades:
        low_db, high_db = p.grades[wanted].snr_low_db, p.grades[wanted].snr_high_db
    else:
        raise ProfileInvalid(where=f"{p.id}.grades.{wanted}", problem="the profile has no such grade")
    fits: dict[str, object] = {} if grade is None else {"fits": grade}
    highest_db = max(m.snr_db + p.margin_db, m.snr_high_db)
    lowest_db = min(m.snr_db - p.margin_db, m.snr_low_db)
    if m.snr_db < low_db:
        severity: Severity = "warning" if highest_db >= low_db else "error"
        yield AudioFinding("snr.below_band", severity, m.snr_db, low_db, parameters=fits)
    elif m.snr_db > high_db:
        severity = "warning" if lowest_db <= high_db else "error"
        yield AudioFinding("snr.above_band", severity, m.snr_db, high_db, parameters=fits)
    if m.noise_dba is not None and wanted is not None:
        yield from _ambient_findings(m.noise_dba, p.grades[wanted], p.margin_db)


def _ambient_findings(noise_dba: float, band: Band, margin_db: float) -> Iterator[AudioFinding]:
    """The room's level guides; only the SNR refuses, since calibrations drift."""
    if band.ambient_dba is None:
        return
    low_dba, high_dba = band.ambient_dba
    if noise_dba > high_dba + margin_db:
        yield AudioFinding("ambient.too_loud", "warning", noise_dba, high_dba)
    elif noise_dba < low_dba - margin_db:
        yield AudioFinding("ambient.too_quiet", "warning", noise_dba, low_dba)


def _band(data: object, where: str) -> Band:
    row = _table(data, where)
    unknown = sorted(set(row) - {"snr_db", "ambient_dba"})
    if unknown:
        raise ProfileInvalid(where=f"{where}.{unknown[0]}", problem="there is no such field")
    low_db, high_db = _pair(row.get("snr_db"), f"{where}.snr_db", -10.0, 60.0)
    ambient = row.get("ambient_dba")
    return Band(
        low_db, high_db, None if ambient is None else _pair(ambient, f"{where}.ambient_dba", 0.0, 140.0)
    )


def _pair(data: object, where: str, lowest: float, highest: float) -> tuple[float, float]:
    if not isinstance(data, list | tuple) or len(data) != 2:
        raise ProfileInvalid(where=where, problem="need two numbers, [low, high]")
    low, high = (_number(value, where, lowest, highest) for value in data)
    if low >= high:
        raise ProfileInvalid(where=where, problem="the low limit must be below the high one")
    return low, high


def _number(value: object, where: str, lowest: float, highest: float) -> float:
    real = isinstance(value, int | float) and not isinstance(value, bool)
    if not real or not math.isfinite(value) or not lowest <= value <= highest:  # type: ignore[arg-type,operator]
        raise ProfileInvalid(where=where, problem=f"need a number from {lowest:g} to {highest:g}")
    return float(value)  # type: ignore[arg-type]


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ProfileInvalid(where=where, problem="need a text")
    return value


def _table(data: object, where: str) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise ProfileInvalid(where=where, problem="need a table")
    return dict(data)
