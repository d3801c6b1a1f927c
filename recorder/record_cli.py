"""`xiangyin record`: a session on the microphone or on files."""

from __future__ import annotations

import os
import queue
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from protocol.clip import GRADES, STYLES, ClipMeta, Grade, Style
from protocol.errors import CodedError, Language
from recorder import agreeing, credentials
from recorder.credentials import Membership
from recorder.options import (
    data_option,
    format_option,
    language_option,
    now_utc,
    open_spool,
    print_json,
    project_option,
    terms_option,
)
from recorder.wording import say

if TYPE_CHECKING:
    from noise_profiles.profile import NoiseProfile
    from recorder.capture import Channel, Source
    from recorder.playback import RoomNoise
    from recorder.session import Key
    from recorder.spool import Spool
    from recorder.told import Prompt, Told

SOFTWARE = "xiangyin-recorder-1"
EXPECTED_SPEECH_DBFS = -26.0  # until a take has been measured; what normal speech reads on most laptops
Form = Literal["text", "json"]


@dataclass(frozen=True)
class Work:
    """What every recording of one command shares."""

    membership: Membership
    spool: Spool
    profile: NoiseProfile
    grade: Grade
    style: Style
    session_id: str
    form: Form
    language: Language

    def meta(self, **more: Any) -> ClipMeta:
        """A clip's description, with what is its own in `more`."""
        consent = self.membership.consent
        return ClipMeta(
            session_id=self.session_id,
            recording_id=more.pop("recording_id", f"rec-{uuid.uuid4().hex}"),
            style=self.style,
            grade=self.grade,
            consent_version=consent.version if consent else "",
            recorded_at=now_utc(),
            software=SOFTWARE,
            **more,
        )

    def say(self, key: str, **parameters: object) -> None:
        """A line for people; programs get rows alone."""
        if self.form == "text":
            click.echo(say(key, self.language, **parameters))


def _channel(_ctx: click.Context, _option: click.Parameter, value: str | None) -> Channel | None:
    if value is None or value == "mix":
        return None if value is None else "mix"
    if not value.isdecimal() or int(value) < 1:
        raise click.BadParameter("need a number from 1, or mix")
    return int(value) - 1


@click.command(epilog="Example:  xiangyin record --grade moderate --source talk.wav --no-screen")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@click.option("--grade", type=click.Choice(GRADES), default="quiet", show_default=True, help="Noise grade.")
@click.option("--style", type=click.Choice(STYLES), help="Default: read if there are prompts, or monologue.")
@click.option("--source", multiple=True, metavar="device|FILE...", help="The microphone (default) or files.")
@click.option("--device", metavar="NAME", help="Which microphone; see `xiangyin devices`.")
@click.option("--channel", metavar="N|mix", callback=_channel, help="Which channel, counted from 1.")
@click.option(
    "--rate", type=click.Choice(["48000", "16000"]), default="48000", help="Of the microphone, in Hz."
)
@click.option("--seconds", type=click.FloatRange(min=1.0), help="Stop the microphone after so long.")
@click.option("--prompt", "prompt_id", metavar="ID", help="The prompt that the files read aloud.")
@click.option(
    "--room-noise", metavar="KIND", help="Raise the room to the grade by playing pink, fan, traffic …"
)
@click.option("--output", metavar="NAME", help="Which loudspeaker plays the room noise.")
@terms_option
@click.option("--screen/--no-screen", default=True, help="The screen, or plain lines and free speech.")
@project_option
@data_option
@language_option
@format_option
@click.pass_context
def record(
    ctx: click.Context,
    files: tuple[Path, ...],
    grade: Grade,
    style: Style | None,
    source: tuple[str, ...],
    device: str | None,
    channel: Channel | None,
    rate: str,
    seconds: float | None,
    prompt_id: str | None,
    room_noise: str | None,
    output: str | None,
    terms: str | None,
    screen: bool,
    project: str | None,
    data: Path,
    language: Language,
    form: Form,
) -> None:
    """Record under a noise grade; each utterance is measured and judged at once, and kept in the spool.

    A file plays the microphone, block by block, through the same path. Nothing here needs a network.
    """
    paths = [Path(name) for name in source if name != "device"] + list(files)
    work = begin(project, data, grade, style, form, language, reading=screen and not paths, terms=terms)
    if paths:
        ctx.exit(max([_record_file(path, work, channel, prompt_id) for path in paths]))
    from recorder.calibration import offset_db
    from recorder.capture import DeviceSource
    from recorder.devices import device_class, find_device

    name = device or "default"
    first = channel if isinstance(channel, int) else 0
    number = None if device is None else find_device(device, "input")
    microphone = DeviceSource(number, name=name, sample_rate_hz=int(rate), channel=first)
    offset = offset_db(data, name)
    meta = work.meta(device_class=device_class(name), calibration_offset_db=offset)
    noise = _room_noise(room_noise, output, work, int(rate), offset)
    if screen:
        ctx.exit(_record_on_screen(microphone, work, meta, noise))
    ctx.exit(_record_device(microphone, work, meta, noise, seconds))


