"""The colour of the room is found beside the recording, and nobody waits for it."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading

from noise_profiles import measure, signals, spectrum
from recorder.room_spectrum import RoomSpectrum

RATE_HZ = 16_000
ROOM = signals.pink_noise(2 * RATE_HZ, RATE_HZ, 3)
TONE = measure.room_tone(ROOM, RATE_HZ)


def test_a_speaker_goes_on_while_the_spectrum_is_not_there_yet(monkeypatch):
    """librosa compiles for up to half a minute at its first use on a machine."""
    loaded, found = threading.Event(), threading.Event()
    third_octaves = spectrum.third_octaves

    def slow(samples, sample_rate_hz):
        loaded.wait()
        found.set()
        return third_octaves(samples, sample_rate_hz)

    monkeypatch.setattr(spectrum, "third_octaves", slow)
    room = RoomSpectrum(TONE, ROOM, RATE_HZ, live=True)
    assert room.tone == TONE
    assert not found.is_set()
    loaded.set()
    next(thread for thread in threading.enumerate() if thread.name == "room spectrum").join()
    assert room.tone.noise_dbfs == TONE.noise_dbfs
    assert room.tone.third_octaves_dbfs == tuple(third_octaves(ROOM, RATE_HZ).values())


def test_what_is_too_short_to_tell_has_none():
    short = ROOM[: RATE_HZ // 4]
    assert RoomSpectrum(TONE, short, RATE_HZ, live=False).tone.third_octaves_dbfs is None


def test_a_broken_library_costs_the_spectrum_and_not_the_session(monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "librosa", None)
    with caplog.at_level(logging.WARNING):
        room = RoomSpectrum(TONE, ROOM, RATE_HZ, live=True)
    assert room.tone == TONE
    assert "third octaves" in caplog.text


def test_a_file_comes_out_alike_each_time():
    """In a fresh interpreter, where librosa is not loaded yet; nobody sits at the microphone."""
    program = (
        "from noise_profiles import measure, signals; from recorder.room_spectrum import RoomSpectrum\n"
        "room = signals.pink_noise(32_000, 16_000, 3)\n"
        "found = RoomSpectrum(measure.room_tone(room, 16_000), room, 16_000, live=False)\n"
        "print(found.tone.third_octaves_dbfs)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(tuple(spectrum.third_octaves(ROOM, RATE_HZ).values()))
