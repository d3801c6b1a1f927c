"""`xiangyin measure`: level, noise, SNR and verdict of audio files."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

import click

from noise_profiles import profile as profiles
from noise_profiles.measure import Measurement, Meter
from noise_profiles.profile import NoiseProfile
from protocol.clip import GRADES, Grade, Verdict
from protocol.errors import LANGUAGES, CodedError, Language

BLOCK_S = 10
AUDIO_SUFFIXES = frozenset(
    (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".aif", ".au", ".caf", ".w64", ".rf64")
)


class FileUnreadable(CodedError):
    """A file that is missing or may not be read."""

    code = "FILE_UNREADABLE"


class AudioUnreadable(CodedError):
    """A file that is no sound, damaged, or cut short."""

    code = "AUDIO_UNREADABLE"


class TableUnwritable(CodedError):
    """The table cannot be written where it was asked for."""

    code = "TABLE_UNWRITABLE"


class ProfileUnknown(CodedError):
    """No profile has this id."""

    code = "PROFILE_UNKNOWN"


@dataclass(frozen=True)
class Heard:
    """One file: its figures and verdict, or the error that kept it from being measured."""

    file: str
    measurement: Measurement | None = None
    verdict: Verdict | None = None
    error: CodedError | None = None

    def as_json(self, language: Language) -> dict[str, Any]:
        """One line of ``--format json``."""
        if self.measurement is None or self.verdict is None:
            error = self.error.as_json(language) if self.error else {}
            return {"file": self.file, "error": {"code": error.get("code"), "detail": error.get("detail")}}
        figures = self.measurement.as_json()
        method = figures.pop("method")
        del figures["defects"]
        return {
            "file": self.file,
            **figures,
            "grade": self.verdict.grade,
            "verdict": self.verdict.decision,
            "findings": [finding.as_json(language) for finding in self.verdict.findings],
            "profile": f"{self.verdict.profile_id}-{self.verdict.profile_version}",
            "method": method,
        }


def read_and_measure(path: Path, *, lead_in_s: float = 0.0) -> Measurement:
    """Measure a file of any length, block by block.

    Raises
    ------
    FileUnreadable, AudioUnreadable
        If it is not there, or libsndfile cannot read it to its end.
    SignalError
        If what it holds is no sound.
    """
    import soundfile

    if not path.is_file():
        raise FileUnreadable(file=str(path), problem="there is no such file")
    try:
        with soundfile.SoundFile(path) as file:
            meter = Meter(file.samplerate, file.channels, lead_in_s=lead_in_s)
            stored, read = file.frames, 0
            while True:
                block = file.read(BLOCK_S * file.samplerate, dtype="float32", always_2d=True)
                if not len(block):
                    break
                read += len(block)
                meter.feed(block)
    except soundfile.LibsndfileError as error:
        problem = error.error_string.removeprefix("Error : ").rstrip(".")
        raise AudioUnreadable(file=str(path), problem=problem) from error
    except OSError as error:
        raise FileUnreadable(file=str(path), problem=error.strerror or str(error)) from error
    if 0 < read < stored < 2**62:
        raise AudioUnreadable(file=str(path), problem=f"it breaks off after {read} of {stored} samples")
    return meter.finish()


def hear(path: Path, judge: NoiseProfile, *, wanted: Grade | None = None, lead_in_s: float = 0.0) -> Heard:
    """Measure and judge one file; an error that concerns the file alone is part of the answer."""
    try:
        measurement = read_and_measure(path, lead_in_s=lead_in_s)
    except CodedError as error:
        return Heard(str(path), error=error)
    return Heard(str(path), measurement, profiles.verdict(measurement, judge, wanted))


def audio_files(paths: tuple[Path, ...]) -> Iterator[Path]:
    """The files named, and for each folder the audio files in it, in order of name."""
    for path in paths:
        if path.is_dir():
            yield from sorted(p for p in path.rglob("*") if p.suffix.lower() in AUDIO_SUFFIXES)
        else:
            yield path


HEADER = (
    f"{'file':<32} {'length':>8} {'peak':>6} {'speech':>6} {'noise':>6} {'SNR':>6} {'80 % interval':>14}  "
    "grade     verdict"
)


def table_row(heard: Heard, language: Language) -> str:
    """One file as a line of the table, its findings below it."""
    name = heard.file if len(heard.file) <= 32 else "…" + heard.file[-31:]
    if heard.measurement is None or heard.verdict is None:
        reason = heard.error.sentence(language) if heard.error else ""
        code = heard.error.code if heard.error else ""
        return f"{name:<32} not measured\n    {code}: {reason}"
    m, v = heard.measurement, heard.verdict
    interval = "-" if m.snr_low_db is None else f"{m.snr_low_db:.1f} … {m.snr_high_db:.1f}"
    line = (
        f"{name:<32} {m.duration_s:>6.1f} s {m.peak_dbfs:>6.1f} {_level(m.speech_dbfs)} {m.noise_dbfs:>6.1f} "
        f"{_level(m.snr_db)} {interval:>14}  {v.grade or '-':<8}  {v.decision}"
    )
    notes = [f"    {f.severity}: {_place(f.start_s, f.end_s)}{f.message(language)}" for f in v.findings]
    return "\n".join([line, *notes])


def _level(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.1f}':>6}"


def _place(start_s: float | None, end_s: float | None) -> str:
    return "" if start_s is None or end_s is None else f"[{start_s:.2f}-{end_s:.2f} s] "


CSV_FIELDS = (
    "file", "duration_s", "sample_rate_hz", "channels", "peak_dbfs", "speech_dbfs", "noise_dbfs",
    "noise_dba_fs", "snr_db", "snr_low_db", "snr_high_db", "speech_s", "noise_source", "grade", "verdict",
    "findings", "method",
)  # fmt: skip


def csv_row(heard: Heard, language: Language) -> dict[str, Any]:
    """One file for a spreadsheet: its figures, and the codes of its findings or of its error."""
    row = heard.as_json(language)
    if "error" in row:
        return {"file": row["file"], "verdict": "not measured", "findings": row["error"]["code"]}
    return {**row, "findings": " ".join(finding["code"] for finding in row["findings"])}


def write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the table, with the mark by which spreadsheets know UTF-8.

    Raises
    ------
    TableUnwritable
        If the file cannot be made.
    """
    try:
        with path.open("w", encoding="utf-8-sig", newline="") as file:
            table = csv.DictWriter(file, CSV_FIELDS, extrasaction="ignore")
            table.writeheader()
            table.writerows(rows)
    except OSError as error:
        raise TableUnwritable(file=str(path), problem=error.strerror or str(error)) from error


