"""A family of broken and hostile sound files: each gets one deliberate answer, twice the same, within bounds.

Decoders are lenient: they open files with cut data, lying sizes and wrong checksums. Here a file is taken
only if all of it is as its header says.
"""

from __future__ import annotations

import hashlib
import io
import json
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from corpus import closing
from corpus.decode import Decoder
from protocol.errors import catalogue
from tests.claims import META

RATE_HZ = 16_000
NOISE = np.random.default_rng(3).integers(-999, 999, 2 * RATE_HZ, dtype=np.int16)
MOST_S = 5.0
ROOT = Path(__file__).resolve().parents[2]
MOST_BYTES = 512 << 20


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(body) if size is None else size) + body + b"\0" * (len(body) & 1)


def form(tag=1, channels=1, rate=RATE_HZ, bits=16, more=b"") -> bytes:
    align = channels * bits // 8 & 0xFFFF
    return struct.pack("<HHIIHH", tag, channels, rate, (rate * align) & 0xFFFFFFFF, align, bits) + more


def riff(*chunks: bytes, magic=b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return magic + struct.pack("<I", len(body) if size is None else size) + body


def wav(body: bytes | None = None, **more) -> bytes:
    return riff(chunk(b"fmt ", form(**more)), chunk(b"data", NOISE.tobytes() if body is None else body))


def extensible(guid: bytes, bits=16, valid=16, **more) -> bytes:
    tail = struct.pack("<HHI", 22, valid, 0) + guid
    return wav(tag=0xFFFE, bits=bits, more=tail, **more)


PCM = bytes.fromhex("0100000000001000800000aa00389b71")
FLOAT = bytes.fromhex("0300000000001000800000aa00389b71")


def made(container: str, subtype: str, rate=RATE_HZ, x=NOISE) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, x, rate, format=container, subtype=subtype)
    return out.getvalue()


FLAC = made("FLAC", "PCM_16")


def with_info(data: bytes = FLAC, **change: int) -> bytes:
    """The FLAC with other figures in its STREAMINFO."""
    packed = int.from_bytes(data[18:26], "big")
    rate, channels = packed >> 44, packed >> 41 & 7
    bits, samples = packed >> 36 & 31, packed & (1 << 36) - 1
    rate, channels = change.get("rate", rate), change.get("channels", channels)
    bits, samples = change.get("bits", bits), change.get("samples", samples)
    return data[:18] + (rate << 44 | channels << 41 | bits << 36 | samples).to_bytes(8, "big") + data[26:]


