"""The picture in the README: the way of a clip from microphone to manifest."""

from __future__ import annotations

STEPS = (
    ("speaker", "record", "room tone, take,", "SNR checked at once"),
    ("speaker", "send", "resumes; signed", "receipt per clip"),
    ("server", "intake", "verify, measure the", "same way, ledger"),
    ("transcriber", "desk", "rules mark and mend;", "second person, blind"),
    ("operator", "release", "split, lint gate,", "proofs, whole or absent"),
    ("ASR team", "pull, export", "verified, in the", "toolkit's format"),
)
WIDTH, HEIGHT, BOX, GAP = 1080, 190, 150, 30
COLOURS = {
    "speaker": "#1f6f78",
    "server": "#44546a",
    "transcriber": "#8a4b08",
    "operator": "#5b3a8c",
    "ASR team": "#1d5fa8",
}


def draw() -> str:
    """The picture as SVG text."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        'font-family="system-ui, sans-serif">',
        "<title>The way of a clip: record, send, intake, desk, release, pull</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    for i, (who, step, first, second) in enumerate(STEPS):
        x = 15 + i * (BOX + GAP)
        mid, colour = x + BOX / 2, COLOURS[who]
        parts += [
            f'<rect x="{x}" y="45" width="{BOX}" height="110" rx="10" fill="{colour}" fill-opacity="0.08" '
            f'stroke="{colour}" stroke-width="2"/>',
            f'<text x="{mid}" y="32" text-anchor="middle" font-size="14" fill="{colour}">{who}</text>',
            f'<text x="{mid}" y="82" text-anchor="middle" font-size="20" font-weight="600" '
            f'fill="#1a1a1a">{step}</text>',
            f'<text x="{mid}" y="112" text-anchor="middle" font-size="13.5" fill="#333333">{first}</text>',
            f'<text x="{mid}" y="132" text-anchor="middle" font-size="13.5" fill="#333333">{second}</text>',
        ]
        if i + 1 < len(STEPS):
            start, end = x + BOX + 4, x + BOX + GAP - 4
            parts.append(
                f'<path d="M{start} 100 H{end} M{end - 7} 94 L{end} 100 L{end - 7} 106" fill="none" '
                'stroke="#555555" stroke-width="2"/>'
            )
    return "\n".join([*parts, "</svg>"]) + "\n"
