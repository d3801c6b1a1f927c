"""Times in one file a split: STM and RTTM of whole recordings, and Kaldi segments for CTM.

Times have six decimals, as the manifest's. Channels count from 1, the same in all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby

from corpus.exporters.job import Feed, Job, Outputs, spaced
from corpus.exporters.kaldi import reserved
from corpus.exporters.recordings import Recording
from corpus.exporters.sorting import Sorted
from corpus.manifest import Line

_NOT_LABEL = re.compile(r"[^A-Za-z0-9_-]")
_IGNORED = "IGNORE_TIME_SEGMENT_IN_SCORING"  # a text that tells sclite to pass over the turn


@contextmanager
def stm(job: Job) -> Iterator[Callable[[Recording], None]]:
    """Write ``<split>.stm``: recording, channel, speaker, start, end, ``<grade,style,gender>``, text."""

    def feed(recording: Recording) -> None:
        for turn in recording.turns:
            text = spaced(turn.text)
            if text.upper() == _IGNORED:
                job.damage.add(turn.id, "sclite takes its text for an order to pass over the turn")
                continue
            label = f"<{turn.grade},{turn.style},{_NOT_LABEL.sub('', turn.gender or 'unknown')}>"
            place = f"{recording.id} {turn.channel + 1} {turn.speaker_id} {turn.start_s:.6f} {turn.end_s:.6f}"
            out.text(f"{recording.split}.stm", f"{place} {label} {text}")

    with Outputs(job.to) as out:
        yield feed


@contextmanager
def rttm(job: Job) -> Iterator[Callable[[Recording], None]]:
    """Write ``<split>.rttm``, and ``<split>.uem``: what of each recording is in the release."""

    def feed(recording: Recording) -> None:
        ends: dict[int, float] = {}
        for turn in recording.turns:
            channel = turn.channel + 1
            place = f"{recording.id} {channel} {turn.start_s:.6f} {turn.samples / turn.sample_rate_hz:.6f}"
            out.text(f"{recording.split}.rttm", f"SPEAKER {place} <NA> <NA> {turn.speaker_id} <NA> <NA>")
            ends[channel] = max(ends.get(channel, 0.0), turn.end_s)
        for channel, end_s in sorted(ends.items()):
            out.text(f"{recording.split}.uem", f"{recording.id} {channel} 0.000000 {end_s:.6f}")

    with Outputs(job.to) as out:
        yield feed


@contextmanager
def ctm(job: Job) -> Iterator[Feed]:
    """Write ``<split>/{segments,text,utt2spk,spk2utt,reco2file_and_channel}``, ``wav.scp`` if rebuilt.

    Kaldi's ``get_ctm.sh`` and ``convert_ctm.pl`` turn the times of a clip's words into times in the
    recording by them. A channel of a recording is a recording of its own to Kaldi.
    """
    speaker: Line | None = None
    ids: list[str] = []
    sheets: dict[str, tuple[Callable[[str], None], ...]] = {}

    def feed(line: Line) -> None:
        nonlocal speaker, ids
        wrong = reserved(line.text)
        if wrong is not None:
            job.damage.add(line.id, wrong)
            return
        if speaker is not None and line.speaker_id != speaker.speaker_id:
            out.text(f"{speaker.split}/spk2utt", f"{speaker.speaker_id} {' '.join(ids)}")
            ids = []
        speaker = line
        ids.append(line.id)
        name, split, channel = line.id, line.split, line.channel + 1
        start_s = line.start_sample / line.sample_rate_hz
        end_s = (line.start_sample + line.samples) / line.sample_rate_hz
        reco = f"{line.recording_id}-{channel}"
        if split not in sheets:
            sheets[split] = tuple(out.rows(f"{split}/{file}") for file in ("segments", "text", "utt2spk"))
        text = spaced(line.text)
        segments, texts, utt2spk = sheets[split]
        segments(f"{name} {reco} {start_s:.6f} {end_s:.6f}\n")
        texts(f"{name} {text}\n")
        utt2spk(f"{name} {line.speaker_id}\n")
        out.collected(200 + len(text))
        end = f"{line.start_sample + line.samples:015d}\t{line.sample_rate_hz}"
        recos.add(f"{reco}\t{split}\t{line.session_id}\t{line.recording_id}\t{channel}\t{end}\n".encode())

    with Outputs(job.to) as out, Sorted(job.to / ".recordings") as recos:
        yield feed
        if speaker is not None:
            out.text(f"{speaker.split}/spk2utt", f"{speaker.speaker_id} {' '.join(ids)}")
        rows = (raw[:-1].decode().split("\t") for raw in recos)
        for (reco, split, session, recording, number), group in groupby(rows, lambda row: row[:5]):
            out.text(f"{split}/reco2file_and_channel", f"{reco} {recording} {number}")
            if job.recordings:
                *_, (*_, samples, rate_hz) = group
                out.text(f"{split}/wav.scp", f"{reco} {job.own_path(f'{split}/{session}/{reco}.wav')}")
                # Without it lhotse's importer cuts the end to a whole millisecond.
                out.text(f"{split}/reco2dur", f"{reco} {int(samples) / int(rate_hz)!r}")