def edited(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def frames_of(data: bytes) -> list[int]:
    """Where frames begin (fixed blocks of 4096, so the sync code is FFF8)."""
    found, at = [], 42
    while (at := data.find(b"\xff\xf8", at)) >= 0:
        found.append(at)
        at += 2
    return found


def block(kind: int, body: bytes, size: int | None = None) -> bytes:
    """A FLAC with one more metadata block after STREAMINFO."""
    length = len(body) if size is None else size
    return FLAC[:42] + bytes([kind]) + length.to_bytes(3, "big") + body + FLAC[42:]


def swapped() -> bytes:
    starts = frames_of(FLAC)
    a, b, c = starts[1], starts[2], starts[3]
    return FLAC[:a] + FLAC[b:c] + FLAC[a:b] + FLAC[c:]


def family() -> dict[str, bytes]:
    silence = np.zeros(60 * RATE_HZ * 100, np.int16)
    bomb = made("FLAC", "PCM_16", x=silence)
    odd = chunk(b"LIST", b"odd" * 3)
    nan = np.full(RATE_HZ, np.nan, "<f4").tobytes()
    inf = np.full(RATE_HZ, np.inf, "<f4").tobytes()
    files = {
        "nothing": b"",
        "zeros": bytes(5000),
        "gif": b"GIF89a" + bytes(300),
        "text": "這不是聲音".encode() * 99,
        "xml": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'b'>]><a>&b;</a>" * 9,
        "zip": b"PK\x03\x04" + bytes(900),
        "mp3": made("MP3", "MPEG_LAYER_III"),
        "ogg vorbis": made("OGG", "VORBIS"),
        "ogg flac": made("OGG", "OPUS"),
        "aiff": made("AIFF", "PCM_16"),
        "au": made("AU", "PCM_16"),
        "caf": made("CAF", "PCM_16"),
        "w64": made("W64", "PCM_16"),
        "rf64": made("RF64", "PCM_16"),
        "rf64 magic on riff": b"RF64" + wav()[4:],
        "rifx": riff(chunk(b"fmt ", form()), chunk(b"data", NOISE.tobytes()), magic=b"RIFX"),
        "avi": b"RIFF" + struct.pack("<I", 1000) + b"AVI " + bytes(996),
        "wave64 size": edited(wav(), 4, b"\xff\xff\xff\xff"),
        "riff of nothing": b"RIFF\x04\0\0\0WAVE",
        "float": made("WAV", "FLOAT"),
        "double": made("WAV", "DOUBLE"),
        "float of nan": wav(nan, tag=3, bits=32),
        "float of inf": wav(inf, tag=3, bits=32),
        "mu-law": made("WAV", "ULAW"),
        "a-law": made("WAV", "ALAW"),
        "ima adpcm": made("WAV", "IMA_ADPCM"),
        "ms adpcm": made("WAV", "MS_ADPCM"),
        "gsm": made("WAV", "GSM610", rate=8000),
        "mp3 in wav": wav(tag=0x55),
        "8 bits": made("WAV", "PCM_U8"),
        "32 bits": made("WAV", "PCM_32"),
        "12 bits": wav(bits=12),
        "0 bits": wav(bits=0),
        "65535 bits": wav(bits=65_535),
        "extensible float": extensible(FLOAT, bits=32, valid=32),
        "extensible unknown": extensible(bytes(16)),
        "extensible of fewer bits": extensible(PCM, valid=12),
        "extensible cut": wav(tag=0xFFFE),
        "no channel": wav(channels=0),
        "3 channels": wav(channels=3, body=bytes(96_000)),
        "65535 channels": wav(channels=65_535),
        "0 Hz": wav(rate=0),
        "1 Hz": wav(rate=1),
        "8 kHz": wav(rate=8000),
        "192 kHz": wav(rate=192_000),
        "4 GHz": wav(rate=0xFFFFFFFF),
        "no format": riff(chunk(b"data", NOISE.tobytes())),
        "no data": riff(chunk(b"fmt ", form())),
        "data before format": riff(chunk(b"data", NOISE.tobytes()), chunk(b"fmt ", form())),
        "two formats": riff(
            chunk(b"fmt ", form()), chunk(b"fmt ", form(bits=24)), chunk(b"data", bytes(9000))
        ),
        "two data": riff(chunk(b"fmt ", form()), chunk(b"data", bytes(9000)), chunk(b"data", bytes(9000))),
        "short format": riff(chunk(b"fmt ", form()[:14]), chunk(b"data", bytes(9000))),
        "huge format": riff(chunk(b"fmt ", form() + bytes(9000)), chunk(b"data", bytes(9000))),
        "300 chunks": riff(*[chunk(b"junk", b"")] * 300, chunk(b"fmt ", form()), chunk(b"data", bytes(9000))),
        "chunk past the end": riff(chunk(b"fmt ", form()), chunk(b"LIST", b"abcd", size=1 << 31)),
        "chunk of 4 GiB": riff(chunk(b"fmt ", form()), chunk(b"data", bytes(9000), size=0xFFFFFFFF)),
        "data of size 0": riff(chunk(b"fmt ", form()), chunk(b"data", NOISE.tobytes(), size=0)),
        "riff too long": riff(chunk(b"fmt ", form()), chunk(b"data", bytes(9000)), size=1 << 30),
        "riff too short": riff(chunk(b"fmt ", form()), chunk(b"data", bytes(9000)), size=100),
        "half a sample": wav(NOISE.tobytes() + b"x"),
        "one sample": wav(b"\1\2"),
        "no sample": wav(b""),
        "bytes after the end": wav() + b"surplus" * 99,
        "odd chunk unpadded": riff(odd[:-1], chunk(b"fmt ", form()), chunk(b"data", bytes(9000))),
        "121 s": wav(bytes(2 * RATE_HZ * 121)),
        "flac without md5": edited(FLAC, 26, bytes(16)),
        "flac of another md5": edited(FLAC, 26, bytes(range(16))),
        "flac with swapped frames": swapped(),
        "flac without its second frame": FLAC[: frames_of(FLAC)[1]] + FLAC[frames_of(FLAC)[2] :],
        "flac with a frame twice": FLAC[: frames_of(FLAC)[2]] + FLAC[frames_of(FLAC)[1] :],
        "flac of no sample": with_info(samples=0),
        "flac of one more": with_info(samples=len(NOISE) + 1),
        "flac of one less": with_info(samples=len(NOISE) - 1),
        "flac of hours": with_info(samples=(1 << 36) - 1),
        "flac of 655350 Hz": with_info(rate=655_350),
        "flac of 0 Hz": with_info(rate=0),
        "flac of 1 Hz": with_info(rate=1),
        "flac that lies of its rate": with_info(rate=48_000),
        "flac that lies of channels": with_info(channels=1),
        "flac of 8 channels": with_info(channels=7),
        "flac that lies of bits": with_info(bits=23),
        "flac of 4 bits": with_info(bits=3),
        "flac of 32 bits": with_info(bits=31),
        "flac bomb": with_info(bomb, samples=2 * RATE_HZ),
        "flac bomb that is honest": bomb,
        "flac with blocks of 0": edited(FLAC, 8, bytes(4)),
        "flac with blocks upside down": edited(FLAC, 8, b"\x20\0\x10\0"),
        "flac with a huge picture": block(6, b"x", size=0xFFFFFF),
        "flac with a huge seek table": block(3, b"x", size=0xFFFFF0),
        "flac with a comment that lies": block(4, b"\xff\xff\xff\xff" + bytes(30)),
        "flac with an unknown block": block(100, bytes(40)),
        "flac with a forbidden block": block(127, bytes(40)),
        "flac with two streaminfos": block(0, FLAC[8:42]),
        "flac with 300 blocks": FLAC[:42] + (b"\x01\0\0\0" * 300) + FLAC[42:],
        "flac after id3": b"ID3\x04\0\0\0\0\0\0" + FLAC,
        "flac of noise": FLAC[:100] + np.random.default_rng(1).bytes(9000),
        "flac of zeros": FLAC[:100] + bytes(9000),
        "flac of sync codes": FLAC[:100] + b"\xff\xf8" * 9000,
        "flac magic alone": b"fLaC",
        "flac in capitals": b"FLAC" + FLAC[4:],
    }
    plain = wav()
    for at in (1, 4, 8, 11, 12, 16, 20, 22, 36, 40, 43, 44, 45, 1000, len(plain) - 1):
        files[f"wav cut at {at}"] = plain[:at]
    for at in (3, 4, 5, 8, 20, 41, 42, 43, frames_of(FLAC)[0] + 1, frames_of(FLAC)[1], len(FLAC) - 1):
        files[f"flac cut at {at}"] = FLAC[:at]
    for number in range(16):  # one bit in each part of the coded sound
        at = frames_of(FLAC)[0] + (len(FLAC) - frames_of(FLAC)[0]) * number // 16
        files[f"flac with a flipped bit {number}"] = edited(FLAC, at, bytes([FLAC[at] ^ 0x10]))
    return files


