"""The manifest: its fields as promised, the same bytes, and every bad line named."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from corpus import manifest

PROMISED = """
    id audio sha256 pcm_md5 bytes samples sample_rate_hz channels duration_s text text_raw events
    language glottocode dialect orthography rules_version speaker_id gender age_band region
    native_language session_id recording_id channel start_sample style prompt_id grade snr_db
    speech_dbfs noise_dbfs noise_dba measure_method device_class recorded_on consent_version license
    split transcribers agreement_cer first_release
"""


def test_the_fields_stand_in_the_promised_order(a_line, tmp_path):
    manifest.write(tmp_path / "m", [a_line()])
    assert list(json.loads((tmp_path / "m").read_text())) == PROMISED.split()


def test_what_is_written_is_read_back_and_written_again_to_the_byte(a_line, tmp_path):
    lines = [a_line(n, text=f"第{n}句話。") for n in range(1, 30)]
    written = manifest.write(tmp_path / "m", lines)
    assert list(manifest.read(tmp_path / "m")) == lines
    manifest.write(tmp_path / "again", manifest.read(tmp_path / "m"))
    assert (tmp_path / "m").read_bytes() == (tmp_path / "again").read_bytes()
    assert written.lines == 29 and written.bytes == (tmp_path / "m").stat().st_size


@given(st.integers(1, 10**12), st.sampled_from([8000, 16000, 22050, 44100, 48000, 96000]))
def test_seconds_lie_within_half_a_microsecond_and_print_without_exponent(samples, rate_hz):
    value = manifest.seconds(samples, rate_hz)
    assert abs(value - samples / rate_hz) <= 0.5e-6 + 1e-9 * value
    assert "e" not in msgspec.json.encode(value).decode() or value < 1e-5 or value >= 1e15


BAD = {
    "unknown field": (lambda row: {**row, "mood": "glad"}, "mood"),
    "missing field": (lambda row: {k: v for k, v in row.items() if k != "text"}, "text"),
    "another type": (lambda row: {**row, "samples": "12"}, "samples"),
    "a fraction of a sample": (lambda row: {**row, "samples": 12.5}, "samples"),
    "a way out of the folder": (lambda row: {**row, "audio": "../../etc/passwd"}, "audio"),
    "another file's audio": (lambda row: {**row, "audio": "audio/00/" + "0" * 64 + ".flac"}, "audio"),
    "a digest in capitals": (lambda row: {**row, "sha256": "A" * 64}, "sha256"),
    "another speaker's id": (lambda row: {**row, "speaker_id": "S2"}, "speaker_id"),
    "an id with a dot": (lambda row: {**row, "id": "S00000001-a.b"}, "id"),
    "an unknown split": (lambda row: {**row, "split": "valid"}, "split"),
    "an unknown grade": (lambda row: {**row, "grade": "silent"}, "grade"),
    "a duration that is not its samples": (lambda row: {**row, "duration_s": 1.5}, "duration_s"),
    "more channels than a column holds": (lambda row: {**row, "channels": 1 << 63}, "63 bits"),
    "a length that no float holds": (lambda row: {**row, "samples": 10**400}, "63 bits"),
    "an empty text": (lambda row: {**row, "text": "  "}, "text"),
    "a line break in the text": (lambda row: {**row, "text": "a\nb"}, "text"),
    "a day that is none": (lambda row: {**row, "recorded_on": "2026-13-01"}, "recorded_on"),
    "an event beyond the end": (
        lambda row: {**row, "events": [{"start_s": 0.5, "end_s": 99.0, "label": "cough"}]},
        "event",
    ),
    "fields in another order": (lambda row: dict(reversed(row.items())), "order"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_line_is_named_by_file_number_and_fault(name, a_line, tmp_path):
    change, named = BAD[name]
    good, row = a_line(1), json.loads(manifest.encode(a_line(2)))
    bad = json.dumps(change(row), ensure_ascii=False, separators=(",", ":")).encode()
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(manifest.encode(good) + b"\n" + bad + b"\n")
    read = manifest.read(path)
    assert next(read) == good
    with pytest.raises(manifest.ManifestInvalid) as error:
        next(read)
    assert error.value.parameters["line"] == 2
    assert error.value.parameters["file"] == str(path)
    assert named in str(error.value)


@pytest.mark.parametrize("raw", [b"not json\n", b"\xff\xfe\n", b"[1]\n", b"\n", b"{" * 10_000 + b"\n"])
def test_what_is_no_line_is_refused(raw, tmp_path):
    (tmp_path / "m").write_bytes(raw)
    with pytest.raises(manifest.ManifestInvalid, match="line 1"):
        list(manifest.read(tmp_path / "m"))


def test_a_cut_off_last_line_is_refused(a_line, tmp_path):
    (tmp_path / "m").write_bytes(manifest.encode(a_line()))
    with pytest.raises(manifest.ManifestInvalid, match="cut off"):
        list(manifest.read(tmp_path / "m"))


@pytest.mark.parametrize("numbers", [(2, 1), (1, 1)])
def test_lines_out_of_order_are_neither_written_nor_read(numbers, a_line, tmp_path):
    lines = [a_line(n) for n in numbers]
    with pytest.raises(manifest.ManifestInvalid):
        manifest.write(tmp_path / "w", lines)
    (tmp_path / "m").write_bytes(b"".join(manifest.encode(line) + b"\n" for line in lines))
    with pytest.raises(manifest.ManifestInvalid, match="stands"):
        list(manifest.read(tmp_path / "m"))


def test_ids_sort_like_their_speakers(a_line):
    """Kaldi wants one order by utterance and by speaker, and ``-`` sorts before every letter and digit."""
    speakers = ["S0", "S00", "S01", "Sa", "S1"]
    ids = sorted((f"{name}-{n:032x}".encode(), name.encode()) for name in speakers for n in (1, 2))
    assert [name for _, name in ids] == sorted(name for _, name in ids)
