"""Sound files as they are found in the world: opened with suspicion, checked whole, read by blocks.

Opening is not accepting: the library reads many broken files without complaint, so `inspect` compares
what the header promises with what is there, decodes everything once, and looks at every value. Memory
stays flat however long the file is.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from noise_profiles.words import word
from protocol.errors import CodedError

if TYPE_CHECKING:
    from noise_profiles.decoder import Damaged, Decoder

MIN_RATE_HZ = 16_000  # below it is telephone sound, and raising the rate would only hide that
MIN_DURATION_S = 0.1
_SCAN = 1 << 16  # frames decoded at a time


class FileUnreadable(CodedError):
    """The system does not give the file."""

    code = "FILE_UNREADABLE"


class NotAudio(CodedError):
    """Not a format that is known, or damaged so that it cannot be decoded."""

    code = "NOT_AUDIO"


class AudioEmpty(CodedError):
    """A file without a single sample."""

    code = "AUDIO_EMPTY"


class AudioTruncated(CodedError):
    """The file ends before its header says so."""

    code = "AUDIO_TRUNCATED"


class AudioNotFinite(CodedError):
    """NaN or infinity among the samples."""

    code = "AUDIO_NOT_FINITE"


class AudioTooShort(CodedError):
    """Too short to hold a word."""

    code = "AUDIO_TOO_SHORT"


class AudioRateTooLow(CodedError):
    """Telephone sound."""

    code = "AUDIO_RATE_TOO_LOW"


@dataclass(frozen=True)
class SoundFileInfo:
    """What `inspect` found.

    Attributes
    ----------
    frames, sample_rate_hz, channels : int
        As decoded, not as the header claims.
    same_channels : bool
        Whether all channels hold the same samples, as in a mono recording saved as stereo.
    """

    path: Path
    frames: int
    sample_rate_hz: int
    channels: int
    same_channels: bool

    @property
    def duration_s(self) -> float:
        """Length in seconds, for people."""
        return self.frames / self.sample_rate_hz


def inspect(path: Path) -> SoundFileInfo:
    """Check a sound file from its first byte to its last sample.

    Raises
    ------
    FileUnreadable, NotAudio, AudioEmpty, AudioTruncated, AudioNotFinite, AudioTooShort, AudioRateTooLow
        Each says what is wrong with the file and what to do.
    """
    name = str(path)
    try:
        if not path.is_file():
            raise FileUnreadable(file=name, problem="no such file" if not path.exists() else "not a file")
        size_bytes = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(12)
    except OSError as error:
        raise FileUnreadable(file=name, problem=error.strerror or "unknown") from error
    if size_bytes == 0:
        raise AudioEmpty(file=name)
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        _check_wav_length(path, size_bytes)
    return _scan(path)


def _scan(path: Path) -> SoundFileInfo:
    import soundfile

    from noise_profiles.decoder import Damaged, Decoder

    frames, same, rate_hz = 0, True, 0
    try:
        with Decoder(_descriptor(path)) as file:
            rate_hz, channels = file.sample_rate_hz, file.channels
            for block in file.blocks(_SCAN, "float64"):
                finite = np.isfinite(block).all(axis=1)
                if not finite.all():
                    at = frames + int(np.argmin(finite))
                    raise AudioNotFinite(file=str(path), start_s=round(at / rate_hz, 3))
                same = same and bool((block == block[:, :1]).all())
                frames += block.shape[0]
    except Damaged as damage:
        raise AudioTruncated(file=str(path), problem=_problem(damage, rate_hz)) from damage
    except soundfile.LibsndfileError as error:
        if rate_hz:  # it was opened, so the header is good and the sound is not
            raise AudioTruncated(
                file=str(path), problem=f"it cannot be decoded after {frames / rate_hz:.3f} s"
            ) from error
        problem = str(error.error_string).strip().rstrip(".")
        raise NotAudio(file=str(path), problem=problem) from error
    if frames == 0:
        raise AudioEmpty(file=str(path))
    if rate_hz < MIN_RATE_HZ:
        raise AudioRateTooLow(file=str(path), rate_hz=rate_hz, limit_hz=MIN_RATE_HZ)
    if frames < MIN_DURATION_S * rate_hz:
        raise AudioTooShort(file=str(path), duration_s=round(frames / rate_hz, 4), limit_s=MIN_DURATION_S)
    return SoundFileInfo(path, frames, rate_hz, channels, same)


def _descriptor(path: Path) -> int:
    return os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))


def _problem(damage: Damaged, rate_hz: int) -> str:
    """What is wrong with a file that is not whole, in seconds where samples are counted."""
    there, promised, unit = (damage.parameters.get(name) for name in ("there", "all", "unit"))
    if unit == "samples" and isinstance(there, int) and isinstance(promised, int):
        return f"{there / rate_hz:.3f} s of {promised / rate_hz:.3f} s are there"
    return word(f"why_{damage.why}", "en", **damage.parameters)


def _check_wav_length(path: Path, size_bytes: int) -> None:
    """Refuse a WAV file whose data chunk runs past the file's end: the library shortens it in silence."""
    with path.open("rb") as file:
        position = 12
        while position + 8 <= size_bytes:
            file.seek(position)
            name, length = struct.unpack("<4sI", file.read(8))
            if name == b"data":
                streamed = length in (0, 0xFFFFFFFF)  # written to a pipe, or RF64: no length was known
                there = size_bytes - position - 8
                if not streamed and length > there:
                    raise AudioTruncated(
                        file=str(path), problem=f"{there} of {length} bytes of sound are there"
                    )
                return
            position += 8 + length + (length & 1)
    raise NotAudio(file=str(path), problem="a WAV file without a data chunk")


def read_blocks(
    info: SoundFileInfo, channel: int | None, rate_hz: int, block_samples: int
) -> Iterator[NDArray[np.int16]]:
    """One channel (for None the mean of all) at `rate_hz` as 16-bit blocks, all but the last of equal size.

    Where neither rate nor depth changes, the samples are those of the file, bit by bit.
    """
    from noise_profiles.decoder import Decoder

    pending: list[NDArray[np.int16]] = []
    waiting = 0
    with Decoder(_descriptor(info.path)) as file:
        for piece in _resampled(_one_channel(file, channel), info.sample_rate_hz, rate_hz):
            pending.append(to_int16(piece))
            waiting += piece.size
            if waiting < block_samples:
                continue
            whole = np.concatenate(pending)
            usable = waiting - waiting % block_samples
            yield from np.split(whole[:usable], usable // block_samples)
            pending, waiting = [whole[usable:]], waiting - usable
    rest = np.concatenate(pending) if pending else np.zeros(0, np.int16)
    if rest.size:
        yield rest


def to_int16(x: NDArray[np.float64]) -> NDArray[np.int16]:
    """Samples in [-1, 1) as 16-bit; what lies outside is clipped, as a converter would."""
    return np.clip(np.rint(x * 32768.0), -32768, 32767).astype(np.int16)


def _one_channel(file: Decoder, channel: int | None) -> Iterator[NDArray[np.float64]]:
    for block in file.blocks(_SCAN, "float64"):
        yield block.mean(axis=1) if channel is None else block[:, channel]


def _resampled(
    pieces: Iterator[NDArray[np.float64]], from_hz: int, to_hz: int
) -> Iterator[NDArray[np.float64]]:
    if from_hz == to_hz:
        yield from pieces
        return
    import soxr

    stream = soxr.ResampleStream(from_hz, to_hz, 1, dtype="float64", quality="HQ")
    for piece in pieces:
        yield stream.resample_chunk(piece)
    yield stream.resample_chunk(np.zeros(0), last=True)
