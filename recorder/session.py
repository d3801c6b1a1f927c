"""A recording session as a pure state machine: consent, room check, prompt, take, verdict.

Events come in, a new state and actions go out; nothing here opens a file, a device or a clock, so every
walk through a session can be written down as a table. `recorder.studio` carries the actions out.

Two ways of recording share it. *Prompted*: the speaker starts and stops each take and keeps or redoes
it. *Hands-free*: one recording runs on and is cut into utterances at pauses, each of which is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum
from typing import Literal, TypeAlias

Mode = Literal["prompted", "hands_free"]


class Phase(Enum):
    """Where the session stands."""

    CONSENT = "consent"
    ROOM = "room"  # two seconds without speech
    PROMPT = "prompt"  # waiting for the speaker to start
    LEAD_IN = "lead_in"  # half a second before the speaker may speak
    TAKE = "take"
    VERDICT = "verdict"  # keep or redo
    DONE = "done"


@dataclass(frozen=True)
class Rules:
    """What the session asks for.

    Attributes
    ----------
    room_samples, lead_in_samples, longest_samples : int
        Lengths of the room tone, of the pause before a take, and of the longest take.
    delay_samples : int
        How late the detector may notice speech: the room is heard for so much longer.
    room_tries : int
        How often the room is listened to again when somebody speaks; a file plays only once.
    prompts : int or None
        How many there are; None for free speech.
    """

    mode: Mode
    room_samples: int
    lead_in_samples: int
    longest_samples: int
    delay_samples: int = 0
    room_tries: int = 3
    prompts: int | None = None


@dataclass(frozen=True)
class State:
    """All that the session remembers."""

    phase: Phase = Phase.CONSENT
    heard_samples: int = 0  # in this phase
    room_try: int = 0
    room_known: bool = False
    prompt: int = 0
    kept: int = 0
    redone: int = 0
    accepted: bool = False  # the verdict on the take that waits for keep or redo


# --- events ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Consented:
    """The speaker said yes or no to the project's consent text."""

    yes: bool


@dataclass(frozen=True)
class Heard:
    """So many samples went by, and whether somebody spoke in them."""

    samples: int
    speaking: bool


class Key(Enum):
    """What the speaker asks for."""

    START = "start"
    STOP = "stop"
    KEEP = "keep"
    REDO = "redo"
    SKIP = "skip"
    ROOM = "room"  # the room has changed: listen again
    NOISE = "noise"  # noise from the loudspeaker on or off; the studio's affair
    QUIT = "quit"


@dataclass(frozen=True)
class Judged:
    """The take was measured."""

    accepted: bool


@dataclass(frozen=True)
class UtteranceEnded:
    """The cutter found the end of an utterance; `has_speech` is False for a stretch without any."""

    has_speech: bool


@dataclass(frozen=True)
class SourceEnded:
    """The file is at its end, or the device stopped."""


Event: TypeAlias = Consented | Heard | Key | Judged | UtteranceEnded | SourceEnded

# --- actions ---------------------------------------------------------------------------------------


class Do(Enum):
    """What the studio carries out, in order."""

    ASK_CONSENT = "ask_consent"
    LISTEN_TO_ROOM = "listen_to_room"
    MEASURE_ROOM = "measure_room"
    TELL_ROOM_NOT_QUIET = "tell_room_not_quiet"
    GO_WITHOUT_ROOM_TONE = "go_without_room_tone"
    SHOW_PROMPT = "show_prompt"
    OPEN_TAKE = "open_take"
    SAY_SPEAK = "say_speak"
    TELL_SPOKE_TOO_SOON = "tell_spoke_too_soon"
    MEASURE_TAKE = "measure_take"
    COMMIT_TAKE = "commit_take"
    DISCARD_TAKE = "discard_take"
    CUT_AND_COMMIT = "cut_and_commit"
    DROP_IDLE = "drop_idle"
    FINISH = "finish"


def begin() -> tuple[State, tuple[Do, ...]]:
    """The session's start."""
    return State(), (Do.ASK_CONSENT,)


