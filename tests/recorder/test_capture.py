"""Sources: a file plays the microphone sample by sample; a device's lost sound is told, never patched."""

from __future__ import annotations

import struct
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from protocol.errors import CodedError
from recorder.capture import DeviceSource, FileSource, rate_for
from recorder.soundfiles import inspect, read_blocks, to_int16


def played(source):
    blocks = list(source.blocks())
    at = 0
    for block in blocks:
        assert block.start_sample == at
        at += block.samples.size
    return np.concatenate([block.samples for block in blocks])


NOISE = np.random.default_rng(5).integers(-20_000, 20_000, 30_000).astype(np.int16)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.aiff"])
@pytest.mark.parametrize("rate_hz", [16_000, 44_100, 48_000])
def test_sixteen_bits_at_a_good_rate_pass_untouched(write_sound, name, rate_hz):
    source = FileSource(write_sound(name, NOISE, rate_hz))
    assert source.sample_rate_hz == rate_hz
    assert np.array_equal(played(source), NOISE)


@pytest.mark.parametrize("name", ["a.ogg", "a.mp3"])
def test_whatever_the_library_reads_plays(write_sound, name):
    source = FileSource(write_sound(name, NOISE.astype(np.float32) / 32768, 16_000))
    assert played(source).size >= NOISE.size


