"""What the pauses betray: gates and suppressors, gain that rides on the voice, words cut at an edge."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels, order
from noise_profiles.evidence import Heard, Limit
from noise_profiles.masks import smoothed, widened
from noise_profiles.stretches import runs
from protocol.clip import AudioFinding

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

_MOST_FRAMES = 60_000
_FIFTH = np.full(5, 0.2)
RELEASES_S = (0.3, 0.8, 2.0, 5.0)


def gated(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Silence between words that no room has: a noise gate or suppressor has removed the room.

    Either exact silence, or a floor in the pauses far below the one that stays under the voice.
    """
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
        return
    pauses = [(a, b) for a, b in runs(~heard.estimate.active, round(100 * limit["least_s"])) if a > active[0]]
    snr_db = heard.estimate.snr_db or 0.0
    removed_db = _removed_db(heard, limit) if pauses and snr_db > limit["least_snr_db"] else 0.0
    if removed_db > limit["removed_db"]:
        yield AudioFinding(
            "noise.suppressed",
            "warning",
            removed_db,
            limit["removed_db"],
            pauses[0][0] / 100,
            pauses[0][1] / 100,
        )


def _removed_db(heard: Heard, limit: Limit) -> float:
    """How much lower the floor of the pauses lies than the noise that can be heard under the voice.

    Noise shows under a voice in the bands and moments that the voice leaves free: there the level has
    a lower edge at which many frames lie close together. What a voice itself leaves there is spread widely.
    """
    bands = heard.frames.bands
    active = heard.estimate.active
    speech = active & (heard.frames.power > levels.mean_square(heard.estimate.speech_dbfs or 0.0) / 30.0)
    pause = ~active
    pause[: int(np.argmax(active))] = False
    if speech.sum() < 60 or pause.sum() < 20 or heard.scanned.step > limit["coarsest_step"]:
        return 0.0
    # In both halves of the clip, since a noise that fades away lies under the early words only.
    halves = [
        _under_over_pauses_db(bands[spoken], heard.frames.power[spoken], bands[silent], limit)
        for spoken, silent in zip(np.array_split(_thinned(speech), 2), _halves(_thinned(pause)), strict=True)
    ]
    return min(halves)


