"""Speech level, noise level and SNR of one channel from its frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.frames import Frames, runs

LOWEST_SNR_DB = -10.0
HIGHEST_SNR_DB = 60.0
HANGOVER = 20  # frames, P.56
LEAST_NOISE = 20  # frames: less noise than this says nothing

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """What one channel holds; the SNR is None where nobody speaks.

    `source` says where the noise was heard: ``lead_in``, ``pauses``, ``lead_in+pauses``, ``room_tone`` (the
    session's figure) or ``between_words`` (no pause was long enough, so it is less sure).
    """

    speech_dbfs: float | None
    noise_dbfs: float
    noise_dba_fs: float
    snr_db: float | None
    snr_low_db: float | None
    snr_high_db: float | None
    active: Mask
    source: str


def smoothed(x: Array, width: int) -> Array:
    """Centred moving mean; at the ends of what there is."""
    if x.size == 0:
        return x
    total = np.concatenate([[0.0], np.cumsum(x)])
    half = width // 2
    at = np.arange(x.size)
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, x.size)
    mean: Array = (total[high] - total[low]) / (high - low)
    return mean


def widened(mask: Mask, before: int, after: int) -> Mask:
    """Each run of True made longer on both sides."""
    out = np.zeros_like(mask)
    for start, end in runs(mask):
        out[max(0, start - before) : end + after] = True
    return out


def _quietest(power: Array) -> Mask:
    """Stretches of a fifth of a second within 3 dB of the quietest such stretch."""
    level = smoothed(power, 21)
    chosen: Mask = level <= 2.0 * level[level > 0.0].min() if (level > 0.0).any() else level <= 0.0
    return chosen


def estimate(frames: Frames, *, lead_in: int = 0, room_tone: tuple[float, float] | None = None) -> Estimate:
    """Estimate the three figures.

    Parameters
    ----------
    frames : Frames
        All frames of the channel.
    lead_in : int
        How many frames at the start are known to hold no speech.
    room_tone : (float, float) or None
        Mean square and A-weighted mean square of the session's room tone.
    """
    n = len(frames)
    power = frames.power.astype(np.float64)
    a_weighted = frames.a_weighted.astype(np.float64)
    lead = np.arange(n) < lead_in
    if n == 0 or not power.any():
        return _no_speech(power, a_weighted, np.zeros(n, dtype=bool), "pauses")
    noise_at = lead.copy() if lead_in >= LEAST_NOISE else ~widened(frames.voiced, 10, 20)
    if noise_at.sum() < LEAST_NOISE:
        noise_at = _quietest(power)
    speech = np.zeros(n, dtype=bool)
    for _ in range(3):
        speech = _speech(frames, power, noise_at) & ~lead
        pauses = ~widened(speech, 8, 25)
        noise_at = pauses | lead
        if noise_at.sum() < LEAST_NOISE:
            noise_at = _quietest(power)
    if speech.sum() < 10:
        return _no_speech(power, a_weighted, speech, "lead_in" if lead_in else "pauses")
    source = _source(lead, pauses)
    noise, noise_a = float(power[noise_at].mean()), float(a_weighted[noise_at].mean())
    if source == "between_words" and room_tone is not None:
        (noise, noise_a), source = room_tone, "room_tone"
    active = widened(speech, 0, HANGOVER)
    excess = float((power[widened(speech, 8, 25)] - noise).sum())
    level = excess / float(active.sum())
    if level <= 0.0:
        return _no_speech(power, a_weighted, speech, source)
    snr_db = 10.0 * math.log10(level / max(noise, levels.mean_square(levels.FLOOR_DBFS)))
    half_db = _uncertainty_db(power, noise_at, snr_db)
    return Estimate(
        speech_dbfs=levels.dbfs(level),
        noise_dbfs=levels.dbfs(noise),
        noise_dba_fs=levels.dbfs(noise_a),
        snr_db=_bounded(snr_db),
        snr_low_db=_bounded(snr_db - half_db),
        snr_high_db=_bounded(snr_db + half_db),
        active=active,
        source=source,
    )


def _speech(frames: Frames, power: Array, noise_at: Mask) -> Mask:
    """Frames that stand out of the noise and sound voiced, or stand far out of it."""
    noise = max(float(power[noise_at].mean()), 1e-14)
    short = smoothed(power, 3)
    over_db = 10.0 * np.log10(np.maximum(short, 1e-14) / noise)
    spread_db = float(np.std(over_db[noise_at])) if noise_at.any() else 0.0
    threshold_db = float(np.clip(2.5 * spread_db, 3.0, 8.0))
    voiced = smoothed(frames.voiced.astype(np.float64), 15) > 0.3
    speech: Mask = (over_db > threshold_db) & voiced
    if not speech.any():
        return speech
    # P.56: what lies 15.9 dB below the level of the speech is no speech.
    level = max(float((power[speech] - noise).mean()), 1e-14)
    return speech & (short > noise + level * 10 ** (-levels.P56_MARGIN_DB / 10))


def _source(lead: Mask, pauses: Mask) -> str:
    in_pauses = int((pauses & ~lead).sum())
    if lead.sum() >= LEAST_NOISE:
        return "lead_in+pauses" if in_pauses >= LEAST_NOISE else "lead_in"
    return "pauses" if (pauses | lead).sum() >= LEAST_NOISE else "between_words"


def _uncertainty_db(power: Array, noise_at: Mask, snr_db: float) -> float:
    """Half the width of the 80 % interval."""
    noise = power[noise_at]
    stretches = noise[: noise.size // 10 * 10].reshape(-1, 10).mean(axis=1)
    spread = float(np.std(stretches) / max(float(stretches.mean()), 1e-14)) if stretches.size > 1 else 1.0
    noise_db = 10.0 * math.log10(1.0 + spread / math.sqrt(max(1.0, stretches.size / 3.0)))
    return 0.5 + 1.3 * noise_db + 0.1 * max(0.0, 10.0 - snr_db)


def _bounded(snr_db: float) -> float:
    return min(HIGHEST_SNR_DB, max(LOWEST_SNR_DB, snr_db))


def _no_speech(power: Array, a_weighted: Array, active: Mask, source: str) -> Estimate:
    """Everything is noise."""
    mean = float(power.mean()) if power.size else 0.0
    mean_a = float(a_weighted.mean()) if power.size else 0.0
    return Estimate(
        speech_dbfs=None,
        noise_dbfs=levels.dbfs(mean),
        noise_dba_fs=levels.dbfs(mean_a),
        snr_db=None,
        snr_low_db=None,
        snr_high_db=None,
        active=np.zeros_like(active),
        source=source,
    )
