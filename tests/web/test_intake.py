"""What a clip becomes at its last byte: the laptop's figures, a verdict, a receipt, or a reason."""

from __future__ import annotations

import errno
import io
import json
import os
import struct

import numpy as np
import pytest
import rfc8785
import soundfile

from corpus import check, clips, closing, erasure, withdrawal
from corpus.database import begin, reading
from corpus.keys import verify_ed25519
from noise_profiles import measure, profile
from protocol import tlog
from protocol.clip import Receipt, RoomTone


def checked(receipt: dict[str, object]) -> tlog.Checkpoint:
    return tlog.check_receipt(
        Receipt.from_json(receipt), verify_ed25519=verify_ed25519, canonical=rfc8785.dumps
    )


def test_server_and_recorder_give_one_clip_the_same_figures(speaker, make):
    """The laptop measures what it records; the server decodes a file and must hear the very same."""
    x = make.samples(5, snr_db=18.0)
    tone = RoomTone(-60.0, -65.0, 2.0, measure.METHOD)
    here = measure.measure(x, make.rate_hz, lead_in_s=1.0, room_tone=tone, calibration_offset_db=95.0)
    said = make.meta(
        grade="moderate",
        room_tone={"noise_dbfs": -60.0, "noise_dba_fs": -65.0, "duration_s": 2.0, "method": measure.METHOD},
        calibration_offset_db=95.0,
    )
    for form in ("FLAC", "WAV"):
        clip = make.clip(make.file(x if form == "FLAC" else np.roll(x, 1), form), meta=said)
        there = speaker.send(clip)
        if form == "FLAC":
            assert there["measurement"] == here.as_json()
            verdict = profile.verdict(here, profile.load()["everyday"], "moderate")
            assert there["verdict"] == verdict.decision
            assert [f["code"] for f in there["findings"]] == [f.code for f in verdict.findings]


@pytest.mark.parametrize(
    ("form", "subtype"), [("WAV", "PCM_16"), ("WAV", "PCM_24"), ("FLAC", "PCM_24"), ("FLAC", "PCM_16")]
)
def test_the_stored_sound_is_flac_with_exactly_the_samples_sent(speaker, site, make, form, subtype):
    data = make.file(make.samples(2), form, subtype=subtype)
    clip = make.clip(data)
    assert speaker.send(clip)["state"] == "accepted"
    heard = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio")
    assert heard.mimetype == "audio/flac"
    sent, _ = soundfile.read(io.BytesIO(data), dtype="int32")
    kept, _ = soundfile.read(io.BytesIO(heard.data), dtype="int32")
    assert np.array_equal(sent, kept)
    if form == "FLAC":
        assert heard.data == data


def test_tags_of_a_flac_file_are_not_kept(speaker, make):
    """A name in a tag must not travel into a corpus."""
    out = io.BytesIO()
    with soundfile.SoundFile(out, "w", make.rate_hz, 1, "PCM_16", format="FLAC") as file:
        file.artist = "Lim Tai-lam"
        file.write(make.samples(2))
    assert b"Lim Tai-lam" in out.getvalue()
    clip = make.clip(out.getvalue())
    speaker.send(clip)
    heard = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio").data
    assert b"Lim Tai-lam" not in heard
    assert np.array_equal(soundfile.read(io.BytesIO(heard), dtype="int16")[0], make.samples(2))


@pytest.mark.parametrize("hidden", ["after the last frame", "in the padding"])
def test_bytes_hidden_in_a_flac_file_reach_nobody(speaker, make, hidden):
    """No check hears them, so they could carry anything into a release."""
    data, secret = make.file(make.samples(2), "FLAC"), b"not sound " * 40
    if hidden == "in the padding":
        streaminfo_ends = 4 + 4 + 34
        block = bytes([1]) + len(secret).to_bytes(3, "big") + secret
        data = data[:streaminfo_ends] + block + data[streaminfo_ends:]
    else:
        data += secret
    clip = make.clip(data)
    speaker.send(clip)
    assert secret not in speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}/audio").data


def test_a_clip_outside_its_band_is_refused_with_figure_limit_and_receipt(speaker, make):
    found = speaker.send(make.clip(make.file(make.samples(4, snr_db=12.0))))
    assert (found["state"], found["verdict"], found["grade"]) == ("refused", "refuse", None)
    (finding,) = [f for f in found["findings"] if f["severity"] == "error"]
    assert finding["code"] == "snr.below_band"
    assert finding["value"] < finding["limit"] == 25.0
    assert str(finding["limit"]).removesuffix(".0") in finding["message"]
    assert checked(found["receipt"]).size == 1
    entry = json.loads(found["receipt"]["entry"])
    assert (entry["event"], entry["reasons"]) == ("refused", ["snr.below_band"])
    assert found["receipt"]["details"]["payable_ms"] == 0


