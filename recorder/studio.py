"""Carries a session out: takes blocks from a source, keeps them in the spool, tells what happens.

One thread, the *recording thread*, runs `Studio.run`: it alone touches the spool, the detector and the
session's state, and it may block on the disk. Keys come in through a function that never waits; what
happens goes out through another, which the caller makes safe for its screen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from noise_profiles import measure
from noise_profiles.levels import LevelMeter
from noise_profiles.profile import NoiseProfile
from noise_profiles.vad import SpeechDetector
from protocol.clip import ClipMeta, RoomTone
from recorder import session
from recorder.capture import Block, Source
from recorder.cutter import DETECTOR_DELAY_S, CutRules, Cutter, Piece
from recorder.judge import Judgement, commit, judge, lead_in_s
from recorder.playback import RoomNoise
from recorder.room_spectrum import RoomSpectrum
from recorder.session import Do, Key, Phase
from recorder.spool import Gap, OpenTake, Spool, Take
from recorder.told import Judged, Levels, Notice, Prompt, Told

ROOM_TONE_S = 2.0
LEAD_IN_S = 0.5
LONGEST_TAKE_S = 60.0
_LEVELS_EVERY_S = 0.1
_ONSET_S = DETECTOR_DELAY_S + 0.05  # how far back speech may reach when the detector opens


class Studio:
    """One session on one source.

    Parameters
    ----------
    meta : ClipMeta
        What is the same for every clip; position, lead-in, prompt and room tone are filled in here.
    profile : NoiseProfile
        What clips are held to.
    tell : callable
        Gets everything that happens, on the recording thread.
    keys : callable
        Gives the next key that waits, or None.
    """

    def __init__(
        self,
        source: Source,
        spool: Spool,
        meta: ClipMeta,
        profile: NoiseProfile,
        membership: str,
        *,
        mode: session.Mode,
        tell: Callable[[Told], None],
        keys: Callable[[], Key | None] = lambda: None,
        prompts: Sequence[Prompt] = (),
        cut_rules: CutRules | None = None,
        room_noise: RoomNoise | None = None,
    ) -> None:
        rate_hz = source.sample_rate_hz
        self._source = source
        self._spool = spool
        self._meta = meta
        self._profile = profile
        self._membership = membership
        self._tell = tell
        self._keys = keys
        self._prompts = prompts
        self._rate_hz = rate_hz
        self._rules = session.Rules(
            mode=mode,
            room_samples=round(ROOM_TONE_S * rate_hz),
            delay_samples=round(DETECTOR_DELAY_S * rate_hz),
            lead_in_samples=round(LEAD_IN_S * rate_hz),
            longest_samples=round(LONGEST_TAKE_S * rate_hz),
            room_tries=3 if source.live else 1,
            prompts=len(prompts) or None,
        )
        self._detector = SpeechDetector(rate_hz)
        self._meter = LevelMeter(rate_hz)
        self._cutter = Cutter(rate_hz, cut_rules) if mode == "hands_free" else None
        self._room_noise = room_noise
        self._begun = False
        self._state, _ = session.begin()
        self._position = 0
        self._ended = False
        self._lost_samples = 0
        self._room: list[Block] = []
        self._room_found: RoomSpectrum | None = None
        self._noise_dbfs: float | None = None
        self._take: OpenTake | None = None
        self._piece: Piece | None = None
        self._judgement: Judgement | None = None
        self.kept: list[Take] = []

    def run(self) -> list[Take]:
        """Record until the speaker quits or the source ends; return the takes that were kept.

        The speaker has consented: that is asked when a project is joined, and its version is in `meta`.

        Raises
        ------
        CodedError
            If the source fails. What was recorded until then is in the spool, and finished.
        """
        if self._room_noise is not None:
            self._room_noise.start()
            self._tell(Notice(*self._room_noise.notice()))
        else:
            self._begin()
        try:
            for block in self._source.blocks():
                self._hear(block)
                if self._take_keys() or self._state.phase is Phase.DONE:
                    break
        finally:
            self._end()
        return self.kept

    def _take_keys(self) -> bool:
        """Handle the keys that wait; whether one of them ends the session."""
        while (key := self._keys()) is not None:
            if key is Key.QUIT:
                return True  # `_end` keeps what is open, as at the end of a file
            if key is Key.NOISE:
                self._toggle_noise()
            else:
                self._event(key)
        return False

    def _begin(self) -> None:
        """The recording begins here: what was heard before set the room's noise and is not part of it."""
        self._begun = True
        self._position = 0
        self._listen_anew()
        self._event(session.Consented(yes=True))

    # --- noise in the room -----------------------------------------------------------------------

    def _toggle_noise(self) -> None:
        if self._room_noise is None:
            return
        if self._room_noise.playing:
            self._room_noise.stop()
            self._listen_anew()
            self._event(Key.ROOM)  # it sounds different now
        else:
            self._room_noise.start()
        self._tell(Notice(*self._room_noise.notice()))

    def _listen_anew(self) -> None:
        """Another noise floor: a detector that knows the old one would take the difference for speech."""
        if self._cutter is None or self._position == 0:
            self._detector = SpeechDetector(self._rate_hz)

    def _follow_noise(self, levels_db: NDArray[np.float64], speaking: bool) -> None:
        """Let the loudspeaker's level follow; once it stands, the room is measured with it."""
        if self._room_noise is None or not self._room_noise.hear(levels_db, speaking):
            return
        self._tell(Notice(*self._room_noise.notice()))
        if not self._room_noise.settling:
            if self._begun:
                self._listen_anew()
                self._event(Key.ROOM)
            else:
                self._begin()

    # --- sound in --------------------------------------------------------------------------------

    def _hear(self, block: Block) -> None:
        self._position += block.samples.size
        speaking = self._detector.feed(block.samples)
        levels_db = self._meter.feed(block.samples)
        self._follow_noise(levels_db, speaking)
        recording = self._take is not None and self._state.phase is not Phase.VERDICT
        if block.gap is not None:
            self._note_gap(block, self._take if recording else None)
        if self._take is not None and recording:
            self._take.append(block.samples)
        if self._state.phase is Phase.ROOM:
            self._room.append(block)
        self._event(session.Heard(block.samples.size, speaking))
        if self._cutter is not None:
            segments = self._detector.segments
            self._take_pieces(self._cutter.feed(self._position, segments, speaking, levels_db.tolist()))
        every = round(_LEVELS_EVERY_S * self._rate_hz)
        if self._position // every != (self._position - block.samples.size) // every:
            self._tell_levels(speaking)

    def _tell_levels(self, speaking: bool) -> None:
        self._tell(
            Levels(
                state=self._state,
                level_dbfs=self._meter.short_dbfs,
                peak_dbfs=self._meter.peak_dbfs,
                noise_dbfs=self._noise_dbfs,
                speaking=speaking,
                position_s=self._position / self._rate_hz,
                lost_samples=self._lost_samples,
            )
        )

    def _note_gap(self, block: Block, take: OpenTake | None) -> None:
        self._lost_samples += block.lost_samples
        kind = block.gap or ""
        if take is not None:
            take.note_gap(Gap(take.samples, block.lost_samples, kind))
        lost_ms = round(1000 * block.lost_samples / self._rate_hz) if block.lost_samples else None
        self._tell(
            Notice(
                "take.lost",
                {"position_s": block.start_sample / self._rate_hz, "lost_ms": lost_ms, "kind": kind},
            )
        )

    def _take_pieces(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            self._piece = piece
            self._event(session.UtteranceEnded(bool(piece.segments)))

    def _end(self) -> None:
        """The source is at its end: finish what is open, also when an error is on its way out."""
        self._ended = True
        if self._room_noise is not None:
            self._room_noise.stop()
        if self._cutter is not None and self._take is not None:
            self._take_pieces(self._cutter.finish(self._position, self._detector.finish()))
        self._event(session.SourceEnded())
        if self._take is not None:
            self._take.close()

    # --- actions out -----------------------------------------------------------------------------

    def _event(self, event: session.Event) -> None:
        self._state, actions = session.step(self._state, event, self._rules)
        for action in actions:
            self._do(action)

    def _do(self, action: Do) -> None:
        match action:
            case Do.LISTEN_TO_ROOM:
                self._room = []
                if self._source.live:
                    self._tell(Notice("room.listen"))
            case Do.MEASURE_ROOM:
                self._measure_room()
            case Do.TELL_ROOM_NOT_QUIET:
                self._tell(Notice("room.not_quiet"))
            case Do.GO_WITHOUT_ROOM_TONE:
                self._room_found, self._room = None, []
                self._tell(Notice("room.none"))
            case Do.OPEN_TAKE:
                self._take = self._spool.open_take(self._meta_here(), self._rate_hz, self._membership)
                self._meter.restart()
            case Do.SAY_SPEAK if self._source.live:
                self._tell(Notice("take.speak"))
            case Do.TELL_SPOKE_TOO_SOON:
                self._tell(Notice("take.too_soon"))
            case Do.MEASURE_TAKE:
                self._measure_take()
            case Do.COMMIT_TAKE:
                self._commit_take()
            case Do.DISCARD_TAKE:
                self._discard_take()
            case Do.CUT_AND_COMMIT:
                self._cut(keep=True)
            case Do.DROP_IDLE:
                self._cut(keep=False)
            case Do.FINISH:
                self._source.stop()

    @property
    def _room_tone(self) -> RoomTone | None:
        return self._room_found.tone if self._room_found else None

    def _meta_here(self) -> ClipMeta:
        prompt = self._prompts[self._state.prompt] if self._state.prompt < len(self._prompts) else None
        return replace(
            self._meta,
            start_sample=self._position,
            prompt_id=prompt.id if prompt else self._meta.prompt_id,
            room_tone=self._room_tone,
        )

    def _measure_room(self) -> None:
        """Two seconds that end before speech could have begun, without it having been noticed."""
        room = np.concatenate([block.samples for block in self._room])
        until = room.size - round(_ONSET_S * self._rate_hz)
        samples = room[max(0, until - round(ROOM_TONE_S * self._rate_hz)) : until]
        self._room = []
        tone = measure.room_tone(samples, self._rate_hz)
        self._room_found = RoomSpectrum(tone, samples, self._rate_hz, live=self._source.live)
        self._noise_dbfs = tone.noise_dbfs
        self._detector.learn(samples)
        figures = {"duration_s": tone.duration_s, "noise_dbfs": tone.noise_dbfs}
        self._tell(Notice("room.measured", figures))

    def _measure_take(self) -> None:
        take = self._open()
        take.sync()
        samples = take.read()
        meta = replace(take.meta, lead_in_s=lead_in_s(samples, self._rate_hz), room_tone=self._room_tone)
        self._judgement = judge(samples, self._rate_hz, meta, self._profile)
        self._noise_dbfs = self._judgement.measurement.noise_dbfs
        self._tell(Judged(self._judgement, None, take.meta.start_sample))
        self._event(session.Judged(self._judgement.accepted))

    def _commit_take(self) -> None:
        take, judgement = self._open(), self._judgement
        if judgement is None:
            raise RuntimeError("a take is measured before it is kept")
        self._keep(take, judgement)
        self._take = self._judgement = None

    def _keep(self, take: OpenTake, judgement: Judgement) -> None:
        done = commit(self._spool, take, judgement)
        self.kept.append(done)
        self._tell(Judged(judgement, done, take.meta.start_sample))

    def _discard_take(self) -> None:
        self._spool.discard(self._open())
        self._take = self._judgement = None

    def _cut(self, *, keep: bool) -> None:
        """Close the piece that the cutter found; what comes after it stays open."""
        take, piece = self._open(), self._piece
        if piece is None:
            raise RuntimeError("an utterance ended without a piece")
        last = self._ended and piece.end == take.end_sample
        self._take = None if last else self._spool.split(take, piece.end)
        if not keep:
            self._spool.discard(take)
            place = {"position_s": piece.start / self._rate_hz}
            self._tell(
                Notice("take.idle", {**place, "duration_s": (piece.end - piece.start) / self._rate_hz})
            )
            return
        known_s = round(min(60.0, piece.lead_in_samples(self._rate_hz) / self._rate_hz), 3)
        meta = replace(take.meta, lead_in_s=known_s, room_tone=self._room_tone)
        judgement = judge(take.read(), self._rate_hz, meta, self._profile)
        self._noise_dbfs = judgement.measurement.noise_dbfs
        self._keep(take, judgement)

    def _open(self) -> OpenTake:
        if self._take is None:
            raise RuntimeError("the session asked for a take that is not open")
        return self._take
