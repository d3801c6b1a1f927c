"""What single samples tell: peaks, offset, flat tops, frozen stretches, repeated blocks.

One channel, looked at in the inner blocks of `frames.FrameStream`, so that nothing depends on how it was fed.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.samples import Samples
from noise_profiles.stretches import runs

LSB = 2.0**-15
_REPEAT_STEP = 32
_SHORT_REPEAT_STEP = 16
_SQUASHED_SHARE = 0.4
_LONGEST_BUFFER_S = 0.3
_BUFFERS = (
    64, 96, 128, 192, 240, 256, 384, 441, 480, 512, 576, 882, 960, 1024, 1152, 1536, 2048, 4096, 4800, 8192,
)  # fmt: skip


@dataclass(frozen=True)
class Stretch:
    """Samples from `start` to `end` (exclusive), and how loud the 5 ms on its two sides are at most."""

    start: int
    end: int
    value: float
    before: float
    after: float


@dataclass(frozen=True)
class FlatTop:
    """A run of equal samples at a local extreme where the slope breaks on both sides."""

    start: int
    end: int
    value: float


@dataclass(frozen=True)
class Squashed:
    """Two seconds in which one polarity piles up under a ceiling that later filters have rounded.

    `swings` reach the ceiling; `flatness` is the median share of a swing's width that lies near its top:
    0.58 for a sine, more for what was clipped.
    """

    start: int
    end: int
    ceiling: float
    swings: int
    flatness: float


@dataclass(frozen=True)
class Scanned:
    """What the samples of one channel told.

    Attributes
    ----------
    highest, lowest : float
        The extreme samples; full scale is 1.
    offset : float
        The mean.
    tops : tuple of FlatTop
        Every flat top; those of a clipped sound share a ceiling.
    frozen : tuple of Stretch
        Stretches of 2 ms and more in which every sample is the same.
    repeated : tuple of (start, end)
        Stretches that repeat what came just before, sample by sample.
    squashed : tuple of Squashed
        Where far more samples than in speech lie close to the extreme.
    step : float
        The smallest sample that is not zero: the step of the converter, or less.
    """

    samples: int
    highest: float
    lowest: float
    offset: float
    tops: tuple[FlatTop, ...]
    frozen: tuple[Stretch, ...]
    repeated: tuple[tuple[int, int], ...]
    squashed: tuple[Squashed, ...] = ()
    step: float = LSB

    @property
    def peak_dbfs(self) -> float:
        """Highest magnitude; full scale reads 0."""
        peak = max(self.highest, -self.lowest)
        return max(levels.FLOOR_DBFS, 20.0 * math.log10(peak)) if peak > 0.0 else levels.FLOOR_DBFS


class SampleScan:
    """Collects what `Scanned` holds; `look` is given to `FrameStream`."""

    def __init__(self, sample_rate_hz: int, *, flat_samples: int = 3, frozen_s: float = 0.002) -> None:
        self._flat = flat_samples
        self._frozen_least = max(8, round(frozen_s * sample_rate_hz))
        self._side = max(4, sample_rate_hz // 200)
        self._short_lags, self._lags = _buffer_lags(sample_rate_hz)
        # The last of what has been seen, since a long buffer may be longer than the context of a block.
        self._tail = np.zeros(max(*self._short_lags, *self._lags), dtype=np.float32)
        self._at = 0
        self._sum = 0.0
        self._highest, self._lowest = -math.inf, math.inf
        self._tops: list[FlatTop] = []
        self._frozen: list[Stretch] = []
        self._repeated: list[tuple[int, int]] = []
        self._squashed: list[Squashed] = []
        self._step = math.inf

    def look(self, rows: Samples, start: int, sizes: list[int]) -> None:
        """Look at so many samples of each row from `start` on; what is before them is the row before."""
        first = self._at
        for row, size in zip(rows, sizes, strict=False):
            self._look_at_block(row, start, size)
        cores = [row[start : start + size] for row, size in zip(rows, sizes, strict=False)]
        self._find_repeats(cores, first)

    def _look_at_block(self, sound: Samples, start: int, size: int) -> None:
        core = sound[start : start + size]
        high, low = float(core.max()), float(core.min())
        self._highest, self._lowest = max(self._highest, high), min(self._lowest, low)
        self._sum += float(core.sum())
        sizes = np.abs(core[::8])
        self._step = min(self._step, float(sizes[sizes > 0.0].min(initial=math.inf)))
        self._find_tops(sound, start, size, high, low)
        self._find_squashed(core, high, low)
        equal = core == sound[start - 1 : start + size - 1]
        if self._at == 0:
            equal[0] = False
        if np.count_nonzero(equal) >= self._frozen_least // 2:
            self._find_frozen(equal, sound, start)
        self._at += size

    def finish(self) -> Scanned:
        """What was found; stretches that an inner block had cut are whole again."""
        frozen: list[Stretch] = []
        for one in self._frozen:
            if frozen and frozen[-1].end >= one.start - 1 and frozen[-1].value == one.value:
                last = frozen[-1]
                frozen[-1] = Stretch(last.start, one.end, last.value, last.before, one.after)
            else:
                frozen.append(one)
        return Scanned(
            samples=self._at,
            highest=self._highest if self._at else 0.0,
            lowest=self._lowest if self._at else 0.0,
            offset=self._sum / self._at if self._at else 0.0,
            tops=tuple(self._tops),
            frozen=tuple(one for one in frozen if one.end - one.start >= self._frozen_least),
            repeated=_joined(self._repeated),
            squashed=tuple(self._squashed),
            step=self._step if math.isfinite(self._step) else LSB,
        )

    def _find_tops(self, sound: Samples, start: int, size: int, high: float, low: float) -> None:
        core = sound[start : start + size]
        limit = 0.9 * max(high, -low)
        if limit < 16 * LSB:
            return
        # Flat tops stand at the extremes of their surroundings: only the loudest samples need a look.
        loud = (core >= 0.9 * high) | (core <= 0.9 * low) if low < 0.0 < high else np.abs(core) >= limit
        for a, b in runs(loud, self._flat):
            self._look_at_peak(sound, start + a, start + b, start)

    def _look_at_peak(self, sound: Samples, a: int, b: int, start: int) -> None:
        piece = sound[max(0, a - 2) : b + 2].astype(np.float64)
        step = np.abs(np.diff(piece))
        flat = step <= max(1.01 * LSB, 2e-4 * abs(float(piece[2])))
        for first, last in runs(flat):
            if last - first + 1 < self._flat or first == 0 or last == flat.size:
                continue
            inside = float(step[first:last].max())
            outside = min(float(step[first - 1]), float(step[last]))
            if outside < max(4.0 * inside + 4.0 * LSB, 1.5 * self._step):
                continue  # a rounded top: the slope grows little by little
            value = float(piece[first])
            rising = piece[first] - piece[first - 1], piece[last] - piece[last + 1]
            if (
                min(abs(rising[0]), abs(rising[1])) > 0.0
                and rising[0] * value > 0.0
                and rising[1] * value > 0.0
            ):
                at = self._at + max(0, a - 2) - start + first
                self._tops.append(FlatTop(at, at + last - first + 1, value))

    def _find_frozen(self, equal: NDArray[np.bool_], sound: Samples, start: int) -> None:
        found = runs(equal, self._frozen_least - 1)
        # A run that an inner block cuts may be long with what the next one holds of it.
        found += [(a, b) for a, b in _at_the_ends(equal) if b - a < self._frozen_least - 1]
        if not found:
            return
        a, b = np.array(sorted(found)).T
        first = start + a - np.where((a == 0) & (self._at > 0), 0, 1)
        sizes = np.append(np.abs(sound), np.float32(0.0))  # one more, since what is reduced must begin within
        before = _highest(sizes, np.maximum(0, first - self._side), np.maximum(0, first))
        after = _highest(sizes, start + b, np.minimum(sound.size, start + b + self._side))
        places = (self._at + first - start, self._at + b, sound[start + a], before, after)
        self._frozen += itertools.starmap(Stretch, zip(*(x.tolist() for x in places), strict=True))

    def _find_squashed(self, core: Samples, high: float, low: float) -> None:
        for sign, extreme in ((1.0, high), (-1.0, -low)):
            if extreme < 64 * LSB:
                continue
            near = _count_beyond(core, sign, np.float32(0.85 * extreme))
            if near < 40:
                continue
            below = _count_beyond(core, sign, np.float32(0.6 * extreme))
            if near < _SQUASHED_SHARE * (below - near):
                continue
            swing = core if sign > 0.0 else -core
            half = swing > np.float32(0.5 * extreme)
            places = runs(half, 4)
            if not places:
                continue
            first = np.array([a for a, _ in places])
            width = np.array([b - a for a, b in places])
            # Beyond the end of a swing there is nothing over half, so sums to the next begin are the swing's.
            top = np.add.reduceat((swing > np.float32(0.82 * extreme)).astype(np.int32), first)
            reaches = np.maximum.reduceat(swing, first) > 0.9 * extreme
            if reaches.any():
                flatness = float(np.median(np.minimum(1.0, top[reaches] / width[reaches])))
                self._squashed.append(
                    Squashed(self._at, self._at + core.size, sign * extreme, int(reaches.sum()), flatness)
                )

    def _find_repeats(self, cores: list[Samples], at: int) -> None:
        """Whole buffers that are there twice: a driver played the old one again."""
        known = self._tail.size
        sound = np.concatenate([self._tail, *cores])
        for lags, step in ((self._short_lags, _SHORT_REPEAT_STEP), (self._lags, _REPEAT_STEP)):
            here = sound[known::step].copy()
            # Every lag of one remainder looks at the same samples, so they are laid side by side once.
            by_remainder: dict[int, Samples] = {}
            for lag in lags:
                first = (known - lag) % step
                apart = by_remainder.get(first)
                if apart is None:
                    apart = by_remainder[first] = sound[first::step].copy()
                place = (known - lag) // step
                same = apart[place : place + here.size] == here
                if np.count_nonzero(same) >= max(3, lag // step - 1):
                    self._look_at_repeat(sound, same, lag, step, at)
        self._tail = sound[sound.size - known :].copy()

    def _look_at_repeat(self, sound: Samples, same: NDArray[np.bool_], lag: int, step: int, at: int) -> None:
        known = self._tail.size
        for a, b in runs(same, max(3, lag // step - 1)):
            first, last = known + a * step, known + (b - 1) * step + 1
            piece = sound[first:last]
            # In eight bits silence hovers between neighbouring values, and one hover is like another.
            moves = float(piece.max() - piece.min()) > max(16 * LSB, 8 * self._step)
            if moves and np.array_equal(piece, sound[first - lag : last - lag]):
                self._repeated.append((at + first - known, at + last - known))


@cache
def _buffer_lags(rate_hz: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many samples buffers hold: those of which few places are looked at twice as closely, and others."""
    timed = (rate_hz // per_s for per_s in (400, 200, 100, 50, 40, 25, 20, 10))
    lags = sorted({lag for lag in (*_BUFFERS, *timed) if lag <= rate_hz * _LONGEST_BUFFER_S})
    longer = tuple(lag for lag in lags if lag >= 4 * _REPEAT_STEP)
    return tuple(lags[: len(lags) - len(longer)]), longer


def _highest(sizes: Samples, starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Samples:
    """The highest of each stretch, and 0 where it is empty."""
    highest: Samples = np.maximum.reduceat(sizes, np.stack([starts, ends], axis=1).ravel())[::2]
    return np.where(starts < ends, highest, np.float32(0.0))


def _count_beyond(x: Samples, sign: float, level: np.float32) -> int:
    return int(np.count_nonzero(x > level if sign > 0.0 else x < -level))


def _at_the_ends(mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """The run of True that begins the mask, and the one that ends it."""
    if mask.all():
        return [(0, mask.size)]
    out = []
    if mask[0]:
        out.append((0, int(np.argmin(mask))))
    if mask[-1]:
        out.append((mask.size - int(np.argmin(mask[::-1])), mask.size))
    return out


def _joined(stretches: list[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Overlapping and touching stretches as one."""
    out: list[tuple[int, int]] = []
    for a, b in sorted(stretches):
        if out and a <= out[-1][1] + _REPEAT_STEP:
            out[-1] = (out[-1][0], max(b, out[-1][1]))
        else:
            out.append((a, b))
    return tuple(out)