@click.command(
    epilog="Example:  xiangyin measure --grade quiet --lead-in-s 0.5 take.flac",
)
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--profile", "profile_id", default=profiles.DEFAULT_PROFILE_ID, show_default=True, metavar="ID")
@click.option(
    "--profiles", "profiles_file", type=click.Path(path_type=Path), help="Profiles of your own, TOML."
)
@click.option("--grade", type=click.Choice(GRADES), help="Judge for this grade; else for any.")
@click.option(
    "--lead-in-s",
    default=0.0,
    type=click.FloatRange(0.0, 60.0),
    metavar="S",
    help="How much of each file's start is known to hold no speech.",
)
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also a table for spreadsheets.",
)
@click.pass_context
def measure(
    ctx: click.Context,
    files: tuple[Path, ...],
    profile_id: str,
    profiles_file: Path | None,
    grade: str | None,
    lead_in_s: float,
    language: str,
    form: str,
    csv_file: Path | None,
) -> None:
    """Measure level, noise and SNR of audio files and folders, and say what grade each fits.

    Levels are in dB relative to a full-scale sine. Exit status: 0 all accepted, 1 some refused, 2 some could
    not be measured.
    """
    known = profiles.load(profiles_file)
    if profile_id not in known:
        raise ProfileUnknown(profile=profile_id, known=", ".join(known))
    wanted = cast(Grade | None, grade)
    tongue = cast(Language, language) if language in get_args(Language) else "en"
    if form == "text":
        click.echo(HEADER)
    status = count = accepted = 0
    rows: list[dict[str, Any]] = []
    for path in audio_files(files):
        heard = hear(path, known[profile_id], wanted=wanted, lead_in_s=lead_in_s)
        count += 1
        rows.append(csv_row(heard, tongue))
        if heard.verdict is None:
            status = 2
        elif heard.verdict.decision == "accept":
            accepted += 1
        else:
            status = max(status, 1)
        if form == "json":
            click.echo(json.dumps(heard.as_json(tongue), ensure_ascii=False))
        else:
            click.echo(table_row(heard, tongue))
        sys.stdout.flush()
    if csv_file is not None:
        write_csv(csv_file, rows)
    if form == "text" and count != 1:
        click.echo(f"{accepted} of {count} accepted.")
    ctx.exit(status)
