"""Which clips of a project may be released, as manifest lines, and why the others may not.

One query in the order of the manifest's ids; each row becomes a `Candidate` or an `Excluded`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, func, select
from sqlalchemy.engine import RowMapping

from corpus import digests, manifest, near, tables
from corpus.header import Excluded, Room
from corpus.manifest import Event, Line
from corpus.projects import Project
from transcribe import lint, text

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class Candidate:
    """A clip that may be released if its text passes: its line but for the split, and what that looks at."""

    line: Line
    prompt_folded: str | None
    household: str | None
    received_ms: int
    newest_ms: int
    profile: str
    is_released: bool
    room: Room | None = None


@dataclass(frozen=True)
class Checked:
    """A candidate whose text was looked at: codes of errors, the scoring view, and keys of like texts."""

    candidate: Candidate
    errors: tuple[str, ...]
    folded: str
    keys: bytes | None


def manifest_id(speaker_id: str, clip_id: str) -> str:
    """A clip's id in every manifest: its speaker's pseudonym and its own UUID without dashes."""
    return f"{speaker_id}-{clip_id.replace('-', '')}"


def clip_id_of(line_id: str) -> str:
    """The clip's UUID from its id in a manifest."""
    return str(_uuid(line_id.rpartition("-")[2]))


def _uuid(text_: str) -> str:
    return "-".join((text_[:8], text_[8:12], text_[12:16], text_[16:20], text_[20:]))


def candidates(db: Connection, project: Project) -> Iterator[Candidate | Excluded]:
    """Every clip of the project, by manifest id."""
    clip, person, consent = tables.clip, tables.person, tables.consent
    final, transcript, prompt, measured = (
        tables.final_text,
        tables.transcript,
        tables.prompt,
        tables.measurement,
    )
    newer = measured.alias()
    newest = select(func.max(newer.c.id)).where(newer.c.clip_id == clip.c.id).scalar_subquery()
    member, release = tables.release_clip, tables.release
    first = (
        select(release.c.name)
        .join(member, member.c.release_name == release.c.name)
        .where(release.c.project_id == project.id, member.c.clip_id == clip.c.id)
        .order_by(release.c.created_ms, release.c.name)
        .limit(1)
        .scalar_subquery()
    )
    speaker: ColumnElement[Any] = person.c.speaker_id
    if db.dialect.name == "postgresql":
        speaker = speaker.collate("C")  # bytes, as in the manifest
    query = (
        select(
            clip,
            person.c.speaker_id,
            person.c.attributes,
            consent.c.version.label("consent_version"),
            consent.c.withdrawn_ms.label("consent_withdrawn_ms"),
            consent.c.person_id.label("consent_person"),
            consent.c.project_id.label("consent_project"),
            final.c.transcribers,
            final.c.agreement_cer,
            final.c.decided_ms,
            transcript.c.text,
            transcript.c.text_raw,
            transcript.c.events,
            transcript.c.status,
            transcript.c.clip_id.label("text_of"),
            transcript.c.digest,
            prompt.c.folded,
            measured.c.figures,
            measured.c.method,
            measured.c.profile_id,
            measured.c.profile_version,
            measured.c.measured_ms,
            first.label("first_release"),
        )
        .select_from(clip)
        .join(person, person.c.id == clip.c.person_id)
        .outerjoin(consent, consent.c.id == clip.c.consent_id)
        .outerjoin(final, final.c.clip_id == clip.c.id)
        .outerjoin(transcript, transcript.c.id == final.c.transcript_id)
        .outerjoin(prompt, prompt.c.id == clip.c.prompt_id)
        .outerjoin(measured, measured.c.id == newest)
        .where(clip.c.project_id == project.id)
        .order_by(speaker, clip.c.id)
    )
    for row in db.execution_options(yield_per=_BATCH).execute(query).mappings():
        yield _candidate(row, project)


def _candidate(row: RowMapping, project: Project) -> Candidate | Excluded:
    name = manifest_id(row["speaker_id"] or "unnamed", row["id"])
    code = _obstacle(row, project)
    if code is not None:
        return Excluded(name, code, None)
    try:
        line = _line(row, project, name)
    except (msgspec.ValidationError, KeyError, TypeError, ValueError) as error:
        return Excluded(name, "excluded.line", str(error)[:200])
    wrong = manifest.problem(line)
    if wrong is not None:
        return Excluded(name, "excluded.line", wrong)
    newest_ms = max(row["received_ms"], row["decided_ms"], row["measured_ms"])
    profile = f"{row['profile_id']} {row['profile_version']}"
    household = (row["attributes"] or {}).get("household")
    is_released = row["first_release"] is not None
    return Candidate(
        line, row["folded"], household, row["received_ms"], newest_ms, profile, is_released, _room(row, line)
    )


def _room(row: RowMapping, line: Line) -> Room | None:
    """The room of the clip's session, if its client measured third octaves."""
    tone = (row["meta"] or {}).get("room_tone") or {}
    bands = tone.get("third_octaves_dbfs")
    if not bands:
        return None
    return Room(
        session_id=line.session_id,
        speaker_id=line.speaker_id,
        noise_dbfs=round(float(tone["noise_dbfs"]), 3),
        noise_dba_fs=round(float(tone["noise_dba_fs"]), 3),
        duration_s=round(float(tone["duration_s"]), 3),
        third_octaves_dbfs=tuple(float(level) for level in bands),
        method=tone["method"],
    )


