"""A release in the formats of toolkits: each format is a function from the manifest's lines to a folder.

Formats that are asked for together share one reading of the manifest.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import ClassVar, TypeVar

import msgspec

from corpus.dataset import Copy, Wanted
from corpus.disk import disk_errors, sync_path
from corpus.exporters import (
    common_voice,
    documents,
    hf,
    kaldi,
    lhotse,
    nemo,
    parquet,
    rebuilt,
    recordings,
    speechbrain,
    tars,
    timed,
)
from corpus.exporters.batch import Batch, BatchExporter
from corpus.exporters.job import (
    LEFT_OUT_NAME,
    AudioForm,
    Job,
    LeftOut,
    ShardExporter,
    make_empty,
    sound_problem,
)
from corpus.exporters.recordings import RecordingExporter
from corpus.exporters.sorting import Sorted
from corpus.formats import WHOLE_RECORDINGS
from corpus.header import ReleaseInvalid
from corpus.manifest import Line
from protocol.errors import CodedError

MARK_NAME = ".xiangyin-export.json"
_BATCH_LINES = 256
_Feed = TypeVar("_Feed")

BY_CLIP: Mapping[str, BatchExporter] = {
    "kaldi": kaldi.kaldi,
    "espnet": kaldi.espnet,
    "lhotse": lhotse.lhotse,
    "nemo": nemo.nemo,
    "wenet": nemo.wenet,
    "speechbrain": speechbrain.speechbrain,
    "hf": hf.hf,
    "common-voice": common_voice.common_voice,
    "ctm": timed.ctm,
}
BY_SHARD: Mapping[
    str, ShardExporter
] = {  # their workers read the sound, and look after what is wrong with it
    "shar": tars.shar,
    "nemo-tarred": tars.nemo_tarred,
    "wenet-shards": tars.wenet_shards,
    "webdataset": tars.webdataset,
    "hf-parquet": parquet.hf_parquet,
}
BY_RECORDING: Mapping[str, RecordingExporter] = {
    "textgrid": documents.textgrid,
    "eaf": documents.eaf,
    "stm": timed.stm,
    "rttm": timed.rttm,
}
EXPORTERS: Mapping[str, BatchExporter | ShardExporter | RecordingExporter] = {
    **BY_CLIP,
    **BY_SHARD,
    **BY_RECORDING,
}


class FormatUnknown(CodedError):
    """No exporter has this name."""

    code: ClassVar[str] = "EXPORT_FORMAT_UNKNOWN"


class TargetTaken(CodedError):
    """The folder holds something that no export of ours made."""

    code: ClassVar[str] = "EXPORT_TARGET_TAKEN"


class Exported(msgspec.Struct, frozen=True):
    """What an export made; also kept in its folder, so that it may be replaced by the next one."""

    format: str
    release: str
    revision: int
    release_sha256: str
    wanted: Wanted
    utterances: int
    left_out: int = 0


def check(name: str) -> str:
    """The name of a format, or `FormatUnknown` with those that there are."""
    if name not in EXPORTERS:
        raise FormatUnknown(format=name[:40], known=", ".join(EXPORTERS))
    return name


def export(
    copy: Copy,
    targets: Mapping[str, Path],
    *,
    wanted: Wanted | None = None,
    audio: AudioForm = "pipe",
    root: str | None = None,
    compute: str = "inline",
    recordings: bool = False,
    progress: Callable[[int], None] | None = None,
) -> list[Exported]:
    """Write `copy` in each format of `targets` into that folder, whole or not at all.

    An earlier export in a folder is replaced; anything else there is left alone and refused. Clips that
    cannot be exported, since their sound is missing or cut off, are named in `LEFT_OUT_NAME` in the folder.

    Raises
    ------
    FormatUnknown
        If no exporter has a name.
    TargetTaken
        If a folder holds files that no export made.
    ReleaseInvalid
        If nothing of what was wanted can be exported.
    """
    for name, folder in targets.items():
        check(name)
        _check_free(folder)
    chosen = wanted or Wanted()
    jobs: dict[str, Job] = {}
    with disk_errors():
        try:
            for name, folder in targets.items():
                home = folder.absolute()
                work = home.with_name(f".{home.name}.part")
                whole = recordings and name in WHOLE_RECORDINGS
                jobs[name] = Job(copy, work, chosen, audio, root, compute, home, whole)
                make_empty(work)
            count = _write(copy, chosen, jobs, progress)
            done = [_finish(name, job, count) for name, job in jobs.items()]
        except BaseException:
            for job in jobs.values():
                shutil.rmtree(job.to, ignore_errors=True)
            raise
        for job in jobs.values():
            _switch(job)
    return done


def left_out(folder: Path) -> Iterator[LeftOut]:
    """What an export of ours in `folder` could not take."""
    path = folder / LEFT_OUT_NAME
    if path.is_file():
        with path.open("rb") as file:
            for raw in file:
                yield msgspec.json.decode(raw, type=LeftOut)


def _write(
    copy: Copy, wanted: Wanted, jobs: Mapping[str, Job], progress: Callable[[int], None] | None
) -> int:
    """Feed every format from one reading of the manifest; how many lines were wanted."""
    count = 0
    rebuild = {name: job for name, job in jobs.items() if job.recordings}
    by_recording = {name: job for name, job in jobs.items() if name in BY_RECORDING}
    checked = [job for name, job in jobs.items() if name not in BY_SHARD]
    any_job = next(iter(jobs.values()))  # they differ in nothing that a batch asks for
    with ExitStack() as stack:
        into_shards = _opened(stack, BY_SHARD, jobs)
        into_lines = _opened(stack, BY_CLIP, jobs)
        turns = None
        if by_recording or rebuild:
            place = next(iter({**by_recording, **rebuild}.values())).to
            turns = stack.enter_context(Sorted(place / ".turns"))
        lines: list[Line] = []

        def feed_lines() -> None:
            if lines:
                batch = Batch(tuple(lines), any_job)
                for feed_batch in into_lines:
                    feed_batch(batch)
                lines.clear()

        for line in copy.lines(wanted):
            count += 1
            if progress is not None and count % 1000 == 0:
                progress(count)
            for feed in into_shards:
                feed(line)
            if not checked:
                continue
            # With another root the sound lies on another machine.
            wrong = sound_problem(copy, line) if any_job.root is None else None
            if wrong is not None:
                feed_lines()  # what is left out is named in the order of the lines
                for job in checked:
                    job.damage.add(line.id, wrong)
                continue
            if into_lines:
                if lines and (len(lines) == _BATCH_LINES or line.split != lines[0].split):
                    feed_lines()
                lines.append(line)
            if turns is not None:
                _place_turn(turns, line, {**by_recording, **rebuild})
        feed_lines()
        if turns is not None and by_recording:
            _write_recordings(turns, by_recording)
        if turns is not None:
            for job in rebuild.values():
                rebuilt.rebuild(job, recordings.recordings(turns))
    if progress is not None:
        progress(count)
    return count


def _opened(
    stack: ExitStack,
    exporters: Mapping[str, Callable[[Job], AbstractContextManager[_Feed]]],
    jobs: Mapping[str, Job],
) -> Sequence[_Feed]:
    return [stack.enter_context(exporters[name](job)) for name, job in jobs.items() if name in exporters]


def _place_turn(turns: Sorted, line: Line, jobs: Mapping[str, Job]) -> None:
    wrong = recordings.problem(line)
    if wrong is None:
        recordings.add(turns, line)
        return
    for job in jobs.values():
        job.damage.add(line.id, wrong)


def _write_recordings(turns: Sorted, jobs: Mapping[str, Job]) -> None:
    with ExitStack() as stack:
        feeds = [stack.enter_context(BY_RECORDING[name](job)) for name, job in jobs.items()]
        for recording in recordings.recordings(turns):
            for feed in feeds:
                feed(recording)


def _check_free(folder: Path) -> None:
    occupied = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    if occupied and not (folder / MARK_NAME).is_file():
        raise TargetTaken(folder=str(folder))


def _finish(name: str, job: Job, count: int) -> Exported:
    """Write the mark; an export of nothing because all is bad must not take a good one's place."""
    damage, head = job.damage, job.copy.header
    if damage.first is not None and damage.count >= count:
        raise ReleaseInvalid(file=str(job.copy.folder), problem=f"{damage.first.id}: {damage.first.problem}")
    done = Exported(
        *(name, head.name, head.revision, job.copy.sha256, job.wanted),
        *(count - damage.count, damage.count),
    )
    (job.to / MARK_NAME).write_bytes(msgspec.json.encode(done) + b"\n")
    return done


def _switch(job: Job) -> None:
    """Let the finished folder take the place of an earlier export."""
    target = (job.home or job.to).absolute()
    old = target.with_name(f".{target.name}.old")
    if old.exists():
        shutil.rmtree(old)
    if target.exists():
        target.rename(old)
    job.to.rename(target)
    sync_path(target.parent)
    if old.exists():
        shutil.rmtree(old)
