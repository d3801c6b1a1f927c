"""Noise profiles: the graded conditions a project pays for, and what they say of a measured clip."""

from __future__ import annotations

import difflib
import errno
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, cast

from noise_profiles.measure import Measurement
from noise_profiles.place import Place, open_statement, where
from noise_profiles.words import word
from protocol.clip import GRADES, AudioFinding, Grade, Severity, Verdict
from protocol.errors import CodedError, Language, fill

DEFAULT_PROFILE_ID = "everyday"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FIELDS = ("id", "version", "title", "margin_db", "grades")


class ProfileInvalid(CodedError):
    """A profile that cannot be used: where, and why."""

    code: ClassVar[str] = "PROFILE_INVALID"

    def sentence(self, language: Language = "en") -> str:
        """What to tell a person, in their language down to the place and the problem."""
        said = self.parameters
        if "why" not in said:
            return super().sentence(language)
        place = where(str(said["file"]), cast(int | None, said["line"]), str(said["field"]), language)
        problem = word(f"why_{said['why']}", language, **said)
        return fill(self.code, language, {**said, "where": place, "problem": problem})


def _invalid(place: Place, why: str, *, line: int | None = None, **told: object) -> ProfileInvalid:
    """The error at `place` whose words stand under `why`; `line` where the place does not know it."""
    line = line if line is not None else place.line if place.text else None
    source, field = place.source, place.field
    return ProfileInvalid(
        where=where(source, line, field), problem=word(f"why_{why}", "en", **told),
        file=source, line=line, field=field, why=why, **told,
    )  # fmt: skip


class GradeUnknown(ProfileInvalid):
    """The profile has no band for the grade that was asked for."""

    code = "GRADE_UNKNOWN"


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
    def from_json(cls, data: object, *, at: Place | str = "profile") -> NoiseProfile:
        """Read and check a profile.

        Raises
        ------
        ProfileInvalid
            Naming the field, and the line where there is one.
        """
        place = Place(at) if isinstance(at, str) else at
        row = _table(data, place)
        _refuse_unknown(row, _FIELDS, place)
        grades_at = place / "grades"
        bands = _table(_needed(row, "grades", place), grades_at)
        _refuse_unknown(bands, GRADES, grades_at)
        if not bands:
            raise _invalid(grades_at, "no_grade", known=", ".join(GRADES))
        grades: dict[Grade, Band] = {
            name: _band(bands[name], grades_at / name) for name in GRADES if name in bands
        }
        _refuse_disorder(grades, grades_at)
        return cls(
            id=_name(_needed(row, "id", place), place / "id"),
            version=_name(_needed(row, "version", place), place / "version"),
            title=_text(_needed(row, "title", place), place / "title"),
            margin_db=_number(row.get("margin_db", 1.0), place / "margin_db", 0.0, 10.0),
            grades=grades,
        )


def load(path: Path | None = None) -> Mapping[str, NoiseProfile]:
    """Profiles by id, from a TOML file or those that come with the project.

    Raises
    ------
    ProfileInvalid
        If the file is not TOML or a profile in it is wrong: where, to the line.
    """
    if path is None:
        return _built_in()
    try:
        data = path.read_bytes()
    except OSError as error:
        known = {errno.ENOENT: "missing", errno.ENOTDIR: "missing", errno.EACCES: "denied"}
        known[errno.EISDIR] = "not_a_file"
        why = known.get(error.errno or 0, "system")
        raise _invalid(Place(path.name or str(path)), why, said=error.strerror or str(error)) from error
    try:
        # Some editors put a mark in front of UTF-8, and Windows ends lines in two characters.
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _invalid(Place(path.name), "not_utf8", line=line) from error
    return _parsed(text, path.name)


@cache
def _built_in() -> Mapping[str, NoiseProfile]:
    source = resources.files("noise_profiles") / "profiles.toml"
    return _parsed(source.read_text(encoding="utf-8"), "profiles.toml")


