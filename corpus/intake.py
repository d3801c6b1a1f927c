"""Taking a clip in: declare, append, and at the last byte verify, decode, measure, decide, keep, sign.

The order at the close is that of durability: blob (data, name, folder), then in one transaction the clip,
its measurement, the ledger's entry and the receipt; only then the unfinished bytes go. Killed anywhere
in between, the same close happens again with the same outcome, because nothing before the
transaction is visible and everything in it is together. Who asks for the state of an upload whose bytes are
complete brings the close about, so nothing waits for a sweep.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING, Any, BinaryIO, ClassVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from corpus import clips, container, ledger, people, projects, uploads
from corpus.container import Container, Unreadable
from corpus.database import begin, reading
from corpus.decode import Decoder, Sound
from corpus.disk import need_room
from corpus.keys import Signer
from corpus.partials import Partials, UploadBusy
from corpus.settings import Settings
from corpus.store import LocalStore
from corpus.uploads import Upload
from protocol.clip import AudioFinding, ClipId, ClipMeta, Receipt, Sha256, Verdict
from protocol.errors import CodedError

if TYPE_CHECKING:
    from noise_profiles.measure import Measurement


class UploadTooLarge(CodedError):
    """A file beyond what is taken."""

    code: ClassVar[str] = "UPLOAD_TOO_LARGE"


class UploadsTooMany(CodedError):
    """A person has too many unfinished uploads."""

    code: ClassVar[str] = "UPLOADS_TOO_MANY"


class UploadFinished(CodedError):
    """A receipted upload cannot be ended."""

    code: ClassVar[str] = "UPLOAD_FINISHED"


class DigestMismatch(CodedError):
    """The bytes that arrived are not those that were declared."""

    code: ClassVar[str] = "UPLOAD_DIGEST_MISMATCH"


class PromptUnknown(CodedError):
    """A clip names a prompt that its project does not have."""

    code: ClassVar[str] = "metadata.prompt_unknown"


class ConsentMissing(CodedError):
    """A clip was recorded under a consent text that its speaker has not agreed to."""

    code: ClassVar[str] = "consent.missing"


@dataclass(frozen=True)
class _Heard:
    """What came of a file: a sound with its figures, or the reason why it is none."""

    verdict: Verdict
    said: Container | None = None
    sound: Sound | None = None
    measured: Measurement | None = None


@dataclass(frozen=True)
class Intake:
    """The parts that taking a clip in needs; it keeps no state of its own.

    Attributes
    ----------
    clock_ms : callable
        Milliseconds since 1970 UTC.
    random_hex : callable
        ``random_hex(n)`` gives 2n random hexadecimal digits.
    """

    settings: Settings
    engine: Engine
    store: LocalStore
    partials: Partials
    decoder: Decoder
    signer: Signer
    clock_ms: Callable[[], int]
    random_hex: Callable[[int], str]

    def declare(
        self, *, person_id: str, project_id: str, clip_id: ClipId, sha256: Sha256, length_bytes: int,
        meta: ClipMeta, filename: str | None,
    ) -> Upload:  # fmt: skip
        """Begin an upload; the same clip and digest again give the same upload.

        Raises
        ------
        UploadTooLarge, UploadsTooMany, DiskFull
            Before a byte was taken.
        UploadConflict
            If the clip id stands for another file.
        ConsentMissing, PromptUnknown
            If the clip could never be used.
        """
        if length_bytes > self.settings.max_upload_bytes:
            raise UploadTooLarge(length_bytes=length_bytes, limit_bytes=self.settings.max_upload_bytes)
        now_ms = self.clock_ms()
        new = Upload(
            id=self.random_hex(16),
            person_id=person_id,
            project_id=project_id,
            clip_id=clip_id,
            sha256=sha256,
            length_bytes=length_bytes,
            metadata={"meta": meta.as_json(), "filename": filename},
            state="open",
            result=None,
            created_ms=now_ms,
            expires_ms=now_ms + 1000 * self.settings.upload_expires_s,
        )
        try:
            with begin(self.engine) as db:
                return self._declared(db, new, meta)
        except IntegrityError:  # two creations of one clip at once, where writers do not exclude each other
            with begin(self.engine) as db:
                return uploads.add(db, new)

    def _declared(self, db: Connection, new: Upload, meta: ClipMeta) -> Upload:
        if uploads.by_clip(db, new.clip_id) is None:
            if uploads.count_open(db, new.person_id) >= self.settings.max_open_uploads:
                raise UploadsTooMany(limit=self.settings.max_open_uploads)
            need_room(self.partials.folder, new.length_bytes, self.settings.disk_reserve_bytes)
            if people.consent_id(db, new.person_id, new.project_id, meta.consent_version) is None:
                raise ConsentMissing(version=meta.consent_version)
            if meta.prompt_id is not None and not projects.has_prompt(db, new.project_id, meta.prompt_id):
                raise PromptUnknown(prompt_id=meta.prompt_id)
        return uploads.add(db, new)

    def find(self, upload_id: str, person_id: str) -> Upload:
        """The upload of that id, if it is this person's.

        Raises
        ------
        UploadNotFound, UploadGone
            If it is not theirs or never was; if it was ended or has expired.
        """
        with reading(self.engine) as db:
            return _alive(uploads.by_id(db, upload_id, person_id))

    def offset(self, upload: Upload) -> int:
        """How many bytes of it are stored: all of them once it is finished."""
        return upload.length_bytes if upload.state == "done" else self.partials.offset(upload.id)

    def append(self, upload: Upload, offset_bytes: int, piece: BinaryIO, size_bytes: int) -> int:
        """Add a piece that has arrived whole; the last one closes the upload. Returns the new offset.

        Raises
        ------
        OffsetMismatch, UploadOverflow, UploadBusy, DiskFull
            And nothing was added.
        DigestMismatch
            If the whole is not what was declared; it begins anew at 0.
        """
        need_room(self.partials.folder, size_bytes, self.settings.disk_reserve_bytes)
        with self.partials.locked(upload.id) as file:
            upload = self._still(upload)
            if upload.state == "done":
                return upload.length_bytes
            stored = self.partials.append(file, offset_bytes, upload.length_bytes, piece, size_bytes)
            if stored == upload.length_bytes:
                self._close(upload, file)
            return stored

    def settle(self, upload: Upload) -> Upload:
        """Close an upload whose bytes are complete, as after a crash; otherwise change nothing."""
        if upload.state != "open" or self.partials.offset(upload.id) != upload.length_bytes:
            return upload
        try:
            with self.partials.locked(upload.id) as file:
                upload = self._still(upload)
                if upload.state == "open" and os.fstat(file.fileno()).st_size == upload.length_bytes:
                    self._close(upload, file)
        except UploadBusy:
            return upload  # another request closes it right now
        return self.find(upload.id, upload.person_id)

    def settle_clip(self, clip_id: str, person_id: str) -> None:
        """Close this person's upload of a clip if its bytes are complete."""
        with reading(self.engine) as db:
            upload = uploads.by_clip(db, clip_id)
        if upload is not None and upload.person_id == person_id:
            self.settle(upload)

    def _still(self, upload: Upload) -> Upload:
        """The upload as it stands under the lock, which makes an empty file where there is none."""
        try:
            upload = self.find(upload.id, upload.person_id)
        except uploads.UploadGone:
            self.partials.discard(upload.id)
            raise
        if upload.state == "done":
            self.partials.discard(upload.id)
        return upload

    def terminate(self, upload: Upload) -> None:
        """End an unfinished upload and drop its bytes."""
        with self.partials.locked(upload.id):
            with begin(self.engine) as db:
                upload = _alive(uploads.by_id(db, upload.id, upload.person_id))
                if upload.state == "done":
                    self.partials.discard(upload.id)
                    raise UploadFinished()
                uploads.set_state(db, upload.id, "terminated")
            self.partials.discard(upload.id)

    def sweep(self) -> int:
        """Close what is complete and drop what has expired, by its true state. Returns how many."""
        with reading(self.engine) as db:
            waiting = uploads.still_open(db)
        count = 0
        for upload in waiting:
            if self.partials.offset(upload.id) == upload.length_bytes:
                with contextlib.suppress(
                    DigestMismatch, ConsentMissing, uploads.UploadGone
                ):  # told to its owner
                    count += self.settle(upload).state == "done"
            elif upload.expires_ms < self.clock_ms():
                count += self._expire(upload)
        return count

    def _expire(self, upload: Upload) -> bool:
        try:
            with self.partials.locked(upload.id) as file:
                if os.fstat(file.fileno()).st_size == upload.length_bytes:
                    return False  # it was finished while we looked
                with begin(self.engine) as db:
                    done = uploads.set_state(db, upload.id, "expired")
                self.partials.discard(upload.id)
                return done
        except UploadBusy:
            return False

    def _close(self, upload: Upload, file: FileIO) -> None:
        """All that happens at the last byte. The caller holds the upload's lock."""
        file.seek(0)
        if hashlib.file_digest(file, "sha256").hexdigest() != upload.sha256:
            os.ftruncate(file.fileno(), 0)
            raise DigestMismatch()
        with reading(self.engine) as db:
            project = projects.by_id(db, upload.project_id)
        meta = ClipMeta.from_json(upload.metadata["meta"])
        heard = self._hear(upload, file, project.profile_id, meta)
        blob = self._keep(upload, file, heard)
        salt, item_id = bytes.fromhex(self.random_hex(16)), self.random_hex(16)
        try:
            with begin(self.engine) as db:
                if uploads.by_id(db, upload.id, upload.person_id).state == "open":
                    self._record(db, upload, project, meta, heard, blob, salt, item_id)
        except ConsentMissing:  # taken back while the clip was on its way: keep nothing
            with begin(self.engine) as db:
                uploads.set_state(db, upload.id, "terminated")
            self.partials.discard(upload.id)
            raise
        self.partials.discard(upload.id)

    def _hear(self, upload: Upload, file: BinaryIO, profile_id: str, meta: ClipMeta) -> _Heard:
        from noise_profiles import measure, profile

        judge = profile.load()[profile_id]
        said: Container | None = None
        try:
            said = container.inspect(file, upload.length_bytes, max_clip_s=self.settings.max_clip_s)
            sound = self.decoder.decode(file, said, encode=not said.bare)
        except Unreadable as error:
            return _Heard(Verdict("refuse", None, (error.finding,), judge.id, judge.version), said)
        try:
            measured = measure.measure(
                sound.samples,
                said.sample_rate_hz,
                lead_in_s=meta.lead_in_s,
                room_tone=meta.room_tone,
                calibration_offset_db=meta.calibration_offset_db,
            )
        except measure.SignalError as error:
            finding = AudioFinding("container.damaged", "error", parameters={"signal": error.code})
            return _Heard(Verdict("refuse", None, (finding,), judge.id, judge.version), said)
        verdict = profile.verdict(measured, judge, meta.grade)
        return _Heard(verdict, said, sound, measured)

    def _keep(self, upload: Upload, file: BinaryIO, heard: _Heard) -> Sha256:
        """Put the sound into the store as FLAC, or the file itself where it is no sound."""
        need_room(self.store.folder, upload.length_bytes, 0)
        if heard.sound is not None and heard.sound.flac is not None:
            return self.store.put_bytes(heard.sound.flac)
        return self.store.put(self.partials.path(upload.id))

    def _record(
        self, db: Connection, upload: Upload, project: projects.Project, meta: ClipMeta, heard: _Heard,
        blob: Sha256, salt: bytes, item_id: str,
    ) -> None:  # fmt: skip
        now_ms = self.clock_ms()
        consent_id = people.consent_id(db, upload.person_id, upload.project_id, meta.consent_version)
        if consent_id is None:
            raise ConsentMissing(version=meta.consent_version)
        heard = _not_twice(db, heard, upload)
        verdict, measured, said = heard.verdict, heard.measured, heard.said
        accepted = verdict.decision == "accept"
        findings = [clips.finding_json(f) for f in verdict.findings]
        figures = {} if measured is None else measured.as_json()
        decodable = said is not None and heard.sound is not None
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
                grade=meta.grade if accepted else None,
                prompt_id=meta.prompt_id,
                device_class=meta.device_class,
                recorded_at=meta.recorded_at,
                upload_sha256=upload.sha256,
                sha256=blob,
                pcm_md5=heard.sound.pcm_md5 if heard.sound is not None else "",
                bytes=self.store.size(blob),
                samples=said.samples if said is not None and decodable else 0,
                sample_rate_hz=said.sample_rate_hz if said is not None and decodable else 0,
                channels=said.channels if said is not None and decodable else 0,
                meta=meta.as_json(),
                state="accepted" if accepted else "refused",
                text_stage="first",
                received_ms=now_ms,
                withdrawn_ms=None,
            ),
        )
        clips.add_measurement(
            db,
            upload.clip_id,
            method=measured.method if measured is not None else "none",
            figures=figures,
            outcome=verdict.decision,
            findings=findings,
            profile_id=verdict.profile_id,
            profile_version=verdict.profile_version,
            now_ms=now_ms,
        )
        clips.add_decision(
            db,
            upload.clip_id,
            outcome="accepted" if accepted else "refused",
            person_id=None,
            reasons_given=findings,
            note=None,
            now_ms=now_ms,
        )
        details = receipt_details(upload, heard, project.terms)
        errors = [f.code for f in verdict.findings if f.severity == "error"]
        seq = ledger.append(
            db,
            ledger.Entry(
                event="accepted" if accepted else "refused",
                item_id=item_id,
                details=details,
                reasons=errors,
                profile=f"{verdict.profile_id}/{verdict.profile_version}",
                terms=str(project.terms["version"]),
            ),
            salt=salt,
            now_ms=now_ms,
        )
        made: Receipt = ledger.receipt(db, seq, self.signer, now_ms=now_ms)
        clips.add_receipt(db, upload.clip_id, seq, made.as_json())
        uploads.set_state(db, upload.id, "done", {"seq": seq})

    def free_bytes(self) -> int:
        """Room on the disk of unfinished uploads."""
        return shutil.disk_usage(self.partials.folder).free


