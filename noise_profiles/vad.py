"""Where somebody speaks, live: what stands out of the room band by band, where webrtcvad hears a voice near.

`measure` looks at the whole clip and knows more; this one has a quarter of a second of hindsight. It never
learns from its own answers, so it cannot lock up: the floor of each band is a low quantile of the last
seconds, whoever spoke in them, as in minimum statistics [1]_ but blind to a short hole. A room tone that is
known to hold no speech gives the floor at once, and how loud and how periodic the room itself becomes.

What stands out opens a segment only with a sign of a voice: a pitch, or a loudness that the room tone never
had and that came at once. Lorries and gusts have neither; music and babble must pass their own room tone.

References
----------
.. [1] R. Martin, Noise power spectral density estimation based on optimal smoothing and minimum statistics,
   IEEE Trans. Speech and Audio Processing 9 (2001).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from noise_profiles import masks
from noise_profiles.bands import BANDS, band_powers, harmonicity
from noise_profiles.excess import TINY
from noise_profiles.rows import frames_of
from noise_profiles.samples import Samples, SignalEmpty, checked_rate, mono
from noise_profiles.voices import FrameVad, analysis_rate_hz

Floats = NDArray[np.float64]
Described = tuple[Floats, NDArray[np.bool_], Floats]  # powers by band, voiced, harmonicity

_ROW = 5  # frames of 10 ms in a row of the floor's memory
_LAG = 8  # frames that a centred mean needs ahead
_BEHIND = 60  # frames that are kept to look back at when a segment opens


@dataclass(frozen=True)
class LiveTuning:
    """Every number of the live detector. Lengths are in frames of 10 ms unless they say otherwise."""

    memory_s: float = 6.0  # longer than anybody speaks without a gap in each band
    believed_s: float = 30.0  # how long one breath of speech is believed before it may be noise
    steady_spread_db: float = 0.4  # a known room that swings less is believed for as long
    least_memory_s: float = 0.25
    quantile: float = 0.25  # a hole shorter than this share of the memory is not noticed
    clip_db: float = 18.0  # one band alone must not decide
    median: int = 7  # forgets keys and clicks
    smooth: int = 5
    least_spread_db: float = 0.35
    most_spread_db: float = 1.2  # where the room swings more than this, a voice must still get through
    learned_share: float = 0.6  # of the spread of a known room: its bumps are in it as well
    sure: float = 4.0  # spreads over the noise: speech if a voice is anywhere near
    likely: float = 2.0  # spreads: speech if most of the surroundings are voiced
    least_excess_db: float = 1.0
    voice_near: float = 0.15  # share of a third of a second
    voice_here: float = 0.6  # share of 150 ms
    voice: float = 0.24  # harmonicity that only a voice near the microphone reaches, or music
    over_voice: float = 0.06  # and this far over what the room tone reaches itself
    most_voice: float = 0.45  # whatever the room tone reaches: it may be music
    half_voice: float = 0.2  # enough where it is louder than the room tone ever was
    most_half_voice: float = 0.27
    louder_db: float = 1.5  # than the room tone in its loudest moment
    least_loud_db: float = 5.0  # below this, that moment is not forgotten when the floor rises
    sudden_db: float = 3.0  # a whisper has no pitch: it must be this much louder,
    rise_db: float = 4.0  # and come as suddenly within `rise`, which lorries and gusts do not
    rise: int = 30
    sign: int = 30  # a segment opens on such a sign of a voice among its last frames
    holds: int = 70  # and stays open for so long on each
    opens: int = 6  # of the last 8 frames
    begins: float = 1.5  # spreads: a word that opened a segment began where it rose over this
    before: int = 4  # speech begins softly
    after: int = 6


class _Describer:
    """Cuts one channel into frames and describes them; what comes out does not depend on how it was fed."""

    def __init__(self, sample_rate_hz: int) -> None:
        self.rate_hz = sample_rate_hz
        self.out_hz = analysis_rate_hz(sample_rate_hz)
        g = math.gcd(sample_rate_hz, self.out_hz)
        # A twentieth of a second, whole at both rates where the rates allow it.
        units = math.ceil(g / 20)
        self._block, self._block_out = units * (sample_rate_hz // g), units * (self.out_hz // g)
        context = math.ceil(g / 100)
        self._context, self._context_out = context * (sample_rate_hz // g), context * (self.out_hz // g)
        self._sound = np.zeros(self._context, dtype=np.float32)
        self._hop, self._window = self.out_hz // 100, self.out_hz // 40
        self._lead = (self._window - self._hop) // 2
        self._tail = np.zeros(self._lead, dtype=np.float32)
        self._voices = FrameVad(self.out_hz)

    def feed(self, x: Samples) -> list[Described]:
        """Band powers, shape (n, BANDS), voiced and harmonicity, for the frames that are now complete."""
        sound = np.concatenate([self._sound, x])
        whole = self._context + self._block + self._context
        at, out = 0, []
        while sound.size - at >= whole:
            y = resampled(sound[at : at + whole], self.rate_hz, self.out_hz)
            out.append(self._describe(y[self._context_out : self._context_out + self._block_out]))
            at += self._block
        self._sound = sound[at:].copy()
        return out

    def finish(self) -> list[Described]:
        """The same for what is left."""
        y = resampled(self._sound, self.rate_hz, self.out_hz)[self._context_out :]
        self._sound = np.zeros(self._context, dtype=np.float32)
        return [self._describe(np.concatenate([y, np.zeros(self._window, dtype=np.float32)]))]

    def _describe(self, y: Samples) -> Described:
        y = np.concatenate([self._tail, y])
        count = max(0, (y.size - self._window) // self._hop + 1)
        self._tail = y[count * self._hop :].copy()
        if count == 0:
            return np.empty((0, BANDS)), np.empty(0, dtype=bool), np.empty(0)
        around = y[: (count - 1) * self._hop + self._window]
        bands, energy = band_powers([around], self._hop, self._window, self.out_hz)
        core = y[self._lead : self._lead + count * self._hop].reshape(count, self._hop)
        core = core - (np.einsum("ij->i", core) / np.float32(self._hop))[:, np.newaxis]
        voiced = self._voices.frames(core, np.einsum("ij,ij->i", core, core) / np.float32(self._hop))
        harmonic = harmonicity(energy).astype(np.float64)
        return bands[:, :BANDS].astype(np.float64) + TINY, voiced, harmonic


def resampled(x: Samples, from_hz: int, to_hz: int) -> Samples:
    """High quality resampling of a whole array, by the library that librosa uses."""
    if from_hz == to_hz:
        return x
    import soxr

    y: Samples = soxr.resample(x, from_hz, to_hz, quality="HQ")
    return y


class _Floor:
    """What the room sounds like without speech: a level for each band, and how far it swings."""

    def __init__(self, k: LiveTuning) -> None:
        self._k = k
        self._rows = np.empty((round(100 * k.memory_s) // _ROW, BANDS))
        self._count = 0
        self._part = np.empty((0, BANDS))
        self._learned_spread_db = 0.0
        self._steady = False
        self.bands_db = np.zeros(BANDS)
        self.usual_db = 0.0
        self.spread_db = k.least_spread_db
        self._learned_loud_db = 0.0
        self._learned_bands_db: Floats | None = None
        self.loud_db = 0.0  # over what is usual: what the room tone hardly ever passes

    @property
    def known(self) -> bool:
        """Enough was heard to say anything."""
        return self._count * _ROW >= 100 * self._k.least_memory_s

    def learn(self, bands: Floats) -> None:
        """Take frames without speech for everything that was heard."""
        rows = 10.0 * np.log10(bands[: len(bands) // _ROW * _ROW].reshape(-1, _ROW, BANDS).mean(axis=1))
        if len(rows) == 0:
            return
        self._rows[:] = np.resize(rows, self._rows.shape)
        self._count = max(len(self._rows), self._count)
        self._part = self._part[:0]
        self._follow()
        excess = self.excess_db(10.0 * np.log10(bands))[_LAG : len(bands) - _LAG]
        if excess.size:
            self._learned_spread_db = float(excess.std())
            self._steady = self._learned_spread_db <= self._k.steady_spread_db
            self._follow()
            height = self.height_db(10.0 * np.log10(bands))[_LAG : len(bands) - _LAG]
            self._learned_loud_db = self.loud_db = float(height.max())
            self._learned_bands_db = self.bands_db

    def hear(self, bands: Floats, *, speaking: bool) -> None:
        """Take the next frames, whether or not somebody speaks in them.

        In a known room that is steady nothing is learned while somebody is `speaking`: a story told without a
        pause must not become the floor. A room that swings has to be followed.
        """
        if self._steady and speaking:
            return
        part = np.concatenate([self._part, bands]) if len(self._part) else bands
        full = len(part) // _ROW * _ROW
        self._part = part[full:].copy()
        if not full:
            return
        for row in 10.0 * np.log10(np.add.reduce(part[:full].reshape(-1, _ROW, BANDS), axis=1) / _ROW):
            self._rows[self._count % len(self._rows)] = row
            self._count += 1
        self._follow()

    def _follow(self) -> None:
        rows = self._rows[: min(self._count, len(self._rows))]
        place = int(self._k.quantile * (len(rows) - 1))
        self.bands_db = np.partition(rows, place, axis=0)[place]
        excess = np.sort(self._over(rows))
        # Of a normal spread: its lower part belongs to the room, whoever speaks in the upper.
        low, middle = excess[int(0.05 * (len(excess) - 1))], excess[int(0.3 * (len(excess) - 1))]
        spread_db = (middle - low) / (1.645 - 0.524)
        spread_db = max(spread_db, self._k.learned_share * self._learned_spread_db, self._k.least_spread_db)
        self.spread_db = min(float(spread_db), self._k.most_spread_db)
        self.usual_db = float(middle) + 0.524 * self.spread_db
        if self._learned_bands_db is not None:
            # Ticks of a clock do not rise with the floor that speech has lifted.
            lifted_db = max(0.0, float((self.bands_db - self._learned_bands_db).mean()))
            least_db = min(self._learned_loud_db, self._k.least_loud_db)
            self.loud_db = max(self._learned_loud_db - lifted_db, least_db)

    def excess_db(self, bands_db: Floats) -> Floats:
        """How far frames stand out, as the mean over bands, freed of clicks and smoothed."""
        k = self._k
        return masks.smoothed(masks.running_median(self._over(bands_db), k.median), k.smooth)

    def height_db(self, bands_db: Floats) -> Floats:
        """The same, and one band alone may decide: how loud it is and not how much like a voice."""
        k = self._k
        over = np.maximum(bands_db - self.bands_db, 0.0)
        mean = np.add.reduce(over, axis=1) / BANDS
        return masks.smoothed(masks.running_median(mean, k.median), k.smooth)

    def _over(self, bands_db: Floats) -> Floats:
        """By row, the mean over bands of what lies over the floor."""
        over = bands_db - self.bands_db
        np.minimum(np.maximum(over, 0.0, out=over), self._k.clip_db, out=over)
        mean: Floats = np.add.reduce(over, axis=1) / BANDS
        return mean


def _share(voiced: Floats, width: int) -> Floats:
    """How much around each frame is voiced; at the ends, of what there is. `masks.smoothed`, but quicker."""
    share: Floats = np.convolve(voiced, _ones(width))[width // 2 :][: voiced.size]
    share /= masks.around(voiced.size, width)
    return share


@cache
def _ones(width: int) -> Floats:
    return np.ones(width)


class SpeechDetector:
    """Finds speech segments in a live stream of one channel.

    A segment opens when most of the last 80 ms stands out of the room, a voice is near and a sign of one was
    heard; it begins where that word rose, and closes after `hangover_s` without.
    Any cutting of the stream into blocks gives the same segments.

    Parameters
    ----------
    sample_rate_hz : int
        Rate of what will be fed; any that `measure` takes.
    hangover_s : float
        Pause that ends a segment.
    room : array_like or None
        Sound without speech, as for `learn`.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        *,
        hangover_s: float = 0.3,
        room: object = None,
        tuning: LiveTuning | None = None,
    ) -> None:
        self._rate_hz = checked_rate(sample_rate_hz)
        self._k = tuning or LiveTuning()
        self._describer = _Describer(self._rate_hz)
        self._floor = _Floor(self._k)
        self._hangover = max(1, round(hangover_s * 100))
        self._bands_db = np.empty((0, BANDS))  # of the last frames, the undecided at the end
        self._voiced = np.empty(0)
        self._harmonic = np.empty(0)
        self._voice, self._half_voice = self._k.voice, self._k.half_voice
        self._recent: list[bool] = []
        self._samples = 0
        self._frame = 0  # decided so far
        self._quiet = 0
        self._since_sign = self._k.holds
        self._start: int | None = None
        self._segments: list[tuple[int, int]] = []
        if room is not None:
            self.learn(room)

    @property
    def speaking(self) -> bool:
        """A segment is open now."""
        return self._start is not None

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Segments closed so far, as (start sample, end sample)."""
        return list(self._segments)

    def learn(self, room: object) -> None:
        """Take `room`, which holds no speech, for the noise from here on; half a second of it at least.

        It need not be part of the stream; what was found so far stays.
        """
        describer = _Describer(self._rate_hz)
        heard = describer.feed(mono(room))
        if heard:
            self._learn(
                np.concatenate([bands for bands, _, _ in heard]), np.concatenate([h for *_, h in heard])
            )

    def _learn(self, bands: Floats, harmonic: Floats) -> None:
        k = self._k
        self._floor.learn(bands)
        own = float(masks.smoothed(harmonic, k.smooth).max())
        self._voice = min(k.most_voice, max(k.voice, own + k.over_voice))
        self._half_voice = min(k.most_half_voice, max(k.half_voice, own + k.over_voice))

    def feed(self, block: object) -> bool:
        """Take a block; return whether somebody is speaking now."""
        x = mono(block)
        self._samples += x.size
        for described in self._describer.feed(x):
            self._look(described, ahead=_LAG)
        return self.speaking

    def finish(self) -> list[tuple[int, int]]:
        """End the stream and give all segments."""
        for described in self._describer.finish():
            self._look(described, ahead=0)
        if self._start is not None:
            self._close(self._frame)
        return self.segments

    def _look(self, described: Described, *, ahead: int) -> None:
        """Describe what came, decide on all but the last `ahead` frames."""
        bands, voiced, harmonic = described
        open_s = 0.0 if self._start is None else (self._frame - self._start) / 100
        self._floor.hear(bands, speaking=0.0 < open_s <= self._k.believed_s)
        self._bands_db = np.concatenate([self._bands_db, 10.0 * np.log10(bands)])
        self._voiced = np.concatenate([self._voiced, voiced])
        self._harmonic = np.concatenate([self._harmonic, harmonic])
        total = len(self._bands_db)
        oldest = self._frame - min(self._frame, _BEHIND)  # the frame that row 0 is
        first, last = self._frame - oldest, total - ahead
        if last <= first or not self._floor.known:
            return
        k = self._k
        excess = self._floor.excess_db(self._bands_db)
        over = (excess - self._floor.usual_db) / self._floor.spread_db
        here = _share(self._voiced, 15) > k.voice_here
        near = _share(self._voiced, 31) > k.voice_near
        speech = ((over > k.sure) & near) | ((over > k.likely) & here)
        speech &= excess > self._floor.usual_db + k.least_excess_db
        sign = speech & self._signs(self._floor.height_db(self._bands_db))
        for row in range(first, last):
            self._decide(bool(speech[row]), bool(sign[row]), over[: row + 1])
        kept = min(self._frame, _BEHIND) + ahead
        old = total - kept
        self._bands_db, self._voiced = self._bands_db[old:], self._voiced[old:]
        self._harmonic = self._harmonic[old:]

    def _signs(self, height_db: Floats) -> NDArray[np.bool_]:
        """Where what stands out is a voice and no louder moment of the room.

        It has a pitch, or is louder than the room tone ever was and came suddenly.
        """
        k = self._k
        harmonic = masks.smoothed(self._harmonic, k.smooth)
        louder_db = height_db - self._floor.loud_db
        padded = np.concatenate([np.full(k.rise, height_db[0]), height_db])
        risen_db = height_db - frames_of(padded, 1, k.rise + 1).min(axis=1)
        signs: NDArray[np.bool_] = harmonic > self._voice
        signs |= (harmonic > self._half_voice) & (louder_db > k.louder_db)
        signs |= (louder_db > k.sudden_db) & (risen_db > k.rise_db)
        return signs

    def _decide(self, stands_out: bool, sign: bool, over: Floats) -> None:
        """One frame: open or close."""
        k = self._k
        self._since_sign = 0 if sign else self._since_sign + 1
        self._recent = [*self._recent[-7:], stands_out]
        self._frame += 1
        self._quiet = 0 if stands_out and self._since_sign < k.holds else self._quiet + 1
        if self._start is None:
            if sum(self._recent) >= k.opens and self._since_sign < k.sign:
                below = np.flatnonzero(over[: -k.opens] < k.begins)
                rows = len(over) - (int(below[-1]) + 1 if below.size else 0)
                self._start = max(0, self._frame - rows - k.before)
                self._recent = []
        elif self._quiet >= self._hangover:
            self._close(self._frame - self._quiet + k.after)

    def _close(self, end_frame: int) -> None:
        start = 0 if self._start is None else self._start
        before = self._segments[-1][1] if self._segments else 0
        first = max(before, start * self._rate_hz // 100)
        self._segments.append((first, max(first, min(self._samples, end_frame * self._rate_hz // 100))))
        self._start = None


def speech_segments(
    samples_mono: object, sample_rate_hz: int, *, hangover_s: float = 0.3
) -> list[tuple[int, int]]:
    """Where somebody speaks, as (start sample, end sample) in order: one feed of `SpeechDetector`.

    Raises
    ------
    SignalError
        If the array is empty, not one channel, or not finite.
    """
    x = mono(samples_mono)
    if x.size == 0:
        raise SignalEmpty()
    detector = SpeechDetector(sample_rate_hz, hangover_s=hangover_s)
    detector.feed(x)
    return detector.finish()
