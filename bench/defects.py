"""Hits and false alarms of every defect detector.

    python bench/defects.py [--speech DIR --noise DIR] [--only PART]

Defects are put into each clip, with and without a room's noise; each line says in how many clips the code
that should fire did. False alarms are counted on the clips as they are, louder, softer, in rooms and in every
noise at three levels. Without folders, voices are synthesised and noises made.
"""

from __future__ import annotations

import argparse
import io
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import scipy.signal
import soundfile
import soxr
from numpy.typing import NDArray

from noise_profiles import fingerprint, levels, measure, signals

RATE_HZ = 16_000
Sound = NDArray[np.float32]
Broken = tuple[NDArray[np.int16] | Sound, int]


def folder(path: Path) -> dict[str, Sound]:
    """Every sound in a folder, mono, at 16 kHz."""
    sounds = {}
    for file in sorted(path.rglob("*.flac")) + sorted(path.rglob("*.wav")):
        x, rate_hz = soundfile.read(file, dtype="float32", always_2d=True)
        sounds[file.stem] = x[:, 0] if rate_hz == RATE_HZ else soxr.resample(x[:, 0], rate_hz, RATE_HZ)
    return sounds


def synthesised() -> dict[str, Sound]:
    from bench.pace import SENTENCES
    from demo.speech import Synthesiser

    speaker = Synthesiser(RATE_HZ)
    return {
        f"{language}+{variant}": (
            0.5 * speaker.speak(text, f"{language}+{variant}", {"words_per_minute": 165})
        ).astype(np.float32)
        for language, text in SENTENCES.items()
        for variant in ("m3", "f2", "croak", "whisper")
    }


def pcm(x: NDArray[np.floating]) -> NDArray[np.int16]:
    return np.clip(np.rint(np.asarray(x) * 32768), -32768, 32767).astype(np.int16)


def coded(x: Sound, rate_hz: int, form: str, subtype: str, level: float) -> Sound:
    """Through a codec and back, in memory."""
    file = io.BytesIO()
    mode = {"bitrate_mode": "CONSTANT"} if form == "MP3" else {}
    with soundfile.SoundFile(
        file, "w", rate_hz, 1, format=form, subtype=subtype, compression_level=level, **mode
    ) as out:
        for at in range(0, x.size, 65_536):  # libsndfile's Vorbis writer needs small blocks
            out.write(x[at : at + 65_536])
    file.seek(0)
    return soundfile.read(file, dtype="float32")[0]


def mp3(x: Sound, level: float, rate_hz: int = RATE_HZ) -> Sound:
    return coded(x, rate_hz, "MP3", "MPEG_LAYER_III", level)


def ogg(x: Sound, subtype: str, level: float, rate_hz: int = RATE_HZ) -> Sound:
    return coded(x, rate_hz, "OGG", subtype, level)


def in_room(x: Sound, seed: int, snr_db: float = 35.0) -> Sound:
    """With a pause before and after, and the quiet noise of a room."""
    padded = np.pad(x, (8_000, 8_000))
    return signals.mix(padded, signals.pink_noise(padded.size, RATE_HZ, seed), snr_db, RATE_HZ).samples


