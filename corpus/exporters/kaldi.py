"""Kaldi data directories, one a split: ``wav.scp text utt2spk spk2utt utt2dur reco2dur utt2lang spk2gender``.

Every file is sorted as ``LC_ALL=C sort`` does, by utterance and by speaker at once, since an utterance's
id begins with its speaker's. Each utterance is a recording of its own, so there is no ``segments``.
"""

from __future__ import annotations

from corpus.exporters.job import Job, Outputs, quoted
from corpus.manifest import Line

_GENDERS = {"female": "f", "f": "f", "male": "m", "m": "m"}


def write_kaldi(job: Job) -> int:
    """Write one directory a split. ``spk2gender`` is written where every speaker's gender is known.

    By default sound is a pipe through ``flac``, because Kaldi itself opens only WAV.
    """
    count = 0
    folder: str
    speaker: Line | None = None
    ids: list[str] = []
    genders: dict[str, list[tuple[str, str | None]]] = {}
    with Outputs(job.to) as out:
        for line in job.lines():
            count += 1
            if speaker is None or line.speaker_id != speaker.speaker_id:
                _end_speaker(out, speaker, ids, genders)
                speaker, ids = line, []
            ids.append(line.id)
            folder = line.split
            path = job.path(line)
            sound = path if job.audio == "path" else f"flac -c -d -s {quoted(path)} |"
            duration = repr(line.samples / line.sample_rate_hz)
            out.text(f"{folder}/wav.scp", f"{line.id} {sound}")
            out.text(f"{folder}/text", f"{line.id} {line.text}")
            out.text(f"{folder}/utt2spk", f"{line.id} {line.speaker_id}")
            out.text(f"{folder}/utt2dur", f"{line.id} {duration}")
            out.text(f"{folder}/reco2dur", f"{line.id} {duration}")
            out.text(f"{folder}/utt2lang", f"{line.id} {line.language}")
            out.text(f"{folder}/utt2snr", f"{line.id} {line.snr_db} {line.grade}")
        _end_speaker(out, speaker, ids, genders)
        for folder, known in genders.items():
            # Kaldi demands a line for each speaker, m or f, or no file at all.
            if all(gender for _, gender in known):
                for name, gender in known:
                    out.text(f"{folder}/spk2gender", f"{name} {gender}")
    return count


def write_espnet(job: Job) -> int:
    """Write the same directories with plain paths, for readers that open FLAC themselves (ESPnet, k2)."""
    return write_kaldi(Job(job.copy, job.to, job.wanted, "path", job.root))


def _end_speaker(
    out: Outputs, line: Line | None, ids: list[str], genders: dict[str, list[tuple[str, str | None]]]
) -> None:
    if line is None:
        return
    out.text(f"{line.split}/spk2utt", f"{line.speaker_id} {' '.join(ids)}")
    gender = _GENDERS.get((line.gender or "").lower())
    genders.setdefault(line.split, []).append((line.speaker_id, gender))
