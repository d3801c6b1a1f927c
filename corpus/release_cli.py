"""`xiangyin release`: read arguments, call one function, print, set the exit status."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from corpus.options_cli import console_note

if TYPE_CHECKING:
    from corpus.settings import Settings
    from corpus.shelf import Shelf

FORMAT = click.option("--format", "form", type=click.Choice(["text", "json"]), default="text")
DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), help="Data folder [XIANGYIN_DATA]."
)
FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(epilog="Example:  xiangyin release cut tales 2026.1 --split dev=10% --split test=10%")
def release() -> None:
    """Cut, list, compare and verify releases."""


@release.command("cut", epilog="Example:  xiangyin release cut tales 2026.1 --split test=1.5h --seed 7")
@click.argument("slug")
@click.argument("name")
@click.option("--split", "wishes", multiple=True, help="dev=10%, test=0.05 or test=1.5h; may be repeated.")
@click.option("--seed", type=click.IntRange(0, 2**31), default=0, help="Another order of speakers.")
@click.option("--k", type=click.IntRange(1, 1000), default=3, help="Tell attributes that k speakers share.")
@click.option("--leave-out-damaged", is_flag=True, help="Release without sounds that are damaged.")
@click.option("--dry-run", is_flag=True, help="Say what would be released and left out; publish nothing.")
@DATA
@FORMAT
def cut_(
    slug: str,
    name: str,
    wishes: tuple[str, ...],
    seed: int,
    k: int,
    leave_out_damaged: bool,
    dry_run: bool,
    data: Path | None,
    form: str,
) -> None:
    """Publish the accepted clips of project SLUG as release NAME, whole or not at all."""
    from corpus import release as releases
    from corpus import split
    from corpus.draft import Wish

    shelf = _shelf(data)
    wish = Wish(slug, name, split.plan(wishes, seed), k, leave_out_damaged)
    if dry_run:
        with tempfile.TemporaryDirectory() as scratch:
            counts, excluded = releases.preview(shelf, wish, Path(scratch) / "candidates")
        for row in excluded:
            text = f"{row.id}  {row.code}" + (f"  {row.detail}" if row.detail else "")
            _say(form, {"id": row.id, "code": row.code, "detail": row.detail}, text)
        total = {"clips": sum(counts.values()), **counts, "excluded": len(excluded)}
        _say(form, total, f"{total['clips']} clips would be released, {len(excluded)} left out")
        return
    done = releases.cut(shelf, wish)
    console_note(shelf.engine, "release-cut", done.header.name, project_id=done.header.project)
    head = done.header
    result: dict[str, Any] = {
        "name": head.name,
        "project": head.project,
        "revision": head.revision,
        "clips": head.counts["clips"],
        "speakers": head.counts["speakers"],
        "hours": head.hours["total"],
        "splits": {split: head.counts[split] for split in ("train", "dev", "test")},
        "excluded": dict(sorted(done.excluded.items())),
        "sha256": done.sha256,
        "folder": str(done.folder),
        "manifest": str(done.folder / "manifest.jsonl"),
    }
    left_out = ", ".join(
        f"{count} {code.removeprefix('excluded.')}" for code, count in sorted(done.excluded.items())
    )
    splits = ", ".join(
        f"{name} {head.counts[name]} ({_span(head.hours[name])})" for name in ("train", "dev", "test")
    )
    _say(
        form,
        result,
        f"{head.name}: {head.counts['clips']} clips of {head.counts['speakers']} speakers,"
        f" {_span(head.hours['total'])}\n  {splits}\n  left out: {left_out or 'nothing'}\n"
        f"  sha256 of release.json {done.sha256}\n  {done.folder / 'manifest.jsonl'}",
    )


@release.command("list", epilog="Example:  xiangyin release list --format json")
@DATA
@FORMAT
def list_(data: Path | None, form: str) -> None:
    """List the releases, the newest first."""
    import msgspec

    from corpus import shelf as shelves
    from corpus.database import reading

    here = _shelf(data)
    with shelves.locked(here), reading(here.engine) as db:
        entries = shelves.latest(here, db).releases
    for one in entries:
        size = f"{one.clips:>7} clips  {_span(one.hours):>9}"
        text = f"{one.name:<20} {one.project:<16} rev {one.revision}  {size}  {one.status}  {one.created_at}"
        _say(form, msgspec.to_builtins(one), text)
    if not entries and form == "text":
        click.echo("No release yet. Cut one with: xiangyin release cut SLUG NAME")


@release.command("show", epilog="Example:  xiangyin release show 2026.1")
@click.argument("name")
@DATA
@FORMAT
def show(name: str, data: Path | None, form: str) -> None:
    """Show a release's card, or its header as JSON. NAME may be a folder."""
    import msgspec

    from corpus import header

    folder = _folder(name, data)
    head, _ = header.read(folder)
    if form == "json":
        click.echo(json.dumps(msgspec.to_builtins(head), ensure_ascii=False))
    else:
        click.echo((folder / "README.md").read_text(encoding="utf-8"))


_KINDS = {
    "text": "with another text",
    "measured": "measured anew",
    "moved": "in another split",
    "described": "described otherwise",
}


