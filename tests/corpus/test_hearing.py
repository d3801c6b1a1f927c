"""A FLAC is kept as it is only where nothing can hide in it; a child that met a strange file ends."""

from __future__ import annotations

import io
import os

import numpy as np
import pytest
import soundfile

from corpus import container, decode
from corpus.container import Unreadable
from corpus.decode import Decoder
from corpus.frame_end import FrameEnd
from noise_profiles import measure
from tests.claims import META

RATE_HZ = 16_000
NOISE = np.random.default_rng(3).normal(0, 900, (30_001, 2)).astype(np.int16)


@pytest.fixture(scope="module")
def decoder():
    made = Decoder()
    yield made
    made.close()


def coded(form: str = "FLAC", subtype: str = "PCM_16") -> bytes:
    out = io.BytesIO()
    soundfile.write(out, NOISE, RATE_HZ, format=form, subtype=subtype)
    return out.getvalue()


def heard(decoder, path, data: bytes):
    path.write_bytes(data)
    with path.open("rb") as file:
        said = container.inspect(file, len(data), max_clip_s=120)
        return said, decoder.hear(file, said, META)


def with_block(data: bytes, kind: int, body: bytes) -> bytes:
    """The FLAC with a metadata block more, after STREAMINFO."""
    return data[:42] + bytes([kind]) + len(body).to_bytes(3, "big") + body + data[42:]


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_of_the_known_encoder_is_kept_to_the_byte(decoder, tmp_path, subtype):
    said, sound = heard(decoder, tmp_path / "a", coded(subtype=subtype))
    assert said.bare and sound.flac is None
    assert sound.pcm_md5 == said.pcm_md5


@pytest.mark.parametrize("tail", [b"\0", b"\xff", b"hidden words", bytes(70_000)])
def test_what_lies_behind_the_last_frame_is_not_kept(decoder, tmp_path, tail):
    plain = coded()
    _, sound = heard(decoder, tmp_path / "a", plain + tail)
    assert sound.flac == plain


def test_a_frame_beyond_the_last_one_is_not_kept(decoder, tmp_path):
    plain = coded()
    _, sound = heard(decoder, tmp_path / "a", plain + plain[plain.index(b"\xff\xf8") :])
    assert sound.flac == plain


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (1, b"hidden in padding"),
        (2, b"peepappl"),
        (4, b"\x02\0\0\0me\x01\0\0\0\x05\0\0\0A=tag"),
        (4, b"\x0c\0\0\0other coder!\0\0\0\0"),
    ],
)
def test_what_the_header_holds_beside_the_sound_is_not_kept(decoder, tmp_path, kind, body):
    said, sound = heard(decoder, tmp_path / "a", with_block(coded(), kind, body))
    assert not said.bare
    assert sound.flac == coded()


def test_wav_is_coded(decoder, tmp_path):
    said, sound = heard(decoder, tmp_path / "a", coded("WAV"))
    assert not said.bare and sound.flac == coded()


def test_the_figures_are_those_of_the_same_function_here(decoder, tmp_path):
    """Nothing is rounded or lost on the way out of the child."""
    _, sound = heard(decoder, tmp_path / "a", coded())
    assert sound.measured == measure.measure(NOISE, RATE_HZ, lead_in_s=META.lead_in_s)


def test_a_child_hears_file_after_file_and_ends_with_one_that_is_no_whole_sound(decoder, tmp_path):
    heard(decoder, tmp_path / "a", coded())
    (child,) = decoder._idle
    heard(decoder, tmp_path / "a", coded())
    assert decoder._idle == [child]
    with pytest.raises(Unreadable):
        heard(decoder, tmp_path / "a", coded()[:-9000])
    assert decoder._idle == []
    heard(decoder, tmp_path / "a", coded())
    assert decoder._idle != [child]


def test_a_child_that_was_killed_while_idle_costs_nobody_more_than_a_repeat(decoder, tmp_path):
    heard(decoder, tmp_path / "a", coded())
    decoder._process.kill()
    decoder._process.wait()
    _, sound = heard(decoder, tmp_path / "a", coded())
    assert sound.flac is None


def test_the_last_byte_is_handed_over_alone_and_its_request_is_seen(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(b"abcdef")
    with path.open("rb") as file:
        end = FrameEnd(file.fileno())
        assert end.read(100) == b"abcde" and not end.reached
        assert end.seek(-3, os.SEEK_CUR) == 2 and end.tell() == 2
        assert end.read(3) == b"cde" and not end.reached
        assert end.read(1) == b"f" and end.reached
        assert end.read(1) == b""


def test_a_hearing_that_is_done_again_finds_the_file_at_its_start_and_nothing_of_the_first(
    decoder, tmp_path, monkeypatch
):
    """Child and parent were killed half-way, as for want of memory: a good clip is not called damaged."""
    decoder.warm()
    send, first = decode.socket.send_fds, []

    def moved(link, messages, descriptors):
        if messages != [b"fork"] and not first:
            first.append(True)
            for descriptor in descriptors:  # what a child did before it was killed
                os.lseek(descriptor, 1000, os.SEEK_SET)
            for descriptor in descriptors[1:]:
                os.write(descriptor, b"half")
            decoder._process.kill()
            link.shutdown(decode.socket.SHUT_RDWR)
            return 1
        return send(link, messages, descriptors)

    monkeypatch.setattr(decode.socket, "send_fds", moved)
    _, sound = heard(decoder, tmp_path / "a", coded("WAV"))
    assert first and sound.measured is not None and sound.flac == coded()
