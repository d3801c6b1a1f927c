"""Taking a clip in: declare, append, and at the last byte verify, decode, measure, decide, keep, sign.

The order at the close is that of durability: blob (data, name, folder), then in one transaction the clip,
its measurement, the ledger's entry and the receipt; only then the unfinished bytes go. Killed anywhere
in between, the same close happens again with the same outcome, because nothing before the
transaction is visible and everything in it is together. Who asks for the state of an upload whose bytes are
complete brings the close about, so nothing waits for a sweep.
"""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from io import FileIO
from typing import ClassVar

from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError

from corpus import closing, erasure, people, projects, prompts, uploads
from corpus.closing import ConsentMissing
from corpus.database import begin, reading
from corpus.decode import Decoder
from corpus.disk import need_room
from corpus.holds import Holds
from corpus.keys import Signer
from corpus.partials import Partials, UploadBusy
from corpus.settings import Settings
from corpus.store import BlobStore
from corpus.together import Together
from corpus.uploads import Upload
from protocol.clip import ClipId, ClipMeta, Sha256
from protocol.errors import CodedError

_HOUR_MS = 3_600_000
_WAIT_S = 60  # until unfinished uploads of others may have ended
_log = logging.getLogger("xiangyin.intake")


class UploadTooLarge(CodedError):
    """A file beyond what is taken."""

    code: ClassVar[str] = "UPLOAD_TOO_LARGE"


class UploadsTooMany(CodedError):
    """A person has too many unfinished uploads."""

    code: ClassVar[str] = "UPLOADS_TOO_MANY"


class UploadBytesTooMany(CodedError):
    """A person's unfinished uploads would hold too much together."""

    code: ClassVar[str] = "UPLOAD_BYTES_TOO_MANY"


class UploadsOfAllTooMany(CodedError):
    """Everybody's unfinished uploads would hold too much together."""

    code: ClassVar[str] = "UPLOADS_OF_ALL_TOO_MANY"


class UploadsTooFast(CodedError):
    """A person began too many uploads within an hour."""

    code: ClassVar[str] = "UPLOADS_TOO_FAST"


class UploadFinished(CodedError):
    """A receipted upload cannot be ended."""

    code: ClassVar[str] = "UPLOAD_FINISHED"


class BeingChecked(CodedError):
    """The clip is complete, and another request is at its close."""

    code: ClassVar[str] = "CLIP_BEING_CHECKED"


class DigestMismatch(CodedError):
    """The bytes that arrived are not those that were declared."""

    code: ClassVar[str] = "UPLOAD_DIGEST_MISMATCH"


class PromptUnknown(CodedError):
    """A clip names a prompt that its project does not have."""

    code: ClassVar[str] = "metadata.prompt_unknown"


