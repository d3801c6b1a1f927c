"""The noise of a clip from what was heard: without breath and tail, or with what rose with the words."""

from __future__ import annotations

import math

import numpy as np

from noise_profiles.excess import TINY
from noise_profiles.frames import Frames
from noise_profiles.masks import Array, Mask, smoothed
from noise_profiles.order import quantiles
from noise_profiles.tuning import Tuning


def is_same_room(noise: float, tone: float, k: Tuning) -> bool:
    """Whether the session's room tone can still be what fills the pauses."""
    return abs(10.0 * math.log10(max(noise, TINY) / max(tone, TINY))) <= k.same_room_db


def without_residue(power: Array, lead: Mask, pauses: Mask, noise: float, snr_db: float, k: Tuning) -> float:
    """The noise of a clean clip, without what speech leaves in its pauses: breath, the room's tail.

    Steady noise shows in the lower part of the pauses, whatever lies above it. Where noise changes that part
    says little, and only in very clean clips is the lead-in, or the usual level of the pauses, believed
    instead.
    """
    heard = power[lead | pauses]
    floor, spread_db = _floor(heard)
    steady = min(1.0, max(0.0, (k.steady_db - spread_db) / k.steady_db * 2.0))
    trust = steady * min(1.0, max(0.0, (snr_db - k.steady_clean_db) / 4.0))
    held = noise * math.pow(min(1.0, floor / max(noise, TINY)), trust)
    snr_db += 10.0 * math.log10(max(noise, TINY) / max(held, TINY))
    trust = min(1.0, max(0.0, (snr_db - k.clean_db) / 8.0))
    quiet = power[pauses]
    stretches = quiet[: quiet.size // 10 * 10].reshape(-1, 10).mean(axis=1)
    usual = held
    if stretches.size > 1:
        usual = min(held, math.exp(float(np.log(stretches + TINY).mean())))
    usual *= math.pow(min(1.0, floor / max(usual, TINY)), steady)
    if lead.sum() >= k.least_noise:
        usual = k.lead_share * float(power[lead].mean()) + (1.0 - k.lead_share) * usual
    return max(TINY, held * math.pow(min(1.0, usual / max(held, TINY)), trust))


def _floor(power: Array) -> tuple[float, float]:
    """Mean power of a noise whose lower part these frames show, were it normal in dB; and its spread."""
    levels_db = 10.0 * np.log10(power[: power.size // 5 * 5].reshape(-1, 5).mean(axis=1) + TINY)
    if levels_db.size < 8:
        return math.inf, math.inf
    low, middle = quantiles(levels_db, 0.05, 0.4)
    spread_db = (middle - low) / (1.645 - 0.253)
    return math.pow(10.0, (middle + 0.253 * spread_db + 0.115 * spread_db**2) / 10.0), spread_db


def between_words(
    frames: Frames, power: Array, weighted: Array, where: Mask, k: Tuning
) -> tuple[float, float]:
    """Noise of a clip without pauses: what the frames hold that are least like a voice.

    Their level is a quantile and no mean, since some are fricatives and closures within words. In clean sound
    most are, so it is not believed to lie far over the weak moments of the clip.
    """
    harmonic, power, weighted = (
        smoothed(frames.harmonic[where].astype(np.float64), 5),
        power[where],
        weighted[where],
    )
    unlike = harmonic <= quantiles(harmonic, k.unlike_share)[0]
    noise, noise_a = (quantiles(x[unlike], k.unlike_level)[0] for x in (power, weighted))
    weak = 2.0 * quantiles(smoothed(power, 5), 0.2)[0]
    held = min(1.0, weak / max(float(noise), TINY))
    return max(float(noise) * held, TINY), max(float(noise_a) * held, TINY)


def depth_db(frames: Frames, power: Array, k: Tuning) -> float:
    """How much less noise there may be than was heard between words: as little as in the weakest moments.

    In a lively room what lies between words is the tail of the words. It falls where steady noise would not.
    """
    harmonic = smoothed(frames.harmonic.astype(np.float64), 5)
    unlike = harmonic <= quantiles(harmonic, k.unlike_share)[0]
    levels_db = 10.0 * np.log10(smoothed(power, 5)[unlike] + TINY)
    weakest, usual = quantiles(levels_db, 0.05, k.unlike_level)
    depth_db = usual - weakest
    return min(30.0, k.tail_share * depth_db) if depth_db > k.tail_db else 0.0


def with_what_rose(
    frames: Frames,
    power: Array,
    weighted: Array,
    lead: Mask,
    pauses: Mask,
    noise: float,
    snr_db: float,
    k: Tuning,
) -> float:
    """The noise, raised toward what is heard between words where pauses are few and speech is near it.

    A noise that rose with the first word leaves no pause behind, since it is taken for speech.
    """
    few = k.few_pauses / (k.few_pauses + float(np.count_nonzero(pauses)))
    _, spread_db = _floor(power[lead | pauses])
    few *= min(1.0, max(0.0, (spread_db - k.rose_spread_db) / k.rose_spread_db))
    weight = k.rose_share * few * min(1.0, max(0.0, (k.rose_below_db - snr_db) / 8.0))
    if weight < 0.01:
        return noise
    between, _ = between_words(frames, power, weighted, ~lead, k)
    return noise * math.pow(max(1.0, between / max(noise, TINY)), weight)