def step(state: State, event: Event, rules: Rules) -> tuple[State, tuple[Do, ...]]:
    """What `event` makes of `state`. An event that means nothing there changes nothing."""
    match state.phase, event:
        case Phase.DONE, _:
            return state, ()
        case Phase.CONSENT, Consented(yes=True):
            first = (Do.OPEN_TAKE,) if rules.mode == "hands_free" else ()
            return replace(state, phase=Phase.ROOM, heard_samples=0), (*first, Do.LISTEN_TO_ROOM)
        case Phase.CONSENT, Consented(yes=False) | Key.QUIT | SourceEnded():
            return replace(state, phase=Phase.DONE), (Do.FINISH,)
        case Phase.ROOM, Heard():
            return _listen(state, event, rules)
        case _, UtteranceEnded(has_speech) if rules.mode == "hands_free":
            done = Do.CUT_AND_COMMIT if has_speech else Do.DROP_IDLE
            return replace(state, kept=state.kept + has_speech), (done,)
        case _, Key.QUIT | SourceEnded():
            return _end(state, rules)
        case Phase.PROMPT, Key.START:
            return replace(state, phase=Phase.LEAD_IN, heard_samples=0), (Do.OPEN_TAKE,)
        case Phase.PROMPT, Key.SKIP:
            return _next_prompt(state, rules)
        case Phase.PROMPT, Key.ROOM:
            again = replace(state, phase=Phase.ROOM, heard_samples=0, room_try=0)
            return again, (Do.LISTEN_TO_ROOM,)
        case Phase.LEAD_IN, Heard():
            return _lead_in(state, event, rules)
        case Phase.LEAD_IN, Key.STOP | Key.REDO:
            return replace(state, phase=Phase.PROMPT), (Do.DISCARD_TAKE, Do.SHOW_PROMPT)
        case Phase.TAKE, Heard(samples) if rules.mode == "prompted":
            longer = replace(state, heard_samples=state.heard_samples + samples)
            if longer.heard_samples >= rules.longest_samples:
                return replace(longer, phase=Phase.VERDICT), (Do.MEASURE_TAKE,)
            return longer, ()
        case Phase.TAKE, Key.STOP if rules.mode == "prompted":
            return replace(state, phase=Phase.VERDICT), (Do.MEASURE_TAKE,)
        case Phase.TAKE, Key.REDO if rules.mode == "prompted":
            again = replace(state, phase=Phase.PROMPT, redone=state.redone + 1)
            return again, (Do.DISCARD_TAKE, Do.SHOW_PROMPT)
        case Phase.VERDICT, Judged(accepted):
            return replace(state, accepted=accepted), ()
        case Phase.VERDICT, Key.KEEP:
            kept, actions = _next_prompt(replace(state, kept=state.kept + 1), rules)
            return kept, (Do.COMMIT_TAKE, *actions)
        case Phase.VERDICT, Key.REDO:
            again = replace(state, phase=Phase.PROMPT, redone=state.redone + 1)
            return again, (Do.DISCARD_TAKE, Do.SHOW_PROMPT)
        case _:
            return state, ()


def _listen(state: State, heard: Heard, rules: Rules) -> tuple[State, tuple[Do, ...]]:
    """Two seconds without speech make a room tone; speech means once more, or to go without."""
    long_enough = state.heard_samples >= rules.room_samples
    if heard.speaking and not long_enough:
        tried = replace(state, heard_samples=0, room_try=state.room_try + 1)
        if tried.room_try < rules.room_tries:
            return tried, (Do.TELL_ROOM_NOT_QUIET, Do.LISTEN_TO_ROOM)
        ready, actions = _after_room(replace(tried, room_known=False), rules)
        return ready, (Do.GO_WITHOUT_ROOM_TONE, *actions)
    longer = replace(state, heard_samples=state.heard_samples + heard.samples)
    if not heard.speaking and longer.heard_samples < rules.room_samples + rules.delay_samples:
        return longer, ()
    ready, actions = _after_room(replace(longer, room_known=True), rules)
    return ready, (Do.MEASURE_ROOM, *actions)


def _after_room(state: State, rules: Rules) -> tuple[State, tuple[Do, ...]]:
    if rules.mode == "hands_free":
        return replace(state, phase=Phase.TAKE, heard_samples=0), (Do.SAY_SPEAK,)
    return replace(state, phase=Phase.PROMPT, heard_samples=0), (Do.SHOW_PROMPT,)


def _lead_in(state: State, heard: Heard, rules: Rules) -> tuple[State, tuple[Do, ...]]:
    if heard.speaking:
        return replace(state, phase=Phase.TAKE), (Do.TELL_SPOKE_TOO_SOON,)
    total = state.heard_samples + heard.samples
    longer = replace(state, heard_samples=total)
    if total < rules.lead_in_samples:
        return longer, ()
    return replace(longer, phase=Phase.TAKE), (Do.SAY_SPEAK,)


def _next_prompt(state: State, rules: Rules) -> tuple[State, tuple[Do, ...]]:
    after = replace(state, phase=Phase.PROMPT, prompt=state.prompt + 1, accepted=False)
    if rules.prompts is not None and after.prompt >= rules.prompts:
        return replace(after, phase=Phase.DONE), (Do.FINISH,)
    return after, (Do.SHOW_PROMPT,)


def _end(state: State, rules: Rules) -> tuple[State, tuple[Do, ...]]:
    """Leave nothing half done: what the speaker has recorded and not thrown away is kept."""
    done = replace(state, phase=Phase.DONE)
    if rules.mode == "hands_free":
        return done, (Do.FINISH,)  # the cutter's last pieces came before, as `UtteranceEnded`
    if state.phase is Phase.TAKE:
        return replace(done, kept=state.kept + 1), (Do.MEASURE_TAKE, Do.COMMIT_TAKE, Do.FINISH)
    if state.phase is Phase.VERDICT:
        return replace(done, kept=state.kept + 1), (Do.COMMIT_TAKE, Do.FINISH)
    if state.phase is Phase.LEAD_IN:
        return done, (Do.DISCARD_TAKE, Do.FINISH)
    return done, (Do.FINISH,)
