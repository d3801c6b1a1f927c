"""The spool: a folder of takes on the speaker's machine that survives a crash at any moment.

::

    <spool>/<clip_id>.part/   a take being recorded: open.json, take.pcm (raw 16-bit), gaps.jsonl
    <spool>/<clip_id>/        a finished take: take.flac, take.json
    <receipts>/<clip_id>.receipt.json

A name ending in ``.new`` or ``.gone`` is a step that did not finish; its content exists elsewhere and
the next start removes it. There is one copy or more at every moment: the raw samples go after the FLAC
file was written, read back, hashed, synced and renamed; the finished take goes after its receipt was
verified, written and synced.

Where a recording is cut at a pause, the new take is complete on disk before the old one is shortened.
Takes carry the recording's name and their first sample's position, so that after a crash between the
two steps the overlap is known exactly and goes away.
"""

from __future__ import annotations

import itertools
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from protocol.clip import ClipId, ClipMeta, Sha256
from protocol.clip import clip_id as parse_clip_id
from protocol.errors import CodedError
from recorder import durable
from recorder.locks import FileLock
from recorder.takes import Gap, Int16, OpenTake, SpoolDamaged, Take, digest_of, encode

__all__ = ["Gap", "OpenTake", "Recovery", "Spool", "SpoolDamaged", "Take"]


@dataclass(frozen=True)
class Recovery:
    """What `Spool.recover` did: how many takes came back, and what it could not read."""

    takes: int
    damaged: tuple[SpoolDamaged, ...] = ()