def begin(
    project: str | None,
    data: Path,
    grade: Grade,
    style: Style | None,
    form: Form,
    language: Language,
    *,
    reading: bool,
    terms: str | None = None,
) -> Work:
    """Find the membership, open the spool, bring back what a crash left, all of it without a network."""
    from noise_profiles.profile import NoiseProfile
    from recorder.judge import finish_recovered

    folder = credentials.config_folder()
    membership = credentials.choose(folder, role="speaker", project=project)
    if not _agree(membership, terms, form, language):
        raise agreeing.TermsNew(version=agreeing.version_of(membership.project_json))
    profiles = {
        one.name: NoiseProfile.from_json(one.project_json["profile"])
        for one in credentials.memberships(folder)
        if "profile" in one.project_json
    }
    spool = open_spool(data)
    own = profiles[membership.name]
    recovery = spool.recover(
        lambda take: _nothing(finish_recovered(spool, take, profiles.get(take.membership, own)))
    )
    prompts = membership.project_json.get("prompts") or []
    work = Work(
        membership=membership,
        spool=spool,
        profile=own,
        grade=grade,
        style=style or ("read" if reading and prompts else "monologue"),
        session_id=f"ses-{uuid.uuid4().hex}",
        form=form,
        language=language,
    )
    if recovery.takes:
        work.say("session.recovered", takes=recovery.takes)
    for damage in recovery.damaged:
        click.echo(f"{damage.code}: {damage.sentence(language)}", err=True)
    return work


def _agree(membership: Membership, given: str | None, form: Form, language: Language) -> bool:
    """Show terms that changed; whether there are none, or they were agreed to, by option or by a yes."""
    terms = agreeing.pending(membership)
    if terms is None:
        return True
    yes = given is not None and given == terms.get("version")
    if form == "text" and not yes:
        for line in agreeing.lines(terms, language):
            click.echo(line)
        yes = sys.stdin.isatty() and click.confirm(say("terms.ask", language))
    if yes:
        credentials.save(credentials.config_folder(), agreeing.agreed(membership))
    return yes


def _nothing(_value: object) -> None:
    """A value that is not needed."""


# --- files -----------------------------------------------------------------------------------------


def _record_file(path: Path, work: Work, channel: Channel | None, prompt_id: str | None) -> int:
    """Record one file; the exit status that it asks for."""
    from recorder.capture import FileSource
    from recorder.studio import Studio

    try:
        source = FileSource(path, channel=channel)
        _announce(work, source)
        number = channel if isinstance(channel, int) else 0
        meta = work.meta(device_class="file", channel=number, prompt_id=prompt_id)
        studio = Studio(
            source,
            work.spool,
            meta,
            work.profile,
            work.membership.name,
            mode="hands_free",
            tell=_printer(work, str(path)),
        )
        return _summary(work, path.name, str(path), studio.run())
    except CodedError as error:
        return failed(error, str(path), work.form, work.language)


def _announce(work: Work, source: Source) -> None:
    band = work.profile.grades.get(work.grade)
    work.say(
        "session.start",
        source=source.name,
        rate_hz=source.sample_rate_hz,
        grade=say(f"grade.{work.grade}", work.language),
        low_db=band.snr_low_db if band else None,
        high_db=band.snr_high_db if band else None,
    )


def _printer(work: Work, source: str) -> Callable[[Told], None]:
    from recorder.report import as_lines, as_row
    from recorder.told import Judged

    def tell(told: Told) -> None:
        if work.form == "text":
            for line in as_lines(told, work.language):
                click.echo(line)
        elif isinstance(told, Judged) and told.take is not None:
            print_json(as_row(told, source, work.language))

    return tell


def _summary(work: Work, name: str, source: str, kept: list[Any]) -> int:
    accepted = sum(take.verdict["decision"] == "accept" for take in kept)
    if not kept:
        work.say("session.no_speech", source=name)
        if work.form == "json":
            print_json({"file": source, "takes": 0})
        return 1
    figures = {"kept": len(kept), "accepted": accepted, "refused": len(kept) - accepted}
    work.say("session.end", source=name, **figures)
    return 0 if accepted == len(kept) else 1


