"""Manifests with one JSON object a line that name a file and its text: NeMo and WeNet (raw)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from corpus.exporters.batch import Batch
from corpus.exporters.job import Job, Outputs, PathUnsafe
from corpus.manifest import Line

_rows = msgspec.json.Encoder().encode_lines
_MAX_PATH = 254  # NeMo gives up on longer ones


class NemoRow(msgspec.Struct, gc=False):
    """One line of a NeMo manifest."""

    audio_filepath: str
    duration: float
    text: str
    lang: str
    speaker: str
    id: str
    grade: str
    style: str
    snr_db: float
    dialect: str | None


class WenetRow(msgspec.Struct, gc=False):
    """One line of a WeNet list."""

    key: str
    wav: str
    txt: str


@contextmanager
def nemo(job: Job) -> Iterator[Callable[[Batch], None]]:
    """Write ``<split>_manifest.json``. No ``offset``: with ``sampling_rate`` readers take it wrongly."""

    def feed(batch: Batch) -> None:
        for path in batch.paths:
            if len(path) > _MAX_PATH:
                raise PathUnsafe(path=path, character=f"more than {_MAX_PATH} characters")
        rows = [nemo_row(line, path) for line, path in zip(batch.lines, batch.paths, strict=True)]
        out.write(f"{batch.split}_manifest.json", _rows(rows))

    with Outputs(job.to) as out:
        yield feed


def nemo_row(line: Line, path: str) -> NemoRow:
    """One line of a NeMo manifest."""
    return NemoRow(
        path,
        line.samples / line.sample_rate_hz,
        line.text,
        line.language,
        line.speaker_id,
        line.id,
        line.grade,
        line.style,
        line.snr_db,
        line.dialect,
    )


@contextmanager
def wenet(job: Job) -> Iterator[Callable[[Batch], None]]:
    """Write ``<split>/data.list``, ``wav.scp`` and ``text`` with plain paths: two fields a line."""

    def feed(batch: Batch) -> None:
        columns = zip(batch.lines, batch.paths, batch.spaced, strict=True)
        rows = [WenetRow(line.id, path, words) for line, path, words in columns]
        out.write(f"{batch.split}/data.list", _rows(rows))
        out.write(f"{batch.split}/wav.scp", batch.wav_scp)
        out.write(f"{batch.split}/text", batch.text)

    with Outputs(job.to) as out:
        yield feed