def test_an_accepted_clip_is_payable_by_its_length(speaker, make):
    found = speaker.send(make.clip())
    assert found["receipt"]["details"]["payable_ms"] == 3000
    assert json.loads(found["receipt"]["entry"])["event"] == "accepted"


def test_receipts_of_one_log_extend_each_other(speaker, site, make):
    heads = [checked(speaker.send(make.clip(make.file(make.samples(n))))["receipt"]) for n in range(1, 4)]
    assert [h.size for h in heads] == [1, 2, 3]
    from corpus import ledger

    with reading(site.engine) as db:
        for old, new in ((heads[0], heads[2]), (heads[1], heads[2])):
            proof = ledger.consistency(db, old.size, new.size)
            assert tlog.verify_consistency(old.size, new.size, proof, old.root, new.root)


def test_no_personal_data_is_in_the_log(speaker, site, make):
    speaker.send(make.clip())
    from corpus import ledger

    with reading(site.engine) as db:
        (leaf,) = ledger.leaves(db)
    for secret in (speaker.joined["person_id"], speaker.joined["speaker_id"], "阿美", "Tainan"):
        assert secret not in leaf


def test_the_very_same_sound_under_another_id_is_refused(speaker, join, make):
    x = make.samples(6)
    assert speaker.send(make.clip(make.file(x)))["state"] == "accepted"
    for again in (make.clip(make.file(x, "WAV")), make.clip(make.file(x))):
        found = speaker.send(again)
        assert [f["code"] for f in found["findings"] if f["severity"] == "error"] == ["content.duplicate"]


# --- files that are no sound ------------------------------------------------------------------------


def wav(
    body: bytes = bytes(64_000), *, tag=1, channels=1, rate=16_000, bits=16, data=None, riff=None, align=None
) -> bytes:
    align = align if align is not None else channels * bits // 8
    form = struct.pack("<HHIIHH", tag, channels, rate, rate * align, align, bits)
    chunks = b"fmt " + struct.pack("<I", 16) + form
    chunks += b"data" + struct.pack("<I", len(body) if data is None else data) + body
    size = 4 + len(chunks) if riff is None else riff
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + chunks


def flac(x: np.ndarray | None = None, rate: int = 16_000) -> bytes:
    out = io.BytesIO()
    noise = np.random.default_rng(3).integers(-999, 999, 32_000, dtype=np.int16)
    soundfile.write(out, noise if x is None else x, rate, format="FLAC", subtype="PCM_16")
    return out.getvalue()