def _parsed(text: str, name: str) -> Mapping[str, NoiseProfile]:
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _invalid(Place(name), "toml", line=_wrong_line(text, error), said=str(error)) from error
    except RecursionError as error:
        raise _invalid(Place(name), "nested") from error
    profiles = {}
    for profile_id, table in tables.items():
        place = Place(name, (profile_id,), text)
        row = _table(table, place)
        if "id" in row:
            raise _invalid(place / "id", "id")
        if not _NAME.fullmatch(profile_id):
            raise _invalid(place, "name")
        profiles[profile_id] = NoiseProfile.from_json({"id": profile_id, **row}, at=place)
    if not profiles:
        raise _invalid(Place(name), "no_profile")
    return profiles


def _wrong_line(text: str, error: tomllib.TOMLDecodeError) -> int:
    """The line that tomllib names, or that of the statement left open when it came to the end."""
    named = re.search(r"at line (\d+)", str(error))
    return int(named[1]) if named else open_statement(text)


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
        raise GradeUnknown(grade=wanted, profile=p.id, known=", ".join(p.grades))
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


def _band(data: object, place: Place) -> Band:
    row = _table(data, place)
    _refuse_unknown(row, ("snr_db", "ambient_dba"), place)
    low_db, high_db = _pair(_needed(row, "snr_db", place), place / "snr_db", -10.0, 60.0)
    ambient = row.get("ambient_dba")
    return Band(
        low_db, high_db, None if ambient is None else _pair(ambient, place / "ambient_dba", 0.0, 140.0)
    )


def _refuse_disorder(grades: Mapping[Grade, Band], place: Place) -> None:
    """A quieter grade lies above a noisier one in SNR and below it in ambient noise; they may touch."""
    for quieter, noisier in pairwise(grades):
        upper, lower = grades[quieter], grades[noisier]
        if lower.snr_high_db > upper.snr_low_db:
            begins = f"{upper.snr_low_db:g}"
            raise _invalid(place / noisier / "snr_db", "snr_order", quieter=quieter, limit=begins)
    known = [name for name in grades if grades[name].ambient_dba is not None]
    for quieter, noisier in pairwise(known):
        upper_dba, lower_dba = grades[quieter].ambient_dba, grades[noisier].ambient_dba
        if upper_dba is not None and lower_dba is not None and upper_dba[1] > lower_dba[0]:
            ends = f"{upper_dba[1]:g}"
            raise _invalid(place / noisier / "ambient_dba", "dba_order", quieter=quieter, limit=ends)


def _refuse_unknown(row: Mapping[str, Any], known: Sequence[str], place: Place) -> None:
    for key in row:
        if key not in known:
            near = difflib.get_close_matches(key, known, 1)
            if near:
                raise _invalid(place / key, "near_field", near=near[0])
            raise _invalid(place / key, "no_field", known=", ".join(known))


def _needed(row: Mapping[str, Any], key: str, place: Place) -> object:
    if key not in row:
        raise _invalid(place / key, "no_value")
    return row[key]


def _pair(data: object, place: Place, lowest: float, highest: float) -> tuple[float, float]:
    if not isinstance(data, list | tuple) or len(data) != 2:
        raise _invalid(place, "pair")
    low, high = (_number(value, place, lowest, highest) for value in data)
    if low >= high:
        raise _invalid(place, "order")
    return low, high


def _number(value: object, place: Place, lowest: float, highest: float) -> float:
    # NaN is in no range; a whole number of TOML may be too long for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise _invalid(place, "number", lowest=f"{lowest:g}", highest=f"{highest:g}")
    return float(value)


def _name(value: object, place: Place) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _invalid(place, "name")
    return value


def _text(value: object, place: Place) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable() or len(value) > 200:
        raise _invalid(place, "title")
    return value


def _table(data: object, place: Place) -> dict[str, Any]:
    if not isinstance(data, Mapping):
        raise _invalid(place, "table")
    return dict(data)
