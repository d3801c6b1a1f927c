"""Manifests with one JSON object a line that name a file and its text: NeMo and WeNet (raw)."""

from __future__ import annotations

import msgspec

from corpus.exporters.job import Job, Outputs, PathUnsafe

_encode = msgspec.json.Encoder().encode
_MAX_PATH = 254  # NeMo gives up on longer ones


def write_nemo(job: Job) -> int:
    """Write ``<split>_manifest.json``. No ``offset``: with ``sampling_rate`` readers take it wrongly."""
    count = 0
    with Outputs(job.to) as out:
        for line in job.lines():
            count += 1
            path = job.path(line)
            if len(path) > _MAX_PATH:
                raise PathUnsafe(path=path, character=f"more than {_MAX_PATH} characters")
            row = {
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
            out.write(f"{line.split}_manifest.json", _encode(row) + b"\n")
    return count


def write_wenet(job: Job) -> int:
    """Write ``<split>/data.list``, ``wav.scp`` and ``text`` with plain paths: two fields a line."""
    count = 0
    with Outputs(job.to) as out:
        for line in job.lines():
            count += 1
            row = {"key": line.id, "wav": job.path(line), "txt": line.text}
            out.write(f"{line.split}/data.list", _encode(row) + b"\n")
            out.text(f"{line.split}/wav.scp", f"{line.id} {row['wav']}")
            out.text(f"{line.split}/text", f"{line.id} {line.text}")
    return count
