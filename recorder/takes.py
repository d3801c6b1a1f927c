"""One take: while it is recorded (`OpenTake`) and when it is final (`Take`)."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from protocol.clip import ClipId, ClipMeta, Sha256
from protocol.clip import clip_id as parse_clip_id
from protocol.clip import sha256 as parse_sha256
from protocol.errors import CodedError
from recorder import durable
from recorder.locks import FileLock

Int16 = NDArray[np.int16]
_BLOCK = 1 << 16  # samples encoded at a time


class SpoolDamaged(CodedError):
    """A finished take does not agree with itself."""

    code = "SPOOL_DAMAGED"


@dataclass(frozen=True)
class Gap:
    """Sound that never reached the recorder, just before sample `at_sample` of the take.

    `kind` is ``overflow`` (the driver said so), ``dropped`` (the queue was full), ``late`` (fewer samples
    than the clock allows) or ``ahead`` (more than that: the device does not run in real time).
    `lost_samples` is 0 where the amount is unknown.
    """

    at_sample: int
    lost_samples: int
    kind: str


@dataclass(frozen=True)
class Take:
    """A finished take, as its ``take.json`` describes it."""

    folder: Path
    clip_id: ClipId
    sha256: Sha256
    samples: int
    sample_rate_hz: int
    meta: ClipMeta
    measurement: Mapping[str, Any]
    verdict: Mapping[str, Any]
    membership: str
    gaps: tuple[Gap, ...] = ()
    recovered: bool = False

    @property
    def flac(self) -> Path:
        """The sound."""
        return self.folder / "take.flac"

    def as_json(self) -> dict[str, Any]:
        """What ``take.json`` holds."""
        return {
            "clip_id": self.clip_id,
            "sha256": self.sha256,
            "samples": self.samples,
            "sample_rate_hz": self.sample_rate_hz,
            "meta": self.meta.as_json(),
            "measurement": dict(self.measurement),
            "verdict": dict(self.verdict),
            "membership": self.membership,
            "gaps": [asdict(g) for g in self.gaps],
            "recovered": self.recovered,
        }

    @classmethod
    def read(cls, folder: Path) -> Take:
        """Read a finished take.

        Raises
        ------
        SpoolDamaged
            If a file is missing or ``take.json`` is not what this program writes.
        """
        try:
            row = json.loads((folder / "take.json").read_bytes())
            take = cls(
                folder=folder,
                clip_id=parse_clip_id(row["clip_id"]),
                sha256=parse_sha256(row["sha256"]),
                samples=int(row["samples"]),
                sample_rate_hz=int(row["sample_rate_hz"]),
                meta=ClipMeta.from_json(row["meta"]),
                measurement=row["measurement"],
                verdict=row["verdict"],
                membership=row["membership"],
                gaps=tuple(Gap(**g) for g in row["gaps"]),
                recovered=row["recovered"],
            )
        except (OSError, ValueError, KeyError, TypeError, CodedError) as error:
            raise SpoolDamaged(folder=str(folder), problem=f"take.json: {error}") from error
        if not take.flac.is_file():
            raise SpoolDamaged(folder=str(folder), problem="take.flac is missing")
        return take

    def problem(self) -> dict[str, Any] | None:
        """Why the server would not have it when it was last offered, if it was."""
        try:
            found = json.loads((self.folder / "problem.json").read_bytes())
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def check(self) -> None:
        """Raise `SpoolDamaged` if the sound is not the one that was hashed."""
        found = digest_of(self.flac)
        if found != self.sha256:
            raise SpoolDamaged(
                folder=str(self.folder), problem=f"SHA-256 is {found[:12]}…, not {self.sha256[:12]}…"
            )


class OpenTake:
    """A take being recorded. One writer; every sample given to `append` is in the file on return."""

    def __init__(
        self, folder: Path, clip_id: ClipId, meta: ClipMeta, sample_rate_hz: int, membership: str
    ) -> None:
        self.folder = folder
        self.clip_id = clip_id
        self.meta = meta
        self.sample_rate_hz = sample_rate_hz
        self.membership = membership
        self.recovered = False
        self.gaps: tuple[Gap, ...] = _read_gaps(folder)
        self._lock = FileLock(folder / "lock")
        self._file: IO[bytes] = (folder / "take.pcm").open("ab", buffering=0)
        self.samples = self._file.tell() // 2
        self._synced = self.samples

    @property
    def held(self) -> bool:
        """Whether this process is the one that may write."""
        return self._lock.held

    @property
    def end_sample(self) -> int:
        """Position in the recording just after the last sample."""
        return self.meta.start_sample + self.samples

    def append(self, samples: Int16) -> None:
        """Add sound; once a second of it is waiting, return only after it is on the disk."""
        self._write(samples)
        if self.samples - self._synced >= self.sample_rate_hz:
            self.sync()

    def _write(self, samples: Int16) -> None:
        data = memoryview(samples.astype("<i2").tobytes())
        with durable.naming_a_full_disk():
            while data:
                data = data[self._file.write(data) :]
        self.samples += samples.size

    def sync(self) -> None:
        """Return when all of it is on the disk."""
        durable.sync_file(self._file)
        self._synced = self.samples

    def note_gap(self, gap: Gap) -> None:
        """Write down that sound is missing; this outlives a crash as the sound does."""
        self.gaps = (*self.gaps, gap)
        with (self.folder / "gaps.jsonl").open("ab") as file:
            file.write((json.dumps(asdict(gap)) + "\n").encode())

    def read(self) -> Int16:
        """All samples so far."""
        return np.fromfile(self.folder / "take.pcm", dtype="<i2", count=self.samples).astype(np.int16)

    def shorten(self, samples: int) -> None:
        """Forget what lies after the first `samples` samples; another take holds it."""
        self._file.truncate(2 * samples)
        self.samples = samples
        self.gaps = tuple(g for g in self.gaps if g.at_sample < samples)
        self.sync()

    def close(self) -> None:
        """Let go of the files; the take stays open on disk."""
        self._file.close()
        self._lock.close()


def _read_gaps(folder: Path) -> tuple[Gap, ...]:
    try:
        lines = (folder / "gaps.jsonl").read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return ()
    return tuple(Gap(**json.loads(line)) for line in lines if line.endswith(b"\n"))


def encode(pcm: Path, flac: Path, samples: int, sample_rate_hz: int) -> None:
    """Write 16-bit FLAC, read it back against the raw samples, and sync it."""
    import soundfile

    raw = np.memmap(pcm, dtype="<i2", mode="r", shape=(samples,))
    try:
        with soundfile.SoundFile(flac, "w", sample_rate_hz, 1, "PCM_16", format="FLAC") as out:
            for start in range(0, samples, _BLOCK):
                out.write(raw[start : start + _BLOCK])
        with soundfile.SoundFile(flac) as back:
            for start in range(0, samples, _BLOCK):
                if not np.array_equal(back.read(_BLOCK, dtype="int16"), raw[start : start + _BLOCK]):
                    raise SpoolDamaged(folder=str(pcm.parent), problem="the FLAC file reads back differently")
    except soundfile.LibsndfileError as error:
        if shutil.disk_usage(flac.parent).free < 2 * samples:  # the library does not pass the cause on
            raise durable.DiskFull() from error
        raise
    durable.sync_path(flac)


def digest_of(path: Path) -> Sha256:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return Sha256(hashlib.file_digest(file, "sha256").hexdigest())
