"""The same sound again: a fingerprint that survives another codec, rate, level, polarity or cut.

After Haitsma and Kalker [1]_: the sound is taken to 8 kHz and described 31 times a second by the energy of 17
bands from 300 Hz to 3 kHz; each of 16 bits says whether the difference of two neighbouring bands grew or
shrank. Bits do not depend on level or polarity, and hardly on what codecs change; a second word marks
the surer half of them. Two fingerprints are compared at every shift of up to six seconds: one sound
agrees in more than nine of ten sure bits, different ones in little more than half.

For many clips, `keys` gives numbers that a table can hold: the same sound shares some of its keys, another
shares none or one by chance. Look up whose they are, and compare only those; `Index` does it in memory.

References
----------
.. [1] J. Haitsma, T. Kalker, A highly robust audio fingerprinting system, Proc. ISMIR (2002).
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from noise_profiles.rows import Floats, filtered
from noise_profiles.samples import SignalEmpty, SignalError, checked_rate, mono

VERSION = 1
RATE_HZ = 8_000
HOP = 256  # 31.25 a second
WINDOW = 2_048
BITS = 16
LOWEST_HZ, HIGHEST_HZ = 300.0, 3_000.0
LONGEST_SHIFT_S = 6.0
LEAST_OVERLAP_S = 1.5
SAME = 0.92  # of the sure bits; see docs/acoustics.md
_KEY_GAP = 4  # moments, so that the two words of a key share no sound
_COMPARED_AT_ONCE = 1 << 17  # places, so that they stay in the cache
_HEADER = b"XYFP"
_MOMENTS = 32  # that are transformed at a time
_PIECE = 16  # samples at 8 kHz that are decimated at a time
_REACH = 10  # samples at 8 kHz on each side that the low-pass looks at

Words = NDArray[np.uint16]


class FingerprintInvalid(SignalError):
    """Bytes that are no fingerprint, or of a version that this program cannot compare."""

    code: ClassVar[str] = "FINGERPRINT_INVALID"


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What of a sound survives codecs: 16 bits for each moment, and how sure each bit is.

    Attributes
    ----------
    words : ndarray of uint16, shape (n,)
        One for each 32 ms.
    sure : ndarray of uint16, shape (n,)
        A bit is set where the one in `words` is among the surer half of its moment.
    """

    words: Words
    sure: Words

    def to_bytes(self) -> bytes:
        """A stable form: four letters, the version, then words and sure bits, little-endian."""
        body = np.stack([self.words, self.sure]).astype("<u2").tobytes()
        return _HEADER + bytes([VERSION]) + body

    @classmethod
    def from_bytes(cls, data: bytes) -> Fingerprint:
        """Read what `to_bytes` wrote.

        Raises
        ------
        FingerprintInvalid
            If it is something else, cut short, or of another version.
        """
        head = len(_HEADER)
        if data[:head] != _HEADER or len(data) <= head:
            raise FingerprintInvalid(problem="it does not begin as one")
        if data[head] != VERSION:
            raise FingerprintInvalid(problem=f"its version is {data[head]}, this program compares {VERSION}")
        if (len(data) - head - 1) % 4:
            raise FingerprintInvalid(problem="it is cut short")
        words, sure = np.frombuffer(data, dtype="<u2", offset=head + 1).reshape(2, -1).astype(np.uint16)
        return cls(words, sure)

    @property
    def keys(self) -> frozenset[int]:
        """Numbers below 2**32 that copies of the sound share some of; about 30 for each second."""
        if len(self) <= _KEY_GAP:
            return frozenset()
        now, later = self.words[:-_KEY_GAP].astype(np.uint32), self.words[_KEY_GAP:].astype(np.uint32)
        # Silence has no sure bits, and all silences are alike.
        told = (np.bitwise_count(self.sure[:-_KEY_GAP]) > 5) & (np.bitwise_count(self.sure[_KEY_GAP:]) > 5)
        return frozenset((now | later << np.uint32(16))[told].tolist())

    def few_keys(self, most: int) -> frozenset[int]:
        """At most `most` of the `keys`, for a table: copies choose the same ones, however they were cut.

        Of a long sound every second key is taken, or every fourth and so on, by the key's own hash.
        """
        keys = np.fromiter(self.keys, dtype=np.uint64)
        ranks = (keys * np.uint64(0x9E3779B97F4A7C15)) >> np.uint64(32)  # Fibonacci hashing (Knuth 6.4)
        below = 1 << 32
        while np.count_nonzero(ranks < below) > most:
            below >>= 1
        return frozenset(keys[ranks < below].tolist())

    def __len__(self) -> int:
        return int(self.words.size)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Fingerprint) and self.to_bytes() == other.to_bytes()

    def __hash__(self) -> int:
        return hash(self.to_bytes())


