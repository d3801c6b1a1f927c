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
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from noise_profiles import voices
from noise_profiles.bands import BANDS, band_powers, harmonicity, hollow
from noise_profiles.growing import Growing
from noise_profiles.passband import LOW_HZ, MIDDLE_HZ, SLOW_SAMPLES, SPECTRUM_STEP_HZ, band_passed
from noise_profiles.rows import Floats, mean_squares
from noise_profiles.samples import Samples, checked_rate

FRAMES_PER_S = 100
BLOCK_S = 2
CONTEXT_S = 0.08  # 2.16 s have lengths of small factors at every usual rate
MIDDLE_SCALE = np.float32(256.0)  # soft sound is no subnormal then, which takes 25 times as long to write
GROUP = 8  # so many blocks are taken together: they cost little more than one


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
        The sound from 1 to 2 kHz, moved down to 0, at 2 kHz, times `MIDDLE_SCALE`: what an echo can be told
        from.
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
            height = len(starts) if len(starts) % 4 < 2 else -(-len(starts) // 4) * 4
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
        self._blocks += len(sizes)
        hop, window = self._out_hz // FRAMES_PER_S, self._out_hz // 40
        counts = [round(size * self._out_hz / self._rate_hz) // hop for size in sizes]
        if not counts[0]:
            return

        def core(x: Samples, rate_hz: int) -> Samples:
            """What is to be described of each row, one after another; a row for each frame."""
            start, per_frame = round(self._context * rate_hz / self._rate_hz), rate_hz // FRAMES_PER_S
            parts = [row[start : start + n * per_frame] for row, n in zip(x, counts, strict=False)]
            return np.concatenate(parts).reshape(-1, per_frame)

        sound = core(passed.sound, self._out_hz)
        power = mean_squares(sound)
        first = self._context_out - (window - hop) // 2
        around = [
            y[first : first + (n - 1) * hop + window] for y, n in zip(passed.sound, counts, strict=False) if n
        ]
        bands, energy = band_powers(around, hop, window, self._out_hz)
        slow = [mean_squares(core(x, LOW_HZ)) for x in passed.slow]
        low, middle = core(passed.low, LOW_HZ).ravel(), core(passed.middle, MIDDLE_HZ).ravel() * MIDDLE_SCALE
        described = (
            power, bands[:, :BANDS], bands[:, BANDS], self._voiced(sound, power, counts), harmonicity(energy),
            low, middle, np.stack(slow, axis=1), hollow(energy),
        )  # fmt: skip
        for kind, found in zip(self._kinds, described, strict=True):
            kind.add(found)

    def _voiced(self, sound: Samples, power: Floats, counts: list[int]) -> NDArray[np.bool_]:
        """The opinion of webrtcvad, block by block: its gain changes from one to the next."""
        spans = [slice(end - n, end) for end, n in zip(accumulate(counts), counts, strict=True)]
        return np.concatenate([self._voices.frames(sound[span], power[span]) for span in spans])
