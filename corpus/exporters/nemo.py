"""Manifests with one JSON object a line that name a file and its text: NeMo and WeNet (raw)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from corpus.exporters.job import Feed, Job, Outputs, PathUnsafe, spaced
from corpus.manifest import Line

_encode = msgspec.json.Encoder().encode
_MAX_PATH = 254  # NeMo gives up on longer ones


@contextmanager
def nemo(job: Job) -> Iterator[Feed]:
    """Write ``<split>_manifest.json``. No ``offset``: with ``sampling_rate`` readers take it wrongly."""

    def feed(line: Line) -> None:
        path = job.path(line)
        if len(path) > _MAX_PATH:
            raise PathUnsafe(path=path, character=f"more than {_MAX_PATH} characters")
        out.write(f"{line.split}_manifest.json", _encode(nemo_row(line, path)) + b"\n")

    with Outputs(job.to) as out:
        yield feed


def nemo_row(line: Line, path: str) -> dict[str, Any]:
    """One line of a NeMo manifest."""
    return {
        "audio_filepath": path,
        "duration": line.samples / line.sample_rate_hz,
        "text": line.text,
        "lang": line.language,
        "speaker": line.speaker_id,
        "id": line.id,
        "grade": line.grade,
        "style": line.style,
        "snr_db": line.snr_db,
        "dialect": line.dialect,
    }


@contextmanager
def wenet(job: Job) -> Iterator[Feed]:
    """Write ``<split>/data.list``, ``wav.scp`` and ``text`` with plain paths: two fields a line."""
    sheets: dict[str, tuple[Callable[[Any], None], ...]] = {}

    def feed(line: Line) -> None:
        name, path, words = line.id, job.path(line), spaced(line.text)
        if line.split not in sheets:
            files = ("data.list", "wav.scp", "text")
            sheets[line.split] = tuple(out.rows(f"{line.split}/{file}") for file in files)
        data_list, wav_scp, texts = sheets[line.split]
        data_list(_encode({"key": name, "wav": path, "txt": words}) + b"\n")
        wav_scp(f"{name} {path}\n")
        texts(f"{name} {words}\n")
        out.collected(2 * len(path) + 3 * len(name) + 2 * len(words))

    with Outputs(job.to) as out:
        yield feed
