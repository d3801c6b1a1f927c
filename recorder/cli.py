"""The speaker's commands; those for recording, importing and the account stand in modules of their own."""

from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

import click

from protocol.errors import CodedError, Language
from recorder import credentials
from recorder.account_cli import page, receipts, statement, tokens, withdraw
from recorder.credentials import Membership
from recorder.import_cli import import_
from recorder.options import (
    data_option,
    figure,
    format_option,
    language_option,
    now_utc,
    open_spool,
    print_json,
)
from recorder.record_cli import record
from recorder.wording import say

__all__ = [
    "calibrate", "devices", "import_", "join", "page", "receipts", "record", "send", "statement", "status",
    "tokens", "withdraw",
]  # fmt: skip

WATCH_S = 2.0


# --- joining ---------------------------------------------------------------------------------------


@click.command(
    epilog="Example:  xiangyin join https://corpus.example/join/3kq9 --gender female --age-band 30-39"
)
@click.argument("url")
@click.option("--yes", is_flag=True, help="I have read the consent text and agree.")
@click.option("--gender", help="As you would say it.")
@click.option("--age-band", metavar="BAND", help="Such as 30-39.")
@click.option("--region", help="Where you grew up.")
@click.option("--native-language", metavar="TAG", help="Such as nan-Hant-TW.")
@click.option("--dialect", help="What you call the way you speak.")
@click.option("--name", "display_name", help="Shown to the project's staff only; never released.")
@language_option
@format_option
def join(
    url: str,
    yes: bool,
    gender: str | None,
    age_band: str | None,
    region: str | None,
    native_language: str | None,
    dialect: str | None,
    display_name: str | None,
    language: Language,
    form: str,
) -> None:
    """Exchange an invitation for a credential kept on this machine.

    Speakers are shown the project's consent text and asked; nothing of theirs is sent before a yes.
    """
    from recorder import joining

    given = {
        "gender": gender,
        "age_band": age_band,
        "region": region,
        "native_language": native_language,
        "dialect": dialect,
    }

    def agree(asked: joining.ConsentText) -> Mapping[str, str] | None:
        click.echo(f"{asked.title}\n\n{asked.text}\n\n{asked.version}, {asked.license}\n", err=form == "json")
        if yes:
            missing = [name for name in joining.ATTRIBUTES[:4] if not given[name]]
            if missing:
                named = ", ".join("--" + name.replace("_", "-") for name in missing)
                raise click.UsageError(f"with --yes also give {named}")
            return {name: value for name, value in given.items() if value}
        answer = click.prompt(say("consent.ask", language), prompt_suffix="", default="", show_default=False)
        if answer.strip().casefold() not in ("yes", "y", "是", "同意"):
            return None
        return {
            name: given[name] or click.prompt(say(f"attribute.{name}", language), err=form == "json")
            for name in joining.ATTRIBUTES
        }

    member, path = joining.join(
        url,
        credentials.config_folder(),
        agree,
        new_nonce=lambda: secrets.token_hex(16),
        now_utc=now_utc,
        language=language,
        display_name=display_name,
    )
    title = str(member.project_json.get("title", ""))
    if form == "json":
        print_json(
            {
                "project": member.project,
                "title": title,
                "server": member.server,
                "role": member.role,
                "person_id": member.person_id,
                "speaker_id": member.project_json.get("speaker_id"),
                "consent_version": member.consent.version if member.consent else None,
                "credential": str(path),
            }
        )
        return
    role = say(f"role.{member.role}", language)
    click.echo(
        say("joined", language, project=member.project or member.server, title=title, role=role, path=path)
    )


# --- devices ---------------------------------------------------------------------------------------


@click.command(epilog="Example:  xiangyin devices --format json")
@language_option
@format_option
def devices(language: Language, form: str) -> None:
    """List microphones and loudspeakers."""
    from recorder.devices import devices as found

    rows = found()
    if not rows and form == "text":
        click.echo(say("devices.none", language))
    for row in rows:
        if form == "json":
            print_json(asdict(row))
            continue
        kinds = [say("devices.input", language)] * bool(row.inputs)
        kinds += [say("devices.output", language)] * bool(row.outputs)
        mark = (
            f"  [{say('devices.default', language)}]" if row.is_default_input or row.is_default_output else ""
        )
        click.echo(f"{row.number:3d}  {row.name}  ({', '.join(kinds)}; {row.default_rate_hz} Hz){mark}")