def _obstacle(row: RowMapping, project: Project) -> str | None:
    """The first reason against releasing a clip, the person's own will before all others."""
    consent_stands = (
        row["consent_version"] is not None
        and row["consent_withdrawn_ms"] is None
        and row["consent_person"] == row["person_id"]
        and row["consent_project"] == project.id
    )
    figures = row["figures"] or {}
    levels = [figures.get(key) for key in ("snr_db", "speech_dbfs", "noise_dbfs")]
    for applies, code in (
        (row["withdrawn_ms"] is not None or row["state"] == "withdrawn", "excluded.withdrawn"),
        (not consent_stands, "excluded.consent"),
        (row["state"] == "refused", "excluded.refused"),
        (row["state"] != "accepted", "excluded.undecided"),
        (row["speaker_id"] is None, "excluded.speaker"),
        (row["text"] is None, "excluded.no_text"),
        (_is_edited(row), "excluded.edited"),
        (row["status"] != "complete", "excluded.incomplete"),
        (row["grade"] is None or any(level is None for level in levels), "excluded.unmeasured"),
    ):
        if applies:
            return code
    return None


def _is_edited(row: RowMapping) -> bool:
    """Whether the text is another clip's, or not what was handed in."""
    if row["text"] is None:
        return False
    if row["text_of"] != row["id"]:
        return True
    found = digests.of_text(row["id"], row["text_raw"], row["text"], row["events"], row["status"])
    return row["digest"] is not None and row["digest"] != found


def _line(row: RowMapping, project: Project, name: str) -> Line:
    figures: Mapping[str, Any] = row["figures"]
    told: Mapping[str, str] = row["attributes"] or {}
    session, recording = _pseudonyms(row)
    values = {
        "id": name,
        "audio": manifest.audio_path(row["sha256"]),
        **{key: row[key] for key in ("sha256", "pcm_md5", "bytes", "samples", "sample_rate_hz", "channels")},
        "duration_s": manifest.seconds(row["samples"], row["sample_rate_hz"]),
        "text": row["text"],
        "text_raw": row["text_raw"],
        "events": msgspec.convert(row["events"] or [], tuple[Event, ...]),
        "language": project.language,
        "glottocode": told.get("glottocode"),
        "dialect": told.get("dialect"),
        "orthography": project.orthography,
        "rules_version": lint.RULES_VERSION,
        "speaker_id": row["speaker_id"],
        **{key: told.get(key) for key in ("gender", "age_band", "region", "native_language")},
        "session_id": session,
        "recording_id": recording,
        **{key: row[key] for key in ("channel", "start_sample", "style", "prompt_id", "grade")},
        **{key: round(float(figures[key]), 3) for key in ("snr_db", "speech_dbfs", "noise_dbfs")},
        "noise_dba": None if figures.get("noise_dba") is None else round(float(figures["noise_dba"]), 3),
        "measure_method": row["method"],
        "device_class": row["device_class"],
        "recorded_on": _day(row["recorded_at"], row["received_ms"]),
        "consent_version": row["consent_version"],
        "license": project.consent["license"],
        "split": "train",
        "transcribers": row["transcribers"],
        "agreement_cer": None if row["agreement_cer"] is None else round(float(row["agreement_cer"]), 6),
        "first_release": row["first_release"] or "",
    }
    return msgspec.convert(values, Line)


def _pseudonyms(row: RowMapping) -> tuple[str, str]:
    """Names for session and recording. Those that a client chose may say who somebody is, and stay here.

    A dialogue's two speakers share a session; otherwise a session belongs to one person, whatever name
    another person's client chose.
    """
    scope = "" if row["style"] == "dialogue" else row["person_id"]

    def name(letter: str, given: str) -> str:
        text_ = "\n".join((row["project_id"], scope, letter, given))
        return letter + hashlib.blake2b(text_.encode(), digest_size=8, person=b"xiangyin-names").hexdigest()

    return name("s", row["session_id"]), name("r", row["session_id"] + "\n" + row["recording_id"])


def _day(recorded_at: str, received_ms: int) -> str:
    """The day of recording; a client's clock that is ahead of ours is not believed."""
    received = datetime.fromtimestamp(received_ms / 1000, UTC).strftime("%Y-%m-%d")
    return min(recorded_at[:10], received)


def check_texts(batch: Sequence[Candidate]) -> list[Checked]:
    """Run the rules over the texts of some candidates; pure, for `compute.run`."""
    found: list[tuple[Candidate, tuple[str, ...], str]] = []
    for candidate in batch:
        line = candidate.line
        findings = lint.check(line.text, line.orthography)
        errors = tuple(sorted({f.code for f in findings if f.severity == "error"}))
        folded = "" if errors else " ".join(text.fold(line.text, line.orthography))
        found.append((candidate, errors, folded))
    rows = near.rows([folded for _, _, folded in found], [one.line.style for one in batch])
    return [Checked(*one, keys) for one, keys in zip(found, rows, strict=True)]
