"""One channel as a stream of 10 ms frames: what every estimate and detector looks at.

The stream is cut inside into blocks of two seconds at fixed places, whatever blocks it is fed, so that the
same sound gives the same bits. Each block is resampled to 16 kHz (8 kHz if it has no more), freed of
what lies below 50 Hz, and described frame by frame. Some sound on both sides goes with it, so that no
block has an edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels, voices
from noise_profiles.growing import Growing
from noise_profiles.passband import (
    LOW_HZ,
    MIDDLE_HZ,
    SLOW_SAMPLES,
    SPECTRUM_STEP_HZ,
    Passed,
    band_gain,
    band_passed,
)
from noise_profiles.samples import Samples, checked_rate

FRAMES_PER_S = 100
BLOCK_S = 2
CONTEXT_S = 0.08  # 2.16 s have lengths of small factors at every usual rate
BANDS = 18
GROUP = 4  # blocks are transformed by fours: together they cost little more than one
HOLE_STEP = 4
HOLE_POWER = 10.0**-10.8  # in 40 Hz; the rounding to 16 bits leaves 10 to 13 dB less
HOLE_SIDE_POWER = 10.0**-9.6
_VOICE_BINS = slice(3, 51)  # 120 Hz to 2 kHz, so that lags are of 0.25 ms
_PITCH_LAGS = range(10, 50)
_ALONE = 1 << 18  # multiplications; OpenBLAS makes threads for more

Floats = NDArray[np.float32]
Number = TypeVar("Number", np.float32, np.float64)


@dataclass(frozen=True)
class Frames:
    """What the frames of one channel hold.

    Attributes
    ----------
    power : ndarray, shape (n,)
        Mean square between 50 Hz and 8 kHz.
    bands : ndarray, shape (n, BANDS)
        The same in bands of equal width on the mel scale.
    a_weighted : ndarray, shape (n,)
        A-weighted mean square.
    voiced : ndarray of bool, shape (n,)
        What webrtcvad said.
    harmonic : ndarray, shape (n,)
        How periodic it is at the pitch of a voice, -1 to 1.
    low : ndarray
        The sound below 500 Hz, down to 0, at 1 kHz.
    middle : ndarray of float16
        The sound from 1 to 2 kHz, moved down to 0, at 2 kHz: what an echo can be told from.
    slow : ndarray, shape (n, 2)
        Mean square of what two running means leave, for each of `SLOW_SAMPLES`: wind, not voice.
    hollow : ndarray of bool, shape (n,)
        Frames whose spectrum has a hole with steep sides, as codecs leave; one in `HOLE_STEP` is looked at.
    spectrum : ndarray
        Mean power in bands of `SPECTRUM_STEP_HZ` up to the Nyquist frequency of the original rate.
    """

    power: Floats
    bands: Floats
    a_weighted: Floats
    voiced: NDArray[np.bool_]
    harmonic: Floats
    low: Floats
    middle: NDArray[np.float16]
    slow: Floats
    hollow: NDArray[np.bool_]
    spectrum: NDArray[np.float64]

    def __len__(self) -> int:
        return int(self.power.size)


@cache
def _band_starts(rate_hz: int) -> NDArray[np.intp]:
    """The first bin of each band, and the end of the last."""
    step_hz = 40.0
    low, high = 2595.0 * np.log10(1.0 + np.array([80.0, 0.49 * rate_hz]) / 700.0)
    edges_hz = 700.0 * (10.0 ** (np.linspace(low, high, BANDS + 1) / 2595.0) - 1.0)
    return np.unique(np.ceil(edges_hz / step_hz - 1e-9).astype(np.intp))


def band_edges_hz(rate_hz: int) -> NDArray[np.float64]:
    """Where the bands of `Frames.bands` begin and end, for sound analysed at `rate_hz`."""
    return _band_starts(rate_hz)[: BANDS + 1].astype(np.float64) * 40.0


@cache
def _a_weights(rate_hz: int) -> Floats:
    """What each bin counts in the A-weighted power.

    A Hann window shows two thirds of a tone's power in its own bin and a sixth in each neighbour, and the
    high-pass has taken some: both are undone, or the weighting would be lax where it is steepest.
    """
    bins_hz = np.arange(rate_hz // 80 + 1) * 40.0
    wanted = 10.0 ** (levels.a_weighting_db(bins_hz) / 10.0)
    wanted /= np.maximum(np.square(band_gain(bins_hz.size, 40.0)), 0.5)
    seen = np.diag(np.full(bins_hz.size, 2 / 3))
    seen += np.diag(np.full(bins_hz.size - 1, 1 / 6), 1) + np.diag(np.full(bins_hz.size - 1, 1 / 6), -1)
    weights: Floats = np.maximum(np.linalg.solve(seen, wanted), 0.0).astype(np.float32)
    return weights


@cache
def _band_sums(rate_hz: int) -> Floats:
    """What each bin counts in each band, and in the last column in the A-weighted power."""
    bins = rate_hz // 80 + 1
    starts = _band_starts(rate_hz)
    ends = np.append(starts[1:], bins)
    sums = np.zeros((bins, BANDS + 1), np.float32)
    for band in range(BANDS):
        sums[starts[band] : ends[band], band] = 1.0
    sums[:, BANDS] = _a_weights(rate_hz)
    return sums


@cache
def _keep_freed_memory() -> None:
    """Free one large array, once.

    Until glibc's malloc has seen that, it hands the arrays of each block back to the system, and asking for
    them again takes a third of the time of a measurement (mallopt(3), M_MMAP_THRESHOLD: it adapts to what is
    freed). The array is never touched, so it takes no memory.
    """
    np.empty(16_000_000, np.uint8)


class FrameStream:
    """Takes blocks of one channel; gives `Frames` at the end.

    `look` is called for each few inner blocks with (rows, start, sizes): in each row so many samples are to
    be looked at, from `start` on, with context on both sides. Places and sizes do not depend on what was fed.
    """

    def __init__(
        self, sample_rate_hz: int, look: Callable[[Samples, int, list[int]], None] | None = None
    ) -> None:
        _keep_freed_memory()
        self._rate_hz = checked_rate(sample_rate_hz)
        self._look = look
        self._out_hz = voices.analysis_rate_hz(self._rate_hz)
        g = math.gcd(self._rate_hz, self._out_hz)
        # Both lengths are whole at both rates.
        self._context = math.ceil(CONTEXT_S * g) * (self._rate_hz // g)
        self._context_out = math.ceil(CONTEXT_S * g) * (self._out_hz // g)
        self._block = BLOCK_S * self._rate_hz
        # What is not described yet, with the context before it; at the very start that is made up.
        self._sound = np.empty(GROUP * self._block + 2 * self._context, np.float32)
        self._filled = self._context
        self._begun = False
        # In the order of `Frames`.
        self._kinds = [
            Growing(np.float32), Growing(np.float32, BANDS), Growing(np.float32), Growing(np.bool_),
            Growing(np.float32), Growing(np.float32), Growing(np.float16),
            Growing(np.float32, len(SLOW_SAMPLES)), Growing(np.bool_),
        ]  # fmt: skip
        self._blocks = 0
        self._spectrum = np.zeros(self._rate_hz // (2 * SPECTRUM_STEP_HZ))
        self._voices = voices.FrameVad(self._out_hz)

    def feed(self, x: Samples) -> None:
        """Take the next samples; they are copied."""
        at = 0
        while at < x.size:
            part = x[at : at + self._sound.size - self._filled]
            self._sound[self._filled : self._filled + part.size] = part
            self._filled += part.size
            at += part.size
            if self._filled == self._sound.size:
                self._take_group()

    def finish(self) -> Frames:
        """Describe the rest, and give all frames; nothing more is to be fed."""
        c, block = self._context, self._block
        left = self._sound[c : self._filled]
        starts = range(0, left.size, block)
        if starts:
            # SciPy transforms four rows together in the time of two.
            height = len(starts) if len(starts) % GROUP < 2 else -(-len(starts) // GROUP) * GROUP
            rows = np.zeros((height, c + block + c), np.float32)
            for row, at in zip(rows, starts, strict=False):
                ahead = left[at : at + block + c]
                # Mirrored, so that an offset or a rumble does not look like a step; of a length that is fast.
                row[c : c + ahead.size], room = ahead, row[c + ahead.size :]
                if room.size <= ahead.size:
                    room[:] = ahead[::-1][: room.size]
                else:
                    row[c:] = np.pad(ahead, (0, room.size), mode="symmetric")
                row[:c] = self._sound[at : at + c] if at or self._begun else row[c : 2 * c][::-1]
            self._take(rows, [min(block, left.size - at) for at in starts])
        self._filled = c
        power, bands, a_weighted, voiced, harmonic, low, middle, slow, holes = (
            kind.rows() for kind in self._kinds
        )
        spectrum = self._spectrum / max(1, self._blocks)
        return Frames(power, bands, a_weighted, voiced, harmonic, low, middle, slow, holes, spectrum)

    def _take_group(self) -> None:
        """Describe the blocks that are there in full, and keep what the next ones need."""
        c, taken = self._context, GROUP * self._block
        if not self._begun:
            self._sound[:c] = self._sound[c : 2 * c][::-1]
            self._begun = True
        rows = np.lib.stride_tricks.sliding_window_view(self._sound, c + self._block + c)[:: self._block]
        self._take(rows, [self._block] * GROUP)
        self._filled -= taken
        self._sound[: self._filled] = self._sound[taken : taken + self._filled].copy()

    def _take(self, rows: Samples, sizes: list[int]) -> None:
        """Describe so many samples of each row; context lies before and after them."""
        if self._look is not None:
            self._look(rows, self._context, sizes)
        passed = band_passed(rows, self._rate_hz, self._out_hz)
        self._spectrum += passed.spectrum[: self._spectrum.size]
        for number, size in enumerate(sizes):
            self._describe(passed, number, size)

    def _describe(self, passed: Passed, number: int, size: int) -> None:
        y = passed.sound[number]
        hop, window = self._out_hz // FRAMES_PER_S, self._out_hz // 40
        frames = round(size * self._out_hz / self._rate_hz) // hop
        if not frames:
            self._blocks += 1
            return
        start = self._context_out
        core = y[start : start + frames * hop].reshape(frames, hop)
        power = np.einsum("ij,ij->i", core, core, dtype=np.float32) / np.float32(hop)
        first = start - (window - hop) // 2
        bands, energy = band_powers(y[first : first + (frames - 1) * hop + window], hop, window, self._out_hz)
        voiced = self._voices.frames(core, power)
        low, middle, *slow = (
            x[number, (at := round(self._context * rate_hz / self._rate_hz)) : at + frames * rate_hz // 100]
            for x, rate_hz in (
                (passed.low, LOW_HZ), (passed.middle, MIDDLE_HZ), *((x, LOW_HZ) for x in passed.slow)
            )
        )  # fmt: skip
        of_frames = np.empty((frames, len(slow)), np.float32)
        for column, x in enumerate(slow):
            by_frame = x.reshape(frames, LOW_HZ // 100)
            np.einsum("ij,ij->i", by_frame, by_frame, out=of_frames[:, column])
        of_frames /= np.float32(LOW_HZ // 100)
        described = (
            power, bands[:, :BANDS], bands[:, BANDS], voiced, harmonicity(energy), low, middle, of_frames,
            hollow(energy),
        )  # fmt: skip
        for kind, rows in zip(self._kinds, described, strict=True):
            kind.add(rows)
        self._blocks += 1


def band_powers(y: Floats, hop: int, window: int, rate_hz: int) -> tuple[Floats, Floats]:
    """Powers by band and, in a last column, A-weighted, shape (n, BANDS + 1); and by bin."""
    import scipy.fft

    spectrum = scipy.fft.rfft(frames_of(y, hop, window) * _window(window), axis=1)
    energy = np.square(spectrum.real)
    energy += np.square(spectrum.imag)
    return product(energy, _band_sums(rate_hz)), energy


def product(rows: Floats, matrix: Floats) -> Floats:
    """The matrix product, some rows at a time, as OpenBLAS shares out larger ones and threads cost more."""
    found = np.empty((len(rows), matrix.shape[1]), np.float32)
    step = max(1, _ALONE // matrix.size)
    for at in range(0, len(rows), step):
        np.matmul(rows[at : at + step], matrix, out=found[at : at + step])
    return found


def frames_of(y: NDArray[Number], hop: int, window: int) -> NDArray[Number]:
    """Overlapping rows of a flat array: no copy, and none of the checks that a live meter has no time for."""
    if y.ndim != 1 or not y.flags.c_contiguous:
        raise ValueError("only an array without gaps can be seen as overlapping rows")
    count = max(0, (y.size - window) // hop + 1)
    return np.ndarray((count, window), y.dtype, y, strides=(hop * y.itemsize, y.itemsize))


def harmonicity(energy: Floats) -> Floats:
    """How periodic each frame is at the pitch of a voice, from its powers by bin."""
    # Magnitudes rather than powers, so that one strong formant is not all there is.
    periodic = product(np.sqrt(energy[:, _VOICE_BINS]), _by_lag())
    harmonic: Floats = periodic[:, 1:].max(axis=1) / np.maximum(periodic[:, 0], np.float32(1e-12))
    return harmonic


@cache
def _by_lag() -> Floats:
    """The inverse Fourier transform from `_VOICE_BINS` to lag 0 and those of a voice's pitch."""
    bins = np.arange(_VOICE_BINS.start, _VOICE_BINS.stop)
    waves = np.cos(2.0 * np.pi * np.outer(bins, np.append(0, _PITCH_LAGS)) / 100.0)
    waves[-1] /= 2.0  # at half the rate there is no negative frequency to count besides
    return waves.astype(np.float32)


