"""Existing long recordings, cut at pauses into clips: every sample of each channel is in exactly one.

Repeating an import is safe. A clip's id follows from the speaker, the recording's digest and the
place in it, so that clips which are already here, or receipted, are not made twice.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from noise_profiles.levels import LevelMeter
from noise_profiles.profile import NoiseProfile
from noise_profiles.vad import SpeechDetector
from protocol.clip import ClipId, ClipMeta
from recorder.capture import FileSource
from recorder.cutter import CutRules, Cutter, Piece
from recorder.judge import Judgement, commit, judge
from recorder.soundfiles import FileUnreadable, SoundFileInfo, inspect
from recorder.spool import Spool, Take
from recorder.takes import Int16

_BLOCK_S = 0.1


@dataclass(frozen=True)
class Imported:
    """One clip of a recording; `take` is None where it was already here or receipted."""

    clip_id: ClipId
    channel: int
    piece: Piece
    sample_rate_hz: int
    take: Take | None
    judgement: Judgement | None


def channels_of(info: SoundFileInfo, wanted: int | None) -> list[int]:
    """Which channels to import: the one asked for, else each, or one of several that are equal."""
    if wanted is not None:
        return [wanted]
    return [0] if info.same_channels else list(range(info.channels))


def import_file(
    path: Path,
    spool: Spool,
    meta: ClipMeta,
    noise_profile: NoiseProfile,
    membership: str,
    person_id: str,
    *,
    channel: int | None = None,
    rules: CutRules | None = None,
) -> Iterator[Imported]:
    """Cut one recording into the spool.

    `meta` names session, consent and grade; recording, channel and place are filled in.

    Raises
    ------
    CodedError
        As `soundfiles.inspect` finds, before anything is spooled.
    """
    digest = _digest(path)
    info = inspect(path)
    for one in channels_of(info, channel):
        source = FileSource(path, channel=one, block_s=_BLOCK_S)
        base = replace(meta, recording_id=f"import-{digest[:32]}", channel=one)
        for piece, samples in _pieces(source, rules or CutRules()):
            clip_id = _clip_id(person_id, digest, one, piece)
            if spool.knows(clip_id):
                yield Imported(clip_id, one, piece, source.sample_rate_hz, None, None)
                continue
            lead_in_s = min(60.0, piece.lead_in_samples(source.sample_rate_hz) / source.sample_rate_hz)
            clip = replace(
                base,
                start_sample=piece.start,
                lead_in_s=round(lead_in_s, 3) if piece.segments else 0.0,
            )
            judgement = judge(samples, source.sample_rate_hz, clip, noise_profile)
            take = spool.open_take(clip, source.sample_rate_hz, membership, tail=samples, clip_id=clip_id)
            done = commit(spool, take, judgement)
            yield Imported(clip_id, one, piece, source.sample_rate_hz, done, judgement)


def plan(source: FileSource, rules: CutRules) -> list[Piece]:
    """Where one channel is cut; together the pieces are the whole of it."""
    detector = SpeechDetector(source.sample_rate_hz)
    meter = LevelMeter(source.sample_rate_hz)
    cutter = Cutter(source.sample_rate_hz, rules)
    pieces: list[Piece] = []
    position = 0
    for block in source.blocks():
        position += block.samples.size
        speaking = detector.feed(block.samples)
        levels_db = meter.feed(block.samples)
        pieces += cutter.feed(position, detector.segments, speaking, levels_db.tolist())
    pieces += cutter.finish(position, detector.finish())
    return merged(pieces, round(rules.longest_s * source.sample_rate_hz))


def merged(pieces: Sequence[Piece], longest: int) -> list[Piece]:
    """Silent pieces joined to a neighbour where that stays short enough: a clip of silence helps nobody."""
    joined: list[Piece] = []
    for piece in pieces:
        before = joined[-1] if joined else None
        silent = before is not None and not (before.segments and piece.segments)
        if before is not None and silent and piece.end - before.start <= longest:
            joined[-1] = Piece(before.start, piece.end, before.segments + piece.segments, piece.forced)
        else:
            joined.append(piece)
    return joined


def _pieces(source: FileSource, rules: CutRules) -> Iterator[tuple[Piece, Int16]]:
    """The recording twice: once to find the cuts, once to take the samples."""
    waiting = plan(source, rules)
    held: list[Int16] = []
    held_from = 0
    for block in source.blocks():
        held.append(block.samples)
        while waiting and block.start_sample + block.samples.size >= waiting[0].end:
            piece = waiting.pop(0)
            sound = np.concatenate(held)
            yield piece, sound[: piece.end - held_from]
            held, held_from = [sound[piece.end - held_from :]], piece.end


def _clip_id(person_id: str, digest: str, channel: int, piece: Piece) -> ClipId:
    """The same clip for the same person, recording and place: a UUID made of a SHA-256 (RFC 9562, v8)."""
    key = f"{person_id}/{digest}/{channel}/{piece.start}/{piece.end}"
    raw = bytearray(hashlib.sha256(key.encode()).digest()[:16])
    raw[6] = 0x80 | raw[6] & 0x0F
    raw[8] = 0x80 | raw[8] & 0x3F
    return ClipId(str(uuid.UUID(bytes=bytes(raw))))


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise FileUnreadable(file=str(path), problem=error.strerror or "unknown") from error
