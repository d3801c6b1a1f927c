"""One measured file as a picture that is looked at rather than read.

SVG, drawn here: the reader's own fonts show every script, and the same figures give the same bytes. From top
to bottom: what was decided and where the SNR lies among the grades; the waveform with speech shaded and every
finding at its place; the level over time with the two lines whose distance is the SNR; the spectrogram; and
the findings in words.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from noise_profiles import panels
from noise_profiles.measure import Measurement
from noise_profiles.panels import GREY, INK, LEFT, LINE, RIGHT, WIDTH, Time, signed, text
from noise_profiles.profile import NoiseProfile
from noise_profiles.sketch import Sketch
from noise_profiles.typeset import columns, fitted, printable, wrapped
from noise_profiles.words import word
from protocol.clip import AudioFinding, Grade, Verdict
from protocol.errors import Language

GRADE_COLOURS = {"quiet": "#2b6777", "moderate": "#a8640f", "noisy": "#c8553d"}
ACCEPT, REFUSE, WARN = "#2e7d4f", "#b3261e", "#b06a00"
_FONTS = {
    "en": "system-ui, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', sans-serif",
    "zh-Hant": "'PingFang TC', 'Microsoft JhengHei', 'Noto Sans CJK TC', 'Noto Sans TC', sans-serif",
    "zh-Hans": "'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', 'Noto Sans SC', sans-serif",
}
_HEADER, _GAP = 150, 34


@dataclass(frozen=True)
class Subject:
    """What is drawn."""

    name: str
    measurement: Measurement
    verdict: Verdict
    profile: NoiseProfile
    sketch: Sketch
    wanted: Grade | None = None
    lead_in_s: float = 0.0


def draw(subject: Subject, language: Language = "en") -> str:
    """The picture as SVG text."""
    m, findings = subject.measurement, subject.verdict.findings
    marks = [(number, severity_colour(one), one) for number, one in enumerate(findings, start=1)]
    lanes = _lanes(marks, m.duration_s)
    depth = max(lanes.values(), default=-1) + 1
    time = Time(m.duration_s)
    channels = subject.sketch.lowest.shape[1] if subject.sketch.lowest.size else 1
    y = _HEADER + 22 * depth + 16
    wave = panels.Box(y, max(110, 52 * channels))
    level = panels.Box(wave.bottom + _GAP, 150)
    sound = panels.Box(level.bottom + _GAP, 190)
    words = _findings(marks, sound.bottom + 62, language)
    bottom = words[1]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom}" width="{WIDTH}" '
        f'height="{bottom}" role="img" lang="{language}" xml:lang="{language}" '
        f'font-family="{_FONTS[language]}" font-size="13">',
        f"<title>{escape(printable(subject.name))}: {escape(_spoken(subject, language))}</title>",
        f'<rect width="{WIDTH}" height="{bottom}" fill="#ffffff"/>',
        *_header(subject, language),
        *panels.waveform(wave, time, subject.sketch, m, language),
        *panels.levels_over_time(level, time, subject.sketch, m, subject.lead_in_s, language),
        *panels.spectrogram(sound, subject.sketch, marks, language),
        *time.axis(sound.bottom),
        *_brackets(marks, lanes, time, wave),
        *words[0],
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


def severity_colour(finding: AudioFinding) -> str:
    """Red refuses, amber tells."""
    return REFUSE if finding.severity == "error" else WARN


def _spoken(subject: Subject, language: Language) -> str:
    """The picture for those who hear it read."""
    v, m = subject.verdict, subject.measurement
    snr = word("no_speech", language) if m.snr_db is None else f"{word('snr', language)} {m.snr_db:.1f} dB"
    return f"{word(v.decision, language)}, {word(v.grade or 'none', language)}, {snr}"


def _header(subject: Subject, language: Language) -> list[str]:
    m, v = subject.measurement, subject.verdict
    kilohertz = f"{m.sample_rate_hz / 1000:g} kHz"
    channels = word("channel" if m.channels == 1 else "channels", language, n=m.channels)
    facts = [clock(m.duration_s), kilohertz, channels]
    facts.append(f"{word('peak', language)} {signed(m.peak_dbfs)} dBFS")
    facts.append(f"{word('profile', language)} {v.profile_id}-{v.profile_version}")
    if subject.wanted is not None:
        facts.append(word("judged_for", language, grade=word(subject.wanted, language)))
    drawn = subject.sketch.lowest.shape[1]
    if m.channels > drawn:
        facts.append(word("shown", language, n=drawn, all=m.channels))
    if m.channels > 1:
        facts.append(word("worst", language))
    parts = [
        text(24, 38, fitted(printable(subject.name), 62).rstrip(), size=22, weight=600),
        text(24, 62, " · ".join(facts), fill=GREY),
        *_badge(WIDTH - 24, 18, word(v.decision, language), ACCEPT if v.decision == "accept" else REFUSE,
                "M-5 0L-1.5 4L6 -5" if v.decision == "accept" else "M-4.5 -4.5L4.5 4.5M-4.5 4.5L4.5 -4.5"),
    ]  # fmt: skip
    figure = word("no_speech", language)
    if m.snr_db is not None:
        figure = f"{signed(m.snr_db)} dB"
    grade = word(v.grade or "none", language)
    colour = GRADE_COLOURS.get(v.grade or "", GREY)
    parts += [
        text(24, 96, word("snr", language) + _interval(m, language), fill=GREY, size=12),
        text(24, 127, figure, size=30, weight=700, fill=colour),
        text(222, 96, word("grade", language), fill=GREY, size=12),
        text(222, 126, grade, size=22, weight=600, fill=colour),
    ]
    return [*parts, *_scale(subject, 380, WIDTH - 24, 102, language)]


def _interval(m: Measurement, language: Language) -> str:
    """The 80 % interval beside the name of the figure."""
    if m.snr_low_db is None or m.snr_high_db is None:
        return ""
    inside = f"{m.snr_low_db:.1f} … {m.snr_high_db:.1f}".replace("-", "\N{MINUS SIGN}")
    return f" (80 %: {inside})" if language == "en" else f"（80%：{inside}）"


def _scale(subject: Subject, left: float, right: float, y: float, language: Language) -> list[str]:
    """The grades' bands from -10 to 60 dB, and where this clip lies with its 80 % interval."""
    m = subject.measurement

    def x(snr_db: float) -> float:
        return left + (right - left) * (min(60.0, max(-10.0, snr_db)) + 10.0) / 70.0

    parts = [f'<rect x="{left}" y="{y}" width="{right - left:.1f}" height="16" rx="3" fill="#eef0f2"/>']
    for grade, band in subject.profile.grades.items():
        a, b = x(band.snr_low_db), x(band.snr_high_db)
        colour = GRADE_COLOURS[grade]
        parts.append(
            f'<rect x="{a:.1f}" y="{y}" width="{b - a:.1f}" height="16" fill="{colour}" fill-opacity="0.28"/>'
        )
        if grade == subject.wanted:
            parts.append(
                f'<rect x="{a:.1f}" y="{y}" width="{b - a:.1f}" height="16" fill="none" stroke="{colour}" '
                'stroke-width="2.5"/>'
            )
        label = word(grade, language)
        if b - a > 7 * columns(label):
            parts.append(text((a + b) / 2, y - 6, label, anchor="middle", fill=colour, weight=600))
    for tick in range(-10, 61, 10):
        anchor = "end" if tick == 60 else "start" if tick == -10 else "middle"
        label = f"{tick} dB" if tick == 60 else signed(tick, 0)
        parts.append(text(x(tick), y + 32, label, anchor=anchor, fill=GREY, size=11))
    if m.snr_db is not None and m.snr_low_db is not None and m.snr_high_db is not None:
        a, b, mid = x(m.snr_low_db), x(m.snr_high_db), y + 8
        parts += [
            f'<path d="M{a:.1f} {mid - 9}V{mid + 9}M{a:.1f} {mid}H{b:.1f}M{b:.1f} {mid - 9}V{mid + 9}" '
            f'stroke="{INK}" stroke-width="2"/>',
            f'<circle cx="{x(m.snr_db):.1f}" cy="{mid}" r="5" fill="{INK}" stroke="#ffffff">'
            f"<title>{m.snr_low_db:.1f} … {m.snr_high_db:.1f} dB</title></circle>",
        ]
    return parts


