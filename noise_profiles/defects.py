"""What spoils a clip: detectors that each give a code, a value, a limit and a place.

Detectors stand in modules by what betrays the defect; this one lists them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from noise_profiles import amplitude, echo, gusts, lossy, pace, pauses, spectral
from noise_profiles.evidence import Heard, Limit, limits
from protocol.clip import AudioFinding, Severity

__all__ = ["DETECTORS", "Heard", "findings", "limits"]


def findings(heard: Heard) -> Iterator[AudioFinding]:
    """Every defect of one channel."""
    for name, detector in DETECTORS.items():
        yield from detector(heard, limits()[name])


def no_speech(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
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


def level(heard: Heard, limit: Limit) -> Iterator[AudioFinding]:
    """Speech so weak that it drowns in converters, or so strong that it must clip."""
    speech_dbfs = heard.estimate.speech_dbfs
    if speech_dbfs is None:
        return
    if speech_dbfs < limit["low_dbfs"]:
        severity: Severity = "error" if speech_dbfs < limit["lowest_dbfs"] else "warning"
        yield AudioFinding("level.low", severity, speech_dbfs, limit["low_dbfs"])
    elif speech_dbfs > limit["high_dbfs"]:
        yield AudioFinding("level.high", "warning", speech_dbfs, limit["high_dbfs"])


DETECTORS: Mapping[str, Callable[[Heard, Limit], Iterator[AudioFinding]]] = {
    "length": no_speech,
    "level": level,
    "clipped": amplitude.clipped,
    "dropout": amplitude.dropout,
    "gated": pauses.gated,
    "offset": amplitude.offset,
    "hum": spectral.hum,
    "cut": pauses.cut,
    "bandwidth": spectral.bandwidth,
    "pops": gusts.pops,
    "wind": gusts.wind,
    "lossy": lossy.lossy,
    "echo": echo.echo,
    "automatic_gain": pauses.automatic_gain,
    "pace": pace.pace,
}
