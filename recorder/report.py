"""What is told, as lines for people and as rows for programs. Pure."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from protocol.errors import Language
from recorder.judge import Judgement
from recorder.told import Judged, Levels, Notice, Told
from recorder.wording import say


def as_lines(told: Told, language: Language) -> list[str]:
    """Lines of text; none for the meters and for a verdict that still waits for keep or redo."""
    match told:
        case Notice(key, parameters):
            return [say(key, language, **parameters)]
        case Judged(judgement, take, start_sample) if take is not None:
            rate_hz = judgement.measurement.sample_rate_hz
            start_s = start_sample / rate_hz
            end_s = start_s + judgement.measurement.duration_s
            return [
                f"{clock(start_s)} – {clock(end_s)}  {verdict_line(judgement, language)}",
                *(f"    {line}" for line in finding_lines(judgement, language)),
            ]
        case Judged() | Levels():
            return []


def verdict_line(judgement: Judgement, language: Language) -> str:
    """Accepted or not, with the figures that decide."""
    m = judgement.measurement
    figures = {
        "snr_db": m.snr_db,
        "low_db": m.snr_low_db,
        "high_db": m.snr_high_db,
        "speech_s": m.speech_s,
    }
    grade = judgement.verdict.grade
    named = say(f"grade.{grade}", language) if grade else None
    key = "verdict.accept" if judgement.accepted else "verdict.refuse"
    source = say(f"noise.{m.noise_source}", language)
    return say(key, language, grade=named, **figures) + say("noise.from", language, source=source)


def finding_lines(judgement: Judgement, language: Language) -> list[str]:
    """Each finding with its code, the worst first."""
    ordered = sorted(judgement.verdict.findings, key=lambda finding: finding.severity != "error")
    return [f"{finding.code}: {finding.message(language)}" for finding in ordered]


def as_row(told: Judged, source: str, language: Language) -> dict[str, Any]:
    """One kept take as JSON: what `measure` prints, and where the take is."""
    take = told.take
    row: dict[str, Any] = {"file": source}
    if take is not None:
        tone = take.meta.room_tone
        row |= {
            "clip_id": take.clip_id,
            "recording_id": take.meta.recording_id,
            "session_id": take.meta.session_id,
            "channel": take.meta.channel,
            "start_sample": take.meta.start_sample,
            "lead_in_s": take.meta.lead_in_s,
            "wanted_grade": take.meta.grade,
            "prompt_id": take.meta.prompt_id,
            "room_tone": None if tone is None else asdict(tone),
            "gaps": [asdict(gap) for gap in take.gaps],
            "path": str(take.flac),
            "sha256": take.sha256,
        }
    return {**row, **told.judgement.as_json(language)}


def clock(seconds: float) -> str:
    """Minutes, seconds and tenths, for people."""
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths // 10 % 60:02d}.{tenths % 10}"
