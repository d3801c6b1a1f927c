"""Speech level, noise level and SNR of one channel, from its frames.

How it works. Noise is first what lies in the known lead-in, or where webrtcvad hears no voice. Each frame
is then compared with that noise band by band: the mean excess over 18 bands finds speech where the total
power does not, as under wind. A running median over 70 ms forgets clicks. Where the excess stands out of the
spread that noise itself has, and webrtcvad agrees nearby, there is speech; everything else is pause, and
noise is measured anew from lead-in and pauses. Four rounds settle it.

What stands out so but is short, weak beside the rest and less like a voice is an event and no word; in a
clean clip only if it repeats, as a clock does.

Speech energy is what all speech frames hold over the noise; its level divides that by the time in which P.56
would call speech active. In strong noise the weak frames of speech are hidden, so longer gaps are closed
there. In clean sound the residue of speech in its pauses (breath, the room's tail) is no noise, so the lower
part of the pauses is believed if it is steady, else the lead-in or their usual level. Where pauses are few
and the room is unsteady, noise is raised toward what is heard between words.

Where there is neither lead-in nor pause, the noise is what the frames hold that are least like a voice; that
is less sure, and the interval says so.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from noise_profiles import levels, noise_level
from noise_profiles.excess import TINY, SmoothBands
from noise_profiles.frames import Frames
from noise_profiles.masks import (
    Array,
    Mask,
    by_run,
    closed,
    opened,
    running_median,
    smoothed,
    widened,
    with_peak,
)
from noise_profiles.order import quantiles
from noise_profiles.stretches import edges
from noise_profiles.tuning import Tuning

LOWEST_SNR_DB = -10.0
HIGHEST_SNR_DB = 60.0


@dataclass(frozen=True)
class Estimate:
    """What one channel holds; speech level and SNR are None where nobody speaks.

    `source` says where the noise was heard: ``lead_in``, ``pauses``, ``lead_in+pauses``, ``room_tone`` (the
    session's figure), ``room_tone+pauses`` (both, there being no lead-in) or ``between_words`` (no pause was
    long enough, so it is less sure).
    """

    speech_dbfs: float | None
    noise_dbfs: float
    noise_dba_fs: float
    snr_db: float | None
    snr_low_db: float | None
    snr_high_db: float | None
    active: Mask
    source: str
    evidence: float = 0.0  # log odds that it is a voice that stands out; only meant where the SNR is low


def estimate(
    frames: Frames,
    *,
    lead_in: int = 0,
    room_tone: tuple[float, float] | None = None,
    tuning: Tuning | None = None,
) -> Estimate:
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
    k = tuning or Tuning()
    power = frames.power.astype(np.float64)
    weighted = frames.a_weighted.astype(np.float64)
    lead = np.arange(power.size) < lead_in
    if not power.any():
        return _no_speech(power, weighted, "lead_in" if lead_in else "pauses")
    speech, noise_at = _speech(frames, power, lead, k)
    if lead.sum() < k.least_noise and _one_breath(frames, power, noise_at, k):
        noise_at = np.zeros_like(noise_at)
    pauses = noise_at & ~lead
    if speech.sum() < k.least_speech:
        return _no_speech(power, weighted, "lead_in" if lead_in >= k.least_noise else "pauses")
    if noise_at.sum() >= k.least_noise:
        source = _source(lead, pauses, k)
        noise, noise_a = float(power[noise_at].mean()), float(weighted[noise_at].mean())
        if source == "pauses" and room_tone is not None and noise_level.is_same_room(noise, room_tone[0], k):
            source, share = "room_tone+pauses", k.tone_frames / (k.tone_frames + float(noise_at.sum()))
            noise += share * (room_tone[0] - noise)
            noise_a += share * (room_tone[1] - noise_a)
    elif room_tone is not None:
        source, (noise, noise_a) = "room_tone", room_tone
    else:
        source = "between_words"
        noise, noise_a = noise_level.between_words(frames, power, weighted, ~lead, k)
    if source in ("between_words", "room_tone", "room_tone+pauses"):
        # Had the noise been stronger still, nothing would have stood out.
        noise = min(noise, float(power[speech].mean()) / (1.0 + 10.0 ** (k.hidden_db / 10.0)))
    active = widened(speech, 0, k.hangover)
    around = widened(speech, k.before, k.after) & ~lead
    snr_db = _ratio_db(power, around, active, noise)
    if source not in ("between_words", "room_tone", "room_tone+pauses"):
        snr_db = _ratio_db(power, around, active, noise)
        heard = noise_level.without_residue(power, lead, pauses, noise, snr_db, k)
        heard = noise_level.with_what_rose(frames, power, weighted, lead, pauses, heard, snr_db, k)
        noise, noise_a = heard, noise_a * heard / max(noise, TINY)
    strength = min(1.3, max(0.0, 1.0 - _ratio_db(power, around, active, noise) / k.strong_noise_db))
    active = closed(active, int(strength * k.longest_gap)) & ~lead
    around |= active
    level = float((power[around] - noise).sum()) / float(active.sum())
    if level <= TINY:
        return _no_speech(power, weighted, source)
    snr_db = 10.0 * math.log10(level / max(noise, levels.mean_square(levels.FLOOR_DBFS)))
    evidence = _evidence(frames, active, snr_db, k)
    if evidence < k.surely_none and snr_db < k.judged_below_db:
        return _no_speech(power, weighted, source)
    below_db, above_db = _uncertainty_db(power, noise_at, source, snr_db, k)
    if source == "between_words":
        above_db = max(above_db, noise_level.depth_db(frames, power, k))
    return Estimate(
        speech_dbfs=levels.dbfs(level),
        noise_dbfs=levels.dbfs(noise),
        noise_dba_fs=levels.dbfs(noise_a),
        snr_db=_bounded(snr_db),
        snr_low_db=_bounded(snr_db - below_db),
        snr_high_db=_bounded(snr_db + above_db),
        active=active,
        source=source,
        evidence=evidence if snr_db < k.judged_below_db else max(0.0, evidence),
    )


def _evidence(frames: Frames, active: Mask, snr_db: float, k: Tuning) -> float:
    """Log odds of a voice. Speech is periodic and is not, by turns; music and babble are alike throughout."""
    harmonic = smoothed(frames.harmonic.astype(np.float64), 5)[active]
    voiced = frames.voiced.astype(np.float64)
    usual_voiced = float(voiced[~active].mean()) if np.count_nonzero(~active) > 10 else 0.8
    known = (
        1.0,
        float(harmonic.std()),
        min(k.judged_below_db, max(LOWEST_SNR_DB, snr_db)),
        float(voiced[active].mean()) - usual_voiced,
    )
    return sum(weight * value for weight, value in zip(k.evidence, known, strict=True))


def _speech(frames: Frames, power: Array, lead: Mask, k: Tuning) -> tuple[Mask, Mask]:
    """Frames of speech, and frames of noise; what is neither is too near to speech to tell."""
    noise_at = lead.copy() if lead.sum() >= k.least_noise else ~widened(frames.voiced, 10, 20)
    if noise_at.sum() < k.least_noise:
        noise_at = _quietest(power)
    bands = SmoothBands(frames.bands)
    short = smoothed(running_median(power, 5), 5)
    voiced = frames.voiced.astype(np.float64)
    voice_here = smoothed(voiced, 15) > k.voice_here
    voice_near = smoothed(voiced, 51) > k.voice_near
    speech = np.zeros(power.size, dtype=bool)
    for _ in range(k.rounds):
        before = noise_at
        excess = bands.excess_db(bands.mean_db(noise_at), k.clip_db)
        excess = smoothed(running_median(excess, k.median), k.smooth)
        heard = excess[noise_at]
        usual = float(np.add.reduce(heard)) / heard.size
        heard -= usual
        over = (excess - usual) / max(math.sqrt(float(heard @ heard) / heard.size), k.least_spread_db)
        speech = ((over > k.sure) & voice_near) | ((over > k.likely) & voice_here)
        speech &= (excess > usual + k.least_excess_db) & ~lead
        speech = with_peak(opened(speech, k.shortest), over, k.peak)
        if speech.any():
            # P.56: what lies 15.9 dB below the level of the speech is no speech.
            noise = float(power[noise_at].mean())
            level = max(float((power[speech] - noise).mean()), TINY)
            speech &= short > noise + level * 10.0 ** (-levels.P56_MARGIN_DB / 10.0)
        pauses = ~widened(speech, 8, k.after) | lead
        noise_at = pauses if pauses.sum() >= k.least_noise else _quietest(power)
        if np.array_equal(noise_at, before):
            break
    if noise_at.any() and speech.any():
        speech = _without_events(frames, power, speech, float(power[noise_at].mean()), k)
        pauses = ~widened(speech, 8, k.after) | lead
    return speech, pauses


def _one_breath(frames: Frames, power: Array, noise_at: Mask, k: Tuning) -> bool:
    """Whether the pauses are none: short, voiced, and far over the weak moments of the clip.

    Where nobody draws breath the soft half of what is said can pass for the noise of the loud half.
    """
    if not 0 < noise_at.sum() < k.few_frames or frames.voiced[noise_at].mean() < k.voiced_pauses:
        return False
    weak = max(TINY, *quantiles(smoothed(power, 5), 0.1))
    return float(power[noise_at].mean()) > weak * math.pow(10.0, k.over_weak_db / 10.0)


def _without_events(frames: Frames, power: Array, speech: Mask, noise: float, k: Tuning) -> Mask:
    """Speech without what is short, far weaker than the rest and less like a voice: a door, a step."""
    harmonic = smoothed(frames.harmonic.astype(np.float64), 5)
    over = np.maximum(power - noise, 0.0)
    level = max(float(over[widened(speech, 0, k.hangover)].mean()), TINY)
    clean = level > noise * 10.0 ** (k.event_snr_db / 10.0)
    (usual,) = quantiles(harmonic[speech], 0.9)
    joined = closed(speech, k.word_gap)
    starts, ends = edges(joined)
    spoken = by_run(np.add, speech.astype(np.float64), starts, ends).tolist()
    strengths = (by_run(np.add, over, starts, ends) / (ends - starts) / level).tolist()
    events = []
    for start, end, count, strength in zip(starts.tolist(), ends.tolist(), spoken, strengths, strict=True):
        known = (
            1.0,
            math.log(max(1.0, count)),
            quantiles(harmonic[start:end], 0.9)[0] - usual,
            10.0 * math.log10(strength + 1e-4),
        )
        if sum(weight * value for weight, value in zip(k.word, known, strict=True)) < k.no_word:
            events.append((start, end))
    pauses = float(np.count_nonzero(~widened(joined, 8, k.after))) + sum(e - s for s, e in events)
    if clean and (len(events) < 3 or len(events) < k.event_often * pauses / 100):
        return speech
    out = speech.copy()
    for start, end in events:
        out[start:end] = False
    # Where little is left, it is the speaker who is soft and the rest that is loud.
    return out if out.sum() > 0.5 * speech.sum() else speech


def _source(lead: Mask, pauses: Mask, k: Tuning) -> str:
    if lead.sum() < k.least_noise:
        return "pauses"
    return "lead_in+pauses" if pauses.sum() >= k.least_noise else "lead_in"


def _ratio_db(power: Array, around: Mask, active: Mask, noise: float) -> float:
    level = max(float((power[around] - noise).sum()) / max(1.0, float(active.sum())), TINY)
    return 10.0 * math.log10(level / max(noise, TINY))


def _uncertainty_db(
    power: Array, noise_at: Mask, source: str, snr_db: float, k: Tuning
) -> tuple[float, float]:
    """How far the 80 % interval reaches below and above.

    It shrinks with the time the noise was heard for, and grows with how far its mean lies over its usual
    level, as speech sinks into it, and with the time for which it could not be heard: noise that came with
    the words makes an SNR too good. The weights are quantile regressions of the errors on mixtures.
    """
    noise = power[noise_at]
    stretches = noise[: noise.size // 10 * 10].reshape(-1, 10).mean(axis=1)
    deep = min(1.0, max(0.0, (k.judged_below_db - snr_db) / 10.0))
    if source == "between_words":
        known = (1.0, 0.0, 0.0, deep, 1.0 - deep, 0.0)
    else:
        skew_db = 1.0
        if stretches.size > 1:
            mean_db = 10.0 * math.log10(float(stretches.mean()) + TINY)
            skew_db = mean_db - float(10.0 * np.log10(stretches + TINY).mean())
        count = max(1, stretches.size)
        unheard = math.log(max(5, power.size - noise.size) / (10.0 * count))
        known = (
            1.0,
            math.log(count),
            math.log(max(0.0, skew_db) + 0.05),
            deep,
            0.0,
            min(3.0, max(-2.0, unheard)),
        )
    below, above = (
        min(20.0, max(0.3, math.exp(sum(w * v for w, v in zip(weights, known, strict=True)))))
        for weights in (k.doubt_below, k.doubt_above)
    )
    return below, above


def _bounded(snr_db: float) -> float:
    return min(HIGHEST_SNR_DB, max(LOWEST_SNR_DB, snr_db))


def _no_speech(power: Array, weighted: Array, source: str) -> Estimate:
    """Everything is noise."""
    return Estimate(
        speech_dbfs=None,
        noise_dbfs=levels.dbfs(float(power.mean()) if power.size else 0.0),
        noise_dba_fs=levels.dbfs(float(weighted.mean()) if power.size else 0.0),
        snr_db=None,
        snr_low_db=None,
        snr_high_db=None,
        active=np.zeros(power.size, dtype=bool),
        source=source,
    )


def _quietest(power: Array) -> Mask:
    """Stretches of a fifth of a second within 3 dB of the quietest such stretch."""
    level = smoothed(power, 21)
    return np.asarray(level <= 2.0 * max(float(level.min()), TINY))
