"""What happens at the last byte: hear the file, keep its sound, record all that follows together."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from sqlalchemy.engine import Connection

from corpus import clips, container, ledger, lifecycle, likeness, projects, terms, uploads
from corpus.container import Container, Unreadable
from corpus.decode import Decoder, Sound
from corpus.keys import Signer
from corpus.store import BlobStore
from corpus.terms import Terms
from corpus.together import Change
from corpus.uploads import Upload
from protocol.clip import AudioFinding, ClipMeta, Sha256, Verdict
from protocol.errors import CodedError

if TYPE_CHECKING:
    from noise_profiles.fingerprint import Fingerprint
    from noise_profiles.measure import Measurement


class ConsentMissing(CodedError):
    """A clip was recorded under a consent text that its speaker has not agreed to."""

    code: ClassVar[str] = "consent.missing"


@dataclass(frozen=True)
class Heard:
    """What came of a file: a sound with its figures, or the reason why it is none."""

    verdict: Verdict
    said: Container | None = None
    sound: Sound | None = None

    @property
    def measured(self) -> Measurement | None:
        """The figures; None where there is no sound to measure."""
        return None if self.sound is None else self.sound.measured

    @property
    def fingerprint(self) -> Fingerprint | None:
        """What copies are known by; None where there is no sound to measure."""
        return None if self.sound is None else self.sound.fingerprint

    @property
    def samples(self) -> int:
        """Samples of each channel; 0 where there is no sound."""
        return self.said.samples if self.said is not None and self.sound is not None else 0

    @property
    def sample_rate_hz(self) -> int:
        """The sample rate; 0 where there is no sound."""
        return self.said.sample_rate_hz if self.said is not None and self.sound is not None else 0

    @property
    def channels(self) -> int:
        """The number of channels; 0 where there is no sound."""
        return self.said.channels if self.said is not None and self.sound is not None else 0


@dataclass(frozen=True)
class Taken:
    """A clip on its way into the database."""

    upload: Upload
    meta: ClipMeta
    heard: Heard
    blob: Sha256
    blob_bytes: int


def hear(
    file: BinaryIO,
    size_bytes: int,
    decoder: Decoder,
    profile_id: str,
    meta: ClipMeta,
    max_clip_s: int,
    *,
    meanwhile: Callable[[], object] = lambda: None,
) -> Heard:
    """Inspect, decode, measure and judge a file, with the functions that the recorder has too.

    `meanwhile` is done while another process decodes, and perhaps not at all.
    """
    from noise_profiles import profile

    judge = profile.load()[profile_id]
    said: Container | None = None
    try:
        said = container.inspect(file, size_bytes, max_clip_s=max_clip_s)
        sound = decoder.hear(file, said, meta, meanwhile=meanwhile)
    except Unreadable as error:
        return Heard(Verdict("refuse", None, (error.finding,), judge.id, judge.version), said)
    if sound.measured is None:
        finding = AudioFinding("container.damaged", "error", parameters={"signal": sound.signal})
        return Heard(Verdict("refuse", None, (finding,), judge.id, judge.version), said)
    return Heard(profile.verdict(sound.measured, judge, meta.grade), said, sound)


def name(digest: Sha256, heard: Heard) -> Sha256:
    """What `keep` will call the sound of a file that has this digest."""
    if heard.sound is not None and heard.sound.flac is not None:
        return Sha256(hashlib.sha256(heard.sound.flac).hexdigest())
    return digest


def keep(store: BlobStore, path: Path, digest: Sha256, heard: Heard) -> tuple[Sha256, int]:
    """Put the sound into the store as FLAC, or the file itself where it is no sound.

    A FLAC with tags, padding or bytes after its last frame is encoded anew as well: they would hide from
    every check, and reach a release. Returns the blob's name and how many bytes it has.
    """
    size_bytes = path.stat().st_size
    store.need_room(size_bytes)
    if heard.sound is not None and heard.sound.flac is not None:
        return store.put_bytes(heard.sound.flac), len(heard.sound.flac)
    return store.adopt(path, digest), size_bytes


def record(
    change: Change, taken: Taken, signer: Signer, *, item_id: str, salt: bytes, now_ms: int
) -> tuple[str, ...]:
    """Write clip, measurement, decision, log entry, receipt and the upload's end: all of them or none.

    An upload that is not open any more is left as it is. Returns the codes for which the clip is refused.

    Raises
    ------
    ConsentMissing
        If the consent was taken back while the clip was on its way.
    """
    db, upload, meta = change.db, taken.upload, taken.meta
    if not uploads.set_state(db, upload.id, "done"):
        return ()
    # The terms in force at this moment, and the consent if it still holds.
    said, consent_id = projects.agreed(db, upload.project_id, upload.person_id, meta.consent_version)
    if consent_id is None:
        raise ConsentMissing(version=meta.consent_version)
    agreed = terms.stored(said)
    heard = _not_twice(db, taken.heard, upload, meta)
    verdict, measured = heard.verdict, heard.measured
    measured_stage = lifecycle.after("measure", "received")
    outcome = lifecycle.state_of(lifecycle.after(verdict.decision, measured_stage))
    findings = [clips.finding_json(f) for f in verdict.findings]
    clips.add(
        db,
        clips.Clip(
            id=upload.clip_id,
            item_id=item_id,
            project_id=upload.project_id,
            person_id=upload.person_id,
            consent_id=consent_id,
            session_id=meta.session_id,
            recording_id=meta.recording_id,
            channel=meta.channel,
            start_sample=meta.start_sample,
            style=meta.style,
            grade_wanted=meta.grade,
            grade=meta.grade if outcome == "accepted" else None,
            prompt_id=meta.prompt_id,
            device_class=meta.device_class,
            recorded_at=meta.recorded_at,
            upload_sha256=upload.sha256,
            sha256=taken.blob,
            pcm_md5=heard.sound.pcm_md5 if heard.sound is not None else "",
            bytes=taken.blob_bytes,
            samples=heard.samples,
            sample_rate_hz=heard.sample_rate_hz,
            channels=heard.channels,
            meta=meta.as_json(),
            state=outcome,
            text_stage="first",
            received_ms=now_ms,
            withdrawn_ms=None,
            terms_version=agreed.version,
        ),
    )
    if heard.fingerprint is not None:
        likeness.add(db, upload.clip_id, heard.fingerprint)
    clips.add_measurement(
        db,
        upload.clip_id,
        method=measured.method if measured is not None else "none",
        figures=measured.as_json() if measured is not None else {},
        outcome=verdict.decision,
        findings=findings,
        profile_id=verdict.profile_id,
        profile_version=verdict.profile_version,
        now_ms=now_ms,
    )
    clips.add_decision(
        db,
        upload.clip_id,
        outcome=outcome,
        person_id=None,
        reasons_given=findings,
        note=None,
        now_ms=now_ms,
    )
    reasons = tuple(f.code for f in verdict.findings if f.severity == "error")
    entry = ledger.Entry(
        event="accepted" if outcome == "accepted" else "refused",
        item_id=item_id,
        details=details(upload, heard, agreed),
        reasons=reasons,
        profile=f"{verdict.profile_id}/{verdict.profile_version}",
        terms=agreed.version,
        rules=lifecycle.rules_version(),
    )
    logged = change.tail.append(entry, salt=salt, now_ms=now_ms)

    def sign() -> None:
        receipt = change.tail.receipt(logged, signer, now_ms=now_ms)
        clips.add_receipt(db, upload.clip_id, logged.seq, receipt.as_json())

    change.at_the_end(sign)
    return reasons


def details(upload: Upload, heard: Heard, agreed: Terms) -> Mapping[str, Any]:
    """What a receipt says of the clip, and the log commits to."""
    verdict, measured = heard.verdict, heard.measured
    counts = verdict.decision == "accept" and heard.sample_rate_hz > 0
    accepted_ms = 1000 * heard.samples // heard.sample_rate_hz if counts else 0
    return {
        "clip_id": upload.clip_id,
        "sha256": upload.sha256,
        "samples": heard.samples,
        "sample_rate_hz": heard.sample_rate_hz,
        "measurement": None if measured is None else measured.as_json(),
        "verdict": {
            "decision": verdict.decision,
            "grade": verdict.grade,
            "profile_id": verdict.profile_id,
            "profile_version": verdict.profile_version,
        },
        "findings": [clips.finding_json(f) for f in verdict.findings],
        "terms": agreed.version,
        "payable_ms": accepted_ms,
        "payable_micros": agreed.pay_micros(accepted_ms) if counts else 0,
        "currency": agreed.currency,
    }


def _not_twice(db: Connection, heard: Heard, upload: Upload, meta: ClipMeta) -> Heard:
    """Refuse a sound that the project has under another id, also a copy that was changed a little."""
    from noise_profiles.fingerprint import SAME

    if heard.sound is None or heard.verdict.decision != "accept":
        return heard
    like = likeness.same(db, upload.project_id, heard.sound, heard.fingerprint, meta, but=upload.clip_id)
    if like is None:
        return heard
    length_s = heard.samples / heard.sample_rate_hz
    twice = AudioFinding("content.duplicate", "error", round(like.similarity, 3), SAME, 0.0, length_s)
    findings = (*heard.verdict.findings, twice)
    return replace(heard, verdict=replace(heard.verdict, decision="refuse", findings=findings))
