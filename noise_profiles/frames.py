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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels, voices
from noise_profiles.samples import Samples, checked_rate

FRAMES_PER_S = 100
BLOCK_S = 2
CONTEXT_S = 0.08  # 2.16 s have lengths of small factors at every usual rate
BANDS = 18
LOW_HZ = 1_000
MIDDLE_HZ = 2_000
SPECTRUM_STEP_HZ = 125
HOLE_STEP = 4
HOLE_POWER = 10.0**-10.8  # in 40 Hz; the rounding to 16 bits leaves 10 to 13 dB less
HOLE_SIDE_POWER = 10.0**-9.6

Floats = NDArray[np.float32]


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
    wanted /= np.maximum(np.square(_band_gain(bins_hz.size, 40.0)), 0.5)
    seen = np.diag(np.full(bins_hz.size, 2 / 3))
    seen += np.diag(np.full(bins_hz.size - 1, 1 / 6), 1) + np.diag(np.full(bins_hz.size - 1, 1 / 6), -1)
    weights: Floats = np.maximum(np.linalg.solve(seen, wanted), 0.0).astype(np.float32)
    return weights


class FrameStream:
    """Takes blocks of one channel; gives `Frames` at the end.

    `look` is called for each inner block with (sound, start, size): the samples to look at begin at `start`
    of `sound` and have context on both sides. Places and sizes do not depend on what was fed.
    """

    def __init__(self, sample_rate_hz: int, look: Callable[[Samples, int, int], None] | None = None) -> None:
        self._rate_hz = checked_rate(sample_rate_hz)
        self._look = look
        self._out_hz = voices.analysis_rate_hz(self._rate_hz)
        g = math.gcd(self._rate_hz, self._out_hz)
        # Both lengths are whole at both rates.
        self._context = math.ceil(CONTEXT_S * g) * (self._rate_hz // g)
        self._context_out = math.ceil(CONTEXT_S * g) * (self._out_hz // g)
        self._block = BLOCK_S * self._rate_hz
        self._pending: list[Samples] = []
        self._pending_size = 0
        self._before: Samples | None = None
        self._done: list[tuple[NDArray[Any], ...]] = []
        self._spectrum = np.zeros(self._rate_hz // (2 * SPECTRUM_STEP_HZ))
        self._voices = voices.FrameVad(self._out_hz)

    def feed(self, x: Samples) -> None:
        """Take the next samples."""
        if x.size:
            self._pending.append(x)
            self._pending_size += x.size
        need = self._block + self._context
        if self._pending_size < need:
            return
        sound = np.concatenate(self._pending)
        at = 0
        while sound.size - at >= need:
            self._take(sound[at : at + need], self._block)
            at += self._block
        self._pending, self._pending_size = [sound[at:].copy()], sound.size - at

    def finish(self) -> Frames:
        """Describe the rest, and give all frames."""
        sound = np.concatenate(self._pending) if self._pending else np.empty(0, np.float32)
        for at in range(0, sound.size, self._block):
            size = min(self._block, sound.size - at)
            ahead = sound[at : at + self._block + self._context]
            # Mirrored, so that an offset or a rumble does not look like a step; of a length that is fast.
            self._take(np.pad(ahead, (0, self._block + self._context - ahead.size), mode="symmetric"), size)
        self._pending, self._pending_size = [], 0
        if not self._done:
            nothing = np.empty(0, np.float32)
            bands = np.empty((0, BANDS), np.float32)
            no_bool, no_half = np.empty(0, bool), np.empty(0, np.float16)
            return Frames(
                nothing, bands, nothing, no_bool, nothing, nothing, no_half, no_bool, self._spectrum
            )
        power, bands, a_weighted, voiced, harmonic, low, middle, holes = (
            np.concatenate(part) for part in zip(*self._done, strict=True)
        )
        spectrum = self._spectrum / len(self._done)
        return Frames(power, bands, a_weighted, voiced, harmonic, low, middle, holes, spectrum)

    def _take(self, sound: Samples, size: int) -> None:
        """Describe the first `size` samples of `sound`; what follows them is context."""
        if self._before is None:
            self._before = np.pad(sound, (self._context, 0), mode="symmetric")[: self._context]
        joined = np.concatenate([self._before, sound])
        self._before = joined[size : size + self._context].copy()
        if self._look is not None:
            self._look(joined, self._context, size)
        y, low, middle, spectrum = band_passed(joined, self._rate_hz, self._out_hz)
        self._spectrum += spectrum[: self._spectrum.size]
        hop, window = self._out_hz // FRAMES_PER_S, self._out_hz // 40
        frames = round(size * self._out_hz / self._rate_hz) // hop
        start, start_low = self._context_out, round(self._context * LOW_HZ / self._rate_hz)
        core = y[start : start + frames * hop].reshape(frames, hop)
        power = np.einsum("ij,ij->i", core, core, dtype=np.float32) / np.float32(hop)
        first = start - (window - hop) // 2
        around = y[first : first + max(0, frames - 1) * hop + window]
        bands, energy = band_powers(around, hop, window, self._out_hz)
        a_weighted = np.einsum("ij,j->i", energy, _a_weights(self._out_hz))
        harmonic = _harmonicity(energy)
        voiced = self._voices.frames(core, power)
        low = low[start_low : start_low + frames * LOW_HZ // FRAMES_PER_S].copy()
        start_middle = round(self._context * MIDDLE_HZ / self._rate_hz)
        middle = middle[start_middle : start_middle + frames * MIDDLE_HZ // FRAMES_PER_S].astype(np.float16)
        self._done.append(
            (power, bands[:frames], a_weighted[:frames], voiced, harmonic[:frames], low, middle,
             hollow(energy, frames))
        )  # fmt: skip


def band_powers(y: Floats, hop: int, window: int, rate_hz: int) -> tuple[Floats, Floats]:
    """Powers by band, shape (n, BANDS), and by bin. No BLAS: its threads cost more than they bring."""
    import scipy.fft

    views = np.lib.stride_tricks.sliding_window_view(y, window)[::hop]
    spectrum = scipy.fft.rfft(views * _window(window), axis=1)
    energy = np.square(spectrum.real)
    energy += np.square(spectrum.imag)
    return np.add.reduceat(energy, _band_starts(rate_hz), axis=1)[:, :BANDS], energy


def _harmonicity(energy: Floats) -> Floats:
    """How periodic each frame is at the pitch of a voice, from its powers by bin."""
    import scipy.fft

    # From 120 Hz to 2 kHz, magnitudes rather than powers, so that one strong formant is not all there is.
    voice = np.sqrt(energy[:, :51])
    voice[:, :3] = 0.0
    periodic = scipy.fft.irfft(voice, axis=1)  # lags of 0.25 ms
    harmonic: Floats = periodic[:, 10:50].max(axis=1) / np.maximum(periodic[:, 0], np.float32(1e-12))
    return harmonic


@cache
def _window(size: int) -> Floats:
    """A Hann window scaled so that one-sided power sums give mean squares."""
    hann = np.hanning(size + 1)[:-1]
    scale = math.sqrt(2.0 / (size * float(np.square(hann).sum())))
    return np.asarray(hann * scale, dtype=np.float32)


def hollow(energy: Floats, frames: int) -> NDArray[np.bool_]:
    """Whether the spectrum of a frame has a hole: 240 Hz and more of nothing between steep sides.

    One frame in `HOLE_STEP` is looked at. Nothing is what 16 bits cannot hold; a voice's own valleys slope.
    """
    # From 480 Hz to a little below the top: at both ends there may be nothing for other reasons.
    looked = energy[:frames:HOLE_STEP, 9:-10]
    out = np.zeros(frames, dtype=bool)
    empty = looked < HOLE_POWER
    if not empty.any():
        return out
    bins = empty.shape[1]
    # A column that is never empty parts the rows, so that all are searched at once.
    rows = np.zeros((empty.shape[0], bins + 1), dtype=bool)
    rows[:, :bins] = empty
    starts, ends = _edges(rows.ravel())
    row, first, last = starts // (bins + 1), starts % (bins + 1), ends % (bins + 1)
    inside = (last - first >= 6) & (first >= 3) & (last <= bins - 3)
    row, first, last = row[inside], first[inside], last[inside]
    full = looked > HOLE_SIDE_POWER
    below = full[row, first - 1] | full[row, first - 2] | full[row, first - 3]
    above = full[row, last] | full[row, last + 1] | full[row, last + 2]
    out[HOLE_STEP * row[below & above]] = True
    return out


def band_passed(x: Samples, from_hz: int, to_hz: int) -> tuple[Samples, Samples, Samples, Floats]:
    """What lies between 50 Hz and 8 kHz, at another rate; below 500 Hz; 1 to 2 kHz; and the power spectrum.

    One Fourier transform there and one back: the lengths at both rates must be whole. Below 50 Hz it falls
    as a 4th-order Butterworth filter, with zero phase; the upper edge is sharp, since the definition of noise
    ends there. The spectrum is in bands of `SPECTRUM_STEP_HZ`, seen through a Hann window.
    """
    import scipy.fft

    size, size_low = x.size * to_hz // from_hz, round(x.size * LOW_HZ / from_hz)
    spectrum = scipy.fft.rfft(x - x.mean())
    low: Samples = scipy.fft.irfft(spectrum[: size_low // 2 + 1], size_low) * np.float32(size_low / x.size)
    size_middle = round(x.size * MIDDLE_HZ / from_hz)
    first = round(x.size * 1000 / from_hz)
    middle: Samples = scipy.fft.irfft(spectrum[first : first + size_middle // 2 + 1], size_middle)
    middle *= np.float32(size_middle / x.size)
    # Convolving with (-1/4, 1/2, -1/4) is the Hann window of the time domain.
    windowed = spectrum[1:-1] - np.float32(0.5) * (spectrum[:-2] + spectrum[2:])
    energy = np.square(windowed.real) + np.square(windowed.imag)
    starts = np.arange(0, from_hz // 2, SPECTRUM_STEP_HZ) * x.size // from_hz
    by_band = np.add.reduceat(energy, np.minimum(starts, energy.size - 1)) * np.float32(
        1.0 / (3.0 * x.size**2 / 4)
    )
    kept = spectrum[: size // 2 + 1]
    kept *= _band_gain(kept.size, from_hz / x.size) * np.float32(size / x.size)
    y: Samples = scipy.fft.irfft(kept, size)
    return y, low, middle, by_band


@cache
def _band_gain(bins: int, step_hz: float) -> Floats:
    f = np.arange(bins) * step_hz
    low = 1.0 / np.sqrt(1.0 + (levels.LOWEST_HZ / np.maximum(f, 1e-3)) ** 8)
    high = np.clip((levels.HIGHEST_HZ + 20.0 - f) / 20.0, 0.0, 1.0)
    return np.asarray(low * high, dtype=np.float32)


def runs(mask: NDArray[np.bool_], least: int = 1) -> list[tuple[int, int]]:
    """The (start, end) of each run of True of at least `least`."""
    if mask.size == 0:
        return []
    starts, ends = _edges(mask)
    if least > 1:
        long = ends - starts >= least
        starts, ends = starts[long], ends[long]
    return list(zip(starts.tolist(), ends.tolist(), strict=True))


def _edges(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Where runs of True start and end."""
    edges = np.flatnonzero(mask[1:] != mask[:-1]) + 1
    starts, ends = edges[int(mask[0]) :: 2], edges[1 - int(mask[0]) :: 2]
    if mask[0]:
        starts = np.concatenate([[0], edges[1::2]])
    if mask[-1]:
        ends = np.concatenate([ends, [mask.size]])
    return starts, ends
