"""Fit the coefficients of `noise_profiles.pace`, and say how well it tells a wrong rate.

    python bench/pace.py --speech DIR [--write noise_profiles/pace.toml]

Voices are those in the folder and espeak-ng's in six languages, slow to very fast, low to very high,
creaky and whispered. Each is converted to one rate and labelled with another. The table is of voices that the
coefficients were not fitted on: a speaker's clips are left out together.
"""

from __future__ import annotations

import argparse
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from demo.speech import Synthesiser
from noise_profiles import pace, snr, voices
from noise_profiles.frames import FrameStream

SENTENCES = {
    "cmn": "今天早上我去市場買了三斤蘋果。請問這班公車會到火車站嗎？他們家的孩子都很會唱歌。",
    "yue": "我哋聽日一齊去飲茶好唔好？呢條街以前有好多舖頭。佢話今晚會遲少少返嚟。",
    "hak": "ngai2 tien1 tshiu2 hi4 ma2i tshoi4. kin1 pu1 ngit7 thien1 hi4 tong4 ho3.",
    "vi": "Hôm nay trời đẹp quá, mình đi dạo nhé. Bà tôi kể chuyện ngày xưa rất hay.",
    "ja": "あしたのあさ、いっしょにうみへいきましょう。そのほんはとてもおもしろかったです。",
}
VARIANTS = ("m1", "m3", "m7", "f1", "f2", "f4", "croak", "whisper", "whisperf", "klatt2")
MANNERS = ((175, 50), (130, 20), (260, 80), (320, 50), (175, 99))
OWN_RATE_HZ = 48_000
# What the sound is, and what the file says.
LABELS = (
    (16_000, 16_000), (8_000, 8_000), (16_000, 8_000), (22_050, 8_000), (48_000, 8_000), (16_000, 48_000),
    (16_000, 44_100), (16_000, 32_000), (16_000, 24_000), (8_000, 16_000), (48_000, 16_000),
    (44_100, 16_000), (32_000, 16_000), (24_000, 16_000),
)  # fmt: skip
Floats = NDArray[np.float64]


def sounds(folder: Path | None) -> Iterator[tuple[str, Floats, int]]:
    """Name, samples and rate; a name with a plus is synthesised."""
    for path in sorted(folder.rglob("*.flac")) if folder else ():
        x, rate_hz = soundfile.read(path)
        yield path.stem, x, rate_hz
    speaker = Synthesiser(22_050)
    for number, (language, variant, (rate, pitch)) in enumerate(
        itertools.product(SENTENCES, VARIANTS, MANNERS)
    ):
        if number % 3 != 2:
            manner = {"words_per_minute": rate, "pitch": pitch}
            yield (
                f"{language}+{variant} {rate} {pitch}",
                speaker.speak(SENTENCES[language], f"{language}+{variant}", manner),
                22_050,
            )


def measured(x: Floats, rate_hz: int, true_hz: int, label_hz: int, room_db: float) -> Floats | None:
    y = x if rate_hz == true_hz else soxr.resample(x, rate_hz, true_hz)
    y = 0.4 * y / np.abs(y).max()
    y = y + np.random.default_rng(0).standard_normal(y.size) * 10 ** ((room_db - 3) / 20)
    stream = FrameStream(label_hz)
    stream.feed(y.astype(np.float32))
    frames = stream.finish()
    return pace.measures(frames, snr.estimate(frames), label_hz)


def basis(x: Floats, mean: Floats, spread: Floats) -> Floats:
    z = np.clip((x - mean) / spread, -3.0, 3.0)
    return np.concatenate([np.ones((len(z), 1)), z, z**2], axis=1)


def fitted(x: Floats, y: Floats, weight: Floats, ridge: float = 20.0) -> pace.Model:
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-6
    b = basis(x, mean, spread)
    held = ridge * np.eye(b.shape[1])
    held[0, 0] = 0.0
    found = np.linalg.solve((b * weight[:, np.newaxis]).T @ b + held, (b * weight[:, np.newaxis]).T @ y)
    return pace.Model(mean, spread, float(found[0]), found[1 : 1 + pace.MEASURES], found[1 + pace.MEASURES :])


def as_toml(models: dict[int, pace.Model]) -> str:
    lines = ["# Coefficients of noise_profiles.pace, written by bench/pace.py. Each list holds 14 measures."]
    for rate_hz, model in models.items():
        lines += ["", f"[at_{rate_hz}_hz]", f"constant = {model.constant:.4f}"]
        for name in ("mean", "spread", "linear", "square"):
            values = ", ".join(f"{value:.4f}" for value in getattr(model, name))
            lines.append(f"{name} = [{values}]")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    rows = []
    for number, (name, x, rate_hz) in enumerate(sounds(arguments.speech)):
        for label in LABELS:
            if (found := measured(x, rate_hz, *label, (-70.0, -55.0)[number % 2])) is not None:
                rows.append((name, label, found))
    speaker = np.array([name.split()[0] if "+" in name else re.sub(r"_?\d+$", "", name) for name, *_ in rows])
    real = np.array(["+" not in name for name, *_ in rows])
    models = {}
    for rate_hz in (8_000, 16_000):
        chosen = np.array([voices.analysis_rate_hz(label[1]) == rate_hz for _, label, _ in rows])
        index = np.flatnonzero(chosen)
        x = np.array([rows[i][2] for i in index])
        label = [rows[i][1] for i in index]
        y = np.log([b / a for a, b in label])
        weight = np.where(real[index], 6.0, 1.0) * np.where(y == 0.0, 3.0, 1.0)
        guess = np.zeros(y.size)
        for one in np.unique(speaker[index]):
            out = speaker[index] == one
            model = fitted(x[~out], y[~out], weight[~out])
            guess[out] = [model.log_speed(row) for row in x[out]]
        print(f"\nanalysed at {rate_hz} Hz: the speed that is estimated, and how often it is told")
        for one in dict.fromkeys(label):
            here = np.array([other == one for other in label])
            for kind, which in (("real", real[index]), ("made", ~real[index])):
                g = guess[here & which]
                if g.size:
                    told = np.mean((g > np.log(pace_limit("fastest"))) | (g < np.log(pace_limit("slowest"))))
                    low, middle, high = np.exp(np.percentile(g, (2, 50, 98)))
                    print(
                        f"  {one[0]:>6} Hz labelled {one[1]:>6}  {kind}  n {g.size:>3}  "
                        f"{low:.2f} {middle:.2f} {high:.2f}  told {100 * told:.0f} %"
                    )
        models[rate_hz] = fitted(x, y, weight)
    if arguments.write:
        arguments.write.write_text(as_toml(models), encoding="utf-8")


def pace_limit(name: str) -> float:
    from noise_profiles.evidence import limits

    return limits()["pace"][name]


if __name__ == "__main__":
    main()