@click.command(epilog="Example:  xiangyin calibrate --device 'USB Audio' --reference-db 94")
@click.option("--device", metavar="NAME", help="Which microphone; see `xiangyin devices`.")
@click.option(
    "--reference-db",
    type=click.FloatRange(30.0, 130.0),
    default=94.0,
    show_default=True,
    help="Level of the reference at the microphone, in dB SPL or dB(A).",
)
@click.option(
    "--method",
    type=click.Choice(["calibrator", "sound-level-meter"]),
    default="calibrator",
    show_default=True,
    help="A calibrator's tone, or a steady noise read off a meter in dB(A).",
)
@click.option("--seconds", type=click.FloatRange(1.0, 60.0), default=5.0, show_default=True, help="How long.")
@click.option(
    "--source", type=click.Path(path_type=Path), metavar="FILE", help="A recording of the reference."
)
@data_option
@language_option
@format_option
def calibrate(
    device: str | None,
    reference_db: float,
    method: str,
    seconds: float,
    source: Path | None,
    data: Path,
    language: Language,
    form: str,
) -> None:
    """Store what sound level a device's full scale means."""
    import numpy as np

    from recorder import calibration
    from recorder.capture import DeviceSource, FileSource, Source
    from recorder.devices import find_device

    name = device or "default"
    microphone: Source
    if source is not None:
        microphone = FileSource(source)
    else:
        number = None if device is None else find_device(device, "input")
        microphone = DeviceSource(number, name=name)
    heard = []
    wanted = round(seconds * microphone.sample_rate_hz)
    for block in microphone.blocks():
        heard.append(block.samples)
        if block.start_sample + block.samples.size >= wanted:
            break
    found = calibration.calibrate(
        name,
        np.concatenate(heard),
        microphone.sample_rate_hz,
        reference_db,
        cast(calibration.Method, method),
        now_utc(),
    )
    path = calibration.save(data, found)
    if form == "json":
        print_json({**asdict(found), "path": str(path)})
    else:
        click.echo(say("calibrated", language, **asdict(found), path=path))


# --- sending ---------------------------------------------------------------------------------------


@click.command(epilog="Example:  xiangyin send --watch")
@click.option("--watch", is_flag=True, help="Go on, sending what is recorded meanwhile, until Ctrl-C.")
@data_option
@language_option
@format_option
@click.pass_context
def send(ctx: click.Context, watch: bool, data: Path, language: Language, form: str) -> None:
    """Upload what is spooled, resuming; a take is forgotten only after its receipt was verified."""
    worst = _send_once(data, language, form, say_none=not watch)
    while watch:
        try:
            time.sleep(WATCH_S)
            worst = max(worst, _send_once(data, language, form, say_none=False))
        except KeyboardInterrupt:
            break
    ctx.exit(worst)