@release.command("diff", epilog="Example:  xiangyin release diff 2026.1 2026.2")
@click.argument("old")
@click.argument("new")
@DATA
@FORMAT
@click.pass_context
def diff(ctx: click.Context, old: str, new: str, data: Path | None, form: str) -> None:
    """Compare two releases, by name or folder: what was added, withdrawn, changed and how.

    A copy that was pulled in part is compared as the whole release that it is a part of. The exit status
    is 1 if they differ.
    """
    from collections import Counter

    from corpus import manifest
    from corpus.diff import changes, manifest_of, reasons

    folders = [_folder(name, data) for name in (old, new)]
    files = [manifest_of(folder) for folder in folders]
    why = reasons(folders[1])
    counts: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for one in changes(*((raw for raw, _ in manifest.read_raw(file)) for file in files)):
        counts[one.what] += 1
        kinds.update(one.kinds)
        row: dict[str, Any] = {"change": one.what, "id": one.id}
        if one.kinds:
            row |= {"kinds": list(one.kinds), "fields": list(one.fields)}
        if one.what == "withdrawn":
            row["reason"] = why.get(one.id)
        says = ", ".join(one.fields) or row.get("reason") or ""
        _say(form, row, f"{one.what:<10} {one.id}  {says}".rstrip())
    if form == "text":
        of = ", ".join(f"{count} {_KINDS[kind]}" for kind, count in sorted(kinds.items()))
        total = ", ".join(f"{counts[what]} {what}" for what in ("added", "changed", "withdrawn"))
        click.echo(total + (f" ({of})" if of else ""))
    ctx.exit(1 if counts else 0)


@release.command("verify", epilog="Example:  xiangyin release verify DIR")
@click.argument("name")
@click.option("--vkey", help="The publisher's verifier key; else that of the pull or those of this server.")
@click.option("--quick", is_flag=True, help="Check files and lines in seconds, without opening a sound.")
@DATA
@FORMAT
@click.pass_context
def verify(
    ctx: click.Context, name: str, vkey: str | None, quick: bool, data: Path | None, form: str
) -> None:
    """Check every byte of a release or copy. NAME is a folder, or a release of this server.

    The exit status is 1 if anything is not as the release says.
    """
    from corpus import verify as checks

    settings = _settings(data)
    folder = _folder(name, data)
    vkeys: tuple[str, ...] = (vkey,) if vkey else ()
    if vkey is None and folder.parent == settings.releases:
        from corpus import keyring, keys
        from corpus.database import reading

        signer = keys.signer(settings.keys)
        with reading(_shelf(data).engine) as db:
            vkeys = keyring.ring(db, keyring.current(db, signer).verifier).vkeys
    report = checks.verify(folder, setting=settings.compute, vkeys=vkeys, quick=quick)
    for one in report.findings:
        place = one.file if one.line is None else f"{one.file}, line {one.line}"
        _say(form, one.as_json(), f"{place}: {one.code}: {one.detail}")
    text = (
        f"{report.name} revision {report.revision}: {report.clips} clips, {_span(report.hours)},"
        f" {report.bytes} bytes of sound; signature {report.signature};"
        f" {'all as it should be' if not report.findings else f'{len(report.findings)} findings'}"
    )
    _say(form, report.as_json(), text)
    ctx.exit(1 if report.findings else 0)


@release.command("withdraw", epilog="Example:  xiangyin release withdraw 2026.1")
@click.argument("name", required=False)
@click.option("--undo", is_flag=True, help="Put the release forward again.")
@DATA
@FORMAT
def withdraw(name: str | None, undo: bool, data: Path | None, form: str) -> None:
    """Take the release NAME back: it is no longer offered, and pulls of it end with a clear message.

    Without NAME, erase withdrawn voices that still stand in a release (xiangyin withdraw does so at once).
    """
    import time

    from corpus import publish
    from corpus.statistics import counted

    shelf = _shelf(data)
    if name is not None:
        status = "published" if undo else "withdrawn"
        publish.set_status(shelf, name, status)
        console_note(shelf.engine, f"release-{status}", name)
        _say(form, {"name": name, "status": status}, f"{name} is {status}")
        return
    done = publish.erase(shelf, now_ms=time.time_ns() // 1_000_000)
    for one in done:
        row = {"name": one.name, "revision": one.revision, "erased": one.clips}
        _say(form, row, f"{one.name} is now revision {one.revision}: {counted(one.clips, 'clip')} erased")
    if not done and form == "text":
        click.echo("No withdrawn voice stands in a release.")


def _say(form: str, row: dict[str, Any], text: str) -> None:
    click.echo(json.dumps(row, ensure_ascii=False) if form == "json" else text)


def _span(hours: float) -> str:
    from corpus import statistics

    return statistics.span(hours * 3_600_000)


def _settings(data: Path | None) -> Settings:
    from corpus import settings

    return settings.load(os.environ, data)


def _shelf(data: Path | None) -> Shelf:
    """The shelf of a data folder that exists; these commands make none."""
    from corpus import keys, migrate
    from corpus.database import open_engine
    from corpus.header import ReleaseInvalid
    from corpus.shelf import Shelf
    from corpus.store import open_store

    found = _settings(data)
    if not found.database_url and not (found.data / "xiangyin.sqlite").is_file():
        raise ReleaseInvalid(
            file=str(found.data), problem="there is no Xiangyin data; give --data or XIANGYIN_DATA"
        )
    engine = open_engine(found.engine_url)
    migrate.upgrade(engine)
    return Shelf(engine, open_store(found), found.releases, keys.signer(found.keys), found.compute)


def _folder(name: str, data: Path | None) -> Path:
    """The folder that a person means: a path, or a release of this server."""
    from corpus import header
    from corpus.shelf import ReleaseUnknown

    if Path(name, header.FILE_NAME).is_file():
        return Path(name).absolute()
    if os.sep in name or name.startswith("."):
        header.read(Path(name))  # says what is missing
    folder = _settings(data).releases / header.check_name(name)
    if not (folder / header.FILE_NAME).is_file():
        raise ReleaseUnknown(name=name)
    return folder
