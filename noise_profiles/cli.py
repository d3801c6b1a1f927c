"""`xiangyin measure`: level, noise, SNR and verdict of audio files."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import cast

import click

from noise_profiles import files as audio
from noise_profiles import folders, parallel, report, spreadsheet, terminal
from noise_profiles import profile as profiles
from noise_profiles.typeset import printable
from noise_profiles.words import word
from protocol.clip import GRADES, Grade
from protocol.errors import LANGUAGES, CodedError, Language

NO_TERMINAL_COLUMNS = 120
INTERRUPTED = 130  # as the shell has it: 128 and the signal's number


class ProfileUnknown(CodedError):
    """No profile has this id."""

    code = "PROFILE_UNKNOWN"


@click.command(
    epilog="Example:  xiangyin measure --grade quiet --lead-in-s 0.5 --picture pictures takes/",
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
@click.option(
    "--offset-db",
    type=click.FloatRange(0.0, 250.0),
    metavar="DB",
    help="dB SPL of a full-scale sine on the device that recorded, as calibrate found it; gives dB(A).",
)
@click.option("--language", type=click.Choice(LANGUAGES), default="en", show_default=True)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--csv",
    "csv_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also a table for spreadsheets, row by row.",
)
@click.option(
    "--picture",
    "picture_folder",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Also a picture of each file, SVG, in this folder.",
)
@click.option(
    "--summary", is_flag=True, help="With --format json: counts over all files, as JSON on standard error."
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Processes; default: one a core if there is enough to do.",
)
@click.pass_context
def measure(
    ctx: click.Context,
    files: tuple[Path, ...],
    profile_id: str,
    profiles_file: Path | None,
    grade: str | None,
    lead_in_s: float,
    offset_db: float | None,
    language: str,
    form: str,
    csv_file: Path | None,
    picture_folder: Path | None,
    summary: bool,
    jobs: int | None,
) -> None:
    """Measure level, noise and SNR of audio files and folders, and say what grade each fits.

    Levels are in dB relative to a full-scale sine; FILES may be - for standard input. Exit status: 0 all
    accepted, 1 some refused, 2 some could not be measured, 130 stopped by the keyboard.
    """
    known = profiles.load(profiles_file)
    if profile_id not in known:
        raise ProfileUnknown(profile=printable(profile_id), known=", ".join(known))
    judge, tongue = known[profile_id], cast(Language, language)
    if grade is not None and grade not in judge.grades:
        raise profiles.GradeUnknown(grade=grade, profile=judge.id, known=", ".join(judge.grades))
    order = audio.Order(judge, cast(Grade | None, grade), lead_in_s, offset_db, tongue)
    width = _terminal_columns()
    table = report.Table(width, tongue, _painted)
    totals = report.Summary()
    bar = terminal.Progress(sys.stderr, sys.stderr.isatty())
    items: list[audio.Item] = []
    try:
        with ExitStack() as stack:
            items += [item for path in files for item in _items(path, stack)]
            if picture_folder is not None:
                _make_folder(picture_folder)
                items = folders.with_pictures(items, picture_folder)
            write = stack.enter_context(spreadsheet.opened(csv_file)) if csv_file is not None else None
            bar.begin(len(items))
            if form == "text":
                click.echo(table.head())
            answers = stack.enter_context(closing(parallel.heard(items, order, jobs, bar.share)))
            for heard in answers:
                totals.add(heard)
                if write is not None:
                    write(heard, tongue)
                bar.hide()
                if form == "json":
                    _print_json(heard, tongue)
                else:
                    click.echo(table.row(heard))
                sys.stdout.flush()
                bar.next()
    except KeyboardInterrupt:
        bar.hide()
        click.echo(word("stopped", tongue, n=totals.files, all=len(items)), err=True)
        ctx.exit(INTERRUPTED)
    bar.hide()
    if form == "text" and len(items) != 1:
        click.echo()
        click.echo(totals.as_text(tongue, width))
    if form == "text" and picture_folder is not None:
        click.echo(word("pictures", tongue, where=printable(str(picture_folder))))
    if form == "json" and summary:
        click.echo(terminal.json_line({"summary": totals.as_json()}), err=True)
    ctx.exit(totals.exit_status)


def _print_json(heard: audio.Heard, language: Language) -> None:
    click.echo(terminal.json_line(heard.as_json(language)))
    if heard.measurement is not None and heard.code is not None:  # measured, but not drawn
        click.echo(printable(f"{heard.code}: {heard.detail(language)}"), err=True)


def _terminal_columns() -> int:
    """The width people see; a file or a pipe gets a wide table."""
    return shutil.get_terminal_size((NO_TERMINAL_COLUMNS, 24)).columns


def _painted(said: str, decision: str) -> str:
    """The verdict in colour, where a terminal shows it and nobody asked for none."""
    if os.environ.get("NO_COLOR"):
        return said
    return click.style(said, fg="green" if decision == "accept" else "red")


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise audio.PictureUnwritable.because(folder, error) from error


def _items(path: Path, stack: ExitStack) -> Iterator[audio.Item]:
    """The files that one word of the command line stands for."""
    if str(path) == "-":
        yield audio.Item("-", stack.enter_context(_spooled()))
    else:
        yield from folders.found([path])


@contextmanager
def _spooled() -> Iterator[Path]:
    """Standard input as a file: decoders go back and forth."""
    with tempfile.TemporaryDirectory(prefix="xiangyin-measure-") as folder:
        path = Path(folder, "standard-input")
        with path.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield path
