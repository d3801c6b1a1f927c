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
from numpy.typing import NDArray

from noise_profiles import levels
from noise_profiles.excess import PIECE, TINY, SmoothBands
from noise_profiles.frames import Frames, frames_of, runs
from noise_profiles.order import quantiles

LOWEST_SNR_DB = -10.0
HIGHEST_SNR_DB = 60.0

Mask = NDArray[np.bool_]
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tuning:
    """Every number of the method; found on mixtures of real speech and noise by ``bench/acoustics.py``.

    Lengths are in frames of 10 ms.
    """

    rounds: int = 4
    least_noise: int = 20  # less noise than this says nothing
    least_speech: int = 8
    median: int = 7
    smooth: int = 7
    clip_db: float = 18.0  # one band alone must not decide
    least_spread_db: float = 0.25
    sure: float = 4.0  # spreads over the noise: speech if a voice is anywhere near
    likely: float = 1.5  # spreads: speech if most of the surroundings are voiced
    least_excess_db: float = 0.5
    peak: float = 2.0  # spreads that a run of speech reaches somewhere
    voice_near: float = 0.15  # share of half a second
    voice_here: float = 0.6  # share of 150 ms
    shortest: int = 5
    before: int = 4  # speech begins softly
    after: int = 20  # and ends in the room's tail
    hangover: int = 25  # P.56 has 20; its envelope lags by 30 ms twice
    strong_noise_db: float = 12.0
    longest_gap: int = 60
    clean_db: float = 28.0
    steady_clean_db: float = 20.0
    steady_db: float = 2.0
    lead_share: float = 0.7
    unlike_share: float = 0.25  # of all frames: those least like a voice
    unlike_level: float = 0.4  # the quantile of theirs that is the noise
    tone_frames: float = 100.0  # what the session's room tone weighs beside pauses: it is not of this minute
    same_room_db: float = 10.0
    few_pauses: float = 50.0
    rose_share: float = 0.7
    rose_below_db: float = 22.0
    rose_spread_db: float = 0.6
    few_frames: int = 100
    voiced_pauses: float = 0.7
    over_weak_db: float = 6.0
    tail_db: float = 10.0
    tail_share: float = 1.5
    hidden_db: float = -5.0  # speech at this SNR or less does not stand out
    # Log odds that what stands out is a voice, fitted on real speech below 12 dB against noise alone.
    evidence: tuple[float, float, float, float] = (-2.33, 24.1, 0.227, -2.26)
    # Log of the interval's reach: constant, ln tenths of a second of noise, ln skew, depth, no pause,
    # unheard.
    doubt_below: tuple[float, ...] = (1.28, -0.21, 0.56, 0.51, 0.40, 0.38)
    doubt_above: tuple[float, ...] = (1.35, -0.15, 0.63, 0.52, 0.70, -0.11)
    # Log odds that a run that stands out is a word: constant, ln frames, then harmonicity and level
    # beside the rest.
    word: tuple[float, float, float, float] = (-4.52, 1.71, 2.77, 0.38)
    no_word: float = -2.0
    word_gap: int = 16
    event_often: float = 1.0  # a second: one that repeats is no speaker's, however clean the clip
    event_snr_db: float = 18.0  # above it, what is this soft may well be the speaker
    surely_none: float = -4.0
    judged_below_db: float = 12.0


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
        if source == "pauses" and room_tone is not None and _is_same_room(noise, room_tone[0], k):
            source, share = "room_tone+pauses", k.tone_frames / (k.tone_frames + float(noise_at.sum()))
            noise += share * (room_tone[0] - noise)
            noise_a += share * (room_tone[1] - noise_a)
    elif room_tone is not None:
        source, (noise, noise_a) = "room_tone", room_tone
    else:
        source = "between_words"
        noise, noise_a = _between_words(frames, power, weighted, ~lead, k)
    if source in ("between_words", "room_tone", "room_tone+pauses"):
        # Had the noise been stronger still, nothing would have stood out.
        noise = min(noise, float(power[speech].mean()) / (1.0 + 10.0 ** (k.hidden_db / 10.0)))
    active = widened(speech, 0, k.hangover)
    around = widened(speech, k.before, k.after) & ~lead
    snr_db = _ratio_db(power, around, active, noise)
    if source not in ("between_words", "room_tone", "room_tone+pauses"):
        snr_db = _ratio_db(power, around, active, noise)
        heard = _without_residue(power, lead, pauses, noise, snr_db, k)
        heard = _with_what_rose(frames, power, weighted, lead, pauses, heard, snr_db, k)
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
        above_db = max(above_db, _depth_db(frames, power, k))
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
        usual = float(excess[noise_at].mean())
        spread = max(float(excess[noise_at].std()), k.least_spread_db)
        over = (excess - usual) / spread
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
    events = []
    for start, end in runs(joined):
        known = (
            1.0,
            math.log(max(1, int(speech[start:end].sum()))),
            quantiles(harmonic[start:end], 0.9)[0] - usual,
            10.0 * math.log10(float(over[start:end].mean()) / level + 1e-4),
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


def _is_same_room(noise: float, tone: float, k: Tuning) -> bool:
    """Whether the session's room tone can still be what fills the pauses."""
    return abs(10.0 * math.log10(max(noise, TINY) / max(tone, TINY))) <= k.same_room_db


def _ratio_db(power: Array, around: Mask, active: Mask, noise: float) -> float:
    level = max(float((power[around] - noise).sum()) / max(1.0, float(active.sum())), TINY)
    return 10.0 * math.log10(level / max(noise, TINY))


def _without_residue(power: Array, lead: Mask, pauses: Mask, noise: float, snr_db: float, k: Tuning) -> float:
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


def _between_words(
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


def _depth_db(frames: Frames, power: Array, k: Tuning) -> float:
    """How much less noise there may be than was heard between words: as little as in the weakest moments.

    In a lively room what lies between words is the tail of the words. It falls where steady noise would not.
    """
    harmonic = smoothed(frames.harmonic.astype(np.float64), 5)
    unlike = harmonic <= quantiles(harmonic, k.unlike_share)[0]
    levels_db = 10.0 * np.log10(smoothed(power, 5)[unlike] + TINY)
    weakest, usual = quantiles(levels_db, 0.05, k.unlike_level)
    depth_db = usual - weakest
    return min(30.0, k.tail_share * depth_db) if depth_db > k.tail_db else 0.0


def _with_what_rose(
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
    between, _ = _between_words(frames, power, weighted, ~lead, k)
    return noise * math.pow(max(1.0, between / max(noise, TINY)), weight)


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


def smoothed(x: Array, width: int) -> Array:
    """Centred moving mean of odd width along the first axis; at the ends of what there is."""
    half, n = width // 2, x.shape[0]
    total = np.zeros((n + 2 * half + 1, *x.shape[1:]))
    np.cumsum(x, axis=0, out=total[half + 1 : half + 1 + n])
    total[half + 1 + n :] = total[half + n]
    counts = np.minimum(np.arange(n) + half + 1, n) - np.maximum(np.arange(n) - half, 0)
    means: Array = (total[width:] - total[:-width]) / counts.reshape(-1, *(1,) * (x.ndim - 1))
    return np.maximum(means, 0.0, out=means)


def running_median(x: Array, width: int) -> Array:
    """Centred running median of odd width; the ends are repeated."""
    if x.size < width:
        return x
    half = width // 2
    padded = np.concatenate([x[:1].repeat(half), x, x[-1:].repeat(half)])
    views = frames_of(padded, 1, width)
    medians = np.empty(x.size, x.dtype)
    for at in range(0, x.size, PIECE):
        medians[at : at + PIECE] = np.partition(views[at : at + PIECE], half, axis=1)[:, half]
    return medians


def widened(mask: Mask, before: int, after: int) -> Mask:
    """Each run of True made longer on both sides."""
    total = np.zeros(mask.size + 1, dtype=np.int64)
    np.cumsum(mask, out=total[1:])
    at = np.arange(mask.size)
    return np.asarray(
        total[np.minimum(at + before + 1, mask.size)] > total[np.maximum(at - after, 0)], dtype=bool
    )


def closed(mask: Mask, longest: int) -> Mask:
    """Gaps of at most `longest` between two runs of True filled."""
    out = mask.copy()
    for start, end in runs(~mask):
        if end - start <= longest and start > 0 and end < mask.size:
            out[start:end] = True
    return out


def opened(mask: Mask, shortest: int) -> Mask:
    """Without runs of True shorter than `shortest`."""
    out = np.zeros_like(mask)
    for start, end in runs(mask, shortest):
        out[start:end] = True
    return out


def with_peak(mask: Mask, height: Array, least: float) -> Mask:
    """Only the runs of True in which `height` reaches `least` somewhere."""
    out = mask.copy()
    for start, end in runs(mask):
        if float(height[start:end].max()) < least:
            out[start:end] = False
    return out
