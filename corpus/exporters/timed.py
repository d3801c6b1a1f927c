"""Times in one file a split: STM and RTTM of whole recordings, and Kaldi segments for CTM.

Times have six decimals, as the manifest's. Channels count from 1, the same in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby

from corpus.exporters.batch import Batch
from corpus.exporters.job import Job, Outputs, spaced
from corpus.exporters.kaldi import SpeakerRows
from corpus.exporters.recordings import Recording
from corpus.exporters.sorting import Sorted

_NOT_LABEL = re.compile(r"[^A-Za-z0-9_-]")
_IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"  # a text that tells sclite to pass over the turn


@lru_cache(maxsize=64)
def _label(word: str) -> str:
    return _NOT_LABEL.sub("", word)


@contextmanager
def stm(job: Job) -> Iterator[Callable[[Recording], None]]:
    """Write ``<split>.stm``: recording, channel, speaker, start, end, ``<grade,style,gender>``, text."""

    def feed(recording: Recording) -> None:
        rows: list[str] = []
        for turn in recording.turns:
            text = spaced(turn.text)
            if text.upper() == _IGNORED:
                job.damage.add(turn.id, "sclite takes its text for an order to pass over the turn")
                continue
            label = f"<{turn.grade},{turn.style},{_label(turn.gender or 'unknown')}>"
            place = f"{recording.id} {turn.channel + 1} {turn.speaker_id} {turn.start_s:.6f} {turn.end_s:.6f}"
            rows.append(f"{place} {label} {text}\n")
        out.write(f"{recording.split}.stm", "".join(rows).encode())

    with Outputs(job.to) as out:
        yield feed


@contextmanager
def rttm(job: Job) -> Iterator[Callable[[Recording], None]]:
    """Write ``<split>.rttm``, and ``<split>.uem``: what of each recording is in the release."""

    def feed(recording: Recording) -> None:
        ends: dict[int, float] = {}
        rows: list[str] = []
        for turn in recording.turns:
            channel = turn.channel + 1
            place = f"{recording.id} {channel} {turn.start_s:.6f} {turn.samples / turn.sample_rate_hz:.6f}"
            rows.append(f"SPEAKER {place} <NA> <NA> {turn.speaker_id} <NA> <NA>\n")
            ends[channel] = max(ends.get(channel, 0.0), turn.end_s)
        out.write(f"{recording.split}.rttm", "".join(rows).encode())
        for channel, end_s in sorted(ends.items()):
            out.text(f"{recording.split}.uem", f"{recording.id} {channel} 0.000000 {end_s:.6f}")

    with Outputs(job.to) as out:
        yield feed


@contextmanager
def ctm(job: Job) -> Iterator[Callable[[Batch], None]]:
    """Write ``<split>/{segments,text,utt2spk,spk2utt,reco2file_and_channel}``, ``wav.scp`` if rebuilt.

    Kaldi's ``get_ctm.sh`` and ``convert_ctm.pl`` turn the times of a clip's words into times in the
    recording by them. A channel of a recording is a recording of its own to Kaldi.
    """

    def feed(batch: Batch) -> None:
        good, troubles = batch.for_kaldi
        for name, wrong in troubles:
            job.damage.add(name, wrong)
        if good is None:
            return
        split = good.split
        segments: list[str] = []
        ends: dict[tuple[str, str, str, int, int], int] = {}
        for line in good.lines:
            rate_hz, start, end = line.sample_rate_hz, line.start_sample, line.start_sample + line.samples
            channel = line.channel + 1
            reco = f"{line.recording_id}-{channel}"
            segments.append(f"{line.id} {reco} {start / rate_hz:.6f} {end / rate_hz:.6f}\n")
            place = reco, line.session_id, line.recording_id, channel, rate_hz
            ends[place] = max(ends.get(place, 0), end)
        for (reco, session, recording, channel, rate_hz), end in ends.items():
            row = f"{reco}\t{split}\t{session}\t{recording}\t{channel}\t{end:015d}\t{rate_hz}\n"
            recos.add(row.encode())
        out.write(f"{split}/segments", "".join(segments).encode())
        out.write(f"{split}/text", good.text)
        out.write(f"{split}/utt2spk", good.utt2spk)
        for _ in spk2utt.feed(good):
            pass

    with Outputs(job.to) as out, Sorted(job.to / ".recordings") as recos:
        spk2utt = SpeakerRows(out)
        yield feed
        spk2utt.end()
        rows = (raw[:-1].decode().split("\t") for raw in recos)
        for (reco, split, session, recording, number), group in groupby(rows, lambda row: row[:5]):
            out.text(f"{split}/reco2file_and_channel", f"{reco} {recording} {number}")
            if job.recordings:
                *_, (*_, samples, rate_hz) = group
                out.text(f"{split}/wav.scp", f"{reco} {job.own_path(f'{split}/{session}/{reco}.wav')}")
                # Without it lhotse's importer cuts the end to a whole millisecond.
                out.text(f"{split}/reco2dur", f"{reco} {int(samples) / int(rate_hz)!r}")