@pytest.mark.parametrize(("file_hz", "rate_hz"), [(96_000, 48_000), (192_000, 48_000), (37_800, 32_000)])
def test_an_odd_rate_goes_down_never_up(write_sound, file_hz, rate_hz):
    seconds = 2.0
    tone = (8000 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * file_hz)) / file_hz)).astype(np.int16)
    source = FileSource(write_sound("a.wav", tone, file_hz))
    heard = played(source)
    assert source.sample_rate_hz == rate_for(file_hz) == rate_hz
    assert abs(heard.size - seconds * rate_hz) <= 1
    middle = heard[rate_hz // 2 : rate_hz].astype(float)
    assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(8000, rel=0.01)


def test_one_channel_of_several_is_chosen_or_all_are_mixed(write_sound):
    both = np.stack([NOISE, NOISE // 2], axis=1)
    path = write_sound("a.wav", both)
    assert np.array_equal(played(FileSource(path, channel=1)), NOISE // 2)
    mixed = played(FileSource(path, channel="mix"))
    assert np.allclose(mixed, (NOISE / 2 + (NOISE // 2) / 2), atol=1)


def test_equal_channels_need_no_choice(write_sound):
    assert np.array_equal(played(FileSource(write_sound("a.wav", np.stack([NOISE] * 2, axis=1)))), NOISE)


@given(st.integers(1, 5000))
@settings(max_examples=20, deadline=None)
def test_block_sizes_change_nothing(tmp_path_factory, size):
    path = tmp_path_factory.mktemp("blocks") / "a.wav"
    soundfile.write(path, NOISE[:12_000], 16_000)
    source = FileSource(path, block_s=size / 16_000)
    blocks = list(source.blocks())
    assert {block.samples.size for block in blocks[:-1]} <= {size}
    assert np.array_equal(played(source), NOISE[:12_000])


def test_floats_beyond_full_scale_clip_as_a_converter_would():
    assert to_int16(np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 3.0])).tolist() == [
        -32768, -32768, 0, 16384, 32767, 32767,
    ]  # fmt: skip


# --- bad files ---------------------------------------------------------------------------------------


def bad_file(kind, folder):
    path = folder / f"{kind}.wav"
    good = folder / "good.wav"
    soundfile.write(good, NOISE, 16_000)
    raw = good.read_bytes()
    match kind:
        case "missing":
            return path
        case "folder":
            path.mkdir()
        case "empty":
            path.write_bytes(b"")
        case "text":
            path.write_bytes(b"Once upon a time there was no sound at all.\n" * 20)
        case "header only":
            path.write_bytes(raw[:44])
        case "truncated":
            path.write_bytes(raw[: len(raw) // 2])
        case "no data chunk":
            path.write_bytes(b"RIFF" + struct.pack("<I", 28) + raw[8:36])
        case "nan":
            x = np.zeros(20_000, np.float32)
            x[12_345] = np.nan
            soundfile.write(path, x, 16_000, subtype="FLOAT")
        case "infinite":
            x = np.zeros(20_000, np.float32)
            x[7] = np.inf
            soundfile.write(path, x, 16_000, subtype="FLOAT")
        case "one sample":
            soundfile.write(path, NOISE[:1], 16_000)
        case "telephone":
            soundfile.write(path, NOISE, 8_000)
        case "eight channels":
            soundfile.write(path, np.stack([np.roll(NOISE, k) for k in range(8)], axis=1), 16_000)
        case "truncated flac":
            path = folder / "t.flac"
            soundfile.write(path, NOISE, 16_000)
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        case "ogg with a hole":
            soundfile.write(path, np.tile(NOISE, 8), 16_000, format="OGG", subtype="VORBIS")
            whole = path.read_bytes()
            middle = len(whole) // 2
            path.write_bytes(whole[:middle] + bytes(50) + whole[middle + 50 :])
    return path


@pytest.mark.parametrize(
    ("kind", "code", "says"),
    [
        ("missing", "FILE_UNREADABLE", "no such file"),
        ("folder", "FILE_UNREADABLE", "not a file"),
        ("empty", "AUDIO_EMPTY", "no sound"),
        ("text", "NOT_AUDIO", "WAV, FLAC"),
        ("header only", "AUDIO_TRUNCATED", "0 of 60000 bytes"),
        ("truncated", "AUDIO_TRUNCATED", "of 60000 bytes"),
        ("no data chunk", "NOT_AUDIO", "without a data chunk"),
        ("nan", "AUDIO_NOT_FINITE", "0.772 s"),
        ("infinite", "AUDIO_NOT_FINITE", "0.0 s"),
        ("one sample", "AUDIO_TOO_SHORT", "at least 0.1 s"),
        ("telephone", "AUDIO_RATE_TOO_LOW", "8000 Hz"),
        ("eight channels", "CHANNEL_UNDECIDED", "--channel 1 to 8"),
        ("truncated flac", "AUDIO_TRUNCATED", "breaks off"),
        ("ogg with a hole", "AUDIO_TRUNCATED", "a piece is missing"),
    ],
)
def test_a_bad_file_is_refused_by_its_kind(tmp_path, kind, code, says):
    with pytest.raises(CodedError, match=says) as caught:
        FileSource(bad_file(kind, tmp_path))
    assert caught.value.code == code


def test_a_flac_that_was_written_to_a_pipe_is_read_whole(tmp_path):
    """Its header has no length (RFC 9639, 8.2: 36 bits of zero), which is no fault of the sound's."""
    path = tmp_path / "streamed.flac"
    sound = np.tile(NOISE, 8)
    soundfile.write(path, sound, 16_000)
    whole = bytearray(path.read_bytes())
    whole[21] &= 0xF0
    whole[22:26] = bytes(4)
    path.write_bytes(whole)
    read = np.concatenate(list(read_blocks(inspect(path), None, 16_000, 4_000)))
    assert np.array_equal(read, sound)


@given(st.binary(max_size=400), st.sampled_from([b"", b"RIFF\0\0\0\0WAVE", b"fLaC", b"OggS", b"ID3"]))
@settings(max_examples=150, deadline=None)
def test_no_bytes_crash_the_reader(tmp_path_factory, raw, head):
    path = tmp_path_factory.mktemp("raw") / "x.wav"
    path.write_bytes(head + raw)
    try:
        inspect(path)
    except CodedError as error:
        assert error.code in ("NOT_AUDIO", "AUDIO_EMPTY", "AUDIO_TRUNCATED", "AUDIO_TOO_SHORT",
                              "AUDIO_RATE_TOO_LOW", "AUDIO_NOT_FINITE")  # fmt: skip


def test_a_channel_that_is_not_there_is_said_counting_from_one(write_sound):
    with pytest.raises(CodedError, match="no channel 3"):
        FileSource(write_sound("a.wav", np.stack([NOISE, NOISE // 2], axis=1)), channel=2)


# --- the device's callback, without a device ---------------------------------------------------------


class Microphone:
    """Calls the callback as PortAudio does, with a buffer that it uses again."""

    def __init__(self, **more):
        self.now_s = 0.0
        self.source = DeviceSource(sample_rate_hz=48_000, clock=lambda: self.now_s, **more)
        self._buffer = np.zeros((480, 1), np.int16)

    def give(self, value=0, *, overflow=False, after_s=0.01):
        self.now_s += after_s
        self._buffer[:] = value
        self.source._on_block(self._buffer, 480, None, SimpleNamespace(input_overflow=overflow))

    def blocks(self):
        self.source.stop()
        return list(self.source.arrived())


def test_the_drivers_buffer_may_be_used_again():
    microphone = Microphone()
    for value in range(5):
        microphone.give(value)
    assert [int(block.samples[0]) for block in microphone.blocks()] == [0, 1, 2, 3, 4]


def test_an_overflow_flag_is_told_where_it_happened():
    microphone = Microphone()
    for number in range(10):
        microphone.give(overflow=number == 6)
    assert [block.start_sample for block in microphone.blocks() if block.gap == "overflow"] == [6 * 480]


def test_a_full_queue_drops_counts_and_never_blocks():
    microphone = Microphone(queue_s=0.03)
    for _ in range(5):
        microphone.give()
    arrived = []
    stream = microphone.source.arrived()
    arrived += [next(stream) for _ in range(3)]
    microphone.give()
    microphone.source.stop()
    arrived += list(stream)
    assert [(block.gap, block.lost_samples) for block in arrived[3:]] == [("dropped", 2 * 480)]
    assert arrived[3].start_sample == 3 * 480, "nothing is patched in"


def test_a_hole_in_time_is_told_though_the_driver_says_nothing():
    microphone = Microphone()
    for number in range(600):
        microphone.give(after_s=0.51 if number == 300 else 0.01)
    gaps = [block for block in microphone.blocks() if block.gap]
    assert [block.gap for block in gaps] == ["late"]
    assert gaps[0].lost_samples == pytest.approx(24_000, abs=1000)


def test_a_device_that_falls_silent_is_an_error_that_keeps_what_there_is():
    microphone = Microphone(silent_s=0.05)
    microphone.give()
    stream = microphone.source.arrived()
    assert next(stream).samples.size == 480
    with pytest.raises(CodedError, match="stopped giving sound") as caught:
        next(stream)
    assert caught.value.code == "DEVICE_STOPPED"
