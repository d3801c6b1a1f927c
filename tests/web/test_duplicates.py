"""The same sound is paid once, however it was changed, and nobody else's sound is taken for a copy.

Expected values: a copy agrees in nearly all sure features, others in half (docs/acoustics.md).
"""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile
import soxr
import sqlalchemy as sa

from corpus import tables
from corpus.database import reading

RATE_HZ = 16_000


def through(x: np.ndarray, form: str, subtype: str) -> np.ndarray:
    """What a lossy codec leaves."""
    coded = io.BytesIO()
    soundfile.write(coded, x, RATE_HZ, format=form, subtype=subtype)
    coded.seek(0)
    return soundfile.read(coded, dtype="int16")[0]


def noisy(x: np.ndarray, down_db: float) -> np.ndarray:
    noise = np.random.default_rng(1).normal(0.0, np.sqrt(np.mean(np.square(x.astype(float)))), x.size)
    return (x + noise * 10 ** (-down_db / 20)).astype(np.int16)


COPIES = {
    "MP3 and back": lambda x: (through(x, "MP3", "MPEG_LAYER_III"), RATE_HZ),
    "Vorbis and back": lambda x: (through(x, "OGG", "VORBIS"), RATE_HZ),
    "a third softer": lambda x: ((x * 0.66).astype(np.int16), RATE_HZ),
    "turned over": lambda x: (-np.maximum(x, -32767), RATE_HZ),
    "0.7 s cut off": lambda x: (x[11_201:], RATE_HZ),
    "one sample less": lambda x: (x[1:], RATE_HZ),
    "48 kHz": lambda x: (np.round(soxr.resample(x.astype(float), RATE_HZ, 48_000)).astype(np.int16), 48_000),
    "a little noise": lambda x: (noisy(x, 40.0), RATE_HZ),
}


def codes(found):
    return [f["code"] for f in found["findings"] if f["severity"] == "error"]


@pytest.mark.parametrize("change", sorted(COPIES))
def test_a_changed_copy_is_refused_with_value_limit_and_span(speaker, make, change):
    x = make.samples(6, seconds=6.0)
    assert speaker.send(make.clip(make.file(x)))["state"] == "accepted"
    copy, rate_hz = COPIES[change](x)
    found = speaker.send(
        make.clip(make.file(copy, rate_hz=rate_hz), meta=make.meta(recording_id="r2", lead_in_s=0.2))
    )
    assert found["state"] == "refused" and "content.duplicate" in codes(found)
    (finding,) = [f for f in found["findings"] if f["code"] == "content.duplicate"]
    assert finding["value"] > finding["limit"] >= 0.9
    assert finding["start_s"] == 0.0 and finding["end_s"] == pytest.approx(copy.shape[0] / rate_hz, abs=0.01)


def test_another_speaker_cannot_send_it_either(speaker, join, make):
    x = make.samples(6, seconds=6.0)
    assert speaker.send(make.clip(make.file(x)))["state"] == "accepted"
    assert codes(join("speaker").send(make.clip(make.file(x[4_001:]), meta=make.meta(lead_in_s=0.7)))) == [
        "content.duplicate"
    ]


def test_other_takes_of_the_same_voice_and_room_are_taken(speaker, make):
    for seed in range(20, 32):
        assert speaker.send(make.clip(make.file(make.samples(seed))))["state"] == "accepted"


def test_the_other_microphone_of_a_conversation_is_no_copy(speaker, make):
    """Each side is heard softly on the other channel; both are wanted."""
    near, far = make.samples(6, seconds=6.0), make.samples(7, seconds=6.0)
    sides = [near + far * 0.02, far + near * 0.02]
    for channel, side in enumerate(sides):
        clip = make.clip(make.file(side.astype(np.int16)), meta=make.meta(style="dialogue", channel=channel))
        assert speaker.send(clip)["state"] == "accepted"


def test_a_refused_sound_may_be_sent_again(speaker, make):
    """Refused for its level it was not paid, so a louder copy takes nothing twice."""
    x = make.samples(6, seconds=6.0)
    soft = (x * 0.005).astype(np.int16)
    assert "level.low" in codes(speaker.send(make.clip(make.file(soft))))
    assert speaker.send(make.clip(make.file(x)))["state"] == "accepted"


def test_a_withdrawn_voice_leaves_no_fingerprint(speaker, site, make):
    """A voice is known by it; withdrawal must reach it, and the sound may then be given again."""
    x = make.samples(6, seconds=6.0)
    clip = make.clip(make.file(x))
    speaker.send(clip)
    with reading(site.engine) as db:
        assert db.execute(sa.select(sa.func.count()).select_from(tables.fingerprint_key)).scalar_one() > 20
    assert speaker.ask("DELETE", f"/api/v1/clips/{clip.clip_id}").status_code == 200
    with reading(site.engine) as db:
        for table in (tables.fingerprint, tables.fingerprint_key):
            assert db.execute(sa.select(sa.func.count()).select_from(table)).scalar_one() == 0
    assert speaker.send(make.clip(make.file(x)))["state"] == "accepted"