def _thinned(mask: Mask) -> NDArray[np.intp]:
    """Where it is so; of hours, evenly spread places, which give the same percentiles."""
    where = np.flatnonzero(mask)
    return where[:: 1 + where.size // _MOST_FRAMES]


def _halves(where: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """The earlier and the later ones, or twice all of them where they are few."""
    return np.array_split(where, 2) if where.size >= 40 else [where, where]


def _under_over_pauses_db(
    spoken: NDArray[np.float32], power: NDArray[np.float32], silent: NDArray[np.float32], limit: Limit
) -> float:
    """The floor under the voice over that of the pauses, in the bands that have a steady one."""
    under = 10.0 * np.log10(spoken.T.astype(np.float64) + 1e-14)  # band by band: long rows are sorted fast
    low, high = order.row_quantiles(under, limit["from_percent"] / 100, limit["to_percent"] / 100)
    # What is strong now and then in the pauses may well be under the voice all the time.
    (often,) = order.row_quantiles(silent.T, 0.9)
    floor = 10.0 * np.log10(often + 1e-14)
    steady = high - low < limit["steady_db"]
    # Noise does not ask how loud the voice is; what a voice leaves beside its formants does.
    loud = power > order.median(power)
    beside = [
        order.row_quantiles(part, limit["from_percent"] / 100)[0]
        for part in (under[:, loud], under[:, ~loud])
    ]
    steady &= np.abs(beside[0] - beside[1]) < limit["with_voice_db"]
    if steady.sum() < limit["least_bands"]:
        return 0.0
    return order.median((low - floor)[steady])


def automatic_gain(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """The noise floor follows the speech: it sinks after loud words and comes up in each pause.

    The floor of the pauses is laid against what an automatic gain would do: fall while there is speech, come
    back afterwards with one time constant. A gain lifts all bands alike, which breath, wind and a fan
    that is switched on do not. Such a floor can be taken for speech, so the pauses are sought in two ways.
    """
    if heard.estimate.speech_dbfs is None or len(heard.frames) < 60:
        return
    for speaking in (heard.estimate.active, _clearly_voiced(heard)):
        found = _rise_after_speech(heard, speaking, limit)
        if found is not None:
            depth_db, (start, end) = found
            yield AudioFinding(
                "noise.pumping", "warning", depth_db, limit["depth_db"], start / 100, end / 100
            )
            return


def _rise_after_speech(heard: Heard, speaking: Mask, limit: Limit) -> tuple[float, tuple[int, int]] | None:
    """How far the floor comes up in pauses, and the longest of these; None if it does not."""
    # Without the edges, where a word's tail or the next onset may be.
    pauses = [
        (a + (3 if a else 0), b - (8 if b < speaking.size else 0))
        for a, b in runs(~speaking, round(100 * limit["least_pause_s"]))
    ]
    after = [(a, b) for a, b in pauses if speaking[:a].any()]
    if len(after) < limit["least_pauses"]:
        return None
    where = np.concatenate([np.arange(a, b) for a, b in pauses])
    level_db = _level_db(heard.frames.power)[where]
    every_held = np.exp(np.multiply.outer(-0.01 / np.array(RELEASES_S), _since(speaking)[where]))
    slope, explained, held = max(
        ((*_fit(held, level_db), held) for held in every_held), key=lambda one: (one[0] < 0.0) * one[1]
    )
    if slope >= 0.0:
        return None
    if explained < limit["explained"]:
        return None
    # A noise that fades or begins fits from pause to pause, but within each it does not come up.
    pause_of = np.repeat(np.arange(len(pauses)), [b - a for a, b in pauses])
    within, _ = _fit(_less_mean(held, pause_of), _less_mean(level_db, pause_of))
    if within > limit["within_pauses"] * slope:
        return None
    depth_db = -slope * float(np.ptp(held))
    if depth_db < limit["depth_db"]:
        return None
    by_band = np.array([_fit(held, _level_db(band)[where])[0] for band in heard.frames.bands.T])
    alike = float(np.mean(np.abs(by_band - slope) < 0.4 * abs(slope)))
    if alike < limit["bands_alike"]:
        return None
    return depth_db, max(after, key=lambda pause: pause[1] - pause[0])


def _clearly_voiced(heard: Heard) -> Mask:
    """Speech by its voice alone: periodic, loud, and what lies within a fifth of a second of that."""
    frames = heard.frames
    if not len(frames):
        return np.zeros(0, dtype=bool)
    loud = frames.power > 0.06 * order.quantiles(frames.power, 0.9)[0]
    voice = smoothed(((frames.harmonic > 0.28) & frames.voiced & loud).astype(np.float64), 5) > 0.5
    inside = ~widened(~widened(voice, 20, 20), 10, 10)
    return np.asarray(inside | voice, dtype=bool)


def _level_db(power: NDArray[np.float32]) -> Array:
    """Levels of 50 ms, in dB."""
    level: Array = np.log10(np.convolve(power, _FIFTH, mode="same") + 1e-14)
    level *= 10.0
    return level


def _since(active: Mask) -> Array:
    """Frames since there was speech. A gain that it held down comes up with them."""
    frames = np.arange(active.size, dtype=np.float64)
    since: Array = frames - np.maximum.accumulate(np.where(active, frames, -1e6))
    return since


def _fit(x: Array, y: Array) -> tuple[float, float]:
    """Slope of the line through the points, and the share of the variance that it explains."""
    x, y = x - np.add.reduce(x) / x.size, y - np.add.reduce(y) / y.size
    xx, yy, xy = float(x @ x), float(y @ y), float(x @ y)
    if xx <= 1e-12 or yy <= 1e-12:
        return 0.0, 0.0
    return xy / xx, xy * xy / (xx * yy)


def _less_mean(x: Array, group: NDArray[np.intp]) -> Array:
    """Each value less the mean of its group."""
    means = np.bincount(group, weights=x) / np.bincount(group)
    less: Array = x - means[group]
    return less


def cut(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Speech in the first or last tenth of a second: a word may have been cut."""
    estimate, frames = heard.estimate, heard.frames
    n = len(frames)
    if estimate.speech_dbfs is None or n < 30:
        return
    edge, near = round(100 * limit["edge_s"]), round(100 * limit["voice_within_s"])
    soft = levels.mean_square(estimate.speech_dbfs - limit["within_db"])
    over_noise = 10 ** (limit["over_noise_db"] / 10) * levels.mean_square(estimate.noise_dbfs)
    over = (frames.power > max(soft, over_noise)) & estimate.active
    # A key or a clock at the edge is no word: a voice must be heard next to it.
    voice = frames.harmonic > limit["harmonic"]
    voice &= frames.power > levels.mean_square(estimate.speech_dbfs - 10.0)
    if over[:edge].sum() >= 3 and voice[:near].sum() >= limit["least_voiced"]:
        at_s = float(np.argmax(over)) / 100
        yield AudioFinding("speech.cut_start", "warning", at_s, limit["edge_s"], 0.0, limit["edge_s"])
    if over[n - edge :].sum() >= 3 and voice[n - near :].sum() >= limit["least_voiced"]:
        at_s = float(np.argmax(over[::-1])) / 100
        start_s = max(0.0, heard.duration_s - limit["edge_s"])
        yield AudioFinding("speech.cut_end", "warning", at_s, limit["edge_s"], start_s, heard.duration_s)
