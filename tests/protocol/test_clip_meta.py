"""What a client says of a room is checked, and a client that does not say it is welcome."""

from __future__ import annotations

import json

import pytest

from protocol.clip import MOST_THIRD_OCTAVES, ClipMeta, MetadataInvalid

TONE = {"noise_dbfs": -60.0, "noise_dba_fs": -65.0, "duration_s": 2.0, "method": "xiangyin-3"}
META = {
    "session_id": "s1",
    "recording_id": "r1",
    "style": "read",
    "grade": "quiet",
    "consent_version": "c1",
    "recorded_at": "2026-10-01T08:00:00Z",
}


def test_third_octaves_of_a_room_come_back_as_they_were_sent():
    levels = [-70.0 - band for band in range(22)]
    meta = ClipMeta.from_json({**META, "room_tone": {**TONE, "third_octaves_dbfs": levels}})
    assert meta.room_tone is not None and meta.room_tone.third_octaves_dbfs == tuple(levels)
    assert ClipMeta.from_json(json.loads(json.dumps(meta.as_json()))) == meta


def test_a_client_that_measures_none_is_understood():
    meta = ClipMeta.from_json({**META, "room_tone": TONE})
    assert meta.room_tone is not None and meta.room_tone.third_octaves_dbfs is None


@pytest.mark.parametrize(
    "levels",
    [
        [],
        [-60.0] * (MOST_THIRD_OCTAVES + 1),
        [-60.0, None],
        [-60.0, "-61"],
        [-60.0, True],
        [21.0],
        [-201.0],
        [float("nan")],
        {"50.1": -60.0},
        "-60",
        -60.0,
    ],
)
def test_levels_that_no_room_has_are_refused_by_name(levels):
    with pytest.raises(MetadataInvalid, match=r"room_tone\.third_octaves_dbfs"):
        ClipMeta.from_json({**META, "room_tone": {**TONE, "third_octaves_dbfs": levels}})
