"""What readers of releases were seen to stumble over, and what an export does about each.

Each test says which reader did what.
"""

from __future__ import annotations

import csv
import gzip
import itertools
import json
import re
import subprocess
import sys
import tarfile
import xml.etree.ElementTree as ET
from pathlib import Path

import msgspec
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from corpus import exporters, formats, manifest
from corpus.exporters import shards, tars
from corpus.exporters.job import Outputs, spaced
from corpus.exporters.sorting import Sorted
from corpus.exporters.speechbrain import REPLACEMENTS_NAME


def export(copy, name, to, **options):
    (done,) = exporters.export(copy, {name: to}, **options)
    return done


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def left_out(folder: Path) -> dict[str, str]:
    return {one.id: one.problem for one in exporters.left_out(folder)}


def lines_of(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines()


def test_help_tells_of_every_format_and_of_no_other():
    assert list(formats.FORMATS) and set(formats.FORMATS) == set(exporters.EXPORTERS)
    assert set(exporters.BY_RECORDING) | {"ctm"} == formats.WHOLE_RECORDINGS


# --- a bad row does not cost the good ones ----------------------------------------------------------


@pytest.mark.parametrize("name", exporters.EXPORTERS)
@pytest.mark.parametrize("harm", ["missing", "cut off"])
def test_a_clip_without_its_sound_is_named_and_the_others_are_exported(name, harm, made, tmp_path):
    bad, *good = made.copy.lines()
    path = made.copy.audio(bad)
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    done = export(made.copy, name, tmp_path / "x")
    assert (done.utterances, done.left_out) == (len(good), 1)
    named = left_out(tmp_path / "x")
    assert list(named) == [bad.id] and bad.audio in named[bad.id]


@pytest.mark.parametrize("name", exporters.BY_SHARD)
def test_a_flipped_bit_does_not_enter_a_shard(name, made, tmp_path):
    bad = next(made.copy.lines())
    path = made.copy.audio(bad)
    data = bytearray(path.read_bytes())
    data[-5] ^= 4
    path.write_bytes(data)
    done = export(made.copy, name, tmp_path / "x")
    assert done.left_out == 1 and "digest" in left_out(tmp_path / "x")[bad.id]
    everything = b"".join(data for path, data in tree(tmp_path / "x").items() if "left-out" not in path)
    assert bytes(data) not in everything


def test_an_export_of_nothing_does_not_take_a_good_ones_place(made, tmp_path):
    export(made.copy, "webdataset", tmp_path / "x")
    before = tree(tmp_path / "x")
    (made.copy.folder / "audio").rename(tmp_path / "elsewhere")
    for name in ("webdataset", "kaldi"):
        with pytest.raises(Exception, match="is missing"):
            export(made.copy, name, tmp_path / "x")
    assert tree(tmp_path / "x") == before


def test_the_command_names_the_bad_clip_and_ends_with_1(root, made, tmp_path):
    bad = next(made.copy.lines())
    made.copy.audio(bad).unlink()
    command = [sys.executable, "-m", "xiangyin", "export", str(made.copy.folder), "--to", str(tmp_path / "x")]
    done = subprocess.run([*command, "--format", "kaldi,shar"], capture_output=True, text=True, cwd=root)
    assert done.returncode == 1
    assert f"kaldi: left out {bad.id}" in done.stderr and f"shar: left out {bad.id}" in done.stderr
    assert sorted(p.name for p in (tmp_path / "x").iterdir()) == ["kaldi", "shar"]
    done = subprocess.run([*command, "--format", "sphinx"], capture_output=True, text=True, cwd=root)
    assert done.returncode == 2
    assert all(name in done.stderr for name in exporters.EXPORTERS)


def test_sound_on_another_machine_is_not_looked_for(made, tmp_path):
    (made.copy.folder / "audio").rename(tmp_path / "elsewhere")
    done = export(made.copy, "nemo", tmp_path / "x", root="/data/hand")
    assert (done.utterances, done.left_out) == (48, 0)


# --- the same bytes ---------------------------------------------------------------------------------


def test_formats_written_together_are_those_written_alone(made, tmp_path):
    exporters.export(made.copy, {name: tmp_path / name for name in exporters.EXPORTERS})
    for name in exporters.EXPORTERS:
        together = tree(tmp_path / name)
        export(made.copy, name, tmp_path / name)  # in the same place, which some formats name
        assert tree(tmp_path / name) == together


def test_one_worker_and_many_write_the_same_bytes(made, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)  # a shard for each speaker
    targets = ("webdataset", "hf-parquet", "shar", "textgrid")
    for compute in ("inline", "local"):
        into = {name: tmp_path / compute / name for name in targets}
        exporters.export(made.copy, into, compute=compute, recordings=True)
    assert tree(tmp_path / "inline") == tree(tmp_path / "local")
    assert len(list((tmp_path / "local/webdataset").glob("*.tar"))) == 8


def test_gzip_headers_carry_no_time_and_no_name(made, tmp_path):
    for name in ("lhotse", "shar"):
        export(made.copy, name, tmp_path / name)
        for path in (tmp_path / name).rglob("*.gz"):
            head = path.read_bytes()[:10]
            assert head[:2] == b"\x1f\x8b" and head[3] == 0 and head[4:8] == bytes(4), path


@given(
    st.text(st.characters(codec="ascii", exclude_characters="/\0"), min_size=1, max_size=100),
    st.integers(0, 8**11 - 1),
)
def test_a_tar_header_is_that_of_pythons_own_tarfile(name, size):
    info = tarfile.TarInfo(name)
    info.size = size
    assert tars.header(name, size) == info.tobuf(tarfile.USTAR_FORMAT)


def test_a_shard_is_found_in_the_manifest_by_its_first_and_last_id(made, tmp_path, monkeypatch):
    """Workers are told two ids; whatever the sizes of lines, they must find the same lines."""
    monkeypatch.setattr(shards, "_BISECT_BYTES", 1)
    lines = list(made.copy.lines())
    for first, last in itertools.combinations_with_replacement(range(0, 48, 5), 2):
        shard = shards.Shard(lines[first].split, 0, lines[first].id, lines[last].id)
        task = shards.Task(made.copy.folder, exporters.Wanted(), shard, tmp_path, lambda task: ())
        expected = [one for one in lines[first : last + 1] if one.split == lines[first].split]
        assert list(task.lines()) == expected


@settings(deadline=None, max_examples=30)
@given(st.lists(st.binary(max_size=20).map(lambda raw: raw.replace(b"\n", b"") + b"\n")), st.integers(1, 60))
def test_lines_are_sorted_as_bytes_however_small_the_memory(tmp_path_factory, rows, run_bytes):
    from corpus.exporters import sorting

    before, sorting._RUN_BYTES = sorting._RUN_BYTES, run_bytes
    try:
        with Sorted(tmp_path_factory.mktemp("runs") / "new") as found:
            for row in rows:
                found.add(row)
            assert list(found) == sorted(rows) == list(found)
    finally:
        sorting._RUN_BYTES = before


# --- Kaldi, ESPnet, WeNet: lines and words ----------------------------------------------------------


@pytest.mark.parametrize("name", ["kaldi", "espnet", "wenet", "ctm"])
def test_transcripts_have_one_ascii_space_between_words(name, made, tmp_path):
    """Kaldi refuses U+3000, U+00A0 and U+2009; it, ESPnet and WeNet strip the ends."""
    export(made.copy, name, tmp_path / "x")
    found = {}
    for path in (tmp_path / "x").glob("*/text"):
        found |= dict(row.split(" ", 1) for row in lines_of(path))
    assert found == {line.id: " ".join(re.split(r"\s+", line.text.strip())) for line in made.copy.lines()}


@pytest.mark.parametrize("word", ["<s>", "</s>", "#0"])
def test_a_word_that_kaldi_keeps_for_itself_costs_that_clip_only(word, made, tmp_path, make_copy):
    first, *others = made.copy.lines()
    lines = [msgspec.structs.replace(first, text=f"好 {word}"), *others]
    copy = make_copy(made.copy.folder, lines)
    done = export(copy, "kaldi", tmp_path / "x")
    assert left_out(tmp_path / "x") == {first.id: f"Kaldi keeps the word {word} for itself"}
    assert done.utterances == len(others)
    assert export(copy, "nemo", tmp_path / "n").left_out == 0


def test_fix_data_dir_would_change_nothing(made, tmp_path):
    """It sorts each file, keeps the ids that all have, and drops speakers without utterances."""
    export(made.copy, "kaldi", tmp_path / "k")
    for folder in (p for p in (tmp_path / "k").iterdir() if p.is_dir()):
        rows = {p.name: p.read_bytes().splitlines(keepends=True) for p in folder.iterdir()}
        by_utterance = ("wav.scp", "text", "utt2spk", "utt2dur", "reco2dur", "utt2lang", "utt2snr")
        ids = {name: [row.split(b" ")[0] for row in rows[name]] for name in by_utterance}
        assert len({tuple(found) for found in ids.values()}) == 1
        assert all(found == sorted(set(found)) for found in rows.values())
        speakers = [row.split()[0] for row in rows["spk2utt"]]
        assert speakers == sorted({row.split()[1] for row in rows["utt2spk"]})


def test_wenet_lists_have_no_pipe_no_space_and_whole_files(made, tmp_path):
    """Its list maker wants two fields a line; its reader of ``start`` and ``end`` needs an old torchaudio."""
    export(made.copy, "wenet", tmp_path / "x")
    for row in lines_of(tmp_path / "x/train/wav.scp"):
        assert len(row.split()) == 2 and "|" not in row
    for row in map(json.loads, lines_of(tmp_path / "x/train/data.list")):
        assert set(row) == {"key", "wav", "txt"}


def test_wenets_list_opens_its_shards_from_any_folder(made, tmp_path):
    """A recipe runs in its own folder, and a shard that it cannot open is no more than a line of its log."""
    export(made.copy, "wenet-shards", tmp_path / "x")
    for split in manifest.SPLITS:
        for name in (tmp_path / "x" / split / "shards.list").read_text().splitlines():
            assert Path(name).is_absolute() and Path(name).is_file()
    export(made.copy, "wenet-shards", tmp_path / "y", root="/gpu/data")
    assert (tmp_path / "y/dev/shards.list").read_text().startswith("/gpu/data/dev/shards_000000.tar\n")


def test_the_count_of_a_shard_can_be_compared(made, tmp_path):
    """WeNet only logs a shard that it cannot open, so the export says how many utterances there are."""
    done = export(made.copy, "wenet-shards", tmp_path / "x")
    members = [
        name
        for path in (tmp_path / "x").rglob("*.tar")
        for name in tarfile.open(path).getnames()  # noqa: SIM115
        if name.endswith(".txt")
    ]
    assert (
        len(members)
        == done.utterances
        == json.loads((tmp_path / "x" / exporters.MARK_NAME).read_bytes())["utterances"]
    )


# --- NeMo ------------------------------------------------------------------------------------------


def test_nemo_shards_agree_with_their_manifests(made, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SHARD_BYTES", 1)
    export(made.copy, "nemo-tarred", tmp_path / "x")
    for folder in (p for p in (tmp_path / "x").iterdir() if p.is_dir()):
        whole = lines_of(folder / "tarred_audio_manifest.json")
        parts = []
        for number in range(len(list(folder.glob("*.tar")))):
            rows = lines_of(folder / f"sharded_manifests/manifest_{number}.json")
            parts += rows
            found = [json.loads(row) for row in rows]
            with tarfile.open(folder / f"audio_{number}.tar") as tar:
                assert [row["audio_filepath"] for row in found] == tar.getnames()
            assert {row["shard_id"] for row in found} == {number}
            assert not any("/" in row["audio_filepath"] or "offset" in row for row in found)
        assert whole == parts


# --- SpeechBrain -----------------------------------------------------------------------------------


def speechbrain_csv(folder: Path, split: str) -> dict[str, dict[str, str]]:
    """As load_data_csv does it."""
    known = json.loads((folder / REPLACEMENTS_NAME).read_text("utf-8"))
    with (folder / f"{split}.csv").open(newline="", encoding="utf-8") as file:
        return {
            row.pop("ID"): {
                key: re.sub(r"\$([\w.]+)", lambda match: str(known[match[1]]), value)
                for key, value in row.items()
            }
            for row in csv.DictReader(file, skipinitialspace=True)
        }


def test_speechbrain_gives_back_dollars_braces_and_leading_spaces(made, tmp_path):
    export(made.copy, "speechbrain", tmp_path / "x")
    known = json.loads((tmp_path / "x" / REPLACEMENTS_NAME).read_text("utf-8"))
    for split in ("train", "dev", "test"):
        expected = {line.id: line.text for line in made.copy.lines() if line.split == split}
        rows = speechbrain_csv(tmp_path / "x", split)
        assert {name: row["wrd"] for name, row in rows.items()} == expected
        assert all(Path(row["wav"]).is_file() for row in rows.values())
        data = json.loads((tmp_path / f"x/{split}.json").read_text("utf-8"))
        assert {name: row["wrd"].format_map(known) for name, row in data.items()} == expected


def test_a_text_that_names_the_folders_placeholder_is_left_out(made, tmp_path, make_copy):
    first, *others = made.copy.lines()
    copy = make_copy(made.copy.folder, [msgspec.structs.replace(first, text="$data_root"), *others])
    done = export(copy, "speechbrain", tmp_path / "x")
    assert list(left_out(tmp_path / "x")) == [first.id] and done.utterances == len(others)


# --- Common Voice ----------------------------------------------------------------------------------


def test_common_voice_tables_have_thirteen_unquoted_columns(made, tmp_path):
    """A tab or a newline in a speaker's own word for the dialect would break the row."""
    export(made.copy, "common-voice", tmp_path / "x")
    folder = tmp_path / "x/cmn-Hant-TW"
    head = (
        "client_id path sentence_id sentence sentence_domain up_votes down_votes age gender accents variant"
        " locale segment"
    )
    seen = {}
    for table in ("train", "dev", "test", "validated", "invalidated", "other"):
        first, *rows = lines_of(folder / f"{table}.tsv")
        assert first.split("\t") == head.split()
        assert all(row.count("\t") == 12 for row in rows)
        seen[table] = [row.split("\t")[1] for row in rows]
    assert sorted(seen["train"] + seen["dev"] + seen["test"]) == seen["validated"]
    assert seen["invalidated"] == seen["other"] == []
    first, *rows = lines_of(folder / "clip_durations.tsv")
    assert first == "clip\tduration[ms]"
    for name, duration_ms in (row.split("\t") for row in rows):
        assert abs(soundfile.info(folder / "clips" / name).duration * 1000 - int(duration_ms)) <= 0.5


# --- Hugging Face ----------------------------------------------------------------------------------


def test_parquet_names_its_audio_column_and_bounds_its_row_groups(made, tmp_path, monkeypatch):
    """Readers before 5 find the column by the metadata; a streaming reader holds a row group."""
    monkeypatch.setattr("corpus.exporters.parquet.ROW_GROUP_ROWS", 5)
    export(made.copy, "hf-parquet", tmp_path / "x")
    paths = sorted(p.name for p in (tmp_path / "x/data").iterdir())
    assert paths == [f"{name}-00000-of-00001.parquet" for name in ("test", "train", "validation")]
    file = parquet.ParquetFile(tmp_path / "x/data/train-00000-of-00001.parquet")
    told = json.loads(file.schema_arrow.metadata[b"huggingface"])["info"]["features"]
    assert told["audio"] == {"_type": "Audio"} and list(told) == file.schema_arrow.names
    assert str(file.schema_arrow.field("audio").type) == "struct<bytes: binary, path: string>"
    groups = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
    assert [group.num_rows for group in groups] == [5, 5, 5, 5, 4]
    sound = next(c for c in map(groups[0].column, range(50)) if c.path_in_schema == "audio.bytes")
    assert sound.compression == "UNCOMPRESSED" and sound.statistics is None
    for row in file.read().to_pylist():
        line = next(one for one in made.copy.lines() if one.id == row["id"])
        assert row["audio"] == {"bytes": made.copy.audio(line).read_bytes(), "path": f"{line.id}.flac"}


# --- whole recordings ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(formats.WHOLE_RECORDINGS))
def test_a_recording_is_rebuilt_sample_for_sample(name, made, tmp_path):
    export(made.copy, name, tmp_path / "x", recordings=True)
    found = {}
    for path in (tmp_path / "x").rglob("*.wav"):
        recording, channel = path.stem.rsplit("-", 1)
        samples, _ = soundfile.read(path, dtype="int16")
        found[recording, int(channel) - 1] = samples
    assert set(found) == set(made.recordings)
    for place, samples in made.recordings.items():
        assert np.array_equal(found[place], samples)


def test_a_clip_that_is_not_in_the_release_is_silence_of_its_length(made, tmp_path, make_copy):
    lines = list(made.copy.lines())
    gone = next(one for one in lines if one.start_sample > 0)
    copy = make_copy(made.copy.folder, [one for one in lines if one is not gone])
    export(copy, "textgrid", tmp_path / "x", recordings=True)
    place = (gone.recording_id, gone.channel)
    (path,) = (tmp_path / "x").rglob(f"{place[0]}-{place[1] + 1}.wav")
    samples, _ = soundfile.read(path, dtype="int16")
    expected = made.recordings[place].copy()
    expected[gone.start_sample : gone.start_sample + gone.samples] = 0
    assert np.array_equal(samples, expected[: len(samples)])


def test_24_bits_stay_24_bits(a_line, tmp_path, make_copy):
    import hashlib

    from corpus import streaminfo

    samples = np.random.default_rng(3).integers(-(2**31), 2**31, 4000, dtype=np.int64).astype(np.int32) & ~255
    folder = tmp_path / "made"
    folder.mkdir()
    soundfile.write(folder / "one.flac", samples, 16_000, format="FLAC", subtype="PCM_24")
    data = (folder / "one.flac").read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    info = streaminfo.parse(data)
    line = a_line(1, sha256=digest, pcm_md5=info.pcm_md5, bytes=len(data), samples=4000)
    (folder / line.audio).parent.mkdir(parents=True)
    (folder / "one.flac").rename(folder / line.audio)
    export(make_copy(folder, [line]), "stm", tmp_path / "x", recordings=True)
    (path,) = (tmp_path / "x").rglob("*.wav")
    assert soundfile.info(path).subtype == "PCM_24"
    assert np.array_equal(soundfile.read(path, dtype="int32")[0], samples)


def test_a_start_days_away_does_not_fill_the_disk(made, tmp_path, make_copy):
    first, *others = made.copy.lines()
    copy = make_copy(made.copy.folder, [msgspec.structs.replace(first, start_sample=2**62), *others])
    done = export(copy, "textgrid", tmp_path / "x", recordings=True)
    assert "48 hours" in left_out(tmp_path / "x")[first.id] and done.utterances == len(others)


def test_turns_that_overlap_get_a_tier_of_their_own(made, tmp_path, make_copy):
    """TextGrid and EAF refuse two intervals of one tier at one time."""
    lines = list(made.copy.lines())
    second = next(i for i, one in enumerate(lines) if one.start_sample > 0)
    lines[second] = msgspec.structs.replace(lines[second], start_sample=lines[second].start_sample - 10)
    copy = make_copy(made.copy.folder, lines)
    export(copy, "textgrid", tmp_path / "x")
    text = next((tmp_path / "x").rglob(f"{lines[second].recording_id}.TextGrid")).read_text("utf-8")
    names = re.findall(r'name = "(.+)"', text)
    assert f"{lines[second].speaker_id}-2" in names and len(set(names)) == len(names) == 3
    export(copy, "eaf", tmp_path / "e")


def test_elan_documents_are_xml_with_awkward_text_unchanged(made, tmp_path):
    export(made.copy, "eaf", tmp_path / "x")
    texts = []
    for path in (tmp_path / "x").rglob("*.eaf"):
        document = ET.parse(path)
        texts += [one.text for one in document.iter("ANNOTATION_VALUE")]
        times = {one.get("TIME_SLOT_ID"): int(one.get("TIME_VALUE")) for one in document.iter("TIME_SLOT")}
        for one in document.iter("ALIGNABLE_ANNOTATION"):
            assert times[one.get("TIME_SLOT_REF1")] < times[one.get("TIME_SLOT_REF2")]
        assert not list(document.iter("MEDIA_DESCRIPTOR"))
    assert sorted(texts) == sorted(spaced(line.text) for line in made.copy.lines())


def test_stm_lines_have_six_fields_before_the_text_and_end_times(made, tmp_path):
    export(made.copy, "stm", tmp_path / "x")
    lines = {(one.recording_id, one.channel, one.start_sample): one for one in made.copy.lines()}
    rows = [row for path in (tmp_path / "x").glob("*.stm") for row in lines_of(path)]
    assert len(rows) == len(lines)
    for row in rows:
        recording, channel, speaker, start, end, label, text = row.split(" ", 6)
        line = lines[recording, int(channel) - 1, round(float(start) * 16_000)]
        assert round(float(end) * 16_000) == line.start_sample + line.samples
        assert (speaker, label, text) == (line.speaker_id, "<quiet,dialogue,female>", spaced(line.text))
    for path in (tmp_path / "x").glob("*.stm"):
        keys = [(row.split(" ")[0], float(row.split(" ")[3])) for row in lines_of(path)]
        assert keys == sorted(keys)


def test_rttm_has_ten_fields_and_durations(made, tmp_path):
    export(made.copy, "rttm", tmp_path / "x")
    for row in lines_of(tmp_path / "x/train.rttm"):
        fields = row.split(" ")
        assert len(fields) == 10 and fields[0] == "SPEAKER" and fields[5:7] == ["<NA>", "<NA>"]
        assert float(fields[4]) > 0
    spans = {
        tuple(row.split(" ")[:2]): float(row.split(" ")[3]) for row in lines_of(tmp_path / "x/train.uem")
    }
    ends = {(name, str(channel + 1)): len(x) / 16_000 for (name, channel), x in made.recordings.items()}
    assert spans == {place: pytest.approx(ends[place], abs=1e-6) for place in spans} and len(spans) == 8


def test_ctm_times_of_a_clip_become_times_in_its_recording(made, tmp_path):
    """What convert_ctm.pl does: add the segment's start, and name file and channel."""
    export(made.copy, "ctm", tmp_path / "x")
    for split in ("train", "dev", "test"):
        folder = tmp_path / "x" / split
        segments = {row.split()[0]: row.split()[1:] for row in lines_of(folder / "segments")}
        places = {row.split()[0]: row.split()[1:] for row in lines_of(folder / "reco2file_and_channel")}
        assert list(segments) == sorted(segments) and list(places) == sorted(places)
        for line in made.copy.lines():
            if line.split != split:
                continue
            reco, start, end = segments[line.id]
            assert float(end) > float(start)
            assert places[reco] == [line.recording_id, str(line.channel + 1)]
            assert round((float(start) + 0.125) * 16_000) == line.start_sample + 2000
        assert {row[0] for row in segments.values()} == set(places)


def test_the_release_is_not_written_to(made, tmp_path):
    before = tree(made.copy.folder)
    exporters.export(
        made.copy, {name: tmp_path / "x" / name for name in exporters.EXPORTERS}, recordings=True
    )
    assert tree(made.copy.folder) == before


def test_a_writer_flushes_whole_lines_of_any_size(tmp_path):
    with Outputs(tmp_path) as out:
        for number in range(3):
            out.write("a.gz", b"x" * (1 << 20) + b"\n")
            out.text("b", f"{number}")
    assert gzip.decompress((tmp_path / "a.gz").read_bytes()) == (b"x" * (1 << 20) + b"\n") * 3
    assert (tmp_path / "b").read_text() == "0\n1\n2\n"