@cache
def _window(size: int) -> Floats:
    """A Hann window scaled so that one-sided power sums give mean squares."""
    hann = np.hanning(size + 1)[:-1]
    scale = math.sqrt(2.0 / (size * float(np.square(hann).sum())))
    return np.asarray(hann * scale, dtype=np.float32)


def hollow(energy: Floats) -> NDArray[np.bool_]:
    """Whether the spectrum of a frame has a hole: 240 Hz and more of nothing between steep sides.

    One frame in `HOLE_STEP` is looked at. Nothing is what 16 bits cannot hold; a voice's own valleys slope.
    """
    # From 480 Hz to a little below the top: at both ends there may be nothing for other reasons.
    looked = energy[::HOLE_STEP, 9:-10]
    out = np.zeros(len(energy), dtype=bool)
    empty = looked < HOLE_POWER
    # Six bins in a row hold two that are multiples of three.
    if not (empty[:, 3::3] & empty[:, :-3:3]).any():
        return out
    bins = empty.shape[1]
    # A column that is never empty parts the rows, so that all are searched at once.
    rows = np.zeros((empty.shape[0], bins + 1), dtype=bool)
    rows[:, :bins] = empty
    starts, ends = edges(rows.ravel())
    row, first, last = starts // (bins + 1), starts % (bins + 1), ends % (bins + 1)
    inside = (last - first >= 6) & (first >= 3) & (last <= bins - 3)
    row, first, last = row[inside], first[inside], last[inside]
    full = looked > HOLE_SIDE_POWER
    below = full[row, first - 1] | full[row, first - 2] | full[row, first - 3]
    above = full[row, last] | full[row, last + 1] | full[row, last + 2]
    out[HOLE_STEP * row[below & above]] = True
    return out


def runs(mask: NDArray[np.bool_], least: int = 1) -> list[tuple[int, int]]:
    """The (start, end) of each run of True of at least `least`."""
    if mask.size == 0:
        return []
    starts, ends = edges(mask)
    if least > 1:
        long = ends - starts >= least
        starts, ends = starts[long], ends[long]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def edges(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where runs of True start and end, in a mask that is not empty."""
    changes = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    starts, ends = changes[int(mask[0]) :: 2], changes[1 - int(mask[0]) :: 2]
    if mask[0]:
        starts = np.concatenate([[0], changes[1::2]])
    if mask[-1]:
        ends = np.concatenate([ends, [mask.size]])
    return starts, ends
