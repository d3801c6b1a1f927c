"""A take's figures and verdict, by the same functions that the server uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from noise_profiles import measure, profile, vad
from noise_profiles.profile import NoiseProfile
from protocol.clip import AudioFinding, ClipMeta, Verdict
from protocol.errors import Language
from recorder.cutter import ONSET_GUARD_S
from recorder.spool import OpenTake, Spool, Take
from recorder.takes import Int16


@dataclass(frozen=True)
class Judgement:
    """What was measured in one take and what the profile says of it."""

    measurement: measure.Measurement
    verdict: Verdict
    meta: ClipMeta

    @property
    def accepted(self) -> bool:
        """Whether the server, which measures again, should take it."""
        return self.verdict.decision == "accept"

    def as_json(self, language: Language) -> dict[str, Any]:
        """The fields that `xiangyin measure` prints."""
        figures = self.measurement.as_json()
        figures.pop("defects")
        return {
            **figures,
            "grade": self.verdict.grade,
            "verdict": self.verdict.decision,
            "findings": [finding.as_json(language) for finding in self.verdict.findings],
        }


def judge(samples: Int16, sample_rate_hz: int, meta: ClipMeta, noise_profile: NoiseProfile) -> Judgement:
    """Measure samples as the clip that `meta` describes, and hold them to the grade it names.

    Raises
    ------
    SignalError
        If there is no sample.
    """
    found = measure.measure(
        samples,
        sample_rate_hz,
        lead_in_s=meta.lead_in_s,
        room_tone=meta.room_tone,
        calibration_offset_db=meta.calibration_offset_db,
    )
    return Judgement(found, profile.verdict(found, noise_profile, meta.grade), meta)


def commit(spool: Spool, take: OpenTake, judgement: Judgement) -> Take:
    """Make a judged take final."""
    return spool.commit(
        take, judgement.meta, judgement.measurement.as_json(), verdict_as_json(judgement.verdict)
    )


def verdict_as_json(verdict: Verdict) -> dict[str, Any]:
    """A verdict as ``take.json`` keeps it."""
    return {
        "decision": verdict.decision,
        "grade": verdict.grade,
        "findings": [_finding_as_json(finding) for finding in verdict.findings],
        "profile_id": verdict.profile_id,
        "profile_version": verdict.profile_version,
    }


def findings_of(verdict: Mapping[str, Any]) -> list[AudioFinding]:
    """The findings in a kept verdict, to be said in any language."""
    return [AudioFinding(**row) for row in verdict["findings"]]


def lead_in_s(samples: Int16, sample_rate_hz: int) -> float:
    """How much of the start is surely without speech; 0 where nobody speaks at all."""
    segments = vad.speech_segments(samples, sample_rate_hz)
    first = segments[0][0] if segments else 0
    return round(min(60.0, max(0.0, first / sample_rate_hz - ONSET_GUARD_S)), 3)


def finish_recovered(spool: Spool, take: OpenTake, noise_profile: NoiseProfile) -> Take:
    """Judge and commit a take that a crash left open: its lead-in is found again by the detector."""
    samples = take.read()
    meta = replace(take.meta, lead_in_s=lead_in_s(samples, take.sample_rate_hz))
    return commit(spool, take, judge(samples, take.sample_rate_hz, meta, noise_profile))


def _finding_as_json(finding: AudioFinding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "severity": finding.severity,
        "value": finding.value,
        "limit": finding.limit,
        "start_s": finding.start_s,
        "end_s": finding.end_s,
        "parameters": dict(finding.parameters),
    }
