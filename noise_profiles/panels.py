"""The three panels of a picture: waveform, level over time, spectrogram; and their common time axis."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels, png
from noise_profiles.measure import Measurement
from noise_profiles.sketch import ROWS, Sketch, row_edges_hz
from noise_profiles.words import word
from protocol.clip import AudioFinding
from protocol.errors import Language

WIDTH = 1200
LEFT, RIGHT = 76, 1056
INK, GREY, LINE = "#1a1a1a", "#5b6470", "#d9dde2"
SPEECH, NOISE, WAVE = "#1f6f78", "#c25a1b", "#44546a"
SHADE = "#1f6f78"
COLOURS = 40
SPAN_DB = 70.0


@dataclass(frozen=True)
class Box:
    """Where a panel stands; all of them are as wide as the time axis."""

    top: float
    height: float

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.top + self.height

    def frame(self) -> str:
        """Its outline."""
        return (
            f'<rect x="{LEFT}" y="{self.top:g}" width="{RIGHT - LEFT}" height="{self.height:g}" fill="none" '
            f'stroke="{LINE}"/>'
        )


@dataclass(frozen=True)
class Time:
    """The axis that all panels share."""

    duration_s: float

    def x(self, seconds: float) -> float:
        """Where a moment is drawn."""
        share = seconds / self.duration_s if self.duration_s > 0.0 else 0.0
        return LEFT + (RIGHT - LEFT) * min(1.0, max(0.0, share))

    def axis(self, y: float) -> list[str]:
        """Ticks and their times below `y`."""
        steps = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600,
                 900, 1800, 3600, 7200, 14400, 36000, 86400)  # fmt: skip
        step = next((one for one in steps if self.duration_s / one <= 12), 86400 * 7)
        parts = []
        for number in range(int(self.duration_s / step + 1e-9) + 1):
            x = self.x(number * step)
            parts.append(f'<path d="M{x:.1f} {y:g}v5" stroke="{GREY}"/>')
            last = number == int(self.duration_s / step + 1e-9)
            label = _moment(number * step, step) + (
                " s" if last and step < 60 and self.duration_s < 60 else ""
            )
            parts.append(text(x, y + 19, label, anchor="middle", fill=GREY, size=11))
        return parts


def _moment(seconds: float, step_s: float) -> str:
    if seconds < 60 and step_s < 60:
        return f"{seconds:.{3 if step_s < 0.01 else 2 if step_s < 0.1 else 1 if step_s < 1 else 0}f}"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02}"
    return f"{whole // 3600}:{whole % 3600 // 60:02}:{whole % 60:02}"


def text(
    x: float,
    y: float,
    said: str,
    *,
    size: float = 13,
    weight: int = 400,
    fill: str = INK,
    anchor: str = "start",
) -> str:
    """One line of text."""
    extras = "" if weight == 400 else f' font-weight="{weight}"'
    extras += "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:g}" font-size="{size:g}" fill="{fill}"{extras}>{escape(said)}</text>'


def chip(x: float, y: float, number: int, colour: str) -> list[str]:
    """The number of a finding in a disc."""
    return [
        f'<circle cx="{x:.1f}" cy="{y:g}" r="9" fill="{colour}" stroke="#ffffff" stroke-width="1.5"/>',
        text(x, y + 4, str(number), size=11, weight=700, fill="#ffffff", anchor="middle"),
    ]


def shaded(box: Box, time: Time, m: Measurement) -> str:
    """The stretches of speech behind a panel, those as one that a picture cannot tell apart."""
    spans: list[tuple[float, float]] = []
    for start, end in m.segments:
        a, b = time.x(start / m.sample_rate_hz), time.x(end / m.sample_rate_hz)
        if spans and a - spans[-1][1] < 0.5:
            spans[-1] = (spans[-1][0], b)
        else:
            spans.append((a, b))
    if not spans:
        return ""
    path = "".join(f"M{a:.1f} {box.top:g}H{max(b, a + 0.5):.1f}V{box.bottom:g}H{a:.1f}Z" for a, b in spans)
    return f'<path d="{path}" fill="{SHADE}" fill-opacity="0.13"/>'


def waveform(box: Box, time: Time, sketch: Sketch, m: Measurement, language: Language) -> list[str]:
    """Each channel's extremes over time, as large as the panel allows; the scale says how large that is."""
    parts = [shaded(box, time, m)]
    drawn = sketch.lowest.shape[1] if sketch.lowest.size else 0
    largest = max((float(np.abs(x).max()) for x in (sketch.lowest, sketch.highest) if x.size), default=0.0)
    scale = 1.0
    while scale > 2.0**-12 and largest <= scale / 2:
        scale /= 2
    scale = max(scale, largest)
    lane = box.height / max(1, drawn)
    for channel in range(drawn):
        middle = box.top + lane * (channel + 0.5)
        half = lane / 2 - 3
        x = _places(len(sketch.lowest))
        high = middle - half * sketch.highest[:, channel] / scale
        low = middle - half * sketch.lowest[:, channel] / scale
        low = np.maximum(low, high + 0.6)  # silence is a line, too
        points = [*zip(x, high, strict=True), *zip(x[::-1], low[::-1], strict=True)]
        parts += [
            f'<path d="M{LEFT} {middle:.1f}H{RIGHT}" stroke="{LINE}"/>',
            f'<path d="{_path(points)}Z" fill="{WAVE}"/>',
        ]
        if channel == 0:
            at = middle - half + 9
            parts.append(text(LEFT - 8, at, f"{_db(scale)} dBFS", anchor="end", fill=GREY, size=10))
        if drawn > 1:
            parts.append(text(LEFT - 8, middle + 4, str(channel + 1), anchor="end", fill=GREY, size=11))
    left, y = RIGHT + 11, box.top + 11
    return [
        *parts,
        box.frame(),
        text(left, y, word("waveform", language), size=11, fill=GREY),
        f'<rect x="{left}" y="{y + 12:g}" width="14" height="14" fill="{SHADE}" fill-opacity="0.22"/>',
        text(left + 20, y + 23, word("active", language), size=12, fill=GREY),
    ]


