"""Pulling a release: tombstones first, then what is new, everything verified, the mark of completeness last.

A pull that is killed goes on where it stopped; a copy that was complete stays so until the new state is
there as a whole, except that withdrawn sounds are gone at once.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from corpus import header, manifest, trust
from corpus.dataset import Holds, Mark, Wanted
from corpus.disk import need_room
from corpus.header import FileEntry, Header, LatestEntry
from corpus.landing import CopyBusy, Landing, Plan, TargetTaken, alone
from corpus.sources import DigestWrong, Gone, NotFound, PullFailed, Source
from corpus.trust import SignatureWrong, Trust
from protocol.errors import CodedError

__all__ = ["CopyBusy", "Progress", "Pulled", "ReleaseWithdrawn", "SignatureWrong", "TargetTaken", "pull"]

JOBS = 8
_WAITING = 4  # tasks that wait for each job: enough to keep it busy, few to take back
_LOOKS = 6
_RESERVE_BYTES = 16 << 20
_PARTIAL_SKIPS = ("manifest.parquet", header.SUMS_NAME)  # they speak of all clips
_MAX_FEED_BYTES = 256 << 20


class ReleaseWithdrawn(CodedError):
    """The publisher took the release back."""

    code: ClassVar[str] = "RELEASE_WITHDRAWN"


@dataclass(frozen=True)
class Pulled:
    """What a pull did, and what the copy holds now."""

    name: str
    revision: int
    up_to_date: bool
    clips: int
    hours: float
    splits: dict[str, int]
    fetched: int
    fetched_bytes: int
    deleted: int
    signature: str  # good | absent
    dropped_exports: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """For ``--format json``."""
        return {field: getattr(self, field) for field in self.__dataclass_fields__}


@dataclass(frozen=True)
class Progress:
    """How far a pull is."""

    sounds: int
    of_sounds: int
    bytes: int
    of_bytes: int


Watch = Callable[[Progress], None]


def pull(
    source: Source,
    to: Path,
    *,
    name: str | None = None,
    wanted: Wanted | None = None,
    progress: Watch | None = None,
    jobs: int = JOBS,
    patient: bool = False,
    wait: Callable[[float], None] = time.sleep,
) -> Pulled:
    """Make `to` a verified copy of a release, or bring it up to date.

    Parameters
    ----------
    patient : bool
        Wait for another pull into the same folder instead of refusing.

    Raises
    ------
    PullFailed, PullRefused, NotFound, DigestWrong, SignatureWrong, ReleaseWithdrawn
        Each leaves what is fetched for the next try; a copy that was complete stays so, except that
        withdrawn sounds are gone.
    """
    with alone(to, patient=patient):
        looks = 0
        while True:
            one = _Pull(source, Landing(to, wanted or Wanted()), name, progress, jobs)
            try:
                return one.run()
            except (Gone, DigestWrong) as error:
                # Withdrawn or renewed between the header and the rest: look again. While the publisher is
                # still at it the header stays the old one.
                looks += 1
                if looks == _LOOKS or (isinstance(error, DigestWrong) and not one.is_overtaken()):
                    raise
                wait(min(8.0, 0.25 * 2**looks))


class _Pull:
    """One look at a source, and what it led to."""

    def __init__(
        self, source: Source, landing: Landing, name: str | None, progress: Watch | None, jobs: int
    ) -> None:
        self.source, self.landing, self.name = source, landing, name
        self.progress, self.jobs = progress, jobs
        self.entry: LatestEntry | None = None
        self.fetched = self.fetched_bytes = 0

    def run(self) -> Pulled:
        landing, mark = self.landing, self.landing.mark
        settled = (
            mark is not None
            and mark.complete
            and (mark.source, mark.wanted) == (self.source.address, landing.wanted)
            and self.name in (None, mark.name)
        )
        answer = self.source.latest(mark.latest_etag if mark is not None and settled else None)
        if answer is None and mark is not None:
            return self._result(mark, up_to_date=True)
        if answer is None:
            raise PullFailed(source=self.source.address, problem="it says that nothing changed, of nothing")
        raw, etag = answer
        latest = header.parse_latest(raw, f"{self.source.address}: {header.LATEST_NAME}")
        self._obey(latest.tombstones)
        entry = self.entry = self._entry(latest)
        asked = {"latest_etag": etag, "tombstones_sha256": latest.tombstones.sha256}
        mark = landing.mark
        if settled and mark is not None and mark.complete and _same(mark, entry):
            asked |= {"vkey": mark.vkey, "newest_vkey": mark.newest_vkey}
            done = landing.finish(self.source.address, entry, holds=mark.holds, **asked)
            return self._result(done, up_to_date=True)
        head, head_raw = self._header(entry)
        landing.begin(self.source.address, entry)
        trusted = self._signature(head, head_raw)
        self._files(head, head_raw)
        plan = landing.plan()
        self._sounds(head.name, plan)
        landing.switch(plan)
        asked |= {"vkey": trusted.vkey, "newest_vkey": trusted.newest_vkey}
        done = landing.finish(self.source.address, entry, holds=plan.holds, **asked)
        return self._result(done, up_to_date=False)

    def is_overtaken(self) -> bool:
        """Whether the source now names another state than the one that was being fetched."""
        answer = self.source.latest(None)
        if answer is None or self.entry is None:
            return False
        latest = header.parse_latest(answer[0], f"{self.source.address}: {header.LATEST_NAME}")
        return self._entry(latest).sha256 != self.entry.sha256

    def _result(self, mark: Mark, *, up_to_date: bool) -> Pulled:
        holds: Holds = mark.holds
        return Pulled(
            name=mark.name,
            revision=mark.revision,
            up_to_date=up_to_date,
            clips=holds.clips,
            hours=round(holds.ms / 3_600_000, 6),
            splits={split: holds.splits[split] for split in manifest.SPLITS if split in holds.splits},
            fetched=self.fetched,
            fetched_bytes=self.fetched_bytes,
            deleted=self.landing.deleted,
            signature="good" if mark.vkey else "absent",
            dropped_exports=tuple(self.landing.dropped_exports),
        )

    def _entry(self, latest: header.Latest) -> LatestEntry:
        wanted = self.name or latest.name
        for entry in latest.releases:
            if entry.name == wanted:
                if entry.status == "withdrawn":
                    raise ReleaseWithdrawn(name=entry.name)
                return entry
        raise NotFound(name=wanted or "yet")

    def _obey(self, feed: FileEntry) -> None:
        """Delete what was withdrawn before anything else, whatever becomes of the rest of the pull."""
        mark = self.landing.mark
        if (mark is not None and mark.tombstones_sha256 == feed.sha256) or not self.landing.has_sounds():
            return
        raw = self.source.small(header.TOMBSTONES_NAME, min(feed.bytes, _MAX_FEED_BYTES)) or b""
        if header.sha256_of(raw) != feed.sha256:
            raise DigestWrong(
                file=header.TOMBSTONES_NAME, source=self.source.address, problem="it is another file"
            )
        self.landing.erase(header.parse_tombstones(raw, header.TOMBSTONES_NAME))

    def _header(self, entry: LatestEntry) -> tuple[Header, bytes]:
        where = f"{entry.name}/{header.FILE_NAME}"
        raw = self.source.small(where, header.MAX_BYTES)
        if raw is None:
            raise NotFound(name=entry.name)
        if header.sha256_of(raw) != entry.sha256:
            problem = "it is not the one that latest.json names"
            raise DigestWrong(file=header.FILE_NAME, source=self.source.address, problem=problem)
        head = header.parse(raw, where)
        if (head.name, head.revision) != (entry.name, entry.revision):
            raise DigestWrong(
                file=header.FILE_NAME, source=self.source.address, problem="it is of another release"
            )
        if manifest.FILE_NAME not in head.files or header.TOMBSTONES_NAME not in head.files:
            raise PullFailed(source=self.source.address, problem="the release has no manifest")
        return head, raw

    def _signature(self, head: Header, raw: bytes) -> Trust:
        note = self.source.small(f"{head.name}/{header.NOTE_NAME}", 1 << 16)
        trusted = trust.check(self.source, head, raw, note, self.landing.mark)
        if note is not None:
            self.landing.stage(header.NOTE_NAME, note)
        return trusted

    def _files(self, head: Header, raw: bytes) -> None:
        """Stage every file but the audio, verified; those that did not change are taken from the copy."""
        landing = self.landing
        landing.stage(header.FILE_NAME, raw)
        skips = _PARTIAL_SKIPS if landing.partial else ()
        new = {
            name: entry
            for name, entry in sorted(head.files.items())
            if name not in skips and not landing.has(name, entry)
        }
        need_room(landing.to, sum(entry.bytes for entry in new.values()), _RESERVE_BYTES)
        for name, entry in new.items():
            self.source.file(head.name, name, entry, landing.part(entry.sha256))
            landing.keep(entry.sha256, landing.staged(name))
            self.fetched_bytes += entry.bytes

    def _sounds(self, release: str, plan: Plan) -> None:
        """Fetch what is missing, several at a time; the first error takes back what has not begun."""
        of_sounds, of_bytes = len(plan.missing), sum(plan.missing.values())
        need_room(self.landing.to, of_bytes, _RESERVE_BYTES)
        done_bytes = 0

        def take(future: Future[int]) -> None:
            nonlocal done_bytes
            done_bytes += future.result()
            self.fetched += 1
            if self.progress is not None:
                self.progress(Progress(self.fetched, of_sounds, done_bytes, of_bytes))

        pool = ThreadPoolExecutor(self.jobs)
        try:
            waiting: deque[Future[int]] = deque()
            for digest, size in plan.missing.items():
                waiting.append(pool.submit(self._sound, release, FileEntry(digest.hex(), size)))
                if len(waiting) >= _WAITING * self.jobs:
                    take(waiting.popleft())
            while waiting:
                take(waiting.popleft())
        finally:
            pool.shutdown(cancel_futures=True)
        self.fetched_bytes += done_bytes

    def _sound(self, release: str, entry: FileEntry) -> int:
        part = self.landing.part(entry.sha256)
        self.source.blob(release, manifest.audio_path(entry.sha256), entry, part)
        self.landing.keep(entry.sha256, self.landing.sound(entry.sha256))
        return entry.bytes


def _same(mark: Mark, entry: LatestEntry) -> bool:
    return (mark.name, mark.sha256) == (entry.name, entry.sha256)
