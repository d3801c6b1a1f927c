"""How well SNR is estimated, and at what cost, beside methods that others use.

    python bench/acoustics.py [--count 300] [--speech DIR --noise DIR] [--part train] [--worst 10]
                              [--keep-worst DIR] [--only-cost]

Without folders the speech is synthesised by espeak-ng in several languages and voices and the noise
is made by `noise_profiles.signals`; with folders, any clean speech and any noise that libsndfile reads.
`--part train` and `--part held-out` each take half of the sources, a source being all clips whose names
differ in their last number only: choose numbers of the method on the former, report the latter. Errors of a
table's figures are a bootstrap over sources of noise. `--keep-worst` writes the worst mixtures as sound, for
`xiangyin measure --picture`.
Truth is by the project's definition: P.56-active power of the clean speech over the mean power of the
noise, 50 Hz to 8 kHz.
"""

from __future__ import annotations

import argparse
import ctypes
import functools
import math
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from noise_profiles import levels, measure, signals

RATE_HZ = 16_000
Floats = NDArray[np.float32]

SENTENCES = {
    "cmn": ("今天早上我去市場買了三斤蘋果。", "請問這班公車會到火車站嗎？", "他們家的孩子都很會唱歌。"),
    "yue": ("我哋聽日一齊去飲茶好唔好？", "呢條街以前有好多舖頭。", "佢話今晚會遲少少返嚟。"),
    "hak": ("ngai2 tien1 tshiu2 hi4 ma2i tshoi4.", "kin1 pu1 ngit7 thien1 hi4 tong4 ho3."),
    "vi": ("Hôm nay trời đẹp quá, mình đi dạo nhé.", "Bà tôi kể chuyện ngày xưa rất hay."),
    "ja": ("あしたのあさ、いっしょにうみへいきましょう。", "そのほんはとてもおもしろかったです。"),
    "en-gb": (
        "The boats came in early, before the weather turned.",
        "Ask her what the old bridge was called.",
    ),
}
VOICES = ("m3", "f2", "m7", "f4", "whisper")


def synthesised() -> dict[str, Floats]:
    """Sentences spoken by espeak-ng: name to sound at 16 kHz."""
    import espeakng_loader

    library = ctypes.cdll.LoadLibrary(espeakng_loader.get_library_path())
    heard: list[Floats] = []
    callback_type = ctypes.CFUNCTYPE(
        ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
    )

    def collect(wave, count, _events):  # type: ignore[no-untyped-def]
        if wave and count:
            heard.append(np.ctypeslib.as_array(wave, (count,)).astype(np.float32) / 32768)
        return 0

    callback = callback_type(collect)
    rate_hz = library.espeak_Initialize(2, 0, str(espeakng_loader.get_data_path()).encode(), 0)
    library.espeak_SetSynthCallback(callback)
    sounds = {}
    for number, (language, sentences) in enumerate(SENTENCES.items()):
        for index, sentence in enumerate(sentences):
            voice = VOICES[(number + 2 * index) % len(VOICES)]
            heard.clear()
            if library.espeak_SetVoiceByName(f"{language}+{voice}".encode()) != 0:
                continue
            text = sentence.encode()
            library.espeak_Synth(text, len(text) + 1, 0, 0, 0, 1, None, None)
            library.espeak_Synchronize()
            if heard:
                x = soxr.resample(np.concatenate(heard), rate_hz, RATE_HZ)
                sounds[f"{language}+{voice}-{index}"] = np.trim_zeros(x.astype(np.float32))
    return sounds


def folder(path: Path) -> dict[str, Floats]:
    """Every sound in a folder, mono, at 16 kHz."""
    sounds = {}
    for file in sorted(path.rglob("*")):
        try:
            x, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, IsADirectoryError, TypeError):
            continue
        sounds[file.stem] = x[:, 0] if rate_hz == RATE_HZ else soxr.resample(x[:, 0], rate_hz, RATE_HZ)
    return sounds


