"""A whole session on a file, and on a microphone that an array plays: takes, figures, verdicts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile

from noise_profiles import signals
from noise_profiles.measure import measure
from noise_profiles.vad import speech_segments
from protocol.clip import RoomTone
from protocol.errors import CodedError
from recorder.capture import Block, DeviceStopped, FileSource
from recorder.session import Key, Phase
from recorder.studio import Studio
from recorder.told import Judged, Levels, Notice, Prompt

RATE_HZ = 16_000


class ArrayMicrophone:
    """A live source whose sound is an array; it may lose sound or break off where told."""

    name = "array"
    sample_rate_hz = RATE_HZ
    live = True
    heard = 0

    def __init__(self, samples, *, lost=None, breaks=False):
        self._samples, self._lost, self._breaks, self._stopped = samples, lost or {}, breaks, False

    def blocks(self):
        for number, block in enumerate(np.split(self._samples, range(160, len(self._samples), 160))):
            if self._stopped:
                return
            self.heard += block.size
            lost, gap = self._lost.get(number, (0, None))
            yield Block(block, number * 160, lost, gap)
        if self._breaks:
            raise DeviceStopped(device=self.name, position_s=1.0)

    def stop(self):
        self._stopped = True


def session(source, spool, meta, everyday, keys=(), mode="hands_free", prompts=()):
    """Run a session; `keys` are (seconds, key). Gives what was kept and what was told."""
    told, waiting = [], sorted(keys, key=lambda pair: pair[0])

    def key():
        return waiting.pop(0)[1] if waiting and source.heard >= waiting[0][0] * RATE_HZ else None

    studio = Studio(
        source, spool, meta, everyday, "m", mode=mode, tell=told.append, keys=key, prompts=prompts
    )
    return studio, told


def notices(told):
    return [one.key for one in told if isinstance(one, Notice)]


def test_a_file_becomes_utterances_that_are_its_own_samples(spool, meta, everyday, write_sound, talk_samples):
    source = FileSource(write_sound("talk.wav", talk_samples))
    studio, told = session(source, spool, meta, everyday)
    kept = studio.run()
    assert kept == spool.takes() and len(kept) >= 3
    at = 0
    for take in kept:
        samples, _ = soundfile.read(take.flac, dtype="int16")
        assert take.meta.start_sample == at
        assert np.array_equal(samples, talk_samples[at : at + take.samples])
        at += take.samples
    spoken_until = speech_segments(talk_samples, RATE_HZ)[-1][1]
    assert at >= spoken_until
    assert "room.measured" in notices(told)


def test_each_take_carries_what_the_server_needs_to_measure_the_same(
    spool, meta, everyday, write_sound, talk_samples
):
    studio, _ = session(FileSource(write_sound("talk.flac", talk_samples)), spool, meta, everyday)
    for take in studio.run():
        samples, rate_hz = soundfile.read(take.flac, dtype="int16")
        again = measure(samples, rate_hz, lead_in_s=take.meta.lead_in_s, room_tone=take.meta.room_tone)
        assert again.as_json() == dict(take.measurement)
        assert take.measurement["snr_db"] == pytest.approx(18.0, abs=1.5)
        assert take.verdict["decision"] == "accept" and take.verdict["grade"] == "moderate"
        assert take.meta.lead_in_s >= 0.45
        assert isinstance(take.meta.room_tone, RoomTone)
        assert take.meta.room_tone.third_octaves_dbfs, "with which others can make such a room"


@pytest.mark.parametrize("noise", ["fan", "pink_noise"])
def test_a_noisy_room_is_known_before_anybody_speaks(spool, meta, everyday, noise):
    """Three phrases 8 dB over a fan that fills the pauses become three takes, and nothing else does."""
    speech = np.zeros(12 * RATE_HZ, np.float32)
    for number, start_s in enumerate((3.0, 6.0, 9.0)):
        phrase = signals.speech_like(8 * RATE_HZ, RATE_HZ, 40 + number)[: round(1.2 * RATE_HZ)]
        speech[round(start_s * RATE_HZ) :][: phrase.size] = phrase
    bed = getattr(signals, noise)(speech.size, RATE_HZ, 5)
    sound = (signals.mix(speech, bed, 8.0, RATE_HZ).samples * 32767).astype(np.int16)
    studio, told = session(ArrayMicrophone(sound), spool, meta, everyday)
    kept = studio.run()
    assert "room.measured" in notices(told)
    assert len(kept) == 3
    for take, start_s in zip(kept, (3.0, 6.0, 9.0), strict=True):
        assert take.meta.start_sample / RATE_HZ + take.meta.lead_in_s <= start_s
        assert take.meta.lead_in_s >= 0.3


def test_the_lead_in_holds_no_speech(spool, meta, everyday, write_sound, talk_samples):
    studio, _ = session(FileSource(write_sound("talk.wav", talk_samples)), spool, meta, everyday)
    speech = np.zeros(talk_samples.size, bool)
    for start, end in speech_segments(talk_samples, RATE_HZ):
        speech[start:end] = True
    for take in studio.run():
        start = take.meta.start_sample
        assert not speech[start : start + int(take.meta.lead_in_s * RATE_HZ)].any()


def test_without_room_tone_it_says_so_and_goes_on(spool, meta, everyday, write_sound, talk_samples):
    studio, told = session(
        FileSource(write_sound("talk.wav", talk_samples[2 * RATE_HZ :])), spool, meta, everyday
    )
    kept = studio.run()
    assert "room.none" in notices(told) and "room.measured" not in notices(told)
    assert kept and all(take.meta.room_tone is None for take in kept)


def test_the_wrong_grade_is_refused_and_kept_with_its_reason(
    spool, meta, everyday, write_sound, talk_samples
):
    studio, told = session(
        FileSource(write_sound("talk.wav", talk_samples)), spool, replace(meta, grade="quiet"), everyday
    )
    for take in studio.run():
        assert take.verdict["decision"] == "refuse" and take.verdict["grade"] == "moderate"
        assert [f["code"] for f in take.verdict["findings"]] == ["snr.below_band"]
    said = next(one for one in told if isinstance(one, Judged))
    assert not said.judgement.accepted


def test_silence_gives_no_take(spool, meta, everyday, write_sound):
    hiss = np.random.default_rng(0).integers(-30, 30, 5 * RATE_HZ).astype(np.int16)
    studio, _ = session(FileSource(write_sound("hiss.wav", hiss)), spool, meta, everyday)
    assert studio.run() == [] and spool.takes() == [] and spool.open_names() == []


def test_lost_sound_is_told_kept_in_the_take_and_not_patched(spool, meta, everyday, talk_samples):
    source = ArrayMicrophone(talk_samples, lost={300: (800, "late"), 310: (0, "overflow")})
    studio, told = session(source, spool, meta, everyday)
    first = studio.run()[0]
    assert [(g.lost_samples, g.kind) for g in first.gaps] == [(800, "late"), (0, "overflow")]
    assert first.meta.lost_samples == 800
    assert notices(told).count("take.lost") == 2
    samples, _ = soundfile.read(first.flac, dtype="int16")
    assert np.array_equal(samples, talk_samples[: first.samples])
    assert [one.lost_samples for one in told if isinstance(one, Levels)][-1] == 800


def test_a_microphone_that_stops_leaves_everything_until_then(spool, meta, everyday, talk_samples):
    cut = talk_samples[: 4 * RATE_HZ]
    studio, _ = session(ArrayMicrophone(cut, breaks=True), spool, meta, everyday)
    with pytest.raises(CodedError, match="stopped giving sound"):
        studio.run()
    (take,) = spool.takes()
    assert take.samples == cut.size and spool.open_names() == []


def prompted_sound(talk_samples):
    """Two seconds of room, then the talk from its own room tone on."""
    return np.concatenate([talk_samples[: 2 * RATE_HZ], talk_samples])


PROMPTS = [Prompt("p1", "今仔日天氣真好"), Prompt("p2", "汝食飽未")]


def test_a_prompted_take_is_kept_with_its_prompt(spool, meta, everyday, talk_samples):
    keys = [(2.6, Key.START), (8.0, Key.STOP), (8.2, Key.KEEP), (8.4, Key.QUIT)]
    studio, told = session(
        ArrayMicrophone(prompted_sound(talk_samples)), spool, meta, everyday, keys, "prompted", PROMPTS
    )
    (take,) = studio.run()
    assert take.meta.prompt_id == "p1"
    assert take.meta.start_sample == pytest.approx(2.6 * RATE_HZ, abs=320)
    assert take.samples == pytest.approx(5.4 * RATE_HZ, abs=320)
    assert 0.5 <= take.meta.lead_in_s <= 1.7
    assert [one.take is None for one in told if isinstance(one, Judged)] == [True, False]


def test_a_redone_take_leaves_nothing(spool, meta, everyday, talk_samples):
    keys = [(2.6, Key.START), (5.0, Key.STOP), (5.2, Key.REDO), (5.4, Key.QUIT)]
    studio, _ = session(
        ArrayMicrophone(prompted_sound(talk_samples)), spool, meta, everyday, keys, "prompted", PROMPTS
    )
    assert studio.run() == [] and spool.open_names() == []


def test_quit_in_a_take_keeps_it(spool, meta, everyday, talk_samples):
    keys = [(2.6, Key.START), (6.0, Key.QUIT)]
    studio, told = session(
        ArrayMicrophone(prompted_sound(talk_samples)), spool, meta, everyday, keys, "prompted", PROMPTS
    )
    assert len(studio.run()) == 1
    assert [one.state.phase for one in told if isinstance(one, Levels)][-1] is Phase.TAKE
