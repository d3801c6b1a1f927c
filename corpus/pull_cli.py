"""`xiangyin pull` and `xiangyin export`: the side of those who train on a release."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from corpus import formats as known

if TYPE_CHECKING:
    from corpus.dataset import Copy
    from corpus.progress import Bar
    from corpus.pull import Pulled

FOLDER = click.Path(path_type=Path, file_okay=False)
_NAMED = 20  # clips that were left out are named on the screen, up to this many a format


def _wanted(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        click.option("--min-snr-db", type=float, help="Only clips with at least this SNR."),
        click.option("--dialect", help="Only this dialect, in the speakers' words or as a Glottocode."),
        click.option("--language", help="Only this language tag and its longer forms."),
        click.option("--grade", type=click.Choice(["quiet", "moderate", "noisy"])),
        click.option("--split", type=click.Choice(["train", "dev", "test"])),
    ):
        command = option(command)
    return command


@click.command(
    epilog="Example:  xiangyin pull https://voices.example.org/releases/2026.1 --to copy --format lhotse"
)
@click.argument("url")
@click.option("--to", type=FOLDER, required=True, help="Folder of the copy.")
@_wanted
@click.option(
    "--format", "forms", help="Also write toolkit formats into DIR/export: kaldi,lhotse,…; or json, text."
)
@click.option("--token", envvar="XIANGYIN_TOKEN", help="A consumer's token [XIANGYIN_TOKEN].")
@click.option("--jobs", type=click.IntRange(1, 64), default=8, help="Fetches at a time.")
@click.pass_context
def pull(
    ctx: click.Context, /, url: str, to: Path, forms: str | None, token: str | None, jobs: int, **wanted: Any
) -> None:
    """Fetch and verify a release from URL, or bring a copy up to date; run it again to go on.

    URL is a site, a release on it (…/releases/NAME) or a folder. A site gives its newest release.
    """
    from corpus import landing, sources
    from corpus import pull as pulling
    from corpus.dataset import Wanted

    names = [name.strip() for name in (forms or "").split(",") if name.strip()]
    form = "json" if "json" in names else "text"
    formats = [name for name in names if name not in ("json", "text")]
    _check(formats)
    source, release_name = sources.parse(url, token or _stored_token(url))
    there = landing.exports(to)
    done = pulling.pull(source, to, name=release_name, wanted=Wanted(**wanted), progress=_bar(), jobs=jobs)
    _say(form, {**done.as_json(), "folder": str(to)}, _told(done, to))
    if not done.up_to_date:  # what was exported before must not stay behind the copy
        formats += [name for name in there if name not in formats]
    status = _write(formats, to, form)
    if form == "text":
        click.echo(_next_step(to, formats))
    ctx.exit(status)


def _check(formats: list[str]) -> None:
    """Refuse an unknown format before anything is fetched."""
    if formats:  # to learn that nothing is new, no exporter is needed
        from corpus import exporters

        for name in formats:
            exporters.check(name)


def _write(formats: list[str], to: Path, form: str) -> int:
    """Write formats beside a copy, and say so; the exit status."""
    if not formats:
        return 0
    from corpus import landing
    from corpus.dataset import Wanted, open_copy

    targets = {name: to / landing.EXPORTS / name for name in formats}
    return _export(open_copy(to), targets, form, wanted=Wanted())


def _told(done: Pulled, to: Path) -> str:
    from corpus import progress, statistics
    from corpus.statistics import counted

    splits = ", ".join(f"{name} {count}" for name, count in done.splits.items())
    whole = (
        f"{done.name} revision {done.revision}: {counted(done.clips, 'clip')},"
        f" {statistics.span(done.hours * 3_600_000)} of speech ({splits or 'none'}) in {to}"
    )
    if done.up_to_date:
        return f"{whole}\n  it is up to date; nothing was fetched"
    fetched = f"{progress.size(done.fetched_bytes)} fetched in {counted(done.fetched, 'sound')}"
    did = f"{fetched} and the release's own files"
    gone = f", {counted(done.deleted, 'sound')} deleted" if done.deleted else ""
    return f"{whole}\n  {did}, every byte verified{gone}; signature {done.signature}"


def _next_step(to: Path, formats: list[str]) -> str:
    """What a person does now: open what they asked for, or ask for a toolkit's format."""
    from corpus import landing, recipes

    for name in formats:
        if name in recipes.RECIPES and recipes.RECIPES[name].use:
            return f"  next: {recipes.RECIPES[name].line(str(to / landing.EXPORTS / name))}"
    return (
        f"  next: xiangyin export {to} --format lhotse --to NEW_FOLDER, or corpus.load({str(to)!r}) in Python"
    )


