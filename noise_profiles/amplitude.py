"""What single samples betray: clipping, gaps, and sound that does not swing about zero."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from noise_profiles import levels
from noise_profiles.evidence import Heard, Limit
from noise_profiles.scan import LSB, FlatTop
from protocol.clip import AudioFinding, Severity


def clipped(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Flat tops that share a ceiling, wherever the ceiling is; or what filters have left of them."""
    scanned = heard.scanned
    near = 1.0 - limit["same_ceiling"]
    tops = [
        top
        for top in scanned.tops
        if (top.value > 0.0 and top.value >= near * scanned.highest)
        or (top.value < 0.0 and top.value <= near * scanned.lowest)
    ]
    speech_s = max(0.5, float(heard.estimate.active.sum()) / 100)
    if len(tops) >= limit["least_tops"]:
        per_s = len(tops) / speech_s
        severity: Severity = "error" if per_s > limit["tops_per_s_error"] else "warning"
        start, end = _densest(tops, heard.sample_rate_hz)
        ceiling_dbfs = round(20 * math.log10(max(abs(t.value) for t in tops)), 1)
        yield AudioFinding(
            "level.clipped",
            severity,
            per_s,
            limit["tops_per_s_error"],
            heard.seconds(start),
            heard.seconds(end),
            {"tops": len(tops), "ceiling_dbfs": ceiling_dbfs},
        )
        return
    rounded = [
        one
        for one in scanned.squashed
        if one.flatness > limit["flatness"]
        and abs(one.ceiling) > 0.8 * (scanned.highest if one.ceiling > 0.0 else -scanned.lowest)
    ]
    swings = sum(one.swings for one in rounded)
    if heard.estimate.snr_db is not None and swings >= limit["least_swings"]:
        worst = max(rounded, key=lambda one: one.swings)
        yield AudioFinding(
            "level.clipped",
            "warning",
            swings / speech_s,
            limit["tops_per_s_error"],
            heard.seconds(worst.start),
            heard.seconds(worst.end),
            {"tops": swings, "ceiling_dbfs": round(20 * math.log10(abs(worst.ceiling)), 1)},
        )


def _densest(tops: list[FlatTop], rate_hz: int) -> tuple[int, int]:
    """From the first to the last top of the second that holds most of them."""
    starts = np.array([top.start for top in tops])
    ends = np.searchsorted(starts, starts + rate_hz)
    best = int(np.argmax(ends - np.arange(starts.size)))
    return tops[best].start, tops[int(ends[best]) - 1].end


def dropout(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Sound that stops dead inside speech, or a buffer that is there twice."""
    speech_dbfs = heard.estimate.speech_dbfs
    if speech_dbfs is None:
        return
    # In eight bits soft sounds stand still by themselves.
    loud = max(
        32.0 * LSB, 8.0 * heard.scanned.step, limit["neighbour"] * math.sqrt(levels.mean_square(speech_dbfs))
    )
    places = [
        (one.start, one.end)
        for one in heard.scanned.frozen
        if heard.seconds(one.end - one.start) <= limit["longest_s"]
        and min(one.before, one.after) > loud
        and 0.9 * heard.scanned.lowest < one.value < 0.9 * heard.scanned.highest
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


def offset(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """The sound does not swing about zero."""
    share = abs(heard.scanned.offset)
    if share > limit["share"]:
        yield AudioFinding("level.offset", "warning", 100.0 * share, 100.0 * limit["share"])