class Spool:
    """The folder of takes.

    Parameters
    ----------
    folder, receipts : Path
        Where takes and receipts lie; made when missing.
    new_id : callable
        Gives a fresh clip id; the only randomness here.
    """

    def __init__(self, folder: Path, receipts: Path, *, new_id: Callable[[], ClipId]) -> None:
        self.folder = folder
        self.receipts = receipts
        self._new_id = new_id
        durable.make_folder(folder)
        durable.make_folder(receipts)

    def open_take(
        self,
        meta: ClipMeta,
        sample_rate_hz: int,
        membership: str,
        *,
        tail: Int16 | None = None,
        clip_id: ClipId | None = None,
    ) -> OpenTake:
        """Begin a take, with samples that belong to its start if there are any."""
        clip_id = clip_id or self._new_id()
        draft = self.folder / f"{clip_id}.new"
        folder = self.folder / f"{clip_id}.part"
        header = {
            "clip_id": clip_id,
            "meta": meta.as_json(),
            "sample_rate_hz": sample_rate_hz,
            "membership": membership,
        }
        with self._steps():
            draft.mkdir(mode=0o700)
            durable.write_json(draft / "open.json", header)
            with durable.naming_a_full_disk(), (draft / "take.pcm").open("wb") as file:
                if tail is not None:
                    file.write(tail.astype("<i2").tobytes())
                durable.sync_file(file)
            durable.sync_folder(draft)
            draft.rename(folder)
            durable.sync_folder(self.folder)
            return OpenTake(folder, clip_id, meta, sample_rate_hz, membership)

    def _steps(self) -> FileLock:
        """Held while names change, so that another process's recovery sees no step half done."""
        return FileLock(self.folder / ".steps.lock", wait=True)

    def split(self, take: OpenTake, at_sample: int) -> OpenTake:
        """Cut an open take: what lies from `at_sample` of the recording on becomes a new open take."""
        keep = at_sample - take.meta.start_sample
        tail = take.read()[keep:]
        moved = tuple(replace(g, at_sample=g.at_sample - keep) for g in take.gaps if g.at_sample >= keep)
        meta = replace(take.meta, start_sample=at_sample)
        successor = self.open_take(meta, take.sample_rate_hz, take.membership, tail=tail)
        for gap in moved:
            successor.note_gap(gap)
        take.shorten(keep)
        return successor

    def commit(
        self, take: OpenTake, meta: ClipMeta, measurement: Mapping[str, Any], verdict: Mapping[str, Any]
    ) -> Take:
        """Make an open take final: FLAC, digest, description, then one rename that shows them all."""
        take.sync()
        flac = take.folder / "take.flac"
        encode(take.folder / "take.pcm", flac, take.samples, take.sample_rate_hz)
        final = self.folder / take.clip_id
        done = Take(
            folder=final,
            clip_id=take.clip_id,
            sha256=digest_of(flac),
            samples=take.samples,
            sample_rate_hz=take.sample_rate_hz,
            meta=replace(meta, lost_samples=sum(g.lost_samples for g in take.gaps)),
            measurement=measurement,
            verdict=verdict,
            membership=take.membership,
            gaps=take.gaps,
            recovered=take.recovered,
        )
        durable.write_json(take.folder / "take.json", done.as_json())
        take.close()
        self._finish(take.folder, final)
        return done

    def discard(self, take: OpenTake) -> None:
        """Throw an open take away because the speaker asked to."""
        take.close()
        self._remove(take.folder)

    def takes(self) -> list[Take]:
        """Finished takes in the order in which they were recorded; `damaged` names the others."""
        found = []
        for folder in self._folders(""):
            try:
                found.append(Take.read(folder))
            except SpoolDamaged:
                continue  # `damaged` tells of it; one bad folder must not hold up the rest
        return sorted(found, key=_recorded_order)

    def damaged(self) -> list[SpoolDamaged]:
        """Finished takes that cannot be read, each with the reason."""
        errors = []
        for folder in self._folders(""):
            try:
                Take.read(folder)
            except SpoolDamaged as error:
                errors.append(error)
        return errors

    def knows(self, clip_id: ClipId) -> bool:
        """Whether the clip is here, open or final, or has a receipt."""
        places = (self.folder / clip_id, self.folder / f"{clip_id}.part")
        return any(p.exists() for p in (*places, self.receipts / f"{clip_id}.receipt.json"))

    def open_names(self) -> list[str]:
        """Ids of takes that are still open, here, in another process, or since a crash."""
        return [folder.stem for folder in self._folders(".part")]

    def recover(self, finish: Callable[[OpenTake], None]) -> Recovery:
        """Bring back what a crash left open.

        Takes that another living process holds are left to it.

        Parameters
        ----------
        finish : callable
            Measures and commits a recovered take. It is called only for takes with sound in them.
        """
        damaged: list[SpoolDamaged] = []
        parts: list[OpenTake] = []
        with self._steps():
            for folder in (*self._folders(".new"), *self._folders(".gone")):
                shutil.rmtree(folder, ignore_errors=True)
            for folder in self._folders(".part"):
                try:
                    take = self._reopen(folder)
                except SpoolDamaged as error:
                    damaged.append(error)
                else:
                    parts += [] if take is None else [take]
            _trim_overlaps(parts)
        recovered = 0
        for take in parts:
            if take.samples == 0:
                self.discard(take)
                continue
            take.recovered = True
            finish(take)
            recovered += 1
        return Recovery(recovered, tuple(damaged))

    def _reopen(self, folder: Path) -> OpenTake | None:
        """The open take in `folder`, or None where another process holds it or it was already final."""
        try:
            header = json.loads((folder / "open.json").read_bytes())
            take = OpenTake(
                folder,
                parse_clip_id(header["clip_id"]),
                ClipMeta.from_json(header["meta"]),
                int(header["sample_rate_hz"]),
                str(header["membership"]),
            )
        except (OSError, ValueError, KeyError, TypeError, CodedError) as error:
            raise SpoolDamaged(folder=str(folder), problem=f"open.json: {error}") from error
        if not take.held:
            take.close()
            return None
        if (folder / "take.json").exists():  # everything was written and synced but the rename
            take.close()
            self._finish(folder, self.folder / take.clip_id)
            return None
        take.shorten(take.samples)  # half a sample may stand at the end
        return take

    def _finish(self, part: Path, final: Path) -> None:
        durable.sync_folder(part)
        part.rename(final)
        durable.sync_folder(self.folder)
        for name in ("take.pcm", "open.json", "gaps.jsonl", "lock"):
            (final / name).unlink(missing_ok=True)

    def forget(self, take: Take, receipt: Mapping[str, Any], *, clip_id: ClipId, sha256: Sha256) -> None:
        """Keep a verified receipt, then let go of the take that it is for.

        `clip_id` and `sha256` are what the receipt's verified details say.
        """
        if (clip_id, sha256) != (take.clip_id, take.sha256):
            raise SpoolDamaged(folder=str(take.folder), problem="the receipt is for another recording")
        durable.write_json(self.receipts / f"{take.clip_id}.receipt.json", receipt)
        self._remove(take.folder)

    def receipt_files(self) -> list[Path]:
        """Receipts kept so far."""
        return sorted(self.receipts.glob("*.receipt.json"))

    def _remove(self, folder: Path) -> None:
        gone = folder.with_name(f"{folder.name}.gone")
        folder.rename(gone)  # first, so that no half-deleted folder is taken for a take
        durable.sync_folder(self.folder)
        shutil.rmtree(gone)

    def _folders(self, suffix: str) -> list[Path]:
        folders = [p for p in self.folder.iterdir() if p.is_dir()]
        return sorted(p for p in folders if (p.suffix == suffix if suffix else "." not in p.name))


def _recorded_order(take: Take) -> tuple[str, str, int, int]:
    return (take.meta.recorded_at, take.meta.recording_id, take.meta.channel, take.meta.start_sample)


def _trim_overlaps(parts: list[OpenTake]) -> None:
    """Where a crash came between the two steps of a cut, both takes hold the tail: keep it in the newer."""
    parts.sort(key=lambda t: (t.meta.recording_id, t.meta.channel, t.meta.start_sample))
    for older, newer in itertools.pairwise(parts):
        same = (older.meta.recording_id, older.meta.channel) == (newer.meta.recording_id, newer.meta.channel)
        if same and older.end_sample > newer.meta.start_sample:
            older.shorten(newer.meta.start_sample - older.meta.start_sample)
