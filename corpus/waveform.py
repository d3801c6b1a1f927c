"""Peaks of a stored clip for drawing. Its blob was decoded and checked before it was kept."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np
import soundfile


def peaks_of(file: BinaryIO, points: int) -> list[list[float]]:
    """Lowest and highest sample, over all channels, in each of `points` equal parts of the clip."""
    samples, _ = soundfile.read(file, dtype="float32", always_2d=True)
    edges = np.linspace(0, len(samples), num=min(points, len(samples)) + 1).astype(np.int64)
    low = np.minimum.reduceat(samples.min(axis=1), edges[:-1])
    high = np.maximum.reduceat(samples.max(axis=1), edges[:-1])
    return [[round(float(a), 4), round(float(b), 4)] for a, b in zip(low, high, strict=True)]
