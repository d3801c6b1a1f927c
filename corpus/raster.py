"""A drawing as PNG, the same bytes on any machine: no font, no image library, no compressor of the system's.

Letters are strokes of our own on a grid of five by nine; edges are smoothed by counting sixteen points in
each pixel, in whole numbers. Compression libraries differ in what they write, so the stream is written
here: runs of one byte, in Deflate's fixed code [1]_, which suits a chart.

References
----------
.. [1] RFC 1951, section 3.2.6; RFC 1950; RFC 2083 for PNG's filter "Up".
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from corpus.drawing import Drawing, Line, Rect, Text

_FINE = 4  # points a pixel, each way
_INK = (0x22, 0x22, 0x22)
_UNIT = 6  # points a step of the letters' grid
_ADVANCE = 34
_WEIGHT = {False: 2, True: 4}  # half of a stroke, in points

# Strokes of each letter: points "xy" from the upper left, y = 6 on the line of writing; "|" lifts the pen.
_STROKES = {
    "0": "10 30 41 45 36 16 05 01 10|23 23",
    "1": "11 20 26|16 36",
    "2": "01 10 30 41 42 06 46",
    "3": "01 10 30 41 42 33 44 45 36 16 05|13 33",
    "4": "36 30 04 44",
    "5": "40 00 03 33 44 45 36 06",
    "6": "30 10 01 05 16 36 45 44 33 03",
    "7": "00 40 16",
    "8": "13 02 01 10 30 41 42 33 13 04 05 16 36 45 44 33",
    "9": "43 13 02 01 10 30 41 45 36 16",
    "A": "06 20 46|14 34",
    "B": "06 00 30 41 42 33 03|33 44 45 36 06",
    "C": "41 30 10 01 05 16 36 45",
    "D": "06 00 20 42 44 26 06",
    "E": "40 00 06 46|03 33",
    "F": "40 00 06|03 33",
    "G": "41 30 10 01 05 16 36 45 43 23",
    "H": "00 06|40 46|03 43",
    "I": "10 30|20 26|16 36",
    "J": "40 45 36 16 05",
    "K": "00 06|40 03 46",
    "L": "00 06 46",
    "M": "06 00 23 40 46",
    "N": "06 00 46 40",
    "O": "10 30 41 45 36 16 05 01 10",
    "P": "06 00 30 41 42 33 03",
    "Q": "10 30 41 45 36 16 05 01 10|24 46",
    "R": "06 00 30 41 42 33 03|23 46",
    "S": "41 30 10 01 02 13 33 44 45 36 16 05",
    "T": "00 40|20 26",
    "U": "00 05 16 36 45 40",
    "V": "00 26 40",
    "W": "00 16 23 36 40",
    "X": "00 46|40 06",
    "Y": "00 23 40|23 26",
    "Z": "00 40 06 46",
    "a": "12 32 43 46 16 05 14 44",
    "b": "00 06 36 45 43 32 02",
    "c": "43 32 12 03 05 16 36 45",
    "d": "40 46 16 05 03 12 42",
    "e": "04 44 43 32 12 03 05 16 46",
    "f": "40 30 21 26|12 32",
    "g": "46 16 05 03 12 42 47 38 18 07",
    "h": "00 06|03 12 32 43 46",
    "i": "22 26|20 20",
    "j": "32 37 28 18|30 30",
    "k": "00 06|42 04 46",
    "l": "20 26",
    "m": "02 06|03 12 23 26|23 32 43 46",
    "n": "02 06|03 12 32 43 46",
    "o": "12 32 43 45 36 16 05 03 12",
    "p": "02 08|02 32 43 45 36 06",
    "q": "42 48|42 12 03 05 16 46",
    "r": "02 06|04 22 42",
    "s": "43 32 12 03 14 34 45 36 16 05",
    "t": "20 25 36 46|12 42",
    "u": "02 05 16 36 45|42 46",
    "v": "02 26 42",
    "w": "02 16 24 36 42",
    "x": "02 46|42 06",
    "y": "02 26|42 18 08",
    "z": "02 42 06 46",
    " ": "",
    ".": "26 26",
    ",": "26 17",
    ":": "23 23|26 26",
    "-": "13 33",
    "+": "13 33|22 24",
    "/": "06 40",
    "(": "30 21 25 36",
    ")": "10 21 25 16",
    "%": "06 40|10 10|36 36",
    "#": "11 15|31 35|02 42|04 44",
    "_": "07 47",
    "=": "12 32|14 34",
    "<": "41 03 45",
    ">": "01 43 05",
    "'": "20 21",
}


def png(drawing: Drawing) -> bytes:
    """The drawing as a PNG of as many pixels as it has units."""
    colours = sorted({shape.colour for shape in drawing.shapes if not isinstance(shape, Text)})
    palette = [(255, 255, 255), *(_rgb(colour) for colour in colours), *_greys()]
    first_grey = 1 + len(colours)
    pixels = np.zeros((drawing.height, drawing.width), np.uint8)
    for shape in drawing.shapes:
        if isinstance(shape, Rect):
            left, right = round(shape.x), round(shape.x + shape.width)
            pixels[round(shape.y) : round(shape.y + shape.height), left:right] = 1 + colours.index(
                shape.colour
            )
        elif isinstance(shape, Line):
            pixels[round(shape.y), round(shape.x) : round(shape.to_x)] = 1 + colours.index(shape.colour)
        else:
            _write(pixels, shape, first_grey)
    return _file(pixels, palette)


def drawable(text: str) -> bool:
    """Whether all its letters have strokes here."""
    return all(letter in _STROKES for letter in text)


def _write(pixels: NDArray[np.uint8], text: Text, first_grey: int) -> None:
    """Put letters over what is there; the grey of an edge is taken against white."""
    length = max(_ADVANCE * len(text.words) - (_ADVANCE - 4 * _UNIT), 0)
    begin = {"start": 0, "middle": -length // 2, "end": -length}[text.anchor]
    x, y = round(text.x * _FINE) + begin, round(text.y * _FINE) - 6 * _UNIT
    for place, letter in enumerate(text.words):
        for stroke in _STROKES.get(letter, _STROKES["#"]).split("|"):
            points = [
                (x + place * _ADVANCE + int(p[0]) * _UNIT, y + int(p[1]) * _UNIT) for p in stroke.split()
            ]
            for (ax, ay), (bx, by) in pairwise(points):
                _stroke(pixels, ax, ay, bx, by, _WEIGHT[text.bold], first_grey)


def _stroke(
    pixels: NDArray[np.uint8], ax: int, ay: int, bx: int, by: int, half: int, first_grey: int
) -> None:
    left, top = max((min(ax, bx) - half) // _FINE, 0), max((min(ay, by) - half) // _FINE, 0)
    right = min((max(ax, bx) + half) // _FINE + 1, pixels.shape[1])
    bottom = min((max(ay, by) + half) // _FINE + 1, pixels.shape[0])
    if right <= left or bottom <= top:
        return
    xs = np.arange(left * _FINE, right * _FINE, dtype=np.int64)[None, :]
    ys = np.arange(top * _FINE, bottom * _FINE, dtype=np.int64)[:, None]
    dx, dy = bx - ax, by - ay
    square = dx * dx + dy * dy
    along = np.clip((xs - ax) * dx + (ys - ay) * dy, 0, square) if square else np.zeros((1, 1), np.int64)
    # Distance to the nearest point of the stroke, times its squared length so that all stays whole.
    scale = max(square, 1)
    off_x, off_y = (xs - ax) * scale - along * dx, (ys - ay) * scale - along * dy
    inside = off_x**2 + off_y**2 <= (half * scale) ** 2
    cover = inside.reshape(bottom - top, _FINE, right - left, _FINE).sum(axis=(1, 3))
    area = pixels[top:bottom, left:right]
    darker = first_grey + np.minimum(cover, 16) - 1
    area[...] = np.where(cover == 0, area, np.maximum(area, darker)).astype(np.uint8)


def _greys() -> list[tuple[int, int, int]]:
    """From nearly white to ink, by how many of a pixel's sixteen points are covered."""
    shades = [[255 + (ink - 255) * cover // 16 for ink in _INK] for cover in range(1, 17)]
    return [(r, g, b) for r, g, b in shades]


def _rgb(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def _file(pixels: NDArray[np.uint8], palette: Iterable[tuple[int, int, int]]) -> bytes:
    above = np.vstack((np.zeros((1, pixels.shape[1]), np.uint8), pixels[:-1]))
    up = np.full((pixels.shape[0], 1), 2, np.uint8)
    rows = np.hstack((up, pixels - above)).tobytes()
    height, width = pixels.shape
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes(value for colour in palette for value in colour)),
        (b"IDAT", b"\x78\x01" + _deflated(rows) + struct.pack(">I", zlib.adler32(rows))),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


def _deflated(data: bytes) -> bytes:
    """One block in the fixed code: bytes as they are, and repeats of the last byte as a copy of it."""
    value = length = 0
    out = bytearray()
    for bits, count in _codes(data):
        value |= bits << length
        length += count
        while length >= 8:
            out.append(value & 255)
            value >>= 8
            length -= 8
    if length:
        out.append(value & 255)
    return bytes(out)


def _codes(data: bytes) -> Iterator[tuple[int, int]]:
    """Bits of the block in the order of writing, the lowest first, with their number."""
    yield 0b011, 3  # the last block, in the fixed code
    values = np.frombuffer(data, np.uint8)
    starts = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(data)], strict=True):
        yield _literal(data[start])
        left = end - start - 1
        while left >= 3:
            run = 258 if left >= 258 else min(left, 257)
            yield from _copy(run)
            left -= run
        for _ in range(left):
            yield _literal(data[start])
    yield 0, 7  # end of block


def _literal(value: int) -> tuple[int, int]:
    return _turned(0x30 + value, 8) if value < 144 else _turned(0x190 + value - 144, 9)


def _copy(run: int) -> Iterator[tuple[int, int]]:
    """`run` more of the last byte: a length code with its extra bits, and the distance 1."""
    if run == 258:
        code, extra, bits = 285, 0, 0
    else:
        bits = max((run - 3).bit_length() - 3, 0)
        code = 257 + 4 * bits + ((run - 3) >> bits)
        extra = (run - 3) & ((1 << bits) - 1)
    yield _turned(code - 256, 7) if code < 280 else _turned(0xC0 + code - 280, 8)
    if bits:
        yield extra, bits
    yield 0, 5


def _turned(code: int, count: int) -> tuple[int, int]:
    """A Huffman code, which is written from its highest bit."""
    return int(f"{code:0{count}b}"[::-1], 2), count