def edited(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def with_samples(data: bytes, count: int) -> bytes:
    """A FLAC whose header claims another number of samples."""
    packed = int.from_bytes(data[18:26], "big")
    return edited(data, 18, (packed >> 36 << 36 | count).to_bytes(8, "big"))


def bomb() -> bytes:
    """Minutes of silence in a few kilobytes, with a header that says two seconds."""
    return with_samples(flac(np.zeros(16_000 * 600, dtype=np.int16)), 32_000)


def in_frames(data: bytes) -> bytes:
    """A bit flipped in the middle of the coded sound."""
    return edited(data, len(data) // 2, bytes([data[len(data) // 2] ^ 0x10]))


nan_wav = wav(np.full(16_000, np.nan, "<f4").tobytes(), tag=3, bits=32)
HOSTILE = {  # None: the decoder stumbles over it in one way or another
    "no audio": (b"GIF89a" + bytes(100), "container.not_audio"),
    "text": ("這不是聲音".encode() * 50, "container.not_audio"),
    "one byte": (b"R", "container.not_audio"),
    "mp3": (b"ID3\x04" + bytes(400), "container.not_audio"),
    "ogg": (b"OggS" + bytes(400), "container.not_audio"),
    "a wav with no sample": (wav(b""), "container.empty"),
    "one sample": (wav(b"\x01\x02"), "limits.too_short"),
    "nan": (nan_wav, "format.encoding"),
    "alaw": (wav(tag=6, bits=8), "format.encoding"),
    "8 bits": (wav(bits=8), "format.bits"),
    "32 bits": (wav(bits=32), "format.bits"),
    "96 kHz": (wav(bytes(384_000), rate=96_000), "format.rate"),
    "8 kHz": (wav(rate=8_000), "format.rate"),
    "0 Hz": (wav(rate=0), "format.rate"),
    "8 channels": (wav(channels=8), "format.channels"),
    "no channel": (wav(channels=0, align=2), "format.channels"),
    "block of another size": (wav(align=3), "container.lying_size"),
    "riff too long": (wav(riff=1 << 30), "container.lying_size"),
    "riff too short": (wav(riff=100), "container.lying_size"),
    "data beyond the file": (wav(data=1 << 30), "container.lying_size"),
    "cut wav": (wav()[:-1000], "container.lying_size"),
    "half a sample": (wav(bytes(64_001)), "container.lying_size"),
    "wav header only": (wav()[:20], "container.lying_size"),
    "two minutes and one second": (wav(bytes(32_000 * 121)), "limits.too_long"),
    "cut flac": (flac()[:-3000], None),
    "flac header only": (flac()[:42], "container.damaged"),
    "flac magic only": (b"fLaC", "container.damaged"),
    "flac without samples": (with_samples(flac(), 0), "container.empty"),
    "flac claiming more": (with_samples(flac(), 40_000), None),
    "flac claiming less": (with_samples(flac(), 20_000), "container.checksum"),
    "flac claiming hours": (with_samples(flac(), 1 << 35), "limits.too_long"),
    "flac bomb": (bomb(), "container.checksum"),
    "flac of another sound": (edited(flac(), 26, bytes(range(16))), "container.checksum"),
    "flac without md5": (edited(flac(), 26, bytes(16)), "container.checksum"),
    "flac with 96 kHz": (flac(rate=96_000), "format.rate"),
    "flac with 4 channels": (flac(np.zeros((32_000, 4), np.int16)), "format.channels"),
    "flac with garbage frames": (flac()[:200] + bytes(5000), None),
    "flac with a flipped bit": (in_frames(flac()), None),
    "flac in id3": (b"ID3\x04\0\0\0\0\0\0" + flac(), "container.not_audio"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_bad_file_gets_its_reason_the_same_twice_and_a_receipt(speaker, site, make, name):
    data, code = HOSTILE[name]
    answers = []
    for _ in range(2):
        found = speaker.send(make.clip(data))
        assert found["state"] == "refused"
        assert found["measurement"] is None
        (finding,) = found["findings"]
        assert code in (None, finding["code"])
        assert finding["code"].startswith(("container.", "format.", "limits."))
        assert "{" not in finding["message"]
        assert checked(found["receipt"])
        assert found["receipt"]["details"]["sha256"] == make.clip(data).sha256
        answers.append((finding["code"], finding["value"], finding["limit"], finding["message"]))
    assert answers[0] == answers[1]
    assert speaker.ask("GET", f"/api/v1/clips/{make.clip(data).clip_id}/audio").status_code == 404
    assert speaker.send(make.clip())["state"] == "accepted"  # and life goes on


def test_an_empty_file_is_answered_too(speaker, make):
    clip = make.clip(b"")
    assert speaker.create(clip).status_code == 201
    found = speaker.ask("GET", f"/api/v1/clips/{clip.clip_id}").get_json()
    assert [f["code"] for f in found["findings"]] == ["container.empty"]


def test_silence_and_noise_are_measured_and_refused_for_want_of_speech(speaker, make):
    for x in (np.zeros(48_000, np.int16), np.random.default_rng(1).integers(-50, 50, 48_000, dtype=np.int16)):
        found = speaker.send(make.clip(make.file(x)))
        assert found["state"] == "refused"
        assert "speech.none" in [f["code"] for f in found["findings"]]
        assert found["measurement"]["snr_db"] is None


def test_the_refused_file_is_kept_for_an_appeal(speaker, site, make):
    clip = make.clip(b"GIF89a" + bytes(100))
    speaker.send(clip)
    with reading(site.engine) as db:
        kept = clips.find(db, clip.clip_id)
    assert site.store.open(kept.sha256).read() == clip.data


def test_after_good_and_bad_files_everything_fits_together(speaker, site, make):
    for data in (
        make.file(make.samples(1)),
        b"nothing",
        make.file(make.samples(2), "WAV"),
        HOSTILE["flac bomb"][0],
    ):
        speaker.send(make.clip(data))
    assert list(check.everything(site.engine, site.store, site.signer.verifier, site.shelf)) == []


def test_a_close_that_was_cut_off_happens_when_someone_asks(speaker, site, good):
    """As if killed between the last byte and the verdict: the bytes are there, nothing else is."""
    location = speaker.create(good).headers["Location"]
    site.intake.partials.path(location.rpartition("/")[2]).write_bytes(good.data)
    assert speaker.head(location) == len(good.data)
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}").get_json()["state"] == "accepted"


def test_a_sweep_closes_what_nobody_asks_for(speaker, site, good):
    location = speaker.create(good).headers["Location"]
    site.intake.partials.path(location.rpartition("/")[2]).write_bytes(good.data)
    assert site.intake.sweep() == 1
    assert site.intake.sweep() == 0


def test_consent_taken_back_on_the_way_keeps_nothing(speaker, site, good):
    location = speaker.create(good).headers["Location"]
    assert speaker.ask("DELETE", "/api/v1/me").status_code == 200
    answer = speaker.patch(location, 0, good.data)
    assert answer.get_json()["code"] == "consent.missing"
    assert list(site.intake.partials.folder.iterdir()) == []
    withdrawal.sweep(site.custody)  # as the server does every minute
    assert list(site.store) == []


def test_a_clip_that_another_request_is_checking_is_said_to_be_checked(speaker, site, good):
    location = speaker.create(good).headers["Location"]
    upload_id = location.rpartition("/")[2]
    site.intake.partials.path(upload_id).write_bytes(good.data)
    with site.intake.partials.locked(upload_id):
        answer = speaker.ask("GET", f"/api/v1/clips/{good.clip_id}")
        assert (answer.status_code, answer.get_json()["code"]) == (503, "CLIP_BEING_CHECKED")
        assert answer.headers["Retry-After"]
        assert speaker.head(location) == len(good.data)
        assert speaker.patch(location, len(good.data), b"").status_code == 409
    assert speaker.ask("GET", f"/api/v1/clips/{good.clip_id}").get_json()["state"] == "accepted"


def test_an_erasure_does_not_fall_between_a_blob_and_its_row(speaker, site, make, monkeypatch):
    """The same file again, after its first clip was withdrawn: what the receipt names is in the store."""
    data = make.file(make.samples(81), "WAV")
    first, again = make.clip(data), make.clip(data)
    speaker.send(first)
    with reading(site.engine) as db:
        digest = clips.find(db, first.clip_id).sha256
    assert digest != first.sha256  # it was encoded anew: no upload declares this digest
    with begin(site.engine) as db:
        withdrawal._withdraw(db, site.custody, clips.find(db, first.clip_id), site.clock_ms())
        erasure.note(db, [digest], now_ms=0)
    record = closing.record

    def late(*args, **more):  # the blob was kept, its row is not yet there
        done, problem = erasure.erase(site.engine, site.store, site.custody.holds, [digest])
        assert (done, problem) == ([], None)
        return record(*args, **more)

    monkeypatch.setattr(closing, "record", late)
    assert speaker.send(again)["state"] == "accepted"
    assert withdrawal.sweep(site.custody) == 1  # somebody needs it now, so it is done with
    assert digest in site.store


def test_a_stranger_who_declares_its_digest_does_not_keep_a_withdrawn_voice(speaker, join, site, good, make):
    """Manifests of releases name digests: whoever opened an upload of one put its erasure off for a week."""
    speaker.send(good)
    other = join("speaker")
    assert other.create(make.clip(good.data)).status_code == 201
    assert speaker.ask("DELETE", f"/api/v1/clips/{good.clip_id}").status_code == 200
    assert good.sha256 not in site.store


def test_an_ended_upload_leaves_nothing_of_a_close_that_came_half_way(speaker, site, good, closed_half_way):
    location = closed_half_way(speaker, good)
    assert good.sha256 in site.store
    assert speaker.ask("DELETE", location, {"Tus-Resumable": "1.0.0"}).status_code == 204
    withdrawal.sweep(site.custody)
    assert good.sha256 not in site.store


@pytest.mark.parametrize("fault", ["sync", "digest"])
def test_what_is_dropped_of_an_upload_is_not_what_another_clip_has(
    speaker, join, site, good, make, monkeypatch, fault, closed_half_way
):
    """After a close that came half-way the unfinished file and the blob are one, and another clip has it."""
    location = closed_half_way(speaker, good)
    other, same = join("speaker"), make.clip(good.data)
    assert other.send(same)["state"] == "accepted"

    def broken(*args):
        raise OSError(errno.EIO, "the disk")

    with monkeypatch.context() as patch:
        if fault == "sync":
            patch.setattr(os, "fsync", broken)
        else:
            patch.setattr(site.intake.partials, "sha256", lambda file: "0" * 64)
        assert speaker.ask("HEAD", location, {"Tus-Resumable": "1.0.0"}).status_code in (422, 500, 503)
    assert site.store.size(good.sha256) == len(good.data)
    assert speaker.head(location) == 0
