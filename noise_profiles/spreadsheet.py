"""The table of measured files for spreadsheets."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from noise_profiles.files import Heard, Unwritable, problem
from noise_profiles.folders import AUDIO_SUFFIXES
from noise_profiles.typeset import printable
from protocol.errors import Language


class TableUnwritable(Unwritable):
    """The table cannot be written where it was asked for."""

    code = "TABLE_UNWRITABLE"


CSV_FIELDS = (
    "file", "duration_s", "sample_rate_hz", "channels", "peak_dbfs", "speech_dbfs", "noise_dbfs",
    "noise_dba", "noise_dba_fs", "snr_db", "snr_low_db", "snr_high_db", "speech_s", "noise_source", "grade",
    "verdict", "findings", "method", "message",
)  # fmt: skip


@contextmanager
def opened(path: Path) -> Iterator[Callable[[Heard, Language], None]]:
    """A table that is begun before the first file and holds every row that was given, whatever comes after.

    Raises
    ------
    TableUnwritable
        If the file cannot be made, the disk is full, or its name is that of a recording.
    """
    if path.suffix.lower() in AUDIO_SUFFIXES:  # as when a shell puts recordings in the place of `*.wav`
        raise TableUnwritable(file=str(path), **problem("recording"))
    # Only what concerns the table is its error: a pipe that breaks while rows are printed is not.
    with _told(path):
        # The mark by which spreadsheets know UTF-8.
        file = path.open("w", encoding="utf-8-sig", newline="")
    table = csv.DictWriter(file, CSV_FIELDS, extrasaction="ignore")

    def write(heard: Heard, language: Language) -> None:
        with _told(path):
            table.writerow({name: _cell(value) for name, value in csv_row(heard, language).items()})
            file.flush()

    try:
        with _told(path):
            table.writeheader()
            file.flush()
        yield write
    finally:
        with _told(path):
            file.close()


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TableUnwritable.because(path, error) from error


def csv_row(heard: Heard, language: Language) -> dict[str, Any]:
    """One file: its figures, the codes of its findings or of its error, and the sentences."""
    row = heard.as_json(language)
    if "error" in row:
        return {
            "file": row["file"],
            "verdict": "not measured",
            "findings": row["error"]["code"],
            "message": row["error"]["detail"],
        }
    codes = " ".join(finding["code"] for finding in row["findings"])
    return {**row, "findings": codes, "message": " ".join(finding["message"] for finding in row["findings"])}


def _cell(value: object) -> object:
    """A text that a spreadsheet would take for a formula gets the apostrophe that says it is text."""
    if not isinstance(value, str):
        return value
    shown = printable(value)
    return f"'{shown}" if shown.lstrip()[:1] in tuple("=+-@＝＋－＠|%") else shown
