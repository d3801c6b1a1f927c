"""Kaldi data directories, one a split: ``wav.scp text utt2spk spk2utt utt2dur reco2dur utt2lang spk2gender``.

Every file is sorted as ``LC_ALL=C sort`` does, by utterance and by speaker at once, since an utterance's
id begins with its speaker's. Each utterance is a recording of its own, so there is no ``segments``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import groupby

from corpus.exporters.batch import Batch
from corpus.exporters.job import Job, Outputs, quoted
from corpus.manifest import Line

_GENDERS = {"female": "f", "f": "f", "male": "m", "m": "m"}


@contextmanager
def kaldi(job: Job) -> Iterator[Callable[[Batch], None]]:
    """Write one directory a split. ``spk2gender`` is written where every speaker's gender is known.

    By default sound is a pipe through ``flac``, because Kaldi itself opens only WAV.
    """
    genders: dict[str, list[tuple[str, str | None]]] = {}
    piped = job.audio == "pipe"

    def feed(batch: Batch) -> None:
        good, troubles = batch.for_kaldi
        for name, wrong in troubles:
            job.damage.add(name, wrong)
        if good is None:
            return
        split = good.split
        out.write(f"{split}/wav.scp", _piped(good) if piped else good.wav_scp)
        out.write(f"{split}/text", good.text)
        out.write(f"{split}/utt2spk", good.utt2spk)
        out.write(f"{split}/utt2dur", good.utt2dur)
        out.write(f"{split}/reco2dur", good.utt2dur)
        out.write(f"{split}/utt2lang", good.utt2lang)
        out.write(f"{split}/utt2snr", good.utt2snr)
        for first in spk2utt.feed(good):
            gender = _GENDERS.get((first.gender or "").lower())
            genders.setdefault(split, []).append((first.speaker_id, gender))

    with Outputs(job.to) as out:
        spk2utt = SpeakerRows(out)
        yield feed
        spk2utt.end()
        for folder, known in genders.items():
            # Kaldi demands a line for each speaker, m or f, or no file at all.
            if all(gender for _, gender in known):
                for name, gender in known:
                    out.text(f"{folder}/spk2gender", f"{name} {gender}")


def espnet(job: Job) -> AbstractContextManager[Callable[[Batch], None]]:
    """Write the same directories with plain paths, for readers that open FLAC themselves (ESPnet, k2)."""
    return kaldi(dataclasses.replace(job, audio="path"))


def _piped(batch: Batch) -> bytes:
    # What follows the folder is hexadecimal digits, so either all paths need quotes or none does.
    mark = "'" if quoted(batch.paths[0]) != batch.paths[0] else ""
    pairs = zip(batch.lines, batch.paths, strict=True)
    return "".join([f"{line.id} flac -c -d -s {mark}{path}{mark} |\n" for line, path in pairs]).encode()


class SpeakerRows:
    """Writes ``spk2utt``, a row a speaker however many batches hold its lines."""

    def __init__(self, out: Outputs) -> None:
        self._out = out
        self._speaker: Line | None = None

    def feed(self, batch: Batch) -> Iterator[Line]:
        """Take a batch; gives the first line of each new speaker."""
        split = batch.split
        for speaker_id, lines in groupby(batch.lines, lambda line: line.speaker_id):
            mine = list(lines)
            last = self._speaker
            if last is None or (last.speaker_id, last.split) != (speaker_id, split):
                self.end()
                self._speaker = mine[0]
                self._out.write(f"{split}/spk2utt", speaker_id.encode())
                yield mine[0]
            self._out.write(f"{split}/spk2utt", "".join([f" {line.id}" for line in mine]).encode())

    def end(self) -> None:
        """End the row of the last speaker."""
        if self._speaker is not None:
            self._out.write(f"{self._speaker.split}/spk2utt", b"\n")
            self._speaker = None
