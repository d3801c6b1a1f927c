"""Lhotse manifests, per split: ``recordings_*``, ``supervisions_*`` and ``cuts_*`` as ``.jsonl.gz``.

Written directly, without lhotse: the same objects that its own writer makes, in a fraction of the time
and in flat memory. Conditions of recording (``snr_db``, ``grade``, …) lie in ``custom``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from corpus.exporters.job import Job, Outputs, without_none
from corpus.manifest import Line

_encode = msgspec.json.Encoder().encode


def write_lhotse(job: Job) -> int:
    """Write the three manifests of each split."""
    count = 0
    with Outputs(job.to) as out:
        for line in job.lines():
            count += 1
            recording, supervision = recording_of(line, job.path(line)), supervision_of(line)
            out.write(f"recordings_{line.split}.jsonl.gz", _encode(recording) + b"\n")
            out.write(f"supervisions_{line.split}.jsonl.gz", _encode(supervision) + b"\n")
            out.write(f"cuts_{line.split}.jsonl.gz", _encode(cut_of(line, recording, supervision)) + b"\n")
    return count


def recording_of(line: Line, path: str) -> dict[str, Any]:
    """A Recording: the file with its exact count of samples."""
    channels = list(range(line.channels))
    return {
        "id": line.id,
        "sources": [{"type": "file", "channels": channels, "source": path}],
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


def cut_of(line: Line, recording: dict[str, Any], supervision: dict[str, Any]) -> dict[str, Any]:
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
