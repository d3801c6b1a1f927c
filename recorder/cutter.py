"""Where a running recording is cut into utterances: at pauses, so that every sample is in exactly one piece.

Pure and streaming: it is told where speech was found and answers with cuts, always in the past and never
inside known speech unless nobody paused for `longest_s`. A cut leaves `lead_in_s` of the pause before
the next utterance where the pause has so much, because the noise is measured there. The answers depend
on the segments alone, not on how the sound was cut into blocks.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Segment = tuple[int, int]

_FRAMES_PER_S = 100  # of the levels that the cutter is told
# The detector may open a segment so late that its true start lies this far back.
DETECTOR_DELAY_S = 0.3
ONSET_GUARD_S = 0.1


@dataclass(frozen=True)
class CutRules:
    """How long pauses and pieces are, in seconds.

    Attributes
    ----------
    pause_s : float
        A pause that ends an utterance.
    short_pause_s : float
        Enough of a pause once a piece is longer than `comfortable_s`.
    longest_s : float
        No piece is longer.
    idle_s : float
        A stretch without speech that becomes a piece of its own.
    lead_in_s, tail_s : float
        What of a pause goes to the next and to the last utterance, at least, where it is long enough.
    least_speech_s : float
        Less speech than this is not an utterance by itself.
    """

    pause_s: float = 0.6
    short_pause_s: float = 0.3
    comfortable_s: float = 12.0
    longest_s: float = 30.0
    idle_s: float = 20.0
    lead_in_s: float = 0.6
    tail_s: float = 0.2
    least_speech_s: float = 0.25


@dataclass(frozen=True)
class Piece:
    """One piece of a recording, in samples of it.

    `segments` is the speech found in it; `forced` says that it ends where nobody paused.
    """

    start: int
    end: int
    segments: tuple[Segment, ...] = ()
    forced: bool = False

    def lead_in_samples(self, sample_rate_hz: int) -> int:
        """How much of its start is surely without speech."""
        first = self.segments[0][0] if self.segments else self.end
        return max(0, first - self.start - round(ONSET_GUARD_S * sample_rate_hz))


class Cutter:
    """Cuts one recording as it goes on."""

    def __init__(self, sample_rate_hz: int, rules: CutRules | None = None) -> None:
        self._rate_hz = sample_rate_hz
        self._rules = rules or CutRules()
        self._start = 0  # of the piece that is open
        self._known = 0  # segments looked at so far
        self._inside: list[Segment] = []  # those in the open piece
        self._open_since: int | None = None  # earliest start of the segment that is open
        self._levels: deque[float] = deque(maxlen=round(self._rules.longest_s / 4 * _FRAMES_PER_S))

    def _samples(self, seconds: float) -> int:
        return round(seconds * self._rate_hz)

    def feed(
        self,
        position: int,
        segments: Sequence[Segment],
        speaking: bool,
        levels_db: NDArray[np.float64] | Sequence[float] = (),
    ) -> list[Piece]:
        """Go on to `position`; return the pieces that are now complete.

        Parameters
        ----------
        position : int
            Samples of the recording heard so far.
        segments : sequence of (start, end)
            All closed speech segments so far, as `SpeechDetector.segments` gives them.
        speaking : bool
            Whether a segment is open.
        levels_db : sequence of float
            Level of each 10 ms since the last call, for a cut where nobody pauses.
        """
        self._levels.extend(float(level) for level in levels_db)
        if not speaking or len(segments) > self._known:
            self._open_since = None  # it was closed, and is among `segments` now
        pieces = self._take_segments(segments)
        rules = self._rules
        if speaking and self._open_since is None:
            last = self._inside[-1][1] if self._inside else self._start
            self._open_since = max(last, position - self._samples(DETECTOR_DELAY_S))
        if not speaking and self._speech() >= self._samples(rules.least_speech_s):
            end = self._inside[-1][1]
            if position - end >= self._samples(rules.lead_in_s + 2 * DETECTOR_DELAY_S):
                pieces.append(self._cut(end + self._samples(rules.lead_in_s / 2)))
        idle = not speaking and not self._inside
        while idle and position - self._start >= self._samples(rules.idle_s + DETECTOR_DELAY_S):
            pieces.append(self._cut(self._start + self._samples(rules.idle_s)))
        while position - self._start >= self._samples(rules.longest_s):
            pieces.append(self._forced_cut(position))
        return pieces

    def finish(self, position: int, segments: Sequence[Segment]) -> list[Piece]:
        """The recording ended at `position`; return what is left of it."""
        pieces = self.feed(position, segments, speaking=False)
        if position > self._start:
            pieces.append(self._cut(position))
        return pieces

    def _take_segments(self, segments: Sequence[Segment]) -> list[Piece]:
        pieces = []
        for start, end in segments[self._known :]:
            if self._inside and self._speech() >= self._samples(self._rules.least_speech_s):
                before = self._inside[-1][1]
                long = start - self._start >= self._samples(self._rules.comfortable_s)
                wanted = self._rules.short_pause_s if long else self._rules.pause_s
                if start - before >= self._samples(wanted):
                    pieces.append(self._cut(self._within_pause(before, start)))
            if end > self._start:  # a forced cut may have gone through it
                self._inside.append((max(start, self._start), end))
        self._known = len(segments)
        return pieces

    def _within_pause(self, before: int, after: int) -> int:
        """Where to cut a pause: the lead-in before the next word, but never all of it."""
        tail = min(self._samples(self._rules.tail_s), (after - before) // 2)
        latest = before + self._samples(self._rules.lead_in_s / 2)  # what a cut in a long pause leaves
        return min(latest, max(before + tail, after - self._samples(self._rules.lead_in_s)))

    def _speech(self) -> int:
        return sum(end - start for start, end in self._inside)

    def _cut(self, at: int, *, forced: bool = False) -> Piece:
        mine = tuple((start, min(end, at)) for start, end in self._inside if start < at)
        if self._open_since is not None and self._open_since < at:
            mine = (*mine, (max(self._open_since, self._start), at))
            self._open_since = at
        piece = Piece(self._start, at, mine, forced)
        self._inside = [(max(start, at), end) for start, end in self._inside if end > at]
        self._start = at
        return piece

    def _forced_cut(self, position: int) -> Piece:
        """Nobody paused long enough: take the longest pause of the second half, else the quietest moment."""
        latest = self._start + self._samples(self._rules.longest_s)
        middle = (self._start + latest) // 2
        pauses = [
            (after - before, before, after)
            for (_, before), (after, _) in zip(self._inside, self._inside[1:], strict=False)
            if before >= middle and after <= latest
        ]
        if pauses:
            _, before, after = max(pauses)
            return self._cut((before + after) // 2, forced=True)
        frame = self._rate_hz // _FRAMES_PER_S
        first = position // frame - len(self._levels)  # the frame of the oldest level kept
        among = [
            (level, number)
            for number, level in enumerate(self._levels, start=first)
            if middle < number * frame + frame // 2 < latest
        ]
        at = min(among)[1] * frame + frame // 2 if among else latest
        return self._cut(at, forced=True)
