"""The operator's commands for the care of the data: ledger, remeasure, fsck, backup, restore, doctor."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from corpus.options_cli import HELP, console_note, data_option, format_option, open_data, read_text, tell

if TYPE_CHECKING:
    from corpus.database import Connection
    from protocol.tlog import VerifierKey
    from web.context import Site


def present_key(site: Site, db: Connection) -> VerifierKey:
    """The key that signs the log now."""
    from corpus import keyring

    return keyring.current(db, site.signer).verifier


@click.group(context_settings=HELP, epilog="Example:  xiangyin ledger verify --older head-of-may.txt")
def ledger() -> None:
    """Export and check the append-only log."""


@ledger.command(epilog="Example:  xiangyin ledger export log-2026")
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
@format_option
def export(folder: Path, data: Path | None, form: str) -> None:
    """Write entries.jsonl, whose lines are the leaves, and the signed head."""
    from corpus import ledger as log
    from corpus.database import begin
    from corpus.disk import write_durably

    site = open_data(data)
    with begin(site.engine) as db:
        head, key = log.sign_head(db, site.signer, now_ms=site.clock_ms()), present_key(site, db)
        lines = list(log.leaves(db))
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / "entries.jsonl", "".join(line + "\n" for line in lines).encode())
    write_durably(folder / "head.txt", head.encode())
    write_durably(folder / "vkey.txt", f"{key}\n".encode())
    console_note(site.engine, "ledger-export", str(len(lines)))
    tell(form, {"entries": len(lines), "folder": str(folder)}, f"{len(lines)} entries in {folder}")


@ledger.command(epilog="Example:  xiangyin ledger head > head-of-may.txt")
@data_option
@format_option
def head(data: Path | None, form: str) -> None:
    """Print the signed head; keep it to notice a rollback later."""
    from corpus import ledger as log
    from corpus.database import begin

    site = open_data(data)
    with begin(site.engine) as db:
        note, key = log.sign_head(db, site.signer, now_ms=site.clock_ms()), present_key(site, db)
    click.echo(
        json.dumps({"head": note, "vkey": str(key)}) if form == "json" else note,
        nl=form == "json",
    )


@ledger.command(name="verify", epilog="Example:  xiangyin ledger verify --older head-of-may.txt")
@click.option(
    "--export", "folder", type=click.Path(path_type=Path), help="An exported log; else the database's."
)
@click.option("--older", type=click.Path(path_type=Path), help="A head kept from before.")
@data_option
@format_option
def verify_log(folder: Path | None, older: Path | None, data: Path | None, form: str) -> None:
    """Check the log whole, and that it extends an older head."""
    from corpus import ledger as log
    from corpus import ledger_check
    from corpus.database import begin
    from protocol.tlog import ReceiptInvalid, VerifierKey

    problems: list[str] = []
    if folder is not None:
        lines = read_text(folder / "entries.jsonl").removesuffix("\n").split("\n")
        lines = [] if lines == [""] else lines
        note, key = read_text(folder / "head.txt"), VerifierKey.parse(read_text(folder / "vkey.txt").strip())
    else:
        site = open_data(data)
        with begin(site.engine) as db:
            key = present_key(site, db)
            problems = ledger_check.check_stored(db, key)
            note = log.sign_head(db, site.signer, now_ms=site.clock_ms())
            lines = list(log.leaves(db))
    try:
        ledger_check.verify(lines, note, key, None if older is None else read_text(older))
    except ReceiptInvalid as error:
        problems.append(str(error.parameters["problem"]))
    for problem in problems:
        tell(form, {"problem": problem}, problem)
    row = {"entries": len(lines), "good": not problems}
    tell(
        form,
        row,
        f"{len(lines)} entries: " + ("the log holds" if not problems else f"{len(problems)} problems"),
    )
    sys.exit(1 if problems else 0)


@click.command(context_settings=HELP, epilog="Example:  xiangyin remeasure --format json > figures.jsonl")
@data_option
@format_option
def remeasure(data: Path | None, form: str) -> None:
    """Run history through the current measuring method. Older figures stay; no verdict is changed."""
    from corpus.remeasure import remeasured

    site = open_data(data)
    changed = count = 0
    try:
        for row in remeasured(site.intake, site.clock_ms):
            count += 1
            changed += row["changed"]
            if form == "json" or row["changed"]:
                tell(
                    form,
                    row,
                    f"{row['clip_id']}  SNR {row['snr_db_before']} -> {row['snr_db']} dB"
                    f"  {row['decision_before']} -> {row['decision']}",
                )
    finally:
        site.intake.decoder.close()
    if form == "text":
        click.echo(f"{count} clips measured, {changed} with other figures than before")


@click.command(context_settings=HELP, epilog="Example:  xiangyin fsck --only blobs --json")
@data_option
@format_option
@click.option("--json", "form", flag_value="json", help="The same as --format json.")
@click.option(
    "--only",
    multiple=True,
    type=click.Choice(["blobs", "rows", "ledger", "receipts", "releases"]),
    help="Look at this part alone; may be given again.",
)
@click.option("--repair", is_flag=True, help="Mend what is safe to mend; the server must be stopped.")
@click.option(
    "--from", "source", type=click.Path(path_type=Path), help="A backup, for --repair to take blobs from."
)
def fsck(data: Path | None, form: str, only: tuple[str, ...], repair: bool, source: Path | None) -> None:
    """Verify every blob, row, ledger entry, receipt and release against each other.

    Without --repair nothing is changed, and with it nothing is deleted: what is in the way is moved into
    the folder quarantine. Exit status: 0 all fits, 1 something does not (or did not before it was
    mended and still does not), 2 it could not look.
    """
    from corpus import check
    from corpus import repair as mending
    from corpus.database import reading

    site = open_data(data)
    parts = only or check.PARTS
    with reading(site.engine) as db:
        key = present_key(site, db)

    def look() -> Iterator[check.Problem]:
        return check.everything(
            site.engine,
            site.store,
            key,
            site.shelf,
            partials=site.intake.partials,
            only=parts,
        )

    if repair:
        from corpus.serve_cli import alone

        with alone(site.settings):
            bench = mending.Bench(
                site.engine,
                site.store,
                site.shelf,
                site.signer,
                site.settings.data / "quarantine",
                source,
                site.clock_ms(),
            )
            for done in mending.mend(bench, list(look())):
                tell(form, done.as_json(), f"mended  {done.code}  {done.name}: {done.did}")
    count = 0
    for problem in look():
        count += 1
        tell(form, problem.as_json(), f"{problem.code}  {problem.name}: {problem.says}. {problem.advice}")
    tell(form, {"problems": count}, "Everything fits together." if not count else f"{count} problems")
    sys.exit(1 if count else 0)


@click.command(context_settings=HELP, epilog="Example:  xiangyin backup /mnt/backup/monday")
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
@format_option
def backup(folder: Path, data: Path | None, form: str) -> None:
    """Make a consistent copy, also while the server runs."""
    from corpus.safekeeping import back_up

    site = open_data(data)
    made = back_up(site.settings, site.engine, site.store, folder)
    console_note(site.engine, "backup", None)
    tell(form, made, f"{made['blobs']} blobs and the database are in {folder}")


@click.command(
    context_settings=HELP, epilog="Example:  xiangyin restore /mnt/backup/monday --data corpus-data"
)
@click.argument("folder", type=click.Path(path_type=Path))
@data_option
@format_option
def restore(folder: Path, data: Path | None, form: str) -> None:
    """Bring a copy back into an empty data folder."""
    from corpus.safekeeping import bring_back
    from corpus.settings import load

    made = bring_back(folder, load(os.environ, data))
    tell(form, made, f"{made['blobs']} blobs and the database are back; check them with: xiangyin fsck")


@click.command(context_settings=HELP, epilog="Example:  xiangyin doctor")
@data_option
@format_option
def doctor(data: Path | None, form: str) -> None:
    """Say what works on this machine, and what to do about the rest."""
    from corpus import examination
    from corpus.settings import load

    settings = load(os.environ, data)
    good = True
    for line in examination.lines(settings, now_s=time.time()):
        good = good and line.good
        row = {"part": line.part, "ok": line.good, "says": line.says}
        tell(form, row, f"{'ok ' if line.good else 'NOT'}  {line.part:<10} {line.says}")
    sys.exit(0 if good else 1)
