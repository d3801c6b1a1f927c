"""What arrays are taken as sound, and their one inner form: finite float32, shape (samples, channels)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from protocol.errors import CodedError

Samples = NDArray[np.float32]

LOWEST_RATE_HZ = 8_000
HIGHEST_RATE_HZ = 384_000
MOST_CHANNELS = 64
# A float signal beyond +40 dB of full scale holds integers that nobody scaled.
LARGEST_SAMPLE = 100.0


class SignalError(CodedError):
    """An array that is no sound, or none that can be measured."""

    code: ClassVar[str] = "SIGNAL_INVALID"


class SignalEmpty(SignalError):
    """There is no sample in it."""

    code = "SIGNAL_EMPTY"


class SignalNotFinite(SignalError):
    """NaN or infinity among the samples."""

    code = "SIGNAL_NOT_FINITE"


class SignalShapeWrong(SignalError):
    """Neither (samples,) nor (samples, channels), or another number of channels than before."""

    code = "SIGNAL_SHAPE"


class SignalTypeWrong(SignalError):
    """A number type whose full scale is unknown, or floats far beyond full scale."""

    code = "SIGNAL_TYPE"


class SampleRateUnsupported(SignalError):
    """Below telephone rate, above any converter's, or not a whole number."""

    code = "SIGNAL_RATE"


def checked_rate(sample_rate_hz: object) -> int:
    """The rate as an int, or `SampleRateUnsupported`."""
    if isinstance(sample_rate_hz, int | np.integer) and not isinstance(sample_rate_hz, bool):
        rate_hz = int(sample_rate_hz)
        if LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
            return rate_hz
    raise SampleRateUnsupported(rate=str(sample_rate_hz), lowest=LOWEST_RATE_HZ, highest=HIGHEST_RATE_HZ)


def as_samples(samples: object, *, first: int = 0) -> Samples:
    """Any accepted array as float32 of shape (samples, channels), full scale 1.

    Parameters
    ----------
    samples : array_like, shape (n,) or (n, channels)
        float16/32/64 in [-1, 1]; int8, int16 or int32 over their whole range; uint8 around 128, as in WAV.
        Layout, strides and writability do not matter; the array is never written to.
    first : int
        Where the array lies in its stream, for errors that name a sample.

    Returns
    -------
    ndarray of float32, shape (n, channels)
        May share memory with `samples`. `n` may be 0: a stream has empty blocks.

    Raises
    ------
    SignalError
        Of the kind that fits: shape, number type, or samples that are not finite.
    """
    x = np.asarray(samples)
    shape = str(x.shape)
    if x.ndim == 1:
        x = x[:, np.newaxis]
    if x.ndim != 2 or not 1 <= x.shape[1] <= MOST_CHANNELS:
        raise SignalShapeWrong(shape=shape, most=MOST_CHANNELS)
    if x.dtype.kind == "f":
        return _floats(x, first)
    full_scale = _FULL_SCALE.get(x.dtype.newbyteorder("="))
    if full_scale is None:
        raise SignalTypeWrong(type=str(x.dtype), problem="the full scale of this number type is not known")
    centre = np.float32(128.0 if x.dtype == np.uint8 else 0.0)
    return (x.astype(np.float32) - centre) * np.float32(1.0 / full_scale)


_FULL_SCALE: dict[np.dtype[Any], float] = {
    np.dtype(np.uint8): 2.0**7,
    np.dtype(np.int8): 2.0**7,
    np.dtype(np.int16): 2.0**15,
    np.dtype(np.int32): 2.0**31,
}


def _floats(x: NDArray[Any], first: int) -> Samples:
    if x.size == 0:
        return x.astype(np.float32)
    low, high = float(x.min()), float(x.max())  # NaN and infinity show in one of the two
    if not (np.isfinite(low) and np.isfinite(high)):
        bad = int(np.flatnonzero(~np.isfinite(x).all(axis=1))[0])
        raise SignalNotFinite(sample=first + bad)
    if max(-low, high) > LARGEST_SAMPLE:
        raise SignalTypeWrong(
            type=str(x.dtype),
            problem=f"float samples must lie in [-1, 1], these reach {max(-low, high):.3g}",
        )
    return x.astype(np.float32, copy=False)


def mono(samples: object) -> Samples:
    """One channel as a float32 array of shape (n,), or `SignalShapeWrong`."""
    x = as_samples(samples)
    if x.shape[1] != 1:
        raise SignalShapeWrong(shape=str(x.shape), most=1)
    return x[:, 0]
