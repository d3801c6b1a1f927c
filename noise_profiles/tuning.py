"""Every number of the SNR estimate, in one place."""

from __future__ import annotations

from dataclasses import dataclass


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