def fingerprint(samples: object, sample_rate_hz: int) -> Fingerprint:
    """The fingerprint of one channel, about 125 bytes for each second.

    Parameters
    ----------
    samples : array_like, shape (n,) or (n, 1)
        As `measure` takes them; of several channels give one, or their mean.
    sample_rate_hz : int
        8000 to 384000.

    Raises
    ------
    SignalError
        If it is empty, not finite, or no sound.
    """
    x = mono(samples)
    rate_hz = checked_rate(sample_rate_hz)
    if x.size == 0:
        raise SignalEmpty()
    bands = _bands(_at_8_khz(x, rate_hz)).astype(np.float64)
    # What lies 60 dB under the loudest moment is the codec's, not the sound's.
    level = np.log(bands + 1e-6 * float(bands.max(initial=0.0)) + 1e-20)
    slope = level[:, 1:] - level[:, :-1]
    change = slope[2:] - slope[:-2]
    size = np.abs(change)
    middle = np.partition(size, (BITS // 2 - 1, BITS // 2), axis=1)[:, BITS // 2 - 1 : BITS // 2 + 1]
    # A moment in which nothing changes says nothing.
    surer = (size >= 0.5 * middle.sum(axis=1, keepdims=True)) & (size > 0.02)
    return Fingerprint(_words(change > 0.0), _words(surer))


def _words(bits: NDArray[np.bool_]) -> Words:
    """Each row of bits as a number, the lowest bit first."""
    return np.packbits(bits, axis=1, bitorder="little").view("<u2").ravel().astype(np.uint16)


def _bands(y: Floats) -> Floats:
    """The energy of each band at each moment of a sound of 8 kHz that has half a window added on both sides.

    Some moments at a time, since what fits the processor's cache is transformed twice as quickly.
    """
    import scipy.fft

    edges = _edges()
    frames = np.lib.stride_tricks.sliding_window_view(y, WINDOW)[::HOP]
    found = np.empty((len(frames), BITS + 1), np.float32)
    for at in range(0, len(frames), _MOMENTS):
        spectrum = scipy.fft.rfft(frames[at : at + _MOMENTS] * _window(), axis=1)
        # Real and imaginary parts lie side by side, so that one sum takes both.
        parts = spectrum[:, edges[0] : edges[-1]].view(np.float32)
        np.add.reduceat(np.square(parts), 2 * (edges[:-1] - edges[0]), axis=1, out=found[at : at + _MOMENTS])
    return found


@cache
def _edges() -> NDArray[np.intp]:
    """The first bin of each band, and the end of the last."""
    return np.rint(np.geomspace(LOWEST_HZ, HIGHEST_HZ, BITS + 2) * WINDOW / RATE_HZ).astype(np.intp)


@cache
def _window() -> Floats:
    return np.hanning(WINDOW).astype(np.float32)


def _at_8_khz(x: Floats, rate_hz: int) -> Floats:
    """The sound at 8 kHz, with half a window of silence before and after it."""
    import scipy.signal

    g = math.gcd(rate_hz, RATE_HZ)
    up, down = RATE_HZ // g, rate_hz // g
    size = -(-x.size * up // down)
    y = np.zeros(size + WINDOW, np.float32)
    inner = y[WINDOW // 2 : WINDOW // 2 + size]
    if down == 1:
        inner[:] = x
    elif up == 1:
        _decimate(x, down, inner)
    else:
        inner[:] = scipy.signal.resample_poly(x, up, down, window=_low_pass(max(up, down)))
    return y


def _decimate(x: Floats, by: int, out: Floats) -> None:
    """Every so many samples of what `_low_pass` leaves of `x`.

    What `scipy.signal.resample_poly` gives, but for the rounding, at a fraction of its cost.
    """
    matrix = _decimator(by)
    pieces = -(-out.size // _PIECE)
    sound = np.zeros(by * _PIECE * (pieces - 1) + len(matrix), np.float32)
    inner = sound[by * _REACH :]
    inner[: x.size] = x
    out[:] = filtered(sound, by * _PIECE, matrix)[: out.size]


@lru_cache(maxsize=16)
def _low_pass(by: int) -> Floats:
    """What `scipy.signal.resample_poly` would design anew for each sound."""
    import scipy.signal

    taps = scipy.signal.firwin(2 * _REACH * by + 1, 1.0 / by, window=("kaiser", 5.0))
    return np.asarray(taps, dtype=np.float32)


@lru_cache(maxsize=16)
def _decimator(by: int) -> Floats:
    """For `rows.filtered`: the low-pass at each of `_PIECE` places, one for each sample that is left."""
    taps = _low_pass(by)
    matrix = np.zeros((by * (_PIECE - 1) + taps.size, _PIECE), np.float32)
    for place in range(_PIECE):
        matrix[by * place : by * place + taps.size, place] = taps[::-1]
    return matrix


def similarity(a: Fingerprint, b: Fingerprint) -> float:
    """The share of sure bits that agree at the best shift: 0.5 by chance, `SAME` and more for one sound.

    Shifts up to `LONGEST_SHIFT_S` either way are tried, with an overlap of `LEAST_OVERLAP_S`, or of the
    shorter one if that is less. A fingerprint of under a quarter of a second is like nothing.
    """
    hop_s = HOP / RATE_HZ
    least = min(len(a), len(b), max(8, round(LEAST_OVERLAP_S / hop_s)))
    longest = round(LONGEST_SHIFT_S / hop_s)
    if least < 8:
        return 0.0
    # Zeros on both sides of `b` are no sure bits, so that all shifts are rows of one array.
    padding = (longest, max(longest, len(a) - len(b) + longest))
    words, sure = (
        np.lib.stride_tricks.sliding_window_view(np.pad(x, padding), len(a))[: 2 * longest + 1]
        for x in (b.words, b.sure)
    )
    first = max(0, longest - len(a) + least)  # row `longest - shift` is compared at `shift`
    last = min(2 * longest, longest + len(b) - least)
    rows = max(1, _COMPARED_AT_ONCE // len(a))
    return max(
        _agreement(a, words[at : min(at + rows, last + 1)], sure[at : min(at + rows, last + 1)], least)
        for at in range(first, last + 1, rows)
    )


def _agreement(a: Fingerprint, words: Words, sure: Words, least: int) -> float:
    """The best of some shifts. Few sure bits lie further from the half by chance, and are believed less."""
    both = sure & a.sure
    bits = np.bitwise_count(both).sum(axis=1, dtype=np.int64)
    differs = np.bitwise_count((words ^ a.words) & both).sum(axis=1, dtype=np.int64)
    told = bits >= 4 * least
    scores = 1.0 - differs[told] / bits[told] - 0.5 / np.sqrt(bits[told])
    return max(0.0, float(scores.max(initial=0.0)))


class Index:
    """Fingerprints by their keys, in memory: about 10 kB and 0.2 ms for each clip that is added.

    A database does the same with a table of (key, id) and an index on key.
    """

    def __init__(self) -> None:
        self._fingerprints: dict[str, Fingerprint] = {}
        self._by_key: dict[int, list[str]] = {}

    def add(self, name: str, one: Fingerprint) -> None:
        """Keep a fingerprint under a name of its own."""
        self._fingerprints[name] = one
        for key in one.keys:
            self._by_key.setdefault(key, []).append(name)

    def same(self, one: Fingerprint, *, compared: int = 20) -> list[tuple[str, float]]:
        """The names of those that hold the same sound, and their similarity; most similar first.

        Only the `compared` that share most keys are compared.
        """
        shared = Counter(name for key in one.keys for name in self._by_key.get(key, ()))
        scores = [
            (name, similarity(self._fingerprints[name], one)) for name, _ in shared.most_common(compared)
        ]
        return sorted((pair for pair in scores if pair[1] >= SAME), key=lambda pair: -pair[1])