def levels_over_time(
    box: Box, time: Time, sketch: Sketch, m: Measurement, lead_in_s: float, language: Language
) -> list[str]:
    """The level, and the lines of speech and noise; what lies between them is the SNR."""
    bottom_db = min(-60.0, max(-120.0, 20.0 * math.floor((m.noise_dbfs - 8.0) / 20.0)))
    top_db = 10.0 if m.peak_dbfs > -1.0 and m.noise_dbfs > -3.0 else 0.0

    def y(level_dbfs: float) -> float:
        return box.top + box.height * (top_db - min(top_db, max(bottom_db, level_dbfs))) / (
            top_db - bottom_db
        )

    parts = [shaded(box, time, m)]
    if lead_in_s > 0.0:
        end = time.x(min(lead_in_s, time.duration_s))
        parts.append(
            f'<rect x="{LEFT}" y="{box.top:g}" width="{end - LEFT:.1f}" height="{box.height:g}" '
            f'fill="{NOISE}" fill-opacity="0.1"/>'
        )
        parts.append(text(LEFT + 4, box.bottom - 6, word("lead_in", language), size=11, fill=NOISE))
    for tick in range(int(bottom_db), int(top_db) + 1, 20):
        parts.append(f'<path d="M{LEFT} {y(tick):.1f}H{RIGHT}" stroke="{LINE}"/>')
        parts.append(text(LEFT - 8, y(tick) + 4, signed(tick, 0), anchor="end", fill=GREY, size=11))
    for channel in range(sketch.level.shape[1] if sketch.level.size else 0):
        x = _places(len(sketch.level))
        curve, softest = (
            [y(levels.dbfs(float(power))) for power in part[:, channel]]
            for part in (sketch.level, sketch.softest)
        )
        # Where a column holds many moments, how far it goes down in the pauses is seen as well.
        area = [*zip(x, curve, strict=True), *zip(x[::-1], softest[::-1], strict=True)]
        if softest != curve:
            parts.append(f'<path d="{_path(area)}Z" fill="{WAVE}" fill-opacity="0.3"/>')
        points = list(zip(x, curve, strict=True))
        parts.append(
            f'<path d="{_path(points)}" fill="none" stroke="{WAVE}" stroke-width="1.2" '
            f'stroke-opacity="{1.0 if channel == 0 else 0.5}" stroke-linejoin="round"/>'
        )
    parts += _lines(m, y, language)
    source = word(f"from_{m.noise_source}", language)
    return [*parts, box.frame(), *_caption(box, f"{word('level', language)} · dBFS · {source}")]


