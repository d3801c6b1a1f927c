"""What spoils a clip: detectors that each give a code, a value, a limit and a place.

Limits are data, in defects.toml. A detector reads what `scan` and `frames` kept and never the sound itself,
so it costs nothing to add one and hours of sound are no trouble.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.frames import LOW_HZ, SPECTRUM_STEP_HZ, Frames, runs
from noise_profiles.scan import LSB, FlatTop, Scanned
from noise_profiles.snr import Estimate
from protocol.clip import AudioFinding, Severity

Limits = Mapping[str, Mapping[str, float]]


@cache
def limits() -> Limits:
    """The limits of every detector, by its name."""
    source = resources.files("noise_profiles") / "defects.toml"
    return tomllib.loads(source.read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Heard:
    """Everything that is known of one channel when detectors run."""

    sample_rate_hz: int
    scanned: Scanned
    frames: Frames
    estimate: Estimate

    @property
    def duration_s(self) -> float:
        """Length of the clip."""
        return self.scanned.samples / self.sample_rate_hz

    def seconds(self, sample: int) -> float:
        """A place in seconds."""
        return sample / self.sample_rate_hz

    def speaking(self, start: int, end: int) -> bool:
        """Whether speech is active anywhere from one sample to another."""
        hop = self.sample_rate_hz / 100
        return bool(self.estimate.active[int(start / hop) : int(end / hop) + 1].any())


def findings(heard: Heard) -> Iterator[AudioFinding]:
    """Every defect of one channel."""
    for name, detector in DETECTORS.items():
        yield from detector(heard, limits()[name])


def no_speech(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Nobody speaks, or the clip is too short or too long to be an utterance."""
    duration_s, speech_s = heard.duration_s, float(heard.estimate.active.sum()) / 100
    if duration_s < limit["shortest_s"]:
        yield AudioFinding("clip.too_short", "error", duration_s, limit["shortest_s"])
    elif duration_s > limit["longest_s"]:
        yield AudioFinding("clip.too_long", "error", duration_s, limit["longest_s"])
    if heard.estimate.snr_db is None or speech_s < limit["least_speech_s"]:
        yield AudioFinding("speech.none", "error", speech_s, limit["least_speech_s"], 0.0, duration_s)
    elif heard.estimate.evidence < limit["least_evidence"]:
        yield AudioFinding("speech.unclear", "error", heard.estimate.snr_db, 0.0, 0.0, duration_s)


