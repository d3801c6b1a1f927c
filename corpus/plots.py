"""Plots of a release as SVG: drawn here, so that the same numbers give the same bytes on any machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from corpus.manifest import SPLITS
from corpus.statistics import DURATION_BIN_S, SNR_BIN_DB, Statistics, histogram
from protocol.clip import GRADES

_WIDTH, _HEIGHT = 640, 300
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 44, 16, 52
_COLOURS = ("#2b6777", "#c8553d", "#e0a458", "#588157")  # told apart in grey too
_FONT = "font-family='sans-serif' font-size='12' fill='#222'"


def plots(stats: Statistics) -> dict[str, bytes]:
    """Every plot of a release, by file name."""
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
        "plots/snr.svg": bars("Clips by SNR", "SNR, dB", [str(low) for low in bins], by_grade),
        "plots/duration.svg": bars(
            "Clips by duration",
            "seconds",
            [str(low) for low, _ in lengths],
            {"clips": [n for _, n in lengths]},
        ),
        "plots/hours-by-grade.svg": _hours(stats, "grade", list(GRADES)),
        "plots/hours-by-dialect.svg": _hours(
            stats, "dialect", sorted({name for name, _ in stats.ms_by["dialect"]})[:12]
        ),
    }


def _hours(stats: Statistics, name: str, values: Sequence[str]) -> bytes:
    counts = stats.ms_by[name]
    series: dict[str, list[float]] = {
        split: [round(counts[value, split] / 60_000, 2) for value in values]
        for split in SPLITS
        if stats.ms_by_split[split]
    }
    return bars(f"Minutes by {name} and split", name, list(values), series)


def bars(title: str, axis: str, labels: Sequence[str], series: Mapping[str, Sequence[float]]) -> bytes:
    """A stacked bar chart.

    Parameters
    ----------
    labels : sequence of str
        One a bar.
    series : mapping
        Name to one value a bar; stacked in this order.
    """
    totals = [sum(values[i] for values in series.values()) for i in range(len(labels))]
    top = _round_up(max(totals, default=0))
    inner_w, inner_h = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    step = inner_w / max(len(labels), 1)
    out = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {_WIDTH} {_HEIGHT}' role='img'>",
        f"<title>{escape(title)}</title>",
        f"<rect width='{_WIDTH}' height='{_HEIGHT}' fill='#fff'/>",
        f"<text x='{_LEFT}' y='18' {_FONT} font-weight='bold'>{escape(title)}</text>",
    ]
    for part in range(5):
        y = _TOP + inner_h * part / 4
        value = top * (4 - part) / 4
        out.append(f"<path d='M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}' stroke='#ddd'/>")
        out.append(f"<text x='{_LEFT - 6}' y='{y + 4:.1f}' text-anchor='end' {_FONT}>{value:g}</text>")
    for place, label in enumerate(labels):
        x = _LEFT + step * place
        base = float(_TOP + inner_h)
        for colour, (name, values) in zip(_COLOURS, series.items(), strict=False):
            height = inner_h * values[place] / top if top else 0.0
            base -= height
            if height:
                out.append(
                    f"<rect x='{x + step * 0.1:.1f}' y='{base:.1f}' width='{step * 0.8:.1f}'"
                    f" height='{height:.1f}' fill='{colour}'>"
                    f"<title>{escape(name)} {escape(label)}: {values[place]:g}</title></rect>"
                )
        if len(labels) <= 16 or place % 2 == 0:
            middle, y = x + step / 2, _TOP + inner_h + 16
            name = escape(label[:14])
            out.append(f"<text x='{middle:.1f}' y='{y}' text-anchor='middle' {_FONT}>{name}</text>")
    out.append(
        f"<text x='{_LEFT + inner_w / 2:.1f}' y='{_HEIGHT - 12}' text-anchor='middle' {_FONT}>"
        f"{escape(axis)}</text>"
    )
    for place, (colour, name) in enumerate(zip(_COLOURS, series, strict=False)):
        x = _LEFT + 100 * place
        out.append(f"<rect x='{x}' y='26' width='10' height='10' fill='{colour}'/>")
        out.append(f"<text x='{x + 14}' y='35' {_FONT}>{escape(name)}</text>")
    out.append("</svg>")
    return ("\n".join(out) + "\n").encode()


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