FAMILY = family()


@pytest.fixture(scope="module")
def decoder():
    made = Decoder()
    yield made
    made.close()


def test_the_family_is_large():
    assert len(FAMILY) >= 130
    assert len({hashlib.sha256(data).digest() for data in FAMILY.values()}) >= 125


@pytest.mark.parametrize("name", FAMILY)
def test_each_gets_one_reason_twice_the_same_and_in_time(decoder, tmp_path, name):
    path = tmp_path / "file"
    path.write_bytes(FAMILY[name])
    answers = []
    for _ in range(2):
        begun = time.monotonic()
        with path.open("rb") as file:
            heard = closing.hear(file, len(FAMILY[name]), decoder, "everyday", META, 120)
        assert time.monotonic() - begun < MOST_S
        assert heard.verdict.decision == "refuse", name
        assert heard.sound is None
        (finding,) = heard.verdict.findings
        assert finding.code.split(".")[0] in ("container", "format", "limits")
        assert finding.code in catalogue()
        answers.append(finding)
    assert answers[0] == answers[1]


MEASURE = """
import json, pathlib, resource, sys
from corpus import closing
from corpus.decode import Decoder
from protocol.clip import ClipMeta

decoder, meta = Decoder(), ClipMeta.from_json(json.loads(sys.argv[2]))
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    with path.open("rb") as file:
        closing.hear(file, path.stat().st_size, decoder, "everyday", meta, 120)
decoder.close()
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)
"""


def test_no_child_grew_beyond_its_bound(tmp_path):
    """Peak memory of the decoding process and every child of it, over the whole family, the bombs in it.

    In a process of its own: what other tests started has nothing to do with it, and only processes that
    have ended are counted.
    """
    for number, data in enumerate(FAMILY.values()):
        (tmp_path / f"{number:03}").write_bytes(data)
    command = [sys.executable, "-c", MEASURE, str(tmp_path), json.dumps(META.as_json())]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert 10 << 20 < int(done.stdout) < MOST_BYTES