def part_of(sounds: dict[str, Floats], part: str) -> dict[str, Floats]:
    """Half of the sources of speech or of noise, the same half each time."""
    if part == "all":
        return sounds
    sources = sorted({re.sub(r"_?\d+$", "", name) for name in sounds}, key=lambda s: zlib.crc32(s.encode()))
    kept = set(sources[part == "held-out" :: 2])
    return {name: x for name, x in sounds.items() if re.sub(r"_?\d+$", "", name) in kept}


def made_noises() -> dict[str, Floats]:
    """Noises of our own, 20 s each."""
    names = ("pink", "white", "speech-shaped", "fan", "traffic", "babble", "clicks")
    return {name: signals.NOISES[name](20 * RATE_HZ, RATE_HZ, 11) for name in names}


def kind_of(noise: Floats) -> str:
    """Steady, varying or impulsive, from levels of 100 ms."""
    power = np.square(levels.band_limited(noise, RATE_HZ))[: noise.size // 1600 * 1600].reshape(-1, 1600)
    spread_db = float(np.std(10 * np.log10(power.mean(axis=1) + 1e-12)))
    crest_db = 10 * math.log10(power.reshape(-1, 160).mean(axis=1).max() / power.mean())
    return "steady" if spread_db < 1.5 else "impulsive" if crest_db > 13.0 else "varying"


@dataclass(frozen=True)
class Trial:
    """One mixture and what is known of it."""

    name: str
    speech: str
    noise: str
    kind: str
    mixture: signals.Mixture
    lead_in_s: float

    @property
    def truth_db(self) -> float:
        return self.mixture.snr_db


def own_snr_db(speech: Floats) -> float:
    """How far the speech stands out of what lies in its own pauses."""
    active = levels.active_speech(speech, RATE_HZ)
    frames = speech[: speech.size // 160 * 160].reshape(-1, 160)
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    return active.level_dbfs - levels.dbfs(float(np.percentile(power, 2)))


def trials(speech: dict[str, Floats], noise: dict[str, Floats], count: int, seed: int) -> Iterator[Trial]:
    """Mixtures as a project meets them: short, long, several sentences, reverberant, with lead-in or not."""
    rng = np.random.default_rng(seed)
    kinds = {name: kind_of(x) for name, x in noise.items()}
    highest_db = {name: float(np.clip(own_snr_db(x) - 14.0, 20.0, 45.0)) for name, x in speech.items()}
    names, noises = sorted(speech), sorted(noise)
    for number in range(count):
        name, bed = names[int(rng.integers(len(names)))], noises[number % len(noises)]
        voice = speech[name]
        if rng.uniform() < 0.25:
            pause = np.zeros(int(rng.uniform(0.3, 1.5) * RATE_HZ), np.float32)
            voice = np.concatenate([voice, pause, voice])
        elif rng.uniform() < 0.25:
            voice = voice[: int(rng.uniform(1.5, 3.0) * RATE_HZ)]
        has_lead_in = number % 2 == 0 if len(noises) % 2 else (number // len(noises)) % 2 == 0
        lead_in_s = float(rng.choice([0.5, 0.7, 1.0, 2.0] if has_lead_in else [0.0, 0.0, 0.1, 0.2, 0.3]))
        tail_s = float(rng.choice([0.0, 0.2, 0.5]))
        voice = np.pad(voice, (round(lead_in_s * RATE_HZ), round(tail_s * RATE_HZ)))
        if rng.uniform() < 0.25:
            voice = signals.reverberate(voice, RATE_HZ, number, rt60_s=float(rng.uniform(0.2, 0.7)))
        voice = voice * np.float32(10 ** (rng.uniform(-20.0, 0.0) / 20))
        start = int(rng.integers(noise[bed].size))
        snr_db = float(rng.uniform(-5.0, highest_db[name]))
        mixture = signals.mix(voice, np.roll(noise[bed], -start), snr_db, RATE_HZ)
        yield Trial(f"{number}:{name}/{bed}", name, bed, kinds[bed], mixture, lead_in_s)


# --- baselines


def percentile_db(x: Floats, _lead_in_s: float) -> float:
    """NIST style: the 95th against the 15th percentile of 20 ms levels."""
    power = np.square(x[: x.size // 320 * 320].reshape(-1, 320), dtype=np.float64).mean(axis=1)
    high, low = np.percentile(10 * np.log10(power + 1e-12), [95, 15])
    return float(high - low)


@functools.cache
def _wada_table() -> NDArray[np.float64]:
    """ln E|z| - E ln|z| of gamma-distributed speech (shape 0.4) in Gaussian noise, -20 to 100 dB."""
    rng = np.random.default_rng(1)
    speech = rng.gamma(0.4, 1.0, 200_000) * rng.choice([-1.0, 1.0], 200_000)
    noise = rng.standard_normal(200_000)
    speech /= np.sqrt(np.mean(speech**2))
    z = np.abs(speech + noise * 10 ** (-np.arange(-20, 101)[:, np.newaxis] / 20)) + 1e-12
    return np.log(z.mean(axis=1)) - np.log(z).mean(axis=1)


def wada_db(x: Floats, _lead_in_s: float) -> float:
    """WADA-SNR (Kim and Stern, 2008), its table computed anew."""
    z = np.abs(x.astype(np.float64)) + 1e-10
    value = math.log(z.mean()) - float(np.log(z).mean())
    return float(np.interp(value, np.maximum.accumulate(_wada_table()), np.arange(-20, 101)))


def limit_db(mixture: signals.Mixture) -> float:
    """With the true mask and the true noise: all that lead-in and pauses can tell of that in the words."""
    frames = min(mixture.active.size, mixture.noise.size // 160)
    noise = np.square(levels.band_limited(mixture.noise, RATE_HZ))[: frames * 160].reshape(-1, 160)
    silent = ~mixture.active[:frames]
    heard = float(noise.mean(axis=1)[silent if silent.any() else slice(None)].mean())
    return mixture.speech_dbfs - levels.dbfs(heard)


def webrtcvad_db(x: Floats, lead_in_s: float) -> float:
    """Mean power of voiced against other 10 ms frames; a lead-in counts as noise."""
    import webrtcvad

    vad = webrtcvad.Vad(2)
    pcm = np.clip(x * 32768, -32768, 32767).astype("<i2").tobytes()
    voiced = np.array([vad.is_speech(pcm[a : a + 320], RATE_HZ) for a in range(0, len(pcm) - 319, 320)])
    return _energy_db(x, voiced, lead_in_s)


def _energy_db(x: Floats, voiced: NDArray[np.bool_], lead_in_s: float) -> float:
    power = np.square(x[: voiced.size * 160].reshape(-1, 160), dtype=np.float64).mean(axis=1)
    lead = np.arange(voiced.size) < 100 * lead_in_s
    noise_at = (~voiced | lead) if (~voiced | lead).any() else power <= np.percentile(power, 10)
    noise = float(power[noise_at].mean())
    speech_at = voiced & ~lead
    speech = float(power[speech_at].mean()) - noise if speech_at.any() else 0.0
    return 10 * math.log10(max(speech, 1e-12) / max(noise, 1e-12))


def ours_db(x: Floats, lead_in_s: float) -> float:
    snr_db = measure.measure(x, RATE_HZ, lead_in_s=lead_in_s).snr_db
    return math.nan if snr_db is None else snr_db


BASELINES: dict[str, Callable[[Floats, float], float]] = {
    "percentile": percentile_db,
    "WADA-SNR": wada_db,
    "webrtcvad energy": webrtcvad_db,
}


def silero() -> Callable[[Floats, float], float] | None:
    """silero-vad energy, where it is installed."""
    try:
        import silero_vad
        import torch
    except ImportError:
        return None
    model = silero_vad.load_silero_vad()

    def silero_db(x: Floats, lead_in_s: float) -> float:
        voiced = np.zeros(x.size // 160, dtype=bool)
        for span in silero_vad.get_speech_timestamps(torch.from_numpy(x), model):
            voiced[span["start"] // 160 : span["end"] // 160] = True
        return _energy_db(x, voiced, lead_in_s)

    return silero_db


# --- tables


def line(name: str, errors: Iterable[float], sources: NDArray[np.str_] | None = None) -> str:
    """Median and 90th percentile of the absolute error, bias, and how often nothing was heard.

    With `sources`, also the standard errors of the three, by drawing sources anew with replacement.
    """
    e = np.array(list(errors))
    if e.size == 0:
        return f"{name:<34} {'-':>14}"
    deaf = int(np.isnan(e).sum())
    e = np.where(np.isnan(e), 40.0, e)
    size = np.abs(e)
    doubt = ""
    if sources is not None:
        rng, names = np.random.default_rng(1), sorted(set(sources))
        where = {one: np.flatnonzero(sources == one) for one in names}
        drawn = [np.concatenate([where[one] for one in rng.choice(names, len(names))]) for _ in range(400)]
        of = [(np.median(size[d]), np.percentile(size[d], 90), np.median(e[d])) for d in drawn]
        doubt = "   ± {:.2f} / {:.2f}, {:.2f}".format(*np.std(of, axis=0))
    return (
        f"{name:<34} {np.median(size):5.2f} / {np.percentile(size, 90):5.2f}   bias {np.median(e):+5.2f}"
        f"{doubt}   n {e.size:>4}{f'   no speech found in {deaf}' if deaf else ''}"
    )


def accuracy(made: list[Trial], worst: int, kept: Path | None) -> None:
    heard = [measure.measure(t.mixture.samples, RATE_HZ, lead_in_s=t.lead_in_s) for t in made]
    error = np.array(
        [math.nan if m.snr_db is None else m.snr_db - t.truth_db for m, t in zip(heard, made, strict=True)]
    )
    lead = np.array([t.lead_in_s >= 0.5 for t in made])
    kinds = np.array([t.kind for t in made])
    beds = np.array([t.noise for t in made])
    truth = np.array([t.truth_db for t in made])
    length = np.array([t.mixture.samples.size / RATE_HZ for t in made])
    print("absolute error in dB: median / 90th percentile")
    for title, chosen in (("lead-in of 0.5 s or more", lead), ("less or none", ~lead)):
        print(f"\n{title}")
        print(line("  all", error[chosen], beds[chosen]))
        for kind in sorted(set(kinds)):
            of_kind = chosen & (kinds == kind)
            print(line(f"  {kind}", error[of_kind], beds[of_kind]))
        for low in range(-5, 45, 10):
            print(line(f"  {low} to {low + 10} dB", error[chosen & (truth >= low) & (truth < low + 10)]))
        for a, b in ((0, 4), (4, 8), (8, 60)):
            print(line(f"  {a} to {b} s long", error[chosen & (length >= a) & (length < b)]))
    print("\nby noise")
    for noise in sorted({t.noise for t in made}):
        print(line(f"  {noise}", (e for e, t in zip(error, made, strict=True) if t.noise == noise)))
    print("\nbias by truth")
    for low in range(0, 40, 10):
        band = (truth >= low) & (truth < low + 10)
        print(line(f"  {low} to {low + 10} dB", error[band], beds[band]))
    intervals(made, heard, {"lead-in": lead, "less or none": ~lead, "steady": kinds == "steady"})
    for title, chosen in (("steady", kinds == "steady"), ("all", kinds == kinds)):
        right, count = grades_right(heard, truth, chosen)
        print(
            f"grade right, truth 2 dB inside a band, {title}: {100 * right / max(1, count):.1f} % of {count}"
        )
    print("\nbeside others, all clips, lead-in used where there is one")
    print(line("  ours", error))
    limit = np.array([limit_db(t.mixture) - t.truth_db for t in made])
    print(line("  limit: true mask and noise, lead-in", limit[lead]))
    print(line("  limit: the same, less or none", limit[~lead]))
    methods = dict(BASELINES)
    if (with_silero := silero()) is not None:
        methods["silero-vad energy"] = with_silero
    for name, method in methods.items():
        errors = np.array([method(t.mixture.samples, t.lead_in_s) - t.truth_db for t in made])
        print(line(f"  {name}, lead-in", errors[lead]))
        print(line(f"  {name}, less or none", errors[~lead]))
    print("\nworst")
    for index in np.argsort(-np.abs(np.nan_to_num(error, nan=40.0)))[:worst]:
        t, m = made[index], heard[index]
        print(
            f"  {t.name:<44} lead {t.lead_in_s:.1f} s  truth {t.truth_db:6.1f}  measured "
            f"{'none' if m.snr_db is None else f'{m.snr_db:6.1f}'}  {m.noise_source}"
        )
        if kept is not None:
            kept.mkdir(parents=True, exist_ok=True)
            name = re.sub(r"\W+", "-", t.name) + f"-lead-{t.lead_in_s:.1f}-truth-{t.truth_db:.0f}.flac"
            soundfile.write(kept / name, t.mixture.samples, RATE_HZ)


def intervals(
    made: list[Trial], heard: list[measure.Measurement], subsets: dict[str, NDArray[np.bool_]]
) -> None:
    """How often the 80 % interval holds the truth, and how wide it is."""
    low = np.array([math.nan if m.snr_low_db is None else m.snr_low_db for m in heard])
    high = np.array([math.nan if m.snr_high_db is None else m.snr_high_db for m in heard])
    truth = np.array([t.truth_db for t in made])
    print("\n80 % interval: covers the truth, median width")
    for title, chosen in subsets.items():
        inside = (low <= truth) & (truth <= high)
        width_db = np.nanmedian((high - low)[chosen])
        print(f"  {title:<16} {100 * inside[chosen].mean():3.0f} %   {width_db:.1f} dB")


def noise_alone(noise: dict[str, Floats]) -> None:
    """How often noise without a word is called speech: six cuts of each, 4 to 10 s long."""
    print("\nnoise alone, called speech, of six cuts")
    for name, bed in sorted(noise.items()):
        called = 0
        for start, length_s in ((0.0, 4), (0.33, 6), (0.5, 10)):
            cut = 0.1 * np.resize(np.roll(bed, -int(start * bed.size)), length_s * RATE_HZ)
            for lead_in_s in (0.0, 0.7):
                m = measure.measure(cut, RATE_HZ, lead_in_s=lead_in_s)
                called += not any(d.code in ("speech.none", "speech.unclear") for d in m.defects)
        print(f"  {name:<32} {called}")


def grades_right(
    heard: list[measure.Measurement], truth: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> tuple[int, int]:
    """How many clips whose truth lies clearly inside a band would be accepted for that grade."""
    from noise_profiles import profile

    judge = profile.load()[profile.DEFAULT_PROFILE_ID]
    right = count = 0
    for m, snr_db, wanted in zip(heard, truth, chosen, strict=True):
        for grade, band in judge.grades.items():
            if wanted and band.snr_low_db + 2 < snr_db < band.snr_high_db - 2:
                count += 1
                findings = profile.verdict(m, judge, grade).findings
                right += not any(f.severity == "error" and f.code in _SNR_CODES for f in findings)
    return right, count


_SNR_CODES = ("snr.below_band", "snr.above_band", "speech.none", "speech.unclear")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--count", type=int, default=240)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=("all", "train", "held-out"), default="all")
    parser.add_argument("--worst", type=int, default=10)
    parser.add_argument("--keep-worst", type=Path)
    parser.add_argument("--only-cost", action="store_true")
    arguments = parser.parse_args()
    if not arguments.only_cost:
        speech = folder(arguments.speech) if arguments.speech else synthesised()
        noise = folder(arguments.noise) if arguments.noise else made_noises()
        speech, noise = part_of(speech, arguments.part), part_of(noise, arguments.part)
        print(f"{len(speech)} voices, {len(noise)} noises, {arguments.count} mixtures")
        accuracy(
            list(trials(speech, noise, arguments.count, arguments.seed)),
            arguments.worst,
            arguments.keep_worst,
        )
        noise_alone(noise)
    from bench import cost

    cost.report()


if __name__ == "__main__":
    main()