def _lines(m: Measurement, y: Callable[[float], float], language: Language) -> list[str]:
    """The levels of speech and noise across the panel, named beside it."""
    found = [(word("noise_level", language), m.noise_dbfs, NOISE, "6 4")]
    if m.speech_dbfs is not None:
        found.insert(0, (word("speech_level", language), m.speech_dbfs, SPEECH, ""))
    parts, places = [], [y(level) for _, level, _, _ in found]
    apart = 34.0
    if len(places) == 2 and places[1] - places[0] < apart:
        middle = (places[0] + places[1]) / 2
        labels = [middle - apart / 2, middle + apart / 2]
    else:
        labels = places
    for (label, level, colour, dashes), at, named in zip(found, places, labels, strict=True):
        dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
        parts += [
            f'<path d="M{LEFT} {at:.1f}H{RIGHT}" stroke="{colour}" stroke-width="1.8"{dashed}/>',
            f'<path d="M{RIGHT} {at:.1f}L{RIGHT + 8} {named:.1f}" stroke="{colour}" fill="none"/>',
            text(RIGHT + 11, named - 1, label, size=12, fill=colour, weight=600),
            text(RIGHT + 11, named + 13, f"{signed(level)} dBFS", size=12, fill=colour),
        ]
    return parts


def spectrogram(
    box: Box, sketch: Sketch, marks: Iterable[tuple[int, str, AudioFinding]], language: Language
) -> list[str]:
    """Power over time and pitch; a finding that names a frequency is drawn at it."""
    parts = []
    if sketch.spectrum.size:
        picture = png.indexed(_pixels(sketch.spectrum), palette())
        data = base64.b64encode(picture).decode("ascii")
        parts.append(
            f'<image x="{LEFT}" y="{box.top:g}" width="{RIGHT - LEFT}" height="{box.height:g}" '
            f'preserveAspectRatio="none" href="data:image/png;base64,{data}"/>'
        )
    edges = row_edges_hz(sketch.sample_rate_hz)

    def y(hertz: float) -> float:
        return box.bottom - box.height * float(np.interp(hertz, edges, np.arange(ROWS + 1))) / ROWS

    for hertz in (0, 500, 1000, 2000, 4000, 8000, 16000, 32000, 64000, 128000):
        if hertz <= sketch.sample_rate_hz / 2:
            label = "0" if hertz == 0 else f"{hertz / 1000:g} kHz"
            place = min(box.bottom - 1, max(box.top + 8, y(hertz) + 4))
            parts.append(f'<path d="M{LEFT - 5} {y(hertz):.1f}H{LEFT}" stroke="{GREY}"/>')
            parts.append(text(LEFT - 8, place, label, anchor="end", fill=GREY, size=11))
    for number, colour, one in marks:
        named_hz = one.parameters.get("mains_hz", one.value if one.code.startswith("band.") else None)
        if isinstance(named_hz, int | float) and 0 < named_hz <= sketch.sample_rate_hz / 2:
            at = y(named_hz)
            parts.append(
                f'<path d="M{LEFT} {at:.1f}H{RIGHT}" stroke="#ffffff" stroke-width="1.5" '
                'stroke-dasharray="7 5"/>'
                f'<path d="M{RIGHT} {at:.1f}h14" stroke="{colour}" stroke-width="1.5"/>'
            )
            parts += chip(RIGHT + 22, at, number, colour)
    return [*parts, box.frame(), *_caption(box, word("spectrogram", language))]


def _pixels(spectrum: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Places in the palette, low frequencies at the bottom; the loudest is bright, 70 dB below it is dark."""
    level_db = 10.0 * np.log10(spectrum.T[::-1] + 1e-16)
    top_db = max(float(np.quantile(level_db, 0.998)), 10.0 * float(np.log10(levels.mean_square(-100.0))))
    share = np.clip((level_db - top_db) / SPAN_DB + 1.0, 0.0, 1.0)
    return np.asarray(np.rint(share * (COLOURS - 1)), dtype=np.uint8)


def palette() -> Sequence[tuple[int, int, int]]:
    """From night through teal and sand to white: brightness rises evenly, so it can be read in grey."""
    stops = np.array(
        [(12, 18, 34), (22, 62, 88), (31, 111, 120), (121, 158, 116), (226, 178, 90), (255, 244, 214)]
    )
    at = np.linspace(0, len(stops) - 1, COLOURS)
    mixed = np.stack([np.interp(at, np.arange(len(stops)), stops[:, part]) for part in range(3)], axis=1)
    return [(int(r), int(g), int(b)) for r, g, b in np.rint(mixed)]


def _caption(box: Box, said: str) -> list[str]:
    return [text(LEFT, box.top - 6, said, size=11, fill=GREY)]


def _places(count: int) -> NDArray[np.float64]:
    """The middles of so many columns."""
    return LEFT + (RIGHT - LEFT) * (np.arange(count) + 0.5) / max(1, count)


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _db(scale: float) -> str:
    return signed(round(20.0 * float(np.log10(scale))) + 0.0, 0)


def signed(value: float, digits: int = 1) -> str:
    """A level with a minus sign as print has it."""
    return f"{value:.{digits}f}".replace("-", "\N{MINUS SIGN}")
