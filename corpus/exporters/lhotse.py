"""Lhotse manifests, per split: ``recordings_*``, ``supervisions_*`` and ``cuts_*`` as ``.jsonl.gz``.

Written directly, without lhotse: the same objects that its own writer makes, in a fraction of the time
and in flat memory. Conditions of recording (``snr_db``, ``grade``, …) lie in ``custom``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from corpus.exporters.job import Feed, Job, Outputs, without_none
from corpus.manifest import Line

_encode = msgspec.json.Encoder().encode


@contextmanager
def lhotse(job: Job) -> Iterator[Feed]:
    """Write the three manifests of each split."""
    sheets: dict[str, tuple[Callable[[bytes], None], ...]] = {}

    def feed(line: Line) -> None:
        split = line.split
        recording = _encode(recording_of(line, job.path(line)))
        supervision = _encode(supervision_of(line))
        cut = cut_of(line, msgspec.Raw(recording), msgspec.Raw(supervision))
        raw = _encode(cut)
        if split not in sheets:
            kinds = ("recordings", "supervisions", "cuts")
            sheets[split] = tuple(out.rows(f"{kind}_{split}.jsonl.gz") for kind in kinds)
        recordings, supervisions, cuts = sheets[split]
        recordings(recording + b"\n")
        supervisions(supervision + b"\n")
        cuts(raw + b"\n")
        out.collected(2 * len(raw))

    with Outputs(job.to) as out:
        yield feed


def recording_of(line: Line, path: str, kind: str = "file") -> dict[str, Any]:
    """A Recording: the file with its exact count of samples; in Shar its sound lies in a tar, unnamed."""
    channels = list(range(line.channels))
    return {
        "id": line.id,
        "sources": [{"type": kind, "channels": channels, "source": path}],
        "sampling_rate": line.sample_rate_hz,
        "num_samples": line.samples,
        "duration": line.samples / line.sample_rate_hz,
        "channel_ids": channels,
    }


def supervision_of(line: Line) -> dict[str, Any]:
    """A SupervisionSegment over the whole recording."""
    return {
        "id": line.id,
        "recording_id": line.id,
        "start": 0.0,
        "duration": line.samples / line.sample_rate_hz,
        "channel": _channel(line),
        "text": line.text,
        "language": line.language,
        "speaker": line.speaker_id,
        **without_none({"gender": line.gender}),
        "custom": custom_of(line),
    }


def cut_of(line: Line, recording: msgspec.Raw, supervision: msgspec.Raw) -> dict[str, Any]:
    """A MonoCut (or MultiCut, for more channels) over the whole recording."""
    return {
        "id": line.id,
        "start": 0.0,
        "duration": line.samples / line.sample_rate_hz,
        "channel": _channel(line),
        "supervisions": [supervision],
        "recording": recording,
        "type": "MonoCut" if line.channels == 1 else "MultiCut",
    }


def custom_of(line: Line) -> dict[str, Any]:
    """What the manifest knows beyond lhotse's own fields."""
    values: dict[str, Any] = {
        "split": line.split,
        "grade": line.grade,
        "style": line.style,
        "snr_db": line.snr_db,
        "speech_dbfs": line.speech_dbfs,
        "noise_dbfs": line.noise_dbfs,
        "noise_dba": line.noise_dba,
        "measure_method": line.measure_method,
        "dialect": line.dialect,
        "glottocode": line.glottocode,
        "age_band": line.age_band,
        "region": line.region,
        "native_language": line.native_language,
        "device_class": line.device_class,
        "session_id": line.session_id,
        "source_recording_id": line.recording_id,
        "source_channel": line.channel,
        "source_start_sample": line.start_sample,
        "prompt_id": line.prompt_id,
        "text_raw": line.text_raw,
        "orthography": line.orthography,
        "license": line.license,
        "sha256": line.sha256,
    }
    if line.events:
        values["events"] = [[event.start_s, event.end_s, event.label] for event in line.events]
    return without_none(values)


def _channel(line: Line) -> int | list[int]:
    return 0 if line.channels == 1 else list(range(line.channels))