def receipt_details(upload: Upload, heard: _Heard, terms: Mapping[str, Any]) -> dict[str, Any]:
    """What a receipt says of the clip, and the ledger commits to."""
    verdict, said, measured = heard.verdict, heard.said, heard.measured
    decodable = said is not None and measured is not None
    samples = said.samples if said is not None and decodable else 0
    rate_hz = said.sample_rate_hz if said is not None and decodable else 0
    payable = verdict.decision == "accept" and rate_hz > 0
    return {
        "clip_id": upload.clip_id,
        "sha256": upload.sha256,
        "samples": samples,
        "sample_rate_hz": rate_hz,
        "measurement": None if measured is None else measured.as_json(),
        "verdict": {
            "decision": verdict.decision,
            "grade": verdict.grade,
            "profile_id": verdict.profile_id,
            "profile_version": verdict.profile_version,
        },
        "findings": [clips.finding_json(f) for f in verdict.findings],
        "terms": str(terms["version"]),
        "payable_ms": 1000 * samples // rate_hz if payable else 0,
    }


def _not_twice(db: Connection, heard: _Heard, upload: Upload) -> _Heard:
    """Refuse a sound that the project has under another id."""
    if heard.sound is None or heard.verdict.decision != "accept":
        return heard
    if clips.same_sound(db, upload.project_id, heard.sound.pcm_md5, but=upload.clip_id) is None:
        return heard
    v = heard.verdict
    findings = (*v.findings, AudioFinding("content.duplicate", "error"))
    verdict = Verdict("refuse", v.grade, findings, v.profile_id, v.profile_version)
    return _Heard(verdict, heard.said, heard.sound, heard.measured)


def _alive(upload: Upload) -> Upload:
    if upload.state not in ("open", "done"):
        raise uploads.UploadGone()
    return upload