def failed(error: CodedError, source: str, form: Form, language: Language) -> int:
    """Tell of one file that could not be used; the others go on."""
    if form == "json":
        detail = {"code": error.code, "detail": error.sentence(language)}
        print_json({"file": source, "error": detail})
    click.echo(f"{error.code}: {error.sentence(language)}", err=True)
    return 2


# --- the microphone --------------------------------------------------------------------------------


def _room_noise(
    kind: str | None, output: str | None, work: Work, rate_hz: int, offset: float | None
) -> RoomNoise | None:
    """The loudspeaker's noise, aimed at the middle of the grade's band under speech of usual level."""
    if kind is None:
        return None
    from noise_profiles.signals import NOISES
    from recorder.devices import find_device
    from recorder.playback import Player, RoomNoise

    if kind not in NOISES:
        raise click.BadParameter(f"need one of {', '.join(NOISES)}", param_hint="--room-noise")
    number = None if output is None else find_device(output, "output")
    band = work.profile.grades[work.grade]
    target_dbfs = EXPECTED_SPEECH_DBFS - (band.snr_low_db + min(band.snr_high_db, 35.0)) / 2
    return RoomNoise(
        kind,
        rate_hz,
        target_dbfs,
        lambda noise, rate: Player(noise, rate, number),
        seed=uuid.uuid4().int % 2**31,
        calibration_offset_db=offset,
    )


def _record_device(
    source: Source, work: Work, meta: ClipMeta, noise: RoomNoise | None, seconds: float | None
) -> int:
    """Free speech without a screen, until Ctrl-C or for so many seconds."""
    from recorder import room_spectrum
    from recorder.session import Key
    from recorder.studio import Studio
    from recorder.told import Levels

    room_spectrum.warm()
    keys: queue.SimpleQueue[Key] = queue.SimpleQueue()
    tell_line = _printer(work, source.name)

    def tell(told: Told) -> None:
        if isinstance(told, Levels) and seconds is not None and told.position_s >= seconds:
            keys.put(Key.QUIT)
        tell_line(told)

    _announce(work, source)
    studio = Studio(
        source,
        work.spool,
        meta,
        work.profile,
        work.membership.name,
        mode="hands_free",
        tell=tell,
        keys=lambda: _next_key(keys),
        room_noise=noise,
    )
    with _interrupt_means(lambda: keys.put(Key.QUIT)):
        return _summary(work, source.name, source.name, studio.run())


def _record_on_screen(source: Source, work: Work, meta: ClipMeta, noise: RoomNoise | None) -> int:
    from recorder import room_spectrum
    from recorder.screen import RecorderScreen, first_state
    from recorder.studio import Studio
    from recorder.told import Prompt

    room_spectrum.warm()
    rows = work.membership.project_json.get("prompts") or []
    prompts: list[Prompt] = (
        [Prompt(str(row["id"]), str(row["text"])) for row in rows] if work.style == "read" else []
    )
    keys: queue.SimpleQueue[Key] = queue.SimpleQueue()

    def make(tell: Callable[[Told], None]) -> Studio:
        return Studio(
            source,
            work.spool,
            meta,
            work.profile,
            work.membership.name,
            mode="prompted",
            tell=tell,
            keys=lambda: _next_key(keys),
            prompts=prompts,
            room_noise=noise,
        )

    title = str(work.membership.project_json.get("title", work.membership.project))
    state = first_state(title, work.grade, work.profile, EXPECTED_SPEECH_DBFS, prompts, work.language)
    app = RecorderScreen(state, make, keys.put)
    with _screen_to_ourselves(work.spool.folder.parent / "sound-system.log"):
        app.run()
    if app.error is not None:
        raise app.error
    return _summary(work, source.name, source.name, app.kept)


@contextmanager
def _screen_to_ourselves(log: Path) -> Iterator[None]:
    """Sound libraries write to the terminal behind everybody's back: let them write to a file.

    Textual draws on ``sys.__stderr__``, so that is given the terminal, and file descriptor 2 the log.
    """
    drawn = sys.__stderr__
    if drawn is None or not drawn.isatty():
        yield
        return
    with os.fdopen(os.dup(2), "w", encoding="utf-8") as terminal, log.open("ab") as file:
        os.dup2(file.fileno(), 2)
        sys.__stderr__ = terminal  # type: ignore[misc]
        try:
            yield
        finally:
            os.dup2(terminal.fileno(), 2)
            sys.__stderr__ = drawn  # type: ignore[misc]


def _next_key(keys: queue.SimpleQueue[Key]) -> Key | None:
    try:
        return keys.get_nowait()
    except queue.Empty:
        return None


@contextmanager
def _interrupt_means(action: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the session as a key does, so that the open take is finished."""
    before = {
        number: signal.signal(number, lambda *_: action()) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
