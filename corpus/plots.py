"""Plots of a release: drawn here, so that the same numbers give the same bytes on any machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from corpus.drawing import Drawing, Line, Rect, Shape, Text, svg
from corpus.manifest import SPLITS
from corpus.raster import drawable, png
from corpus.statistics import DURATION_BIN_S, LONG_S, SNR_BIN_DB, Statistics, histogram
from protocol.clip import GRADES

_WIDTH, _HEIGHT = 640, 300
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 44, 16, 52
_COLOURS = ("#2b6777", "#c8553d", "#e0a458", "#588157")  # told apart in grey too
_LETTER_WIDTH = 8.5
_MOST_BARS = 12


def plots(stats: Statistics) -> dict[str, bytes]:
    """Every plot of a release, by file name: each as SVG and as PNG."""
    found = {}
    for name, drawing in _drawings(stats).items():
        found[f"plots/{name}.svg"] = svg(drawing)
        found[f"plots/{name}.png"] = png(_spelled(drawing))
    return found


def _spelled(drawing: Drawing) -> Drawing:
    """The drawing with a number for every label that the pixels' letters cannot write, in their order."""
    numbers: dict[str, str] = {}
    shapes: list[Shape] = []
    for shape in drawing.shapes:
        if isinstance(shape, Text) and not drawable(shape.words):
            shape = replace(shape, words=numbers.setdefault(shape.words, f"#{len(numbers) + 1}"))
        shapes.append(shape)
    return replace(drawing, shapes=shapes)


def _drawings(stats: Statistics) -> dict[str, Drawing]:
    snr: dict[int, int] = {}
    for counts in stats.snr.values():
        for low in counts:
            snr[low] = 0
    bins = [low for low, _ in histogram(snr, SNR_BIN_DB)]
    by_grade: dict[str, list[int]] = {
        grade: [stats.snr[grade][low] for low in bins] for grade in GRADES if stats.snr[grade]
    }
    lengths = histogram(stats.durations, DURATION_BIN_S)
    return {
        "snr": bars("Clips by SNR", "SNR, dB", [str(low) for low in bins], by_grade, edges=True),
        "duration": bars(
            "Clips by duration",
            "seconds",
            [str(low) if low < LONG_S else f"{low}+" for low, _ in lengths],
            {"clips": [n for _, n in lengths]},
            edges=True,
        ),
        "hours-by-grade": _hours(stats, "grade", list(GRADES)),
        "hours-by-dialect": _hours(
            stats, "dialect", sorted({name for name, _ in stats.ms_by["dialect"]})[:_MOST_BARS]
        ),
    }


def _hours(stats: Statistics, name: str, values: Sequence[str]) -> Drawing:
    counts = stats.ms_by[name]
    unit, unit_ms = ("Hours", 3_600_000) if stats.ms >= 36_000_000 else ("Minutes", 60_000)
    series: dict[str, list[float]] = {
        split: [round(counts[value, split] / unit_ms, 2) for value in values]
        for split in SPLITS
        if stats.ms_by_split[split]
    }
    return bars(f"{unit} by {name} and split", name, list(values), series)


def bars(
    title: str,
    axis: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float]],
    *,
    edges: bool = False,
) -> Drawing:
    """A stacked bar chart.

    Parameters
    ----------
    labels : sequence of str
        One a bar.
    series : mapping
        Name to one value a bar; stacked in this order.
    edges : bool
        Each label is where its bar begins, as of a histogram, and not what the whole bar is about.
    """
    totals = [sum(values[i] for values in series.values()) for i in range(len(labels))]
    top = _round_up(max(totals, default=0))
    inner_w, inner_h = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    step = inner_w / max(len(labels), 1)
    out: list[Shape] = [Text(_LEFT, 18, title, bold=True)]
    for part in range(5):
        y = _TOP + inner_h * part / 4
        out.append(Line(_LEFT, y, _WIDTH - _RIGHT, "#dddddd"))
        out.append(Text(_LEFT - 6, y + 4, f"{top * (4 - part) / 4:g}", "end"))
    room = max(int(step / _LETTER_WIDTH), 4)
    for place, label in enumerate(labels):
        x = _LEFT + step * place
        base = float(_TOP + inner_h)
        for colour, (name, values) in zip(_COLOURS, series.items(), strict=False):
            height = inner_h * values[place] / top if top else 0.0
            base -= height
            if height:
                says = f"{name} {label}: {values[place]:g}"
                inset = 0.02 if edges else 0.1
                out.append(Rect(x + step * inset, base, step * (1 - 2 * inset), height, colour, says))
        if len(labels) <= 16 or place % 2 == 0:
            out.append(Text(x if edges else x + step / 2, _TOP + inner_h + 16, label[:room], "middle"))
    out.append(Text(_LEFT + inner_w / 2, _HEIGHT - 12, axis, "middle"))
    for place, (colour, name) in enumerate(zip(_COLOURS, series, strict=False)):
        x = _LEFT + 100 * place
        out.append(Rect(x, 26, 10, 10, colour))
        out.append(Text(x + 14, 35, name))
    return Drawing(title, _WIDTH, _HEIGHT, out)


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten, so that quarters of it are short numbers."""
    if value <= 0:
        return 1.0
    scale = 1.0
    while scale * 8 < value:
        scale *= 10
    while scale / 10 * 8 >= value:
        scale /= 10
    return next(scale * factor for factor in (1, 2, 4, 8) if scale * factor >= value)