def _send_once(data: Path, language: Language, form: str, *, say_none: bool) -> int:
    from recorder import agreeing, joining, keychain
    from recorder.api import Api, ServerUnreachable
    from recorder.outbox import send_all
    from recorder.upload import Uploader

    members = {one.name: one for one in credentials.memberships(credentials.config_folder())}
    if not members:
        raise credentials.NotJoined()

    def uploader_for(member: Membership) -> Uploader:
        return Uploader(Api(member.server, member.token, language), sleep=time.sleep)

    spool = open_spool(data)

    def keep(member: Membership) -> None:
        credentials.save(credentials.config_folder(), member)

    def watch(member: Membership) -> Membership:
        try:
            api = Api(member.server, member.token, language)
            known = keychain.watched(api, member, spool.folder.parent / "heads", spool.receipt_files(), keep)
        except ServerUnreachable:
            return member  # sending has the patience to try again
        try:
            fresh = joining.refreshed(known, language)
        except CodedError:
            return known  # sending tells of what is wrong
        if fresh != known:
            keep(fresh)
        terms = agreeing.pending(fresh)
        if terms is not None and form == "text":
            click.echo(say("terms.waiting", language, version=terms.get("version")))
        return fresh

    worst, count = 0, 0
    with _progress(len(spool.takes()), form) as bar:
        for sent in send_all(spool, members, uploader_for, watch=watch):
            count += 1
            bar.update(1)
            receipt = spool.receipts / f"{sent.clip_id}.receipt.json"
            if sent.error is not None:
                worst = 2
                problem = sent.error.sentence(language)
                click.echo(f"{sent.error.code}: {problem}", err=True)
                if form == "json":
                    print_json(
                        {"clip_id": sent.clip_id, "state": sent.state, "error": sent.error.as_json(language)}
                    )
                else:
                    click.echo(say("send.kept", language, clip_id=sent.clip_id, problem=sent.error.code))
                continue
            worst = max(worst, int(sent.state == "refused"))
            if form == "json":
                row = {
                    "clip_id": sent.clip_id,
                    "state": sent.state,
                    "reasons": [one.as_json(language) for one in sent.reasons],
                }
                print_json({**row, "receipt": str(receipt)})
                continue
            reasons = "; ".join(f"{one.code}: {one.message(language)}" for one in sent.reasons)
            click.echo(
                say(f"send.{sent.state}", language, clip_id=sent.clip_id, reasons=reasons, path=receipt)
            )
    if count == 0 and say_none and form == "text":
        click.echo(say("send.none", language))
    return worst


def _progress(length: int, form: str) -> Any:
    """A bar on a terminal; nothing where the output is read by a program."""
    return click.progressbar(range(length), file=sys.stderr, hidden=form == "json" or not sys.stderr.isatty())


@click.command(epilog="Example:  xiangyin status --format json")
@click.option("--offline", is_flag=True, help="Do not ask the servers whether their logs still hold.")
@data_option
@language_option
@format_option
@click.pass_context
def status(ctx: click.Context, offline: bool, data: Path, language: Language, form: str) -> None:
    """Show where each clip stands: spooled, accepted or refused with receipt, and why.

    Where there is a network, each server's log is held against the newest head that was seen of it here; one
    that was rolled back or rewritten gives exit status 1.
    """
    from recorder import outbox

    rows = outbox.status(open_spool(data), language)
    if not rows and form == "text":
        click.echo(say("status.none", language))
    for row in rows:
        if form == "json":
            print_json(row)
            continue
        more = []
        if "duration_s" in row:
            grade = say(f"grade.{row['grade']}", language)
            more.append(f"{row['duration_s']:.1f} s, {grade}, SNR {figure(row['snr_db'])} dB")
        more += [f"{reason['code']}: {reason['message']}" for reason in row.get("reasons", ())]
        if "error" in row:
            more.append(f"{row['error']['code']}: {row['error']['detail']}")
        click.echo("  ".join([row["clip_id"], say(f"state.{row['state']}", language), *more]))
    if not offline and _logs_broken(data, language, form):
        ctx.exit(1)


def _logs_broken(data: Path, language: Language, form: str) -> bool:
    """Tell of each server whose log contradicts what it signed; one that cannot be asked says nothing."""
    from recorder import keychain, loghead
    from recorder.api import Api

    spool, folder = open_spool(data), credentials.config_folder()
    heads, broken = spool.folder.parent / "heads", False
    for member in credentials.memberships(folder):
        api = Api(member.server, member.token, language)
        try:
            keychain.watched(
                api, member, heads, spool.receipt_files(), lambda changed: credentials.save(folder, changed)
            )
        except (loghead.LedgerRolledBack, loghead.LedgerRewritten, loghead.KeyUntrusted) as error:
            broken = True
            if form == "json":
                print_json({"server": member.server, "good": False, "error": error.as_json(language)})
            else:
                click.echo(f"{error.code}: {error.sentence(language)}")
        except CodedError:
            continue
    return broken