def loud_place(x: Sound, length: int, rng: np.random.Generator) -> int:
    """A sample in speech from which `length` can be lost."""
    peak = np.array([np.abs(x[at : at + 160]).max() for at in range(0, x.size - length - 320, 160)])
    after = np.roll(peak, -(length // 160 + 1))
    choices = np.flatnonzero(
        (peak > 0.3 * peak.max()) & (after > 0.1 * peak.max()) & (np.arange(peak.size) > 31)
    )
    return int(rng.choice(choices)) * 160 + 80 if choices.size else x.size // 2


def lost(x: Sound, seed: int, ms: float, how: str) -> Sound:
    y, length = x.copy(), round(ms * RATE_HZ / 1000)
    at = loud_place(x, length, np.random.default_rng(seed))
    y[at : at + length] = {
        "zeros": np.zeros(length), "held": np.full(length, y[at - 1]), "again": y[at - length : at]
    }[how]  # fmt: skip
    return y


def gated(x: Sound, threshold_dbfs: float, depth_db: float, hold_s: float, seed: int) -> Sound:
    """A gate with hold and ramp, and the rounding noise of a converter after it."""
    level = scipy.signal.lfilter(np.ones(160) / 160, 1, x.astype(np.float64) ** 2)
    opened = 10 * np.log10(2 * level + 1e-12) > threshold_dbfs
    opened = np.convolve(opened, np.ones(round(hold_s * RATE_HZ)), "full")[: x.size] > 0
    gain = np.convolve(np.where(opened, 1.0, 10 ** (depth_db / 20)), np.ones(160) / 160, "same")
    rng = np.random.default_rng(seed)
    return (x * gain + (rng.random(x.size) - rng.random(x.size)) / 32768).astype(np.float32)


def automatic_gain(x: Sound, attack_s: float, release_s: float) -> Sound:
    """A gain that brings each millisecond to one level, quickly down and slowly up."""
    step = RATE_HZ // 1000
    power = np.square(x[: x.size // step * step].reshape(-1, step), dtype=np.float64).mean(axis=1)
    wanted = np.clip(-20.0 - 10 * np.log10(2 * power + 1e-10), -10.0, 30.0)
    gain, now = np.empty_like(wanted), wanted[:200].min()
    for number, goal in enumerate(wanted):
        now += (goal - now) * (1 - np.exp(-0.001 / (attack_s if goal < now else release_s)))
        gain[number] = now
    curve = np.interp(np.arange(x.size) / step, np.arange(gain.size), gain)
    return np.clip(x * 10 ** (curve / 20), -0.99, 0.99).astype(np.float32)


def wind(samples: int, seed: int, corner_hz: float = 60.0, gusts_hz: float = 1.0) -> Sound:
    rng = np.random.default_rng(seed)
    f = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    x = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) / (1 + (f / corner_hz) ** 2), samples)
    slow = np.fft.irfft(np.fft.rfft(rng.standard_normal(samples)) * ((f > 0.05) & (f < gusts_hz)), samples)
    x *= 10 ** (8.0 * slow / slow.std() / 20)
    return (x / np.sqrt(2 * np.mean(x**2))).astype(np.float32)


def echoed(x: Sound, delay_s: float, gain: float) -> Sound:
    y, delay = x.copy(), round(delay_s * RATE_HZ)
    y[delay:] += np.float32(gain) * x[:-delay]
    return y


def defects_made(x: Sound, noise: dict[str, Sound], seed: int) -> Iterator[tuple[str, str, Broken]]:
    """(what was done, the code that should fire, the sound and its rate)."""
    clean = in_room(x, seed)
    loud = 0.7 * clean / np.abs(clean).max()
    steady = next((bed for name, bed in noise.items() if "fan" in name), next(iter(noise.values())))
    bed = np.resize(np.roll(steady, seed * 999), clean.size)
    for ceiling in (0.35, 0.2):
        flat = np.clip(loud, -ceiling, ceiling)
        yield f"clipped at {ceiling}", "level.clipped", (pcm(flat), RATE_HZ)
        yield f"clipped at {ceiling}, -14 dB, float", "level.clipped", (0.2 * flat, RATE_HZ)
        yield f"clipped at {ceiling}, one side", "level.clipped", (pcm(np.minimum(loud, ceiling)), RATE_HZ)
        yield f"clipped at {ceiling}, MP3", "level.clipped", (pcm(mp3(flat, 0.6)), RATE_HZ)
        high = np.clip(soxr.resample(loud, RATE_HZ, 48_000), -ceiling, ceiling)
        yield (
            f"clipped at {ceiling}, resampled",
            "level.clipped",
            (pcm(soxr.resample(high, 48_000, RATE_HZ)), RATE_HZ),
        )
        eight = np.clip(np.rint(flat * 128), -128, 127).astype(np.int8)
        yield f"clipped at {ceiling}, 8 bits", "level.clipped", (eight, RATE_HZ)  # type: ignore[misc]
    for ms in (2, 10, 50, 250):
        for how in ("zeros", "held"):
            yield f"{ms} ms {how}", "sound.dropout", (pcm(lost(loud, seed, ms, how)), RATE_HZ)
    for samples in (128, 256, 441, 480, 512, 960, 1024, 2048, 4096):
        yield (
            f"{samples} samples again",
            "sound.dropout",
            (pcm(lost(loud, seed, samples / 16, "again")), RATE_HZ),
        )
    for snr_db in (40, 30, 20):
        padded = np.pad(x, (8_000, 8_000))
        hiss = signals.white_noise(padded.size, RATE_HZ, seed) if seed % 2 else bed
        mixed = signals.mix(padded, hiss, snr_db, RATE_HZ)
        for depth_db, hold_s in ((-60, 0.01), (-35, 0.1)):
            sound = gated(mixed.samples, mixed.noise_dbfs + 8.0, depth_db, hold_s, seed)
            yield f"gated by {-depth_db} dB, {snr_db} dB SNR", "noise.suppressed", (pcm(sound), RATE_HZ)
    twice = np.concatenate([np.zeros(12_000, np.float32), x, np.zeros(11_200, np.float32), x[: x.size // 2]])
    twice = np.pad(twice, (0, 8_000))
    bed = np.resize(np.roll(steady, seed * 999), twice.size)
    for snr_db, attack_s, release_s in ((30, 0.02, 0.8), (20, 0.05, 2.0), (20, 0.1, 5.0)):
        sound = automatic_gain(signals.mix(twice, bed, snr_db, RATE_HZ).samples, attack_s, release_s)
        yield f"automatic gain, {release_s} s release", "noise.pumping", (pcm(sound), RATE_HZ)
    yield "offset 5 %", "level.offset", (pcm(clean + 0.05), RATE_HZ)
    speech_dbfs = levels.active_speech(clean, RATE_HZ).level_dbfs
    for mains_hz in (50.0, 60.0):
        hum = signals.hum(clean.size, RATE_HZ, seed, mains_hz=mains_hz)
        gain = 10 ** ((speech_dbfs - 25 - signals.NOISE_DBFS) / 20)
        yield f"hum {mains_hz:.0f} Hz", "noise.hum", (pcm(clean + gain * hum), RATE_HZ)
    for below_db in (15, 5):
        blow = wind(clean.size, seed) * 10 ** ((speech_dbfs - below_db) / 20)
        yield f"wind {below_db} dB below", "noise.wind", (pcm(clean + blow), RATE_HZ)
    for delay_s, gain in ((0.1, 0.3), (0.25, 0.2), (0.6, 0.2), (0.25, 0.126)):
        yield f"echo {delay_s} s, gain {gain}", "sound.echo", (pcm(echoed(clean, delay_s, gain)), RATE_HZ)
    active = np.flatnonzero(levels.active_speech(clean, RATE_HZ).active)
    yield "start cut", "speech.cut_start", (pcm(clean[(active[0] + 8) * 160 :]), RATE_HZ)
    yield "end cut", "speech.cut_end", (pcm(clean[: (active[-1] - 28) * 160]), RATE_HZ)
    for level in (0.7, 0.8, 0.9):
        yield f"MP3 level {level}, 16 kHz", "sound.lossy", (pcm(mp3(clean, level)), RATE_HZ)
    yield "Vorbis, 16 kHz", "sound.lossy", (pcm(ogg(clean, "VORBIS", 0.9)), RATE_HZ)
    wide = soxr.resample(clean, RATE_HZ, 48_000) + signals.white_noise(3 * clean.size, 48_000, seed) * 10 ** (
        -45 / 20
    )
    wide = wide.astype(np.float32)
    for level in (0.2, 0.6, 0.8):
        yield f"MP3 level {level}, 48 kHz", "sound.lossy*", (pcm(mp3(wide, level, 48_000)), 48_000)
    yield "Opus, 48 kHz", "sound.lossy*", (pcm(ogg(wide, "OPUS", 0.8, 48_000)), 48_000)
    for low_hz in (8_000, 16_000):
        for high_hz in (44_100, 48_000):
            passed = soxr.resample(soxr.resample(clean, RATE_HZ, low_hz), low_hz, high_hz)
            yield f"{low_hz} Hz passed off as {high_hz}", "band.*", (pcm(passed), high_hz)
    for true_hz, label_hz in (
        (48_000, 16_000), (44_100, 16_000), (16_000, 8_000), (22_050, 8_000), (32_000, 16_000),
        (16_000, 48_000), (16_000, 44_100), (8_000, 16_000),
    ):  # fmt: skip
        said = pcm(soxr.resample(clean, RATE_HZ, true_hz))
        yield f"{true_hz} Hz labelled {label_hz}", "speech.too_*", (said, label_hz)


def channels_made(x: Sound, other: Sound, seed: int) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    length = 2 * max(x.size, other.size)
    a, b, both = (np.zeros(length, np.float32) for _ in range(3))
    a[: x.size], b[length - other.size :], both[: other.size] = x, other, other
    rooms = [signals.pink_noise(length, RATE_HZ, seed + n) * np.float32(0.03) for n in (1, 2)]
    for leak_db in (-10, -20, -28):
        leak = np.float32(10 ** (leak_db / 20)) * np.roll(b, 40)
        yield (
            f"cross-talk {leak_db} dB",
            "channel.crosstalk",
            np.stack([a + rooms[0] + leak, b + rooms[1]], 1),
        )
    yield "mono as stereo", "channel.same", np.stack([a + rooms[0], 0.8 * (a + rooms[0])], 1)
    yield "one channel inverted", "channel.inverted", np.stack([a + rooms[0], -a - rooms[0]], 1)
    yield "one channel dead", "channel.dead", np.stack([a + rooms[0], 0 * a], 1)
    yield "two talkers, two rooms", "", np.stack([a + rooms[0], b + rooms[1]], 1)
    yield "two talkers, noise in common", "", np.stack([a + rooms[0], b + rooms[0]], 1)
    yield "two talkers at once", "", np.stack([a + rooms[0], both + rooms[1]], 1)


def unharmed(x: Sound, noise: dict[str, Sound]) -> Iterator[tuple[str, NDArray[np.int16]]]:
    """(condition, sound): nothing here is a defect."""
    yield "as it is", pcm(x)
    yield "20 dB softer", pcm(0.1 * x)
    yield "peaks just below full scale", pcm(0.95 * x / np.abs(x).max())
    yield "room, RT60 0.4 s", pcm(signals.reverberate(x, RATE_HZ, 1, rt60_s=0.4))
    yield "room, RT60 0.8 s", pcm(0.5 * signals.reverberate(x, RATE_HZ, 1, rt60_s=0.8, direct_db=0.0))
    for number, (name, bed) in enumerate(noise.items()):
        for snr_db in (30, 17, 5):
            padded = np.pad(x, (8_000, 8_000))
            mixed = signals.mix(padded, np.roll(bed, -5_000 * number), snr_db, RATE_HZ)
            yield f"{name} at {snr_db} dB", pcm(mixed.samples)


def codes(x: NDArray[np.generic], rate_hz: int) -> set[str]:
    return {finding.code for finding in measure.measure(x, rate_hz).defects}


def hits(speech: dict[str, Sound], noise: dict[str, Sound]) -> None:
    found: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for number, x in enumerate(speech.values()):
        for what, code, (sound, rate_hz) in defects_made(x, noise, number):
            heard = codes(sound, rate_hz)
            found[what, code].append(any(c == code or c.startswith(code.rstrip("*")) for c in heard))
    names = list(speech.values())
    for number, x in enumerate(names):
        for what, code, sound in channels_made(x, names[(number + 5) % len(names)], number):
            heard = {c for c in codes(sound, RATE_HZ) if c.startswith("channel.")}
            found[what, code or "no channel.*"].append(code in heard if code else not heard)
    print("\nput in, and found in how many of the clips")
    for (what, code), results in found.items():
        print(f"  {code:<18} {what:<36} {sum(results):>3} of {len(results)}")


def false_alarms(speech: dict[str, Sound], noise: dict[str, Sound]) -> None:
    count: Counter[tuple[str, str]] = Counter()
    clips: defaultdict[str, set[str]] = defaultdict(set)
    total = 0
    for name, x in speech.items():
        for condition, sound in unharmed(x, noise):
            total += 1
            for code in codes(sound, RATE_HZ):
                count[code, condition.split(" at ")[0]] += 1
                clips[code].add(name)
    print(f"\nnothing put in: what fired on {total} sounds")
    for (code, condition), number in sorted(count.items()):
        print(f"  {code:<18} {condition:<30} {number}")
    for code, names in sorted(clips.items()):
        print(f"  {code}: {', '.join(sorted(names))}")


def duplicates(speech: dict[str, Sound], noise: dict[str, Sound]) -> None:
    def of(x: NDArray[np.floating], rate_hz: int = RATE_HZ) -> fingerprint.Fingerprint:
        return fingerprint.fingerprint(np.asarray(x, dtype=np.float32), rate_hz)

    copies: dict[str, Callable[[Sound], fingerprint.Fingerprint]] = {
        "1.3 s cut from the start": lambda x: of(x[20_811:]),
        "2 s of silence before": lambda x: of(np.pad(x, (32_000, 5_000))),
        "gain 0.1, turned over, 44.1 kHz, cut": lambda x: of(
            -0.1 * soxr.resample(x[12_345:], RATE_HZ, 44_100), 44_100
        ),
        "48 kHz": lambda x: of(soxr.resample(x, RATE_HZ, 48_000), 48_000),
        "8 kHz": lambda x: of(soxr.resample(x, RATE_HZ, 8_000), 8_000),
        "8 bits": lambda x: of(np.round(x * 128) / 128),
        "MP3, 40 kb/s, cut": lambda x: of(mp3(x[11_111:], 0.8)),
        "MP3, 24 kb/s": lambda x: of(mp3(x, 0.9)),
        "Vorbis": lambda x: of(ogg(x, "VORBIS", 0.9)),
        "Opus, 16 kb/s": lambda x: of(ogg(x, "OPUS", 0.95)),
    }
    own = {name: of(x) for name, x in speech.items()}
    index = fingerprint.Index()
    for name, one in own.items():
        index.add(name, one)
    print(f"\nthe same sound again; one is told from {fingerprint.SAME:.2f} on")
    for what, make in copies.items():
        made = {name: make(x) for name, x in speech.items()}
        alike = [fingerprint.similarity(own[name], one) for name, one in made.items()]
        known = sum(name in dict(index.same(one)) for name, one in made.items())
        print(
            f"  {what:<38} least {min(alike):.2f} median {np.median(alike):.2f}"
            f"  by index {known} of {len(made)}"
        )
    pairs = [(a, b) for a in own for b in own if a < b]
    print(f"  {'other clips':<38} most {max(fingerprint.similarity(own[a], own[b]) for a, b in pairs):.2f}")
    for name, bed in noise.items():
        mixed = {
            key: of(signals.mix(x, np.roll(bed, -7_777 * n), 10.0, RATE_HZ).samples)
            for n, (key, x) in enumerate(speech.items())
        }
        most = max(fingerprint.similarity(mixed[a], mixed[b]) for a, b in pairs[::5])
        print(f"  {'other clips in ' + name + ' at 10 dB':<38} most {most:.2f}")
    length = sum(x.size for x in speech.values()) / RATE_HZ
    print(f"  bytes a second: {sum(len(one.to_bytes()) for one in own.values()) / length:.0f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--noise", type=Path)
    parser.add_argument("--only", choices=("hits", "alarms", "duplicates"))
    arguments = parser.parse_args()
    speech = folder(arguments.speech) if arguments.speech else synthesised()
    made = {name: make(20 * RATE_HZ, RATE_HZ, 11) for name, make in signals.NOISES.items() if name != "hum"}
    noise = folder(arguments.noise) if arguments.noise else made
    print(f"{len(speech)} clips, {len(noise)} noises")
    if arguments.only in (None, "hits"):
        hits(speech, noise)
    if arguments.only in (None, "alarms"):
        false_alarms(speech, noise)
    if arguments.only in (None, "duplicates"):
        duplicates(speech, noise)


if __name__ == "__main__":
    main()