def level(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Speech so weak that it drowns in converters, or so strong that it must clip."""
    speech_dbfs = heard.estimate.speech_dbfs
    if speech_dbfs is None:
        return
    if speech_dbfs < limit["low_dbfs"]:
        severity: Severity = "error" if speech_dbfs < limit["lowest_dbfs"] else "warning"
        yield AudioFinding("level.low", severity, speech_dbfs, limit["low_dbfs"])
    elif speech_dbfs > limit["high_dbfs"]:
        yield AudioFinding("level.high", "warning", speech_dbfs, limit["high_dbfs"])


def clipped(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Flat tops that share a ceiling, wherever the ceiling is."""
    scanned = heard.scanned
    near = 1.0 - limit["same_ceiling"]
    tops = [
        top
        for top in scanned.tops
        if (top.value > 0.0 and top.value >= near * scanned.highest)
        or (top.value < 0.0 and top.value <= near * scanned.lowest)
    ]
    if len(tops) < limit["least_tops"]:
        return
    speech_s = max(0.5, float(heard.estimate.active.sum()) / 100)
    per_s = len(tops) / speech_s
    severity: Severity = "error" if per_s > limit["tops_per_s_error"] else "warning"
    start, end = _densest(tops, heard.sample_rate_hz)
    yield AudioFinding(
        "level.clipped",
        severity,
        per_s,
        limit["tops_per_s_error"],
        heard.seconds(start),
        heard.seconds(end),
        {"tops": len(tops), "ceiling_dbfs": round(20 * math.log10(max(abs(t.value) for t in tops)), 1)},
    )


def _densest(tops: list[FlatTop], rate_hz: int) -> tuple[int, int]:
    """From the first to the last top of the second that holds most of them."""
    starts = np.array([top.start for top in tops])
    ends = np.searchsorted(starts, starts + rate_hz)
    best = int(np.argmax(ends - np.arange(starts.size)))
    return tops[best].start, tops[int(ends[best]) - 1].end


def dropout(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Sound that stops dead inside speech, or a buffer that is there twice."""
    speech_dbfs = heard.estimate.speech_dbfs
    if speech_dbfs is None:
        return
    loud = max(32.0 * LSB, limit["neighbour"] * math.sqrt(levels.mean_square(speech_dbfs)))
    places = [
        (one.start, one.end)
        for one in heard.scanned.frozen
        if heard.seconds(one.end - one.start) <= limit["longest_s"]
        and min(one.before, one.after) > loud
        and abs(one.value) < 0.5 * max(heard.scanned.highest, -heard.scanned.lowest)
        and heard.speaking(one.start, one.end)
    ]
    repeated = [place for place in heard.scanned.repeated if heard.speaking(*place)]
    if sum(b - a for a, b in repeated) < limit["repeat_share"] * heard.scanned.samples:
        places += repeated
    if places:
        places.sort()
        lost_ms = 1000.0 * heard.seconds(sum(b - a for a, b in places))
        first = places[0]
        yield AudioFinding(
            "sound.dropout",
            "error",
            lost_ms,
            1000.0 * limit["shortest_s"],
            heard.seconds(first[0]),
            heard.seconds(first[1]),
            {"places": len(places)},
        )


def gated(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Exact silence between words: a noise gate or suppressor has removed the room."""
    active = np.flatnonzero(heard.estimate.active)
    if heard.estimate.speech_dbfs is None or heard.estimate.speech_dbfs < limit["lowest_dbfs"]:
        return
    hop = heard.sample_rate_hz // 100
    first, last = int(active[0]) * hop, int(active[-1] + 1) * hop
    places = [
        (max(one.start, first), min(one.end, last))
        for one in heard.scanned.frozen
        if min(one.end, last) - max(one.start, first) >= limit["shortest_s"] * heard.sample_rate_hz
    ]
    silent_s = heard.seconds(sum(b - a for a, b in places))
    between = heard.frames.power[int(active[0]) : int(active[-1]) + 1]
    quiet_s = float((between < levels.mean_square(heard.estimate.speech_dbfs - 30.0)).sum()) / 100
    if silent_s >= limit["least_s"] and silent_s >= limit["share_of_pauses"] * quiet_s:
        yield AudioFinding(
            "noise.gated",
            "warning",
            silent_s,
            limit["least_s"],
            heard.seconds(places[0][0]),
            heard.seconds(places[0][1]),
        )


def offset(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """The sound does not swing about zero."""
    share = abs(heard.scanned.offset)
    if share > limit["share"]:
        yield AudioFinding("level.offset", "warning", 100.0 * share, 100.0 * limit["share"])


def hum(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Mains hum: 50 or 60 Hz and its multiples stand out of the noise of the pauses."""
    spectrum = _pause_spectrum(heard)
    if spectrum is None:
        return
    power, step_hz = spectrum
    best = max((_mains(power, step_hz, hz, limit) for hz in (50.0, 60.0)), key=lambda found: found[1])
    mains_hz, harmonics, hum_power = best
    hum_dbfs = levels.dbfs(hum_power)
    loud = (
        hum_dbfs > limit["lowest_dbfs"] and hum_dbfs > heard.estimate.noise_dbfs + limit["share_of_noise_db"]
    )
    if harmonics >= limit["least_harmonics"] and loud:
        yield AudioFinding(
            "noise.hum", "warning", hum_dbfs, limit["lowest_dbfs"], parameters={"mains_hz": round(mains_hz)}
        )


def _pause_spectrum(heard: Heard) -> tuple[NDArray[np.float64], float] | None:
    """Mean square by frequency below 500 Hz, from stretches of 0.4 s without speech."""
    per_frame = LOW_HZ // 100
    length = 2 * LOW_HZ // 5
    window = np.hanning(length + 1)[:-1]
    scale = 2.0 / (length * float(np.square(window).sum()))
    total, count = np.zeros(4 * length // 2 + 1), 0
    for a, b in runs(~heard.estimate.active):
        quiet = heard.frames.low[a * per_frame : b * per_frame]
        for at in range(0, quiet.size - length + 1, length):
            piece = np.fft.rfft((quiet[at : at + length]) * window, 4 * length)
            total += np.square(np.abs(piece)) * scale
            count += 1
    return (total / count, LOW_HZ / (4 * length)) if count else None


def _mains(
    power: NDArray[np.float64], step_hz: float, mains_hz: float, limit: Mapping[str, float]
) -> tuple[float, int, float]:
    """How many harmonics stand out, and their power together."""
    centres_hz = mains_hz * np.arange(1, int(450.0 // mains_hz) + 1)
    middle = np.rint(centres_hz / step_hz).astype(np.intp)[:, np.newaxis]
    near_to, around_from, around_to = (round(hz / step_hz) for hz in (2.0, 7.0, 18.0))
    near = power[middle + np.arange(-near_to, near_to + 1)].max(axis=1)
    sides = np.concatenate([np.arange(-around_to, -around_from), np.arange(around_from, around_to)])
    around = np.median(power[middle + sides], axis=1)
    stands_out = near > 10 ** (limit["prominence_db"] / 10) * around + 1e-14
    # The Hann window spreads a tone over 1.5 of its own bins, of which there are four here.
    return mains_hz, int(stands_out.sum()), float(near[stands_out].sum()) / 1.5


def cut(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Speech in the first or last tenth of a second: a word may have been cut."""
    estimate, power = heard.estimate, heard.frames.power
    n = len(heard.frames)
    if estimate.speech_dbfs is None or n < 30:
        return
    edge, loud = round(100 * limit["edge_s"]), levels.mean_square(estimate.speech_dbfs - limit["within_db"])
    noise = levels.mean_square(estimate.noise_dbfs)
    over = (power > max(loud, 4.0 * noise)) & estimate.active
    for code, frames, start_s in (
        ("speech.cut_start", over[:edge], 0.0),
        ("speech.cut_end", over[n - edge :], max(0.0, heard.duration_s - limit["edge_s"])),
    ):
        edge_frames = frames[:5] if code == "speech.cut_start" else frames[-5:]
        if edge_frames.sum() >= 3:
            place = np.flatnonzero(frames)
            at_s = float(place[0] if code == "speech.cut_start" else edge - 1 - place[-1]) / 100
            yield AudioFinding(code, "warning", at_s, limit["edge_s"], start_s, start_s + limit["edge_s"])


def bandwidth(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Nothing above a sharp edge: telephone sound, or a low rate passed off as a high one."""
    cut_hz = _edge_hz(heard.frames.spectrum, limit["drop_db"])
    nyquist_hz = heard.sample_rate_hz / 2
    if cut_hz is None or heard.estimate.snr_db is None:
        return
    if cut_hz < limit["telephone_hz"]:
        yield AudioFinding("band.telephone", "error", cut_hz, limit["telephone_hz"])
    elif cut_hz < limit["inaudible_hz"] and cut_hz < limit["share_of_nyquist"] * nyquist_hz:
        yield AudioFinding("band.limited", "warning", cut_hz, limit["share_of_nyquist"] * nyquist_hz)


def _edge_hz(spectrum: NDArray[np.float64], drop_db: float) -> float | None:
    """Where the spectrum falls off an edge and stays down; None if it does not."""
    if spectrum.size < 16 or not spectrum.any():
        return None
    level_db = 10.0 * np.log10(spectrum + 1e-16)
    step = 6  # bands: the fall must happen within 750 Hz
    highest_above = np.maximum.accumulate(level_db[::-1])[::-1]
    lowest = round(2500 / SPECTRUM_STEP_HZ)
    bands = np.arange(lowest, spectrum.size - step - 4)
    under = np.lib.stride_tricks.sliding_window_view(level_db, 4)[bands - 3].mean(axis=1)
    falls = np.flatnonzero(under - highest_above[bands + step] > drop_db)
    return float((bands[falls[0]] + step / 2) * SPECTRUM_STEP_HZ) if falls.size else None


def pops(heard: Heard, limit: Mapping[str, float]) -> Iterator[AudioFinding]:
    """Wind and breath on the membrane: bursts below 40 Hz stronger than the speech."""
    if heard.estimate.speech_dbfs is None:
        return
    per_frame = LOW_HZ // 100
    low = heard.frames.low
    frames = low.size // per_frame
    # Means over 12.5 ms, taken twice, leave what lies below about 40 Hz.
    kernel = np.convolve(np.ones(12), np.ones(12)) / 144.0
    slow = np.convolve(low, kernel, mode="same")[: frames * per_frame] if low.size > kernel.size else low[:0]
    power = np.square(slow.reshape(-1, per_frame)).mean(axis=1) if slow.size else slow
    strong = power > levels.mean_square(heard.estimate.speech_dbfs + limit["over_speech_db"])
    seconds = float(strong.sum()) / 100
    if seconds >= limit["least_s"]:
        first, last = runs(strong)[0]
        yield AudioFinding("noise.pops", "warning", seconds, limit["least_s"], first / 100, last / 100)


DETECTORS: Mapping[str, Callable[[Heard, Mapping[str, float]], Iterator[AudioFinding]]] = {
    "length": no_speech,
    "level": level,
    "clipped": clipped,
    "dropout": dropout,
    "gated": gated,
    "offset": offset,
    "hum": hum,
    "cut": cut,
    "bandwidth": bandwidth,
    "pops": pops,
}
