"""What hearing costs: a clip, its components, the live meter, and the memory of three hours.

    python bench/cost.py [--rounds 40] [--hours 3]

Times are CPU time, the least of many rounds: other programs on the machine make any of them longer, and none
shorter.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from noise_profiles import (
    bands,
    defects,
    fingerprint,
    frames,
    levels,
    measure,
    passband,
    scan,
    signals,
    snr,
    vad,
    voices,
)

Floats = NDArray[np.float32]
CLIP_S = 10
RATES_HZ = (16_000, 48_000)
GOAL_MS = {16_000: 7.0, 48_000: 15.0}


def clip(rate_hz: int) -> Floats:
    """Ten seconds of a made voice at 20 dB in pink noise."""
    voice = signals.speech_like(CLIP_S * rate_hz, rate_hz, 3)
    return signals.mix(voice, signals.pink_noise(voice.size, rate_hz, 4), 20.0, rate_hz).samples


def least_ms(call: Callable[[], object], rounds: int) -> float:
    """CPU time of the quickest call."""
    call()
    best = float("inf")
    for _ in range(rounds):
        started = time.process_time()
        call()
        best = min(best, time.process_time() - started)
    return 1000.0 * best


def processor() -> str:
    """What the figures were measured on."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
        names = [line.split(":")[1].strip() for line in told.splitlines() if line.startswith("model name")]
    except OSError:
        names = []
    name = names[0] if names else platform.processor() or platform.machine()
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def components(x: Floats, rate_hz: int) -> dict[str, Callable[[], object]]:
    """The parts of one measurement, each by itself."""
    known: list[defects.Heard] = []

    def described() -> frames.Frames:
        stream = frames.FrameStream(rate_hz)
        stream.feed(x)
        return stream.finish()

    def scanned() -> scan.Scanned:
        scanner = scan.SampleScan(rate_hz)
        stream = frames.FrameStream(rate_hz, scanner.look)
        stream.feed(x)
        stream.finish()
        return scanner.finish()

    block = 2 * rate_hz
    rows = np.lib.stride_tricks.sliding_window_view(x, round(2.16 * rate_hz))[: 4 * block : block]
    out_hz = voices.analysis_rate_hz(rate_hz)
    y = passband.band_passed(rows, rate_hz, out_hz).sound[0, : 2 * out_hz]
    core = y.reshape(-1, out_hz // 100)
    power = np.square(core).mean(axis=1)
    voice = voices.FrameVad(out_hz)
    found = described()
    estimate = snr.estimate(found)
    known.append(defects.Heard(rate_hz, scanned(), found, estimate))
    parts: dict[str, Callable[[], object]] = {
        "all": lambda: measure.measure(x, rate_hz),
        "described, frame by frame": described,
        "  four blocks filtered and resampled (8 s)": lambda: passband.band_passed(rows, rate_hz, out_hz),
        "  one block in bands (2 s)": lambda: bands.band_powers([y], out_hz // 100, out_hz // 40, out_hz),
        "  one block by webrtcvad (2 s)": lambda: voice.frames(core, power),
        "described, samples looked at": scanned,
        "SNR": lambda: snr.estimate(found),
    }
    for name, detector in defects.DETECTORS.items():
        parts[f"detector: {name}"] = lambda d=detector, n=name: list(d(known[0], defects.limits()[n]))
    parts["fingerprint (no part of a measurement)"] = lambda: fingerprint.fingerprint(x, rate_hz)
    return parts


def usual(file: bytes) -> object:
    """What is usually written: librosa reads and resamples, webrtcvad decides, RMS of both kinds."""
    import librosa
    import webrtcvad

    y, rate_hz = librosa.load(io.BytesIO(file), sr=16_000)
    rms = librosa.feature.rms(y=y, frame_length=320, hop_length=160)[0]
    pcm = np.clip(y * 32768, -32768, 32767).astype("<i2").tobytes()
    judge = webrtcvad.Vad(2)
    voiced = np.array(
        [judge.is_speech(pcm[a : a + 320], int(rate_hz)) for a in range(0, len(pcm) - 319, 320)]
    )
    rms = rms[: voiced.size]
    return rms[voiced].mean(), rms[~voiced].mean()


def silero(x: Floats) -> Callable[[], object] | None:
    """The neural detector alone, where it is installed."""
    if find_spec("silero_vad") is None:
        return None
    import silero_vad
    import torch

    torch.set_num_threads(1)
    model, sound = silero_vad.load_silero_vad(), torch.from_numpy(x)
    return lambda: silero_vad.get_speech_timestamps(sound, model)


def live_ms(x: Floats, rate_hz: int, feeds: Callable[[], Callable[[Floats], Any]], rounds: int) -> float:
    """CPU time of a block of 20 ms: the mean over a clip, since the work comes every 50 ms."""
    size = rate_hz // 50
    blocks = [x[at : at + size] for at in range(0, x.size - size + 1, size)]

    def run() -> None:
        feed = feeds()
        for one in blocks:
            feed(one)

    return least_ms(run, rounds) / len(blocks)


def hours(rate_hz: int, length_s: int) -> None:
    """In a process of its own: feed so much sound, and print how much memory that took at most."""
    measure.warm(live=False)
    x = clip(rate_hz)
    before_mb = _resident_mb("VmRSS")
    meter = measure.Meter(rate_hz)
    started = time.process_time()
    for _ in range(length_s // CLIP_S):
        meter.feed(x)
    meter.finish()
    print(f"{_resident_mb('VmHWM') - before_mb:.0f} MB, {time.process_time() - started:.1f} s of CPU")


def _resident_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith(name))


def report(rounds: int = 40, length_h: float = 3.0) -> None:
    """Print every table."""
    measure.warm()
    print(f"\ncost, ms of CPU, least of {rounds} rounds; {processor()}")
    for rate_hz in RATES_HZ:
        x = clip(rate_hz)
        print(f"\nten seconds at {rate_hz} Hz, goal {GOAL_MS[rate_hz]:.0f} ms")
        for name, call in components(x, rate_hz).items():
            print(f"  {name:<44} {least_ms(call, rounds):7.3f}")
        file = io.BytesIO()
        soundfile.write(file, x, rate_hz, format="WAV", subtype="PCM_16")
        print(
            f"  {'librosa.load, webrtcvad, RMS':<44} {least_ms(lambda f=file: usual(f.getvalue()), 5):7.3f}"
        )
        neural = silero(x) if rate_hz == RATES_HZ[0] else None
        if neural is not None:
            print(f"  {'silero-vad alone':<44} {least_ms(neural, 5):7.3f}")
        print("live, one block of 20 ms, goal 0.2 ms")
        for name, feeds in (
            ("level meter", lambda r=rate_hz: levels.LevelMeter(r).feed),
            ("speech detector", lambda r=rate_hz: vad.SpeechDetector(r).feed),
        ):
            print(f"  {name:<44} {live_ms(x, rate_hz, feeds, 5):7.3f}")
    if sys.platform == "linux" and length_h > 0:
        print(f"\n{length_h:g} hours, block by block, beyond what the program takes")
        for rate_hz in RATES_HZ:
            words = [sys.executable, __file__, "--only-hours", str(rate_hz), "--hours", str(length_h)]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
            print(f"  {rate_hz} Hz: {done.stdout.strip()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--hours", type=float, default=3.0)
    parser.add_argument("--only-hours", type=int, metavar="HZ")
    arguments = parser.parse_args()
    if arguments.only_hours:
        hours(arguments.only_hours, round(3600 * arguments.hours))
    else:
        report(arguments.rounds, arguments.hours)


if __name__ == "__main__":
    main()
