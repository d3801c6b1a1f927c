"""`xiangyin import`: existing long recordings into the spool."""

from __future__ import annotations

from pathlib import Path

import click

from protocol.clip import GRADES, STYLES, Grade, Style
from protocol.errors import CodedError, Language
from recorder.options import (
    data_option,
    format_option,
    language_option,
    print_json,
    project_option,
    terms_option,
)
from recorder.record_cli import Form, Work, begin, failed
from recorder.wording import say


class ConsentUnknown(CodedError):
    """An import under a consent that was not given here."""

    code = "CONSENT_UNKNOWN"


@click.command(name="import", epilog="Example:  xiangyin import interview.flac --consent consent-1")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--consent", required=True, metavar="ID", help="Version of the consent it was recorded under.")
@click.option("--grade", type=click.Choice(GRADES), default="quiet", show_default=True, help="Noise grade.")
@click.option("--style", type=click.Choice(STYLES), default="monologue", show_default=True, help="Style.")
@click.option("--channel", type=click.IntRange(1, 64), help="Only this channel, counted from 1.")
@terms_option
@project_option
@data_option
@language_option
@format_option
@click.pass_context
def import_(
    ctx: click.Context,
    files: tuple[Path, ...],
    consent: str,
    grade: Grade,
    style: Style,
    channel: int | None,
    terms: str | None,
    project: str | None,
    data: Path,
    language: Language,
    form: Form,
) -> None:
    """Cut existing long recordings at pauses into clips, losing no sample, and spool them.

    Every sample of each channel is in exactly one clip. Importing a file again adds nothing.
    """
    work = begin(project, data, grade, style, form, language, reading=False, terms=terms)
    given = work.membership.consent
    if given is None or given.version != consent:
        raise ConsentUnknown(version=consent, known=given.version if given else "–")
    wanted = None if channel is None else channel - 1
    ctx.exit(max([_import_file(path, work, wanted) for path in files]))


def _import_file(path: Path, work: Work, channel: int | None) -> int:
    from recorder.importing import channels_of, import_file
    from recorder.report import as_lines, as_row
    from recorder.soundfiles import inspect
    from recorder.told import Judged

    clips, refused, seconds = 0, 0, 0.0
    meta = work.meta(device_class="file")
    try:
        several = len(channels_of(inspect(path), channel)) > 1
        for one in import_file(
            path,
            work.spool,
            meta,
            work.profile,
            work.membership.name,
            work.membership.person_id,
            channel=channel,
        ):
            clips += 1
            seconds += (one.piece.end - one.piece.start) / one.sample_rate_hz
            if one.take is None or one.judgement is None:
                if work.form == "json":
                    print_json({"file": str(path), "clip_id": one.clip_id, "known": True})
                continue
            refused += not one.judgement.accepted
            told = Judged(one.judgement, one.take, one.piece.start)
            if work.form == "json":
                print_json(as_row(told, str(path), work.language))
            else:
                channel_named = say("import.channel", work.language, channel=one.channel + 1)
                for line in as_lines(told, work.language):
                    click.echo(f"{channel_named}  {line}" if several else line)
    except CodedError as error:
        return failed(error, str(path), work.form, work.language)
    work.say("import.done", source=path.name, duration_s=seconds, clips=clips)
    return 1 if refused else 0
