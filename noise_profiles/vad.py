"""Where somebody speaks: webrtcvad frames, agreed with energy, joined with hysteresis.

`SpeechDetector` works live, with half a second of hindsight at most; `measure` looks at the whole clip and
knows more. webrtcvad keeps state from frame to frame and judges loudness as well, so there is one for
each stream, behind a gain that follows the level slowly.
"""

from __future__ import annotations

import math
from collections import deque

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.samples import Samples, SignalEmpty, checked_rate, mono

AGGRESSIVENESS = 2
TARGET_DBFS = -20.0
MOST_GAIN_DB = 50.0
RELEASE_DB_PER_FRAME = 0.02
OPEN_DB = 4.0
VOICED_RISE_DB = 0.003  # 0.3 dB/s: a sentence must not become the floor
QUIET_RISE_DB = 0.05


def resampled(x: Samples, from_hz: int, to_hz: int) -> Samples:
    """High quality resampling of a whole array, by the library that librosa uses."""
    if from_hz == to_hz:
        return x
    import soxr

    y: Samples = soxr.resample(x, from_hz, to_hz, quality="HQ")
    return y


def analysis_rate_hz(sample_rate_hz: int) -> int:
    """The rate at which speech is looked at: 16 kHz, or 8 kHz for telephone sound."""
    return 8_000 if sample_rate_hz == 8_000 else 16_000


class FrameVad:
    """webrtcvad over 10 ms frames of 8 or 16 kHz sound of any level."""

    def __init__(self, rate_hz: int, aggressiveness: int = AGGRESSIVENESS) -> None:
        import webrtcvad

        self._vad = webrtcvad.Vad(aggressiveness)
        self._rate_hz = rate_hz
        self._level_db = TARGET_DBFS - MOST_GAIN_DB

    def frames(self, frames: NDArray[np.float32], power: NDArray[np.float32]) -> NDArray[np.bool_]:
        """One answer for each row of `frames`, whose mean squares are `power`."""
        if not len(frames):
            return np.empty(0, dtype=bool)
        loudest_db = 10.0 * math.log10(2.0 * float(power.max()) + 1e-12)
        self._level_db = max(loudest_db, self._level_db - RELEASE_DB_PER_FRAME * len(frames))
        gain = 10.0 ** (min(MOST_GAIN_DB, TARGET_DBFS + 8.0 - self._level_db) / 20.0)
        pcm = np.clip(np.rint(frames * np.float32(32768.0 * gain)), -32768, 32767).astype("<i2").tobytes()
        step = 2 * frames.shape[1]
        is_speech, rate_hz = self._vad.is_speech, self._rate_hz
        return np.fromiter(
            (is_speech(pcm[at : at + step], rate_hz) for at in range(0, len(pcm), step)),
            dtype=bool,
            count=len(frames),
        )


class SpeechDetector:
    """Finds speech segments in a live stream of one channel.

    A segment opens when most of the last 100 ms is voiced and stands out of the noise, and closes after
    `hangover_s` without. Any cutting of the stream into blocks gives the same segments.

    Parameters
    ----------
    sample_rate_hz : int
        Rate of what will be fed; any that `measure` takes.
    hangover_s : float
        Pause that ends a segment.
    """

    def __init__(self, sample_rate_hz: int, *, hangover_s: float = 0.3) -> None:
        self._rate_hz = checked_rate(sample_rate_hz)
        self._out_hz = analysis_rate_hz(self._rate_hz)
        # A tenth of a second, whole at both rates where the rates allow it.
        g = math.gcd(self._rate_hz, self._out_hz)
        self._units = math.ceil(g / 10)
        self._block = self._units * (self._rate_hz // g)
        self._context = math.ceil(g / 100) * (self._rate_hz // g)
        self._context_out = math.ceil(g / 100) * (self._out_hz // g)
        self._block_out = self._units * (self._out_hz // g)
        self._sound = np.zeros(self._context, dtype=np.float32)
        self._samples = 0
        self._tail = np.empty(0, dtype=np.float32)
        self._vad = FrameVad(self._out_hz)
        self._hop = self._out_hz // 100
        self._hangover = max(1, round(hangover_s * 100))
        self._recent: deque[bool] = deque(maxlen=10)
        self._frame = 0
        self._floor_db = 0.0
        self._energies: deque[float] = deque(maxlen=5)
        self._quiet = 0
        self._start: int | None = None
        self._segments: list[tuple[int, int]] = []

    @property
    def speaking(self) -> bool:
        """A segment is open now."""
        return self._start is not None

    @property
    def segments(self) -> list[tuple[int, int]]:
        """Segments closed so far, as (start sample, end sample)."""
        return list(self._segments)

    def feed(self, block: object) -> bool:
        """Take a block; return whether somebody is speaking now."""
        x = mono(block)
        self._samples += x.size
        self._sound = np.concatenate([self._sound, x])
        whole = self._context + self._block + self._context
        at = 0
        while self._sound.size - at >= whole:
            y = resampled(self._sound[at : at + whole], self._rate_hz, self._out_hz)
            self._look(y[self._context_out : self._context_out + self._block_out])
            at += self._block
        self._sound = self._sound[at:].copy()
        return self.speaking

    def finish(self) -> list[tuple[int, int]]:
        """End the stream and give all segments."""
        rest = self._sound.size - self._context
        if rest > 0:
            y = resampled(self._sound, self._rate_hz, self._out_hz)
            self._look(y[self._context_out :])
        self._sound = np.zeros(self._context, dtype=np.float32)
        if self._start is not None:
            self._close(self._frame)
        return self.segments

    def _look(self, y: Samples) -> None:
        y = np.concatenate([self._tail, y])
        count = y.size // self._hop
        self._tail = y[count * self._hop :].copy()
        if count == 0:
            return
        rows = y[: count * self._hop].reshape(count, self._hop)
        rows = rows - rows.mean(axis=1, keepdims=True)
        power = np.square(rows).mean(axis=1)
        # Differences weigh the bands where speech stands out; rooms, fans and roads are loudest below them.
        bright = np.square(np.diff(rows, axis=1)).mean(axis=1)
        for voiced, energy in zip(self._vad.frames(rows, power), bright, strict=True):
            self._decide(bool(voiced), float(energy))

    def _decide(self, voiced: bool, energy: float) -> None:
        """One frame: follow the noise floor, agree voice with energy, open or close."""
        self._energies.append(energy)
        level_db = levels.dbfs(sum(self._energies) / len(self._energies))
        # The floor is the quietest 50 ms: down at once, up slowly, and hardly at all while a voice is on.
        rise_db = VOICED_RISE_DB if voiced else QUIET_RISE_DB
        self._floor_db = min(level_db, self._floor_db + rise_db)
        stands_out = voiced and level_db > self._floor_db + OPEN_DB
        self._recent.append(stands_out)
        self._frame += 1
        self._quiet = 0 if stands_out else self._quiet + 1
        if self._start is None:
            if sum(self._recent) >= 7:
                self._start = max(0, self._frame - 12)
        elif self._quiet >= self._hangover:
            self._close(self._frame - self._quiet + 6)

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
