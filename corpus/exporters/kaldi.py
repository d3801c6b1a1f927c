"""Kaldi data directories, one a split: ``wav.scp text utt2spk spk2utt utt2dur reco2dur utt2lang spk2gender``.

Every file is sorted as ``LC_ALL=C sort`` does, by utterance and by speaker at once, since an utterance's
id begins with its speaker's. Each utterance is a recording of its own, so there is no ``segments``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

from corpus.exporters.job import Feed, Job, Outputs, quoted, spaced
from corpus.manifest import Line

_FILES = ("wav.scp", "text", "utt2spk", "utt2dur", "reco2dur", "utt2lang", "utt2snr")
_GENDERS = {"female": "f", "f": "f", "male": "m", "m": "m"}
_RESERVED = frozenset({"<s>", "</s>", "#0"})  # utils/validate_text.pl refuses the directory for one of them


@contextmanager
def kaldi(job: Job) -> Iterator[Feed]:
    """Write one directory a split. ``spk2gender`` is written where every speaker's gender is known.

    By default sound is a pipe through ``flac``, because Kaldi itself opens only WAV.
    """
    speaker: Line | None = None
    ids: list[str] = []
    genders: dict[str, list[tuple[str, str | None]]] = {}
    sheets: dict[str, tuple[Callable[[str], None], ...]] = {}
    piped = job.audio == "pipe"

    def feed(line: Line) -> None:
        nonlocal speaker, ids
        wrong = reserved(line.text)
        if wrong is not None:
            job.damage.add(line.id, wrong)
            return
        if speaker is None or line.speaker_id != speaker.speaker_id:
            _end_speaker(out, speaker, ids, genders)
            speaker, ids = line, []
        name, split = line.id, line.split
        ids.append(name)
        if split not in sheets:
            sheets[split] = tuple(out.rows(f"{split}/{file}") for file in _FILES)
        path = job.path(line)
        sound = f"flac -c -d -s {quoted(path)} |" if piped else path
        text = spaced(line.text)
        duration = f"{name} {line.samples / line.sample_rate_hz!r}\n"
        wav_scp, texts, utt2spk, utt2dur, reco2dur, utt2lang, utt2snr = sheets[split]
        wav_scp(f"{name} {sound}\n")
        texts(f"{name} {text}\n")
        utt2spk(f"{name} {line.speaker_id}\n")
        utt2dur(duration)
        reco2dur(duration)
        utt2lang(f"{name} {line.language}\n")
        utt2snr(f"{name} {line.snr_db} {line.grade}\n")
        out.collected(len(_FILES) * 60 + len(sound) + len(text))

    with Outputs(job.to) as out:
        yield feed
        _end_speaker(out, speaker, ids, genders)
        for folder, known in genders.items():
            # Kaldi demands a line for each speaker, m or f, or no file at all.
            if all(gender for _, gender in known):
                for name, gender in known:
                    out.text(f"{folder}/spk2gender", f"{name} {gender}")


def espnet(job: Job) -> AbstractContextManager[Feed]:
    """Write the same directories with plain paths, for readers that open FLAC themselves (ESPnet, k2)."""
    return kaldi(dataclasses.replace(job, audio="path"))


def reserved(text: str) -> str | None:
    """Whether a text holds a word that Kaldi keeps for itself."""
    if "<" not in text and "#" not in text and "/" not in text:
        return None
    found = sorted(_RESERVED.intersection(text.split()))
    return f"Kaldi keeps the word {found[0]} for itself" if found else None


def _end_speaker(
    out: Outputs, line: Line | None, ids: list[str], genders: dict[str, list[tuple[str, str | None]]]
) -> None:
    if line is None:
        return
    out.text(f"{line.split}/spk2utt", f"{line.speaker_id} {' '.join(ids)}")
    gender = _GENDERS.get((line.gender or "").lower())
    genders.setdefault(line.split, []).append((line.speaker_id, gender))
