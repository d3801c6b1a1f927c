"""The terminal screen: state in, widgets out.

Threads. Textual runs on the main thread and never waits for sound. The recording thread runs the studio
and hands over what happens through `App.call_from_thread`; keys go the other way through a queue.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Static

from noise_profiles.profile import NoiseProfile
from protocol.clip import Grade
from protocol.errors import CodedError, Language
from recorder.report import finding_lines, verdict_line
from recorder.session import Key, Phase
from recorder.session import State as SessionState
from recorder.spool import Take
from recorder.studio import Studio
from recorder.told import Judged, Levels, Notice, Prompt, Told
from recorder.wording import say

LOWEST_DBFS = -80.0
LOUD_DBFS = -3.0  # a peak above it is about to clip
MOST_NOISE_DB = 40.0  # what a band without an upper SNR limit is drawn to


@dataclass(frozen=True)
class ScreenState:
    """All that the screen shows.

    Attributes
    ----------
    band_dbfs : (float, float)
        Between which levels the room's noise fits the grade, for speech of the usual level.
    """

    title: str
    grade: Grade
    band_dbfs: tuple[float, float]
    prompts: tuple[Prompt, ...]
    language: Language
    session: SessionState = field(default_factory=SessionState)
    level_dbfs: float = LOWEST_DBFS
    peak_dbfs: float = LOWEST_DBFS
    noise_dbfs: float | None = None
    speaking: bool = False
    lost_ms: int = 0
    notice: str = ""
    room_noise: str = ""
    verdict: tuple[str, ...] = ()
    sample_rate_hz: int = 48_000


def first_state(
    title: str,
    grade: Grade,
    profile: NoiseProfile,
    speech_dbfs: float,
    prompts: Sequence[Prompt],
    language: Language,
    sample_rate_hz: int = 48_000,
) -> ScreenState:
    """The screen before anything was heard."""
    return ScreenState(
        title=title,
        grade=grade,
        band_dbfs=noise_band_dbfs(grade, profile, speech_dbfs),
        prompts=tuple(prompts),
        language=language,
        sample_rate_hz=sample_rate_hz,
    )


def noise_band_dbfs(grade: Grade, profile: NoiseProfile, speech_dbfs: float) -> tuple[float, float]:
    """Levels of noise that give the grade's SNR under speech of this level."""
    band = profile.grades[grade]
    return max(LOWEST_DBFS, speech_dbfs - band.snr_high_db), speech_dbfs - band.snr_low_db


def after(state: ScreenState, told: Told) -> ScreenState:
    """The state after something happened."""
    match told:
        case Levels():
            return replace(
                state,
                session=told.state,
                level_dbfs=told.level_dbfs,
                peak_dbfs=told.peak_dbfs,
                noise_dbfs=told.noise_dbfs,
                speaking=told.speaking,
                lost_ms=round(1000 * told.lost_samples / state.sample_rate_hz),
            )
        case Judged(judgement, take, _) if take is None:
            lines = (
                verdict_line(judgement, state.language),
                *finding_lines(judgement, state.language),
            )
            return replace(state, verdict=lines)
        case Judged():
            return replace(state, verdict=())
        case Notice(key, parameters) if key.startswith("playback."):
            return replace(state, room_noise=say(key, state.language, **parameters))
        case Notice(key, parameters):
            return replace(state, notice=say(key, state.language, **parameters))


def render(state: ScreenState, width: int) -> str:
    """The whole screen as text, no line wider than `width` columns."""
    language, phase = state.language, state.session.phase
    low, high = state.band_dbfs
    grade = say(f"grade.{state.grade}", language)
    lines = [
        _spread(state.title, grade, width),
        "─" * width,
        say(f"phase.{phase.value}", language),
        "",
        *_prompt_lines(state, width),
        "",
        meter(state.level_dbfs, state.band_dbfs, width, say("screen.level", language)),
        _noise_line(state, width),
        say("screen.band", language, grade=grade, low_db=low, high_db=high),
        _hint(state),
        state.room_noise,
        "",
        *(state.verdict if phase is Phase.VERDICT else (state.notice,)),
        "",
        say(
            "screen.kept",
            language,
            kept=state.session.kept,
            redone=state.session.redone,
            lost_ms=state.lost_ms,
        ),
        _keys_line(phase, language),
    ]
    return "\n".join(piece for line in lines for piece in wrapped(line, width))


def meter(level_dbfs: float, band_dbfs: tuple[float, float], width: int, label: str) -> str:
    """A bar of the level over -80 to 0 dBFS, in which the band is marked."""
    figure = f"{level_dbfs:6.1f} dBFS"
    columns = max(10, width - cells(label) - len(figure) - 2)
    filled = _column(level_dbfs, columns)
    first, last = _column(band_dbfs[0], columns), _column(band_dbfs[1], columns)
    bar = "".join("█" if at < filled else ("▒" if first <= at <= last else "·") for at in range(columns))
    return f"{label} {bar} {figure}"