@click.command(
    epilog="\b\nFormats:\n"
    + known.listing()
    + "\n\nExample:  xiangyin export copy --format kaldi --to data/tales"
)
@click.argument("folder", type=FOLDER)
@click.option(
    "--format", "names", required=True, metavar="NAME[,NAME…]", help="One of those below, or several."
)
@click.option(
    "--to", type=FOLDER, required=True, help="New folder; several formats go into folders in it, by name."
)
@_wanted
@click.option(
    "--audio", type=click.Choice(["pipe", "path"]), default="pipe", help="Kaldi: decoder or plain path."
)
@click.option("--root", help="What stands for the release's folder in paths, for another machine.")
@click.option(
    "--recordings", is_flag=True, help="TextGrid, EAF, STM, RTTM, CTM: also rebuild recordings as WAV."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def export(
    ctx: click.Context,
    /,
    folder: Path,
    names: str,
    to: Path,
    audio: str,
    root: str | None,
    recordings: bool,
    as_json: bool,
    **wanted: Any,
) -> None:
    """Write the release or copy in FOLDER in the formats of toolkits.

    Clips whose sound is missing or damaged are named and left out; the exit status is then 1.
    """
    from corpus import exporters
    from corpus.dataset import Wanted, open_copy

    chosen = list(dict.fromkeys(exporters.check(name.strip()) for name in names.split(",")))
    targets = {name: to / name for name in chosen} if len(chosen) > 1 else {chosen[0]: to}
    form = "json" if as_json else "text"
    options = {"audio": audio, "root": root, "recordings": recordings}
    ctx.exit(_export(open_copy(folder), targets, form, wanted=Wanted(**wanted), **options))


def _export(copy: Copy, targets: dict[str, Path], form: str, **options: Any) -> int:
    """Export and tell; the exit status."""
    from corpus import exporters, settings
    from corpus.exporters.job import LEFT_OUT_NAME

    step = _counter(copy.header.counts.get("clips", 0))
    compute = settings.load(os.environ).compute
    status = 0
    for done in exporters.export(copy, targets, compute=compute, progress=step, **options):
        folder = targets[done.format]
        row = {**msgspec.to_builtins(done), "folder": str(folder)}
        text = f"{done.format}: {done.utterances} utterances of {done.release} in {folder}"
        if done.left_out:
            status = 1
            text += f"; {done.left_out} left out"
            for one in islice(exporters.left_out(folder), _NAMED):
                click.echo(f"{done.format}: left out {one.id}: {one.problem}", err=True)
            if done.left_out > _NAMED:
                click.echo(f"… all of them: {folder / LEFT_OUT_NAME}", err=True)
        _say(form, row, text)
    return status


def _say(form: str, row: dict[str, Any], text: str) -> None:
    click.echo(json.dumps(row, ensure_ascii=False) if form == "json" else text)


def _stored_token(url: str) -> str | None:
    """The token that `xiangyin join` keeps for this server, if the recorder's part is installed."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        return None
    try:
        from recorder import credentials
    except ModuleNotFoundError:
        return None
    server = f"{parts.scheme}://{parts.netloc}"
    for role in ("consumer", "operator", "reviewer"):
        found = credentials.for_server(credentials.config_folder(), server, role=role)
        if found is not None:
            return found.token
    return None


def _bar() -> Bar | None:
    """A progress line, on a terminal only."""
    if not sys.stderr.isatty():
        return None
    from corpus.progress import Bar

    return Bar(sys.stderr)


def _counter(total: int) -> Callable[[int], None] | None:
    """How far an export is, on a terminal only."""
    if not sys.stderr.isatty():
        return None

    def show(done: int) -> None:
        click.echo(f"\r{min(done, total)} of {total} clips", nl=done >= total, err=True)

    return show
