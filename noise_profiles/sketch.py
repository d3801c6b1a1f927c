"""What a picture needs of a sound of any length, kept in a few hundred columns.

Each kind of column begins short. When there are twice as many as wanted, neighbours are joined, so that three
hours take the memory of a minute and nobody needs to know the length before the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.samples import Samples

WINDOW_S = 0.032
WAVE_STEP_S = 0.0005
ROWS = 128
MOST_CHANNELS = 8

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Sketch:
    """A sound in columns; each kind has its own number of them, and all of them span the whole sound.

    Attributes
    ----------
    lowest, highest : ndarray, shape (columns, channels)
        Extremes of the waveform; full scale is 1.
    level, softest : ndarray, shape (columns, channels)
        Mean square between 50 Hz and 8 kHz, and its lowest within the column.
    spectrum : ndarray, shape (columns, ROWS)
        Mean power by bands of equal width on the mel scale, from 0 to the Nyquist frequency.
    """

    sample_rate_hz: int
    samples: int
    lowest: Floats
    highest: Floats
    level: Floats
    softest: Floats
    spectrum: Floats


class Sketcher:
    """Takes blocks of a sound and gives a `Sketch` at the end.

    Parameters
    ----------
    expected_samples : int
        About how many will come, so that hours are looked at in wider steps; a wrong number does no harm.
    columns : int
        There will be from so many to twice as many, if the sound is long enough.
    """

    def __init__(
        self, sample_rate_hz: int, channels: int, expected_samples: int, *, columns: int = 500
    ) -> None:
        self._rate_hz = sample_rate_hz
        self._channels = min(channels, MOST_CHANNELS)
        self._step = max(1, round(WAVE_STEP_S * sample_rate_hz))
        self._window = round(WINDOW_S * sample_rate_hz) // 2 * 2
        hop_s = min(0.05, max(0.0025, expected_samples / sample_rate_hz / (4 * columns)))
        self._hop = max(1, round(hop_s * sample_rate_hz))
        self._lowest, self._highest = (_Columns(columns, joined) for joined in (np.min, np.max))
        self._level, self._spectrum = (_Columns(columns, np.mean) for _ in range(2))
        self._softest = _Columns(columns, np.min)
        self._wave = np.empty((0, self._channels), np.float32)
        # Half a window before the middle of the first hop; silence stands in for what was not recorded.
        self._sound = np.zeros((max(0, self._window // 2 - self._hop // 2), self._channels), np.float32)
        self._samples = self._frames = 0

    def feed(self, x: Samples) -> None:
        """Take the next samples, shape (n, channels)."""
        x = x[:, : self._channels]
        self._samples += len(x)
        wave = np.concatenate([self._wave, x])
        whole = len(wave) // self._step * self._step
        self._add_wave(wave[:whole])
        self._wave = wave[whole:].copy()
        self._sound = np.concatenate([self._sound, x])
        self._look()

    def finish(self) -> Sketch:
        """Everything that was fed."""
        if len(self._wave):
            self._add_wave(np.pad(self._wave, ((0, self._step - len(self._wave)), (0, 0)), mode="edge"))
        left = -(-self._samples // self._hop) - self._frames
        need = max(0, (left - 1) * self._hop + self._window - len(self._sound))
        self._sound = np.pad(self._sound, ((0, need), (0, 0)))
        self._look(left)
        return Sketch(
            self._rate_hz,
            self._samples,
            self._lowest.all(),
            self._highest.all(),
            self._level.all(),
            self._softest.all(),
            self._spectrum.all(),
        )

    def _add_wave(self, x: Samples) -> None:
        steps = x.reshape(-1, self._step, self._channels)
        self._lowest.add(steps.min(axis=1))
        self._highest.add(steps.max(axis=1))

    def _look(self, most: int | None = None) -> None:
        """Describe every window that lies whole in what is there."""
        frames = max(0, (len(self._sound) - self._window) // self._hop + 1)
        frames = frames if most is None else min(frames, most)
        if frames <= 0:
            return
        views = np.lib.stride_tricks.sliding_window_view(self._sound, self._window, axis=0)
        views = views[: (frames - 1) * self._hop + 1 : self._hop]  # (frames, channels, window)
        for at in range(0, frames, 256):
            level, rows = _described(views[at : at + 256], self._rate_hz)
            self._level.add(level)
            self._softest.add(level)
            self._spectrum.add(rows)
        self._sound = self._sound[frames * self._hop :].copy()
        self._frames += frames


def _described(views: Samples, rate_hz: int) -> tuple[Floats, Floats]:
    """Mean squares by channel, and mean powers by row of the spectrogram."""
    import scipy.fft

    size = views.shape[-1]
    window, low, high, edges = _layout(size, rate_hz)
    spectrum = scipy.fft.rfft(views * window, axis=-1)
    energy = np.square(spectrum.real) + np.square(spectrum.imag)
    level = energy[..., low:high].sum(axis=-1)
    total = np.cumsum(energy.mean(axis=1, dtype=np.float64), axis=-1)
    total = np.concatenate([np.zeros((len(total), 1)), total], axis=-1)
    whole = edges.astype(np.intp)
    below, above = total[:, whole], total[:, np.minimum(whole + 1, total.shape[1] - 1)]
    at = below + (above - below) * (edges - whole)
    rows = np.diff(at, axis=-1) / np.diff(edges)
    return level.astype(np.float32), np.maximum(rows, 0.0).astype(np.float32)


@cache
def _layout(size: int, rate_hz: int) -> tuple[Floats, int, int, NDArray[np.float64]]:
    """A Hann window by which power sums are mean squares, the bins of the level, the edges of the rows."""
    hann = np.hanning(size + 1)[:-1]
    window = (hann * np.sqrt(2.0 / (size * np.square(hann).sum()))).astype(np.float32)
    step_hz = rate_hz / size
    low = round(levels.LOWEST_HZ / step_hz)
    high = min(size // 2 + 1, round(levels.HIGHEST_HZ / step_hz) + 1)
    edges = row_edges_hz(rate_hz) / step_hz
    return window, low, high, np.minimum(edges, size // 2)


@cache
def row_edges_hz(rate_hz: int) -> NDArray[np.float64]:
    """The ROWS + 1 edges of the rows of a spectrogram."""
    top_mel = 2595.0 * np.log10(1.0 + rate_hz / 2 / 700.0)
    mels = np.linspace(0.0, top_mel, ROWS + 1)
    return np.asarray(700.0 * (10.0 ** (mels / 2595.0) - 1.0))


class _Columns:
    """Rows of numbers that are joined two by two whenever they have become twice as many as wanted."""

    def __init__(self, wanted: int, joined: Callable[..., Any]) -> None:
        self._most = 2 * wanted
        self._joined = joined
        self._group = 1
        self._done: list[Floats] = []
        self._count = 0
        self._rest: Floats | None = None

    def add(self, items: Floats) -> None:
        rest = items if self._rest is None else np.concatenate([self._rest, items])
        while True:
            take = min(len(rest) // self._group, self._most - self._count)
            if take:
                groups = rest[: take * self._group].reshape(take, self._group, -1)
                self._done.append(self._joined(groups, axis=1))
                self._count += take
                rest = rest[take * self._group :]
            if self._count < self._most:
                break
            pairs = np.concatenate(self._done).reshape(self._most // 2, 2, -1)
            self._done, self._count = [self._joined(pairs, axis=1)], self._most // 2
            self._group *= 2
        self._rest = rest.copy()

    def all(self) -> Floats:
        done = list(self._done)
        if self._rest is not None and len(self._rest):
            done.append(self._joined(self._rest[np.newaxis], axis=1))
        return np.concatenate(done).astype(np.float32) if done else np.empty((0, 1), np.float32)
