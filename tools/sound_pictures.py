"""The pictures of docs/acoustics.md: sound made here, measured and drawn by the real code.

The takes are those of the page's examples, too. Figures may differ in their last digit from one processor to
another, so a picture is stale when it differs by more than that.
"""

from __future__ import annotations

import base64
import re
import struct
import zlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from noise_profiles import measure, picture, profile, signals
from noise_profiles.panels import GREY, text
from noise_profiles.picture import GRADE_COLOURS
from noise_profiles.sketch import Sketcher
from noise_profiles.words import word
from protocol.clip import Grade
from protocol.errors import LANGUAGES, Language

RATE_HZ = 16_000
LEAD_IN_S = 0.7
COLUMNS = 110
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_IMAGE = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


@cache
def takes() -> Mapping[str, NDArray[np.float32]]:
    """What the page talks about: a good take, one in a kitchen, one that went wrong in several ways."""
    n = 5 * RATE_HZ
    speech = signals.speech_like(n - RATE_HZ // 2, RATE_HZ, 1, lead_in_s=LEAD_IN_S)
    speech = np.pad(speech, (0, RATE_HZ // 2))

    def mixed(noise: NDArray[np.float32], snr_db: float) -> NDArray[np.float32]:
        return signals.mix(speech, noise, snr_db, RATE_HZ).samples.astype(np.float32)

    kitchen = signals.fan(n, RATE_HZ, 2) + 0.4 * signals.babble(n, RATE_HZ, 3)
    loud = mixed(signals.pink_noise(n, RATE_HZ, 4), 24.0)
    loud += 0.012 * signals.hum(n, RATE_HZ, 5) / float(np.abs(signals.hum(n, RATE_HZ, 5)).max())
    loud = np.clip(5.5 * loud, -0.6, 0.6)
    loud[int(2.9 * RATE_HZ) : int(2.93 * RATE_HZ)] = 0.0
    return {
        "bedroom.flac": mixed(signals.pink_noise(n, RATE_HZ, 1), 36.0),
        "kitchen.flac": mixed(kitchen, 12.0),
        "loud.flac": loud,
    }


def _draw(name: str, language: Language, wanted: Grade | None = None) -> str:
    sound = takes()[name]
    judge = profile.load()[profile.DEFAULT_PROFILE_ID]
    measured = measure.measure(sound, RATE_HZ, lead_in_s=LEAD_IN_S)
    sketcher = Sketcher(RATE_HZ, 1, sound.size, columns=COLUMNS)
    sketcher.feed(sound[:, np.newaxis])
    verdict = profile.verdict(measured, judge, wanted)
    subject = picture.Subject(name, measured, verdict, judge, sketcher.finish(), wanted, LEAD_IN_S)
    return picture.draw(subject, language)


def grades() -> str:
    """The default profile's bands: noise in the room, and how far speech stands out of it."""
    judge = profile.load()[profile.DEFAULT_PROFILE_ID]
    width, left, right = 900, 230, 870
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 190" role="img" '
        'font-family="system-ui, sans-serif">',
        "<title>Bands of the three grades by noise in the room and by SNR</title>",
        f'<rect width="{width}" height="190" fill="#ffffff"/>',
    ]
    for title, unit, low, high, y in (
        ("Noise in the room", "dB(A)", 0, 100, 40.0),
        ("SNR", "dB", -10, 60, 120.0),
    ):

        def x(value: float, low: int = low, high: int = high) -> float:
            return left + (right - left) * (value - low) / (high - low)

        parts.append(text(20, y + 20, f"{title}, {unit}", size=15, weight=600))
        parts.append(f'<rect x="{left}" y="{y}" width="{right - left}" height="28" rx="4" fill="#eef0f2"/>')
        for grade, band in judge.grades.items():
            a, b = (band.snr_low_db, band.snr_high_db) if unit == "dB" else band.ambient_dba or (0.0, 0.0)
            colour = GRADE_COLOURS[grade]
            parts.append(
                f'<rect x="{x(a):.1f}" y="{y}" width="{x(b) - x(a):.1f}" height="28" fill="{colour}" '
                'fill-opacity="0.3"/>'
            )
            middle = (x(a) + x(b)) / 2
            label = word(grade, "en")
            parts.append(text(middle, y + 19, label, size=14, weight=600, fill=colour, anchor="middle"))
        for value in range(low, high + 1, 10):
            parts.append(text(x(value), y + 46, str(value), size=12, fill=GREY, anchor="middle"))
    return "\n".join([*parts, "</svg>"]) + "\n"


@cache
def pictures() -> Mapping[str, str]:
    """Every picture of the page, by its path under docs/."""
    done = {"pictures/grades.svg": grades()}
    done |= {
        f"pictures/kitchen.{language}.svg": _draw("kitchen.flac", language, "quiet") for language in LANGUAGES
    }
    done["pictures/bedroom.svg"] = _draw("bedroom.flac", "en", "quiet")
    done["pictures/loud.svg"] = _draw("loud.flac", "en")
    return done


def differs(old: str, new: str) -> bool:
    """Whether two pictures show something else, beyond the last digits of figures and places."""
    old_images, new_images = (_IMAGE.findall(one) for one in (old, new))
    old, new = (_IMAGE.sub("", one) for one in (old, new))
    if _NUMBER.sub("", old) != _NUMBER.sub("", new) or len(old_images) != len(new_images):
        return True
    places = [np.array([float(x) for x in _NUMBER.findall(one)]) for one in (old, new)]
    if places[0].size != places[1].size or np.abs(places[0] - places[1]).max(initial=0.0) > 1.0:
        return True
    return any(_unlike(*pair) for pair in zip(old_images, new_images, strict=True))


def _unlike(old: str, new: str) -> bool:
    a, b = (_pixels(base64.b64decode(one)) for one in (old, new))
    return a.shape != b.shape or float(np.abs(a - b).mean()) > 0.5


def _pixels(png: bytes) -> NDArray[np.int16]:
    width, height = struct.unpack(">II", png[16:24])
    at = png.index(b"IDAT")
    (length,) = struct.unpack(">I", png[at - 4 : at])
    rows = np.frombuffer(zlib.decompress(png[at + 4 : at + 4 + length]), np.uint8)
    return rows.reshape(height, width + 1)[:, 1:].astype(np.int16)


def write_stale(docs: Path) -> list[str]:
    """Write every picture that shows something else than it should; give their names."""
    stale = [
        name
        for name, svg in pictures().items()
        if not (docs / name).exists() or differs((docs / name).read_text(encoding="utf-8"), svg)
    ]
    for name in stale:
        (docs / name).write_text(pictures()[name], encoding="utf-8")
    return stale
