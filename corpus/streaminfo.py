"""What a FLAC file says of itself in its first 42 bytes: rate, channels, sample count, MD5 of the samples.

Enough to compare a file with its manifest line without decoding it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class StreamInfo:
    """The STREAMINFO block of RFC 9639, section 8.2."""

    sample_rate_hz: int
    channels: int
    bits: int
    samples: int
    pcm_md5: str


def parse(head: bytes) -> StreamInfo | None:
    """Read the first 42 bytes of a file; None if they do not begin a FLAC stream."""
    if len(head) < 42 or head[:4] != b"fLaC" or head[4] & 0x7F or int.from_bytes(head[5:8], "big") != 34:
        return None
    packed = int.from_bytes(head[18:26], "big")
    return StreamInfo(
        sample_rate_hz=packed >> 44,
        channels=(packed >> 41 & 0x7) + 1,
        bits=(packed >> 36 & 0x1F) + 1,
        samples=packed & (1 << 36) - 1,
        pcm_md5=head[26:42].hex(),
    )
