"""A picture of few colours as PNG: the one kind that a spectrogram needs, without an image library.

References
----------
.. [1] ISO/IEC 15948, Portable Network Graphics, colour type 3.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def indexed(pixels: NDArray[np.uint8], palette: Sequence[tuple[int, int, int]]) -> bytes:
    """The PNG of `pixels`, shape (height, width), whose values are places in `palette`."""
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    # One byte before each row says that it is not filtered, which suits few colours best.
    rows = np.pad(pixels, ((0, 0), (1, 0))).tobytes()
    colours = bytes(part for colour in palette for part in colour)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        _chunk(kind, data)
        for kind, data in (
            (b"IHDR", header),
            (b"PLTE", colours),
            (b"IDAT", zlib.compress(rows, 9)),
            (b"IEND", b""),
        )
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