def _badge(right: float, y: float, label: str, colour: str, sign: str) -> list[str]:
    width = 9 * columns(label) + 48
    x = right - width
    return [
        f'<rect x="{x:.1f}" y="{y}" width="{width:.1f}" height="30" rx="15" fill="{colour}"/>',
        f'<path d="{sign}" transform="translate({x + 20:.1f} {y + 15})" fill="none" stroke="#ffffff" '
        'stroke-width="2.5"/>',
        text(x + 34, y + 21, label, fill="#ffffff", weight=600, size=15),
    ]


Mark = tuple[int, str, AudioFinding]


def _lanes(marks: list[Mark], duration_s: float) -> dict[int, int]:
    """Which line above the waveform each finding with a place stands on, so that none hides another."""
    ends: list[float] = []
    lanes: dict[int, int] = {}
    time = Time(duration_s)
    placed = [(one.start_s, one.end_s, n) for n, _, one in marks if one.start_s is not None]
    for start_s, end_s, number in sorted(placed, key=lambda place: (place[0], place[2])):
        a, b = time.x(start_s) - 14, time.x(start_s if end_s is None else end_s) + 14
        lane = next((i for i, end in enumerate(ends) if end <= a), len(ends))
        ends[lane:] = [b, *ends[lane + 1 :]]
        lanes[number] = lane
    return lanes