@dataclass(frozen=True)
class Intake:
    """The parts that taking a clip in needs; it keeps no state of its own beyond what is being done.

    Attributes
    ----------
    clock_ms : callable
        Milliseconds since 1970 UTC.
    random_hex : callable
        ``random_hex(n)`` gives 2n random hexadecimal digits.
    refused : callable
        Told each code for which a clip is refused.
    """

    settings: Settings
    engine: Engine
    store: BlobStore
    holds: Holds
    partials: Partials
    decoder: Decoder
    signer: Signer
    clock_ms: Callable[[], int]
    random_hex: Callable[[int], str]
    together: Together
    refused: Callable[[str], object] = lambda code: None

    def declare(
        self, *, person_id: str, project_id: str, clip_id: ClipId, sha256: Sha256, length_bytes: int,
        meta: ClipMeta, filename: str | None,
    ) -> Upload:  # fmt: skip
        """Begin an upload; the same clip and digest again give the same upload.

        Raises
        ------
        UploadTooLarge, UploadsTooMany, UploadBytesTooMany, UploadsOfAllTooMany, UploadsTooFast, DiskFull
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
        # Unsynced, as its bytes will be until the receipt: after a power cut its client declares it again.
        try:
            return self.together.run(lambda change: self._declared(change.db, new, meta), synced=False)
        except IntegrityError:  # two creations of one clip at once, where writers do not exclude each other
            return self.together.run(
                lambda change: uploads.add(change.db, new, uploads.by_clip(change.db, new.clip_id)),
                synced=False,
            )

    def _declared(self, db: Connection, new: Upload, meta: ClipMeta) -> Upload:
        there = uploads.by_clip(db, new.clip_id)
        if there is None:
            self._within_quotas(db, new)
            need_room(self.partials.folder, new.length_bytes, self.settings.disk_reserve_bytes)
            if people.consent_id(db, new.person_id, new.project_id, meta.consent_version) is None:
                raise ConsentMissing(version=meta.consent_version)
            if meta.prompt_id is not None and not prompts.exists(db, new.project_id, meta.prompt_id):
                raise PromptUnknown(prompt_id=meta.prompt_id)
        return uploads.add(db, new, there)

    def _within_quotas(self, db: Connection, new: Upload) -> None:
        others = uploads.beside(db, new.person_id, new.created_ms - _HOUR_MS)
        if others.count >= self.settings.max_open_uploads:
            raise UploadsTooMany(limit=self.settings.max_open_uploads)
        if others.bytes + new.length_bytes > self.settings.max_open_bytes:
            raise UploadBytesTooMany(open_bytes=others.bytes, limit_bytes=self.settings.max_open_bytes)
        if others.bytes_of_all + new.length_bytes > self.settings.max_open_bytes_of_all:
            raise UploadsOfAllTooMany(wait_s=_WAIT_S)
        if others.begun >= self.settings.max_creations_per_hour:
            raise UploadsTooFast(limit=self.settings.max_creations_per_hour)

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

    def append(
        self, upload: Upload, offset_bytes: int, pieces: Iterable[bytes | bytearray], size_bytes: int
    ) -> int:
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
            stored = self.partials.append(file, offset_bytes, upload.length_bytes, pieces, size_bytes)
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
        """Close this person's upload of a clip if its bytes are complete.

        Raises
        ------
        BeingChecked
            If another request does so right now.
        """
        with reading(self.engine) as db:
            upload = uploads.by_clip(db, clip_id)
        if upload is None or upload.person_id != person_id:
            return
        upload = self.settle(upload)
        if upload.state == "open" and self.partials.offset(upload.id) == upload.length_bytes:
            raise BeingChecked()

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
                uploads.end(db, upload.id, "terminated")
            self.partials.discard(upload.id)

    def sweep(self) -> int:
        """Close what is complete; drop what has expired, or whose speaker took all back. Returns how many.

        Bytes of no open upload go too: they are a voice that may have been withdrawn.
        """
        with reading(self.engine) as db:
            waiting = uploads.still_open(db)
        stored, now_ms, count = self.partials.sizes(), self.clock_ms(), 0
        for one in waiting:
            complete = stored.get(one.id, 0) == one.length_bytes
            if not complete and one.expires_ms >= now_ms and one.agreed:
                continue
            try:
                upload = self.find(one.id, one.person_id)
                count += self.settle(upload).state == "done" if complete else self._expire(upload)
            except (DigestMismatch, ConsentMissing, uploads.UploadGone, uploads.UploadNotFound):
                continue  # told to its owner, or ended since
            except CodedError as error:  # one upload that cannot be closed must not hold up the others
                _log.warning("sweep: upload %s: %s", one.id, error.code)
        for upload_id in stored.keys() - {one.id for one in waiting}:
            self._drop_bytes(upload_id)
        return count

    def _expire(self, upload: Upload) -> bool:
        try:
            with self.partials.locked(upload.id) as file:
                if os.fstat(file.fileno()).st_size == upload.length_bytes:
                    return False  # it was finished while we looked
                with begin(self.engine) as db:
                    done = uploads.end(db, upload.id, "expired")
                self.partials.discard(upload.id)
                return done
        except UploadBusy:
            return False

    def _drop_bytes(self, upload_id: str) -> None:
        """Remove what a server that was killed right after the last row of an upload left of it."""
        with suppress(UploadBusy), self.partials.locked(upload_id):
            with reading(self.engine) as db:
                if uploads.is_open(db, upload_id):  # declared since we looked
                    return
            self.partials.discard(upload_id)

    def _close(self, upload: Upload, file: FileIO) -> None:
        """All that happens at the last byte. The caller holds the upload's lock."""

        @cache
        def verify() -> None:
            if self.partials.sha256(file) != upload.sha256:
                self.partials.discard(upload.id)  # not truncated: its bytes may have a name in the store
                raise DigestMismatch()
            if self.store.path(upload.sha256) is not None:
                self.partials.sync(
                    upload.id, file
                )  # most files are kept as they are: the store's sync is short

        with reading(self.engine) as db:
            project = projects.by_id(db, upload.project_id)
        meta = ClipMeta.from_json(upload.metadata["meta"])
        with self.partials.reader(upload.id) as sound:
            heard = closing.hear(
                sound, upload.length_bytes, self.decoder, project.profile_id, meta, self.settings.max_clip_s,
                meanwhile=verify,
            )  # fmt: skip
        verify()  # of a file that was not even decoded
        salt, item_id, now_ms = bytes.fromhex(self.random_hex(16)), self.random_hex(16), self.clock_ms()
        codes: tuple[str, ...] = ()
        name = closing.name(upload.sha256, heard)
        try:
            with self.holds.naming(name):  # else an erasure might fall between the blob and its row
                kept = closing.keep(self.store, self.partials.path(upload.id), upload.sha256, heard)
                taken = closing.Taken(upload, meta, heard, *kept)
                codes = self.together.run(
                    lambda change: closing.record(
                        change, taken, self.signer, item_id=item_id, salt=salt, now_ms=now_ms
                    )
                )
        except ConsentMissing:  # taken back while the clip was on its way: keep nothing
            with begin(self.engine) as db:
                uploads.end(db, upload.id, "terminated")
                erasure.note(db, [name], now_ms=now_ms)
            self.partials.discard(upload.id)
            raise
        self.partials.discard(upload.id)
        for code in codes:
            self.refused(code)

    def free_bytes(self) -> int:
        """Room on the disk of unfinished uploads."""
        return shutil.disk_usage(self.partials.folder).free


def _alive(upload: Upload) -> Upload:
    if upload.state not in ("open", "done"):
        raise uploads.UploadGone()
    return upload
