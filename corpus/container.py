"""What a sound file says of itself, checked strictly and in Python before any C library sees it.

PCM WAV and FLAC only. A decoder is lenient by nature: it opens files with cut data, sizes that lie and
headers that promise hours; here each of them gets its reason instead.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import BinaryIO, Literal, NoReturn

from protocol.clip import AudioFinding

RATES_HZ = (16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
MOST_CHANNELS = 2
BITS = (16, 24)
SHORTEST_S = 0.1

_PCM, _EXTENSIBLE = 0x0001, 0xFFFE
_PCM_GUID = struct.pack("<H", _PCM) + bytes.fromhex("000000001000800000aa00389b71")
_STREAMINFO, _PADDING, _SEEKTABLE, _VORBIS_COMMENT, _LAST_KNOWN = 0, 1, 3, 4, 6
_MOST_CHUNKS = 256
# A comment block of no comments: the length of the encoder's name, the name, a count of zero.
_ENCODER = re.compile(rb"(?s:....)reference libFLAC [0-9.]{5,8} [0-9]{8}\0\0\0\0")
# Codes of a frame's header, RFC 9639, sections 9.1.2 and 9.1.4; the others say nothing or follow later.
_FRAME_RATES_HZ = {
    1: 88_200, 2: 176_400, 3: 192_000, 4: 8_000, 5: 16_000, 6: 22_050, 7: 24_000, 8: 32_000, 9: 44_100,
    10: 48_000, 11: 96_000,
}  # fmt: skip
_FRAME_BITS = {1: 8, 2: 12, 4: 16, 5: 20, 6: 24, 7: 32}


class Unreadable(Exception):
    """A file is not a sound that can be taken; `finding` is the reason its owner is given."""

    def __init__(self, finding: AudioFinding) -> None:
        self.finding = finding
        super().__init__(finding.code)


@dataclass(frozen=True)
class Container:
    """What a header says, all of it plausible.

    Attributes
    ----------
    samples : int
        Samples of each channel.
    pcm_md5 : str or None
        FLAC's own MD5 of the decoded samples.
    bare : bool
        FLAC whose header holds nothing beside what the decoder needs and its encoder's name.
    """

    kind: Literal["wav", "flac"]
    sample_rate_hz: int
    channels: int
    bits: int
    samples: int
    pcm_md5: str | None
    bare: bool = False


def refuse(code: str, value: float | None = None, limit: float | None = None) -> NoReturn:
    """Raise `Unreadable` with a finding of severity error."""
    raise Unreadable(AudioFinding(code, "error", value, limit))


def inspect(file: BinaryIO, size_bytes: int, *, max_clip_s: int) -> Container:
    """Read and check the header of a file of `size_bytes` bytes.

    Raises
    ------
    Unreadable
        With the reason.
    """
    if size_bytes == 0:
        refuse("container.empty")
    file.seek(0)
    magic = file.read(12)
    if magic[:4] == b"RIFF" and magic[8:12] == b"WAVE":
        found = _wav(file, size_bytes, int.from_bytes(magic[4:8], "little"))
    elif magic[:4] == b"fLaC":
        found = _flac(file, size_bytes)
    else:
        refuse("container.not_audio")
    if found.channels > MOST_CHANNELS or found.channels < 1:
        refuse("format.channels", found.channels, MOST_CHANNELS)
    if found.sample_rate_hz not in RATES_HZ:
        refuse("format.rate", found.sample_rate_hz, RATES_HZ[-1])
    if found.bits not in BITS:
        refuse("format.bits", found.bits, BITS[0])
    if found.samples == 0:
        refuse("container.empty")
    duration_s = found.samples / found.sample_rate_hz
    if duration_s > max_clip_s:
        refuse("limits.too_long", duration_s, max_clip_s)
    if duration_s < SHORTEST_S:
        refuse("limits.too_short", duration_s, SHORTEST_S)
    return found


def _wav(file: BinaryIO, size_bytes: int, riff_bytes: int) -> Container:
    if riff_bytes + 8 > size_bytes:
        refuse("container.lying_size", size_bytes, riff_bytes + 8)
    if riff_bytes + 8 < size_bytes - 1:  # one byte of padding may follow an odd chunk
        refuse("container.lying_size", size_bytes, riff_bytes + 8)
    form: tuple[int, int, int, int] | None = None
    data_bytes: int | None = None
    at = 12
    for _ in range(_MOST_CHUNKS):
        if at >= riff_bytes + 8:
            break
        file.seek(at)
        head = file.read(8)
        if len(head) < 8:
            refuse("container.lying_size", len(head), 8)
        name, length = head[:4], int.from_bytes(head[4:], "little")
        if at + 8 + length > size_bytes:
            refuse("container.lying_size", size_bytes - at - 8, length)
        if name == b"fmt ":
            if form is not None or not 16 <= length <= 64:
                refuse("container.damaged")
            form = _wav_format(file.read(length))
        elif name == b"data":
            if data_bytes is not None or form is None:
                refuse("container.damaged")
            data_bytes = length
        at += 8 + length + (length & 1)
    else:
        refuse("container.damaged")
    if form is None or data_bytes is None:
        refuse("container.damaged")
    channels, rate_hz, bits, block_bytes = form
    if data_bytes % block_bytes:
        refuse("container.lying_size", data_bytes, data_bytes - data_bytes % block_bytes + block_bytes)
    return Container("wav", rate_hz, channels, bits, data_bytes // block_bytes, None)


def _wav_format(body: bytes) -> tuple[int, int, int, int]:
    """Channels, rate, bits and bytes of one sample of all channels."""
    tag, channels, rate_hz, byte_rate, block_bytes, bits = struct.unpack_from("<HHIIHH", body)
    if tag == _EXTENSIBLE:
        if len(body) < 40 or body[24:40] != _PCM_GUID:
            refuse("format.encoding")
        if int.from_bytes(body[18:20], "little") != bits:
            refuse("format.bits", int.from_bytes(body[18:20], "little"), BITS[0])
    elif tag != _PCM:
        refuse("format.encoding")
    if bits % 8 or bits not in BITS:
        refuse("format.bits", bits, BITS[0])
    if channels == 0:
        refuse("format.channels", 0, MOST_CHANNELS)
    if block_bytes != channels * bits // 8 or byte_rate != rate_hz * block_bytes:
        refuse("container.lying_size", block_bytes, channels * bits // 8)
    return channels, rate_hz, bits, block_bytes


def _flac(file: BinaryIO, size_bytes: int) -> Container:
    at, last = 4, False
    info: bytes | None = None
    bare = True
    for index in range(_MOST_CHUNKS):
        file.seek(at)
        head = file.read(4)
        if len(head) < 4:
            refuse("container.damaged")
        last, kind, length = bool(head[0] & 0x80), head[0] & 0x7F, int.from_bytes(head[1:], "big")
        if at + 4 + length > size_bytes or kind > _LAST_KNOWN or (kind == _STREAMINFO) != (index == 0):
            refuse("container.damaged")
        if kind == _STREAMINFO:
            info = file.read(34) if length == 34 else None
        elif kind != _VORBIS_COMMENT or length > 64 or not _ENCODER.fullmatch(file.read(length)):
            bare = False
        at += 4 + length
        if last:
            break
    if info is None or not last:
        refuse("container.damaged")
    shortest, longest = int.from_bytes(info[0:2], "big"), int.from_bytes(info[2:4], "big")
    packed = int.from_bytes(info[10:18], "big")
    samples, md5 = packed & (1 << 36) - 1, info[18:34]
    file.seek(at)
    sync = file.read(4)
    if samples == 0:
        refuse("container.empty")
    if len(sync) < 4 or sync[0] != 0xFF or sync[1] & 0xFE != 0xF8 or not 16 <= shortest <= longest:
        refuse("container.damaged")
    if not any(md5):  # an encoder that was cut off never came back to write it
        refuse("container.checksum")
    found = Container(
        "flac",
        sample_rate_hz=packed >> 44,
        channels=(packed >> 41 & 0x7) + 1,
        bits=(packed >> 36 & 0x1F) + 1,
        samples=samples,
        pcm_md5=md5.hex(),
        bare=bare,
    )
    _agree(found, sync)
    return found


def _agree(said: Container, frame: bytes) -> None:
    """Compare the first frame's header with STREAMINFO; decoders believe the latter and play at its speed."""
    rate_hz = _FRAME_RATES_HZ.get(frame[2] & 0xF, said.sample_rate_hz)
    channels = (frame[3] >> 4) + 1 if frame[3] >> 4 < 8 else 2
    bits = _FRAME_BITS.get(frame[3] >> 1 & 0x7, said.bits)
    for there, header in ((rate_hz, said.sample_rate_hz), (channels, said.channels), (bits, said.bits)):
        if there != header:
            refuse("container.lying_size", there, header)