def _brackets(marks: list[Mark], lanes: dict[int, int], time: Time, wave: panels.Box) -> list[str]:
    """Each finding over its stretch of the waveform, under its number."""
    parts = []
    for number, colour, one in marks:
        if one.start_s is None or number not in lanes:
            continue
        a, b = time.x(one.start_s), time.x(one.start_s if one.end_s is None else one.end_s)
        a, b = min(a, RIGHT - 4), max(b, a + 4)
        y = wave.top - 14 - 22 * lanes[number]
        parts += [
            f'<rect x="{a:.1f}" y="{wave.top}" width="{b - a:.1f}" height="{wave.height}" fill="{colour}" '
            'fill-opacity="0.1"/>',
            f'<path d="M{a:.1f} {wave.top}V{y}H{b:.1f}V{wave.top}" fill="none" stroke="{colour}" '
            'stroke-width="1.5"/>',
            *panels.chip((a + b) / 2, y, number, colour),
        ]
    return parts


def _findings(marks: list[Mark], y: float, language: Language) -> tuple[list[str], int]:
    """The findings in words from `y` down, and where the picture ends."""
    if not marks:
        said = text(LEFT, y - 8, word("no_findings", language), fill=ACCEPT, weight=600)
        return [said], round(y + 14)
    parts: list[str] = [f'<path d="M24 {y - 24}H{WIDTH - 24}" stroke="{LINE}"/>']
    for number, colour, one in marks:
        place = ""
        if one.start_s is not None and one.end_s is not None:
            place = f"{clock(one.start_s)} – {clock(one.end_s)}"
        parts += panels.chip(36, y - 5, number, colour)
        parts.append(text(54, y, word(one.severity, language), fill=colour, weight=600))
        parts.append(text(54, y + 17, place, fill=GREY, size=11))
        lines = wrapped(printable(one.message(language)), 128)
        for line in lines:
            parts.append(text(190, y, line, size=14))
            y += 20
        y += 26 if place and len(lines) == 1 else 12
    return parts, round(y)


def clock(seconds: float) -> str:
    """A length or a place: ``8.00 s``, ``1:23.4``, ``3:00:00``."""
    if seconds < 60:
        return f"{seconds:.2f} s"
    if seconds < 3600:
        return f"{int(seconds // 60)}:{seconds % 60:04.1f}"
    return f"{int(seconds // 3600)}:{int(seconds % 3600 // 60):02}:{int(seconds % 60):02}"
