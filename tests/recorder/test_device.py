"""Recording and playing through a real sound server: PortAudio, ALSA, PulseAudio, no mock between."""

from __future__ import annotations

import json
import subprocess

import numpy as np
import pytest
import soxr

pytestmark = pytest.mark.device


def test_devices_are_listed(sound_server, xiangyin_command):
    done = subprocess.run(
        [*xiangyin_command, "devices", "--format", "json"],
        env=sound_server.environment, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    rows = {row["name"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert rows["mic_wav"]["inputs"] >= 1 and rows["vspk"]["outputs"] >= 1


def test_the_microphone_gives_every_sample_once_and_without_a_gap(sound_server, tmp_path):
    """The device plays a file from its first sample: what arrives must be that file, bit by bit."""
    played = np.random.default_rng(3).integers(-9000, 9000, 3 * 48_000).astype("<i2")
    played.tofile(sound_server.microphone_raw)
    sound_server.run(
        f"""
        import numpy as np
        from recorder.capture import DeviceSource
        from recorder.devices import find_device

        source = DeviceSource(find_device("mic_wav", "input"), name="mic_wav")
        heard, gaps, position = [], [], 0
        for block in source.blocks():
            assert block.start_sample == position
            position += block.samples.size
            heard.append(block.samples)
            gaps += [block.gap] if block.gap else []
            if position >= 150_000:
                source.stop()
        assert not gaps, gaps
        np.save({str(tmp_path / "heard.npy")!r}, np.concatenate(heard))
        """
    )
    heard = np.load(tmp_path / "heard.npy")
    assert np.array_equal(heard[: played.size], played)


def test_a_session_on_a_real_microphone(sound_server, tmp_path, talk_samples):
    """Speech at the device becomes takes in the spool, each judged, none with lost sound."""
    at_48k = np.rint(soxr.resample(talk_samples.astype(np.float64), 16_000, 48_000))
    np.clip(at_48k, -32768, 32767).astype("<i2").tofile(sound_server.microphone_raw)
    seconds = talk_samples.size / 16_000
    out = sound_server.run(
        f"""
        import json, uuid
        from pathlib import Path
        from noise_profiles import profile
        from protocol.clip import ClipId, ClipMeta
        from recorder.capture import DeviceSource
        from recorder.devices import find_device
        from recorder.session import Key
        from recorder.spool import Spool
        from recorder.studio import Studio
        from recorder.told import Levels

        folder = Path({str(tmp_path)!r})
        spool = Spool(folder / "spool", folder / "receipts", new_id=lambda: ClipId(str(uuid.uuid4())))
        meta = ClipMeta("ses-1", "rec-1", "monologue", "moderate", "consent-1", "2026-01-31T08:00:00Z")
        keys, done = [], []

        def tell(told):
            if isinstance(told, Levels) and told.position_s >= {seconds} and not done:
                done.append(True)
                keys.append(Key.QUIT)

        source = DeviceSource(find_device("mic_wav", "input"), name="mic_wav")
        studio = Studio(source, spool, meta, profile.load()["everyday"], "m", mode="hands_free", tell=tell,
                        keys=lambda: keys.pop() if keys else None)
        for take in studio.run():
            print(json.dumps(take.as_json()))
        """
    )
    takes = [json.loads(line) for line in out.splitlines()]
    assert len(takes) >= 3
    assert [take["gaps"] for take in takes] == [[]] * len(takes)
    assert [take["verdict"]["decision"] for take in takes] == ["accept"] * len(takes)
    assert takes[0]["meta"]["room_tone"] is not None
    assert all(take["sample_rate_hz"] == 48_000 for take in takes)
    assert takes[0]["measurement"]["snr_db"] == pytest.approx(18.0, abs=1.5)


def test_the_loudspeaker_raises_the_room_to_the_band(sound_server):
    """Closed loop through the air of a null sink: the microphone hears what the loudspeaker plays."""
    out = sound_server.run(
        """
        import json
        from noise_profiles.levels import LevelMeter
        from recorder.capture import DeviceSource
        from recorder.devices import find_device
        from recorder.playback import Player, RoomNoise

        source = DeviceSource(find_device("vear", "input"), name="vear")
        meter = LevelMeter(48_000)
        noise = RoomNoise("pink", 48_000, -42.0,
                          lambda loop, rate: Player(loop, rate, find_device("vspk", "output")))
        settled_s, held = None, []
        noise.start()
        for block in source.blocks():
            at_s = block.start_sample / 48_000
            levels = meter.feed(block.samples)
            if noise.hear(levels, speaking=False) and noise.servo.phase == "holding":
                settled_s = at_s
            if settled_s is not None and at_s > settled_s + 0.5 and block.start_sample % 4800 == 0:
                held.append(meter.short_dbfs)
            if at_s > 12 or noise.servo.phase == "gave_up" or len(held) >= 30:
                source.stop()
                break
        noise.stop()
        print(json.dumps({"settled_s": settled_s, "held": held, "phase": noise.servo.phase}))
        """
    )
    found = json.loads(out.splitlines()[-1])
    assert found["phase"] == "holding" and found["settled_s"] <= 5.0
    assert np.mean(found["held"]) == pytest.approx(-42.0, abs=1.0)
    assert max(abs(level + 42.0) for level in found["held"]) <= 2.0


def test_a_device_that_is_not_there_is_named_with_those_that_are(sound_server, xiangyin_command, tmp_path):
    environment = {**sound_server.environment, "XIANGYIN_RECORDER_DATA": str(tmp_path)}
    done = subprocess.run(
        [*xiangyin_command, "calibrate", "--device", "no such thing"],
        env=environment, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("DEVICE_NOT_FOUND: ") and "mic_wav" in done.stderr