def _column(level_dbfs: float, columns: int) -> int:
    share = (level_dbfs - LOWEST_DBFS) / -LOWEST_DBFS
    return round(min(1.0, max(0.0, share)) * columns)


def _noise_line(state: ScreenState, width: int) -> str:
    label = say("screen.noise", state.language)
    if state.noise_dbfs is None:
        return f"{label} –"
    return meter(state.noise_dbfs, state.band_dbfs, width, label)


def _hint(state: ScreenState) -> str:
    """One thing that the speaker can do something about, the most urgent first."""
    low, high = state.band_dbfs
    if state.peak_dbfs > LOUD_DBFS and state.session.phase is Phase.TAKE:
        return "▲ " + say("screen.too_loud", state.language)
    if state.speaking:
        return "● " + say("screen.speaking", state.language)
    if state.noise_dbfs is None:
        return ""
    if state.noise_dbfs > high:
        return "▲ " + say("screen.noise_high", state.language)
    if state.noise_dbfs < low:
        return "▼ " + say("screen.noise_low", state.language)
    return "✓ " + say("screen.noise_good", state.language)


def _prompt_lines(state: ScreenState, width: int) -> list[str]:
    number = state.session.prompt
    if not state.prompts:
        heading = say("screen.take", state.language, number=number + 1)
        return [heading, "", "  " + say("screen.free", state.language)]
    shown = min(number, len(state.prompts) - 1)
    heading = say("screen.prompt", state.language, number=shown + 1, count=len(state.prompts))
    return [heading, "", *("  " + line for line in wrapped(state.prompts[shown].text, width - 2))]


def _keys_line(phase: Phase, language: Language) -> str:
    known = {Phase.PROMPT: "prompt", Phase.TAKE: "take", Phase.LEAD_IN: "take", Phase.VERDICT: "verdict"}
    return say(f"keys.{known.get(phase, 'other')}", language)


def cells(text: str) -> int:
    """How many columns of a terminal a text takes: two for each wide character, none for a mark on it."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns; broken at a space where there is one, else between characters."""
    lines, line = [], ""
    for c in text:
        if cells(line + c) > width:
            if c == " ":
                lines.append(line)
                line = ""
                continue
            head, space, tail = line.rpartition(" ")
            broken = bool(space) and bool(head.strip())
            lines.append(head if broken else line)
            line = tail if broken else ""
        line += c
    return [*lines, line]


def _spread(left: str, right: str, width: int) -> str:
    return left + " " * max(1, width - cells(left) - cells(right)) + right


class RecorderScreen(App[None]):
    """The screen of one session.

    Parameters
    ----------
    make : callable
        Makes the studio for a function that is to be told what happens.
    press : callable
        Takes the speaker's keys, from the main thread.
    """

    CSS = "Screen { padding: 1 2; } #all { height: auto; }"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "space", priority=True),
        Binding("k", "press('keep')"),
        Binding("r", "press('redo')"),
        Binding("n", "press('skip')"),
        Binding("m", "press('room')"),
        Binding("p", "press('noise')"),
        Binding("q,ctrl+c", "press('quit')", priority=True),
    ]

    def __init__(
        self,
        state: ScreenState,
        make: Callable[[Callable[[Told], None]], Studio],
        press: Callable[[Key], None],
    ) -> None:
        super().__init__()
        self.state = state
        self.kept: list[Take] = []
        self.error: CodedError | None = None
        self._make = make
        self._press = press
        self._shown = Static(id="all", markup=False)

    def compose(self) -> ComposeResult:
        """One widget: the text that `render` gives."""
        yield self._shown

    def on_mount(self) -> None:
        """Begin to record."""
        self._show()
        self.run_worker(self._record, thread=True, exit_on_error=True)

    def on_resize(self) -> None:
        """Draw for the new width."""
        self._show()

    def action_space(self) -> None:
        """Start, or stop, whichever means something now."""
        ready = self.state.session.phase is Phase.PROMPT
        self._press(Key.START if ready else Key.STOP)

    def action_press(self, name: str) -> None:
        """Hand a key to the session."""
        self._press(Key(name))

    def hear(self, told: Told) -> None:
        """Take what the studio tells, on the main thread."""
        self.state = after(self.state, told)
        self._show()

    def _record(self) -> None:
        """The recording thread."""
        studio = self._make(lambda told: self.call_from_thread(self.hear, told))
        try:
            studio.run()
        except CodedError as error:
            self.error = error
        self.kept = studio.kept
        self.call_from_thread(self.exit)

    def _show(self) -> None:
        self._shown.update(render(self.state, max(30, self.size.width - 4)))
