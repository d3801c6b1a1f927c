"""Toolkit formats: by the toolkits' own rules, deterministic, whole or absent."""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
import soundfile
from pyarrow import parquet

from corpus import exporters, manifest
from corpus.dataset import Copy, Wanted, open_copy
from corpus.exporters.job import PathUnsafe


def export(copy: Copy, name: str, to: Path, **options) -> exporters.Exported:
    (done,) = exporters.export(copy, {name: to}, **options)
    return done


def tree(folder: Path) -> dict[str, bytes]:
    return {
        p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def readable(path: str, data: bytes) -> bytes:
    if path.endswith(".gz"):
        return gzip.decompress(data)
    if path.endswith(".parquet"):
        return str(parquet.read_table(io.BytesIO(data), columns=["id", "text"]).to_pylist()).encode()
    return data


# --- Kaldi: what utils/validate_data_dir.sh demands, rule by rule ---------------------------------


def kaldi_problems(folder: Path) -> list[str]:
    """The checks of Kaldi's validate_data_dir.sh (with --no-feats), and the ones that it forgets."""
    found = []
    tables: dict[str, list[list[str]]] = {}
    for path in sorted(folder.iterdir()):
        raw = path.read_bytes()
        if not raw.endswith(b"\n") or b"\n\n" in raw or b"\r" in raw:
            found.append(f"{path.name}: line ends")
        keys = [line.split(b" ", 1)[0] for line in raw.splitlines()]
        if keys != sorted(set(keys)):
            found.append(f"{path.name}: not sorted by bytes, or not unique")
        tables[path.name] = [line.split(" ") for line in raw.decode("utf-8").splitlines()]
    utts = [row[0] for row in tables["utt2spk"]]
    if any(len(row) != 2 for row in tables["utt2spk"]):
        found.append("utt2spk: two columns")
    if tables["utt2spk"] != sorted(tables["utt2spk"], key=lambda row: (row[1].encode(), row[0].encode())):
        found.append("utt2spk: not sorted by speaker")
    back = [[utt, row[0]] for row in tables["spk2utt"] for utt in row[1:]]
    if sorted(back) != sorted(tables["utt2spk"]):
        found.append("spk2utt and utt2spk differ")
    for name in ("wav.scp", "text", "utt2dur", "reco2dur", "utt2lang", "utt2snr"):
        if [row[0] for row in tables[name]] != utts:
            found.append(f"{name}: other utterances than utt2spk")
    for name in ("utt2dur", "reco2dur"):
        if any(len(row) != 2 or not float(row[1]) > 0 for row in tables[name]):
            found.append(f"{name}: durations")
    for row in tables["text"]:
        words = row[1:]
        if not words or "" in words or re.search(r"[^\S ]|\u3000", " ".join(words)):
            found.append(f"text: blanks in {row[0]}")
        if {"<s>", "</s>", "#0"} & set(words):
            found.append(f"text: symbols in {row[0]}")
    if any(row[1].startswith("~") for row in tables["wav.scp"]):
        found.append("wav.scp: tilde")
    if "spk2gender" in tables:
        if [row[0] for row in tables["spk2gender"]] != [row[0] for row in tables["spk2utt"]]:
            found.append("spk2gender: other speakers")
        if any(len(row) != 2 or row[1] not in "mf" for row in tables["spk2gender"]):
            found.append("spk2gender: m or f")
    return found


@pytest.mark.parametrize("name", ["kaldi", "espnet"])
def test_kaldi_directories_keep_kaldis_rules(name, copy, tmp_path):
    done = export(copy, name, tmp_path / "k")
    folders = sorted(p for p in (tmp_path / "k").iterdir() if p.is_dir())
    assert [p.name for p in folders] == ["dev", "test", "train"]
    assert [kaldi_problems(folder) for folder in folders] == [[], [], []]
    texts = [line for p in folders for line in (p / "text").read_text(encoding="utf-8").splitlines()]
    expected = [f"{line.id} {line.text}" for line in copy.lines()]
    assert sorted(texts) == expected and done.utterances == len(expected)


def test_kaldis_own_sort_agrees(copy, tmp_path):
    export(copy, "kaldi", tmp_path / "k")
    for path in (tmp_path / "k/train").iterdir():
        env = {**os.environ, "LC_ALL": "C"}
        for order in (["-c", "-u", "-k1,1"], ["-c", "-k2"] if path.name == "utt2spk" else ["-c"]):
            done = subprocess.run(["sort", *order, str(path)], env=env, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr


def test_kaldi_durations_are_the_samples_exactly(copy, tmp_path):
    export(copy, "kaldi", tmp_path / "k")
    rate = {line.id: line for line in copy.lines()}
    for row in (tmp_path / "k/train/utt2dur").read_text().splitlines():
        name, seconds = row.split()
        assert float(seconds) * rate[name].sample_rate_hz == rate[name].samples


def test_kaldi_sound_is_a_decoder_or_a_path(copy, tmp_path):
    export(copy, "kaldi", tmp_path / "pipe")
    export(copy, "kaldi", tmp_path / "path", audio="path")
    piped = (tmp_path / "pipe/train/wav.scp").read_text().splitlines()
    plain = (tmp_path / "path/train/wav.scp").read_text().splitlines()
    for one, other in zip(piped, plain, strict=True):
        path = other.split(" ", 1)[1]
        assert one.split(" ", 1)[1] == f"flac -c -d -s {path} |"
        assert soundfile.info(path).frames == 4000


def test_without_every_gender_there_is_no_spk2gender(world, tmp_path):
    world.project()
    for gender in ("female", "male", "other"):
        world.clip(world.speaker(gender=gender))
    copy = open_copy(world.cut(privacy_k=1, leave_out_damaged=True).folder)
    export(copy, "kaldi", tmp_path / "k")
    with_it = {p.parent.name for p in (tmp_path / "k").glob("*/spk2gender")}
    by_split = {}
    for line in copy.lines():
        by_split.setdefault(line.split, set()).add(line.gender)
    assert with_it == {split for split, genders in by_split.items() if genders <= {"female", "male"}}


# --- Lhotse --------------------------------------------------------------------------------------


def unpacked(path: Path) -> list[dict]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def test_lhotse_manifests_agree_with_each_other(copy, tmp_path):
    export(copy, "lhotse", tmp_path / "l")
    names = sorted(p.name for p in (tmp_path / "l").glob("*.gz"))
    kinds, splits = ("cuts", "recordings", "supervisions"), ("dev", "test", "train")
    assert names == [f"{kind}_{split}.jsonl.gz" for kind in kinds for split in splits]
    for split in splits:
        recordings = unpacked(tmp_path / f"l/recordings_{split}.jsonl.gz")
        supervisions = unpacked(tmp_path / f"l/supervisions_{split}.jsonl.gz")
        cuts = unpacked(tmp_path / f"l/cuts_{split}.jsonl.gz")
        assert [cut["recording"] for cut in cuts] == recordings
        assert [cut["supervisions"] for cut in cuts] == [[one] for one in supervisions]
        for one in recordings:
            assert one["num_samples"] == one["duration"] * one["sampling_rate"]
        assert all({"snr_db", "grade", "style", "split"} <= set(s["custom"]) for s in supervisions)


# --- the others ----------------------------------------------------------------------------------


def test_nemo_lines_have_what_nemo_reads(copy, tmp_path):
    export(copy, "nemo", tmp_path / "n")
    for split in ("train", "dev", "test"):
        raw = (tmp_path / f"n/{split}_manifest.json").read_text(encoding="utf-8")
        assert "\n\n" not in raw and raw.endswith("}\n")
        for row in map(json.loads, raw.splitlines()):
            assert {"audio_filepath", "duration", "text", "lang"} <= set(row)
            assert not {"offset", "sampling_rate"} & set(row)
            assert len(row["audio_filepath"]) < 255 and Path(row["audio_filepath"]).is_file()


def test_wenet_lists_have_two_fields_a_line(copy, tmp_path):
    export(copy, "wenet", tmp_path / "w")
    for row in (tmp_path / "w/train/wav.scp").read_text().splitlines():
        assert len(row.split()) == 2
    for row in map(json.loads, (tmp_path / "w/train/data.list").read_text().splitlines()):
        assert set(row) == {"key", "wav", "txt"}


@pytest.mark.parametrize(
    ("name", "members"), [("webdataset", ["flac", "json", "txt"]), ("wenet-shards", ["flac", "txt"])]
)
def test_shards_hold_whole_samples_side_by_side(name, members, copy, tmp_path):
    export(copy, name, tmp_path / "t")
    sounds = {line.id: line for line in copy.lines()}
    seen = []
    for path in sorted((tmp_path / "t").rglob("*.tar")):
        with tarfile.open(path) as tar:
            infos = tar.getmembers()
            for info in infos:
                assert (info.mtime, info.mode, info.uid, info.uname) == (0, 0o644, 0, "")
                assert info.name.count(".") == 1 and "/" not in info.name and len(info.name) <= 100
            for at in range(0, len(infos), len(members)):
                group = infos[at : at + len(members)]
                (key,) = {info.name.split(".")[0] for info in group}
                assert [info.name.split(".")[1] for info in group] == members
                file = tar.extractfile(group[0])
                data = file.read()
                assert data == copy.audio(sounds[key]).read_bytes()
                assert tar.extractfile(group[-1]).read().decode() == sounds[key].text
                seen.append(key)
    assert sorted(seen) == list(sounds)


def test_a_speaker_is_never_in_two_shards(copy, tmp_path, monkeypatch):
    from corpus.exporters import shards as tars

    monkeypatch.setattr(tars, "SHARD_BYTES", 1)
    export(copy, "webdataset", tmp_path / "t")
    shards: dict[str, set[str]] = {}
    for path in (tmp_path / "t").glob("*.tar"):
        with tarfile.open(path) as tar:
            for name in tar.getnames():
                shards.setdefault(name.split("-")[0], set()).add(path.name)
    assert len(shards) == 8 and all(len(names) == 1 for names in shards.values())


def test_an_audiofolder_has_metadata_beside_its_sounds(copy, tmp_path):
    export(copy, "hf", tmp_path / "h")
    splits = {"train": "train", "validation": "dev", "test": "test"}
    for folder, split in splits.items():
        rows = [json.loads(row) for row in (tmp_path / f"h/{folder}/metadata.jsonl").read_text().splitlines()]
        assert [row["id"] for row in rows] == [line.id for line in copy.lines(Wanted(split=split))]
        for row in rows:
            assert soundfile.info(tmp_path / "h" / folder / row["file_name"]).frames == row["samples"]
        assert len({tuple(row) for row in rows}) == 1
    card = (tmp_path / "h/README.md").read_text(encoding="utf-8")
    assert "split: validation" in card


@pytest.mark.parametrize("name", exporters.EXPORTERS)
def test_the_same_release_gives_the_same_export(name, copy, tmp_path):
    export(copy, name, tmp_path / "x")
    first = tree(tmp_path / "x")
    export(copy, name, tmp_path / "x")
    assert tree(tmp_path / "x") == first


@pytest.mark.parametrize("name", exporters.EXPORTERS)
def test_a_filtered_export_has_only_what_was_asked_for(name, copy, tmp_path):
    done = export(copy, name, tmp_path / "x", wanted=Wanted(split="test", grade="quiet"))
    expected = [line for line in copy.lines() if line.split == "test" and line.grade == "quiet"]
    assert done.utterances == len(expected) > 0
    everything = b"".join(path.encode() + readable(path, data) for path, data in tree(tmp_path / "x").items())
    for line in copy.lines():
        named = line.recording_id if name in exporters.BY_RECORDING else line.id
        assert (named.encode() in everything) == (line in expected)


@pytest.mark.parametrize("name", exporters.EXPORTERS)
def test_a_damaged_release_leaves_no_half_export(name, copy, tmp_path):
    path = copy.folder / manifest.FILE_NAME
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(manifest.ManifestInvalid):
        export(copy, name, tmp_path / "x")
    assert [p.name for p in tmp_path.iterdir() if p.name != "data"] == []


def test_an_export_replaces_an_export_and_nothing_else(copy, tmp_path):
    export(copy, "kaldi", tmp_path / "x")
    export(copy, "nemo", tmp_path / "x")
    assert not (tmp_path / "x/train").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("keep")
    with pytest.raises(exporters.TargetTaken):
        export(copy, "kaldi", tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_text() == "keep"


@pytest.mark.parametrize("bad", ["with space", "br(ack", "ti~lde", "quo'te", "do$llar", "pi|pe"])
def test_a_path_that_toolkits_misread_is_refused_with_advice(bad, copy, tmp_path):
    moved = tmp_path / bad
    copy.folder.rename(moved)
    with pytest.raises(PathUnsafe, match="--root"):
        export(open_copy(moved), "kaldi", tmp_path / "x")
    done = export(open_copy(moved), "nemo", tmp_path / "x", root="/data/tales")
    assert done.utterances == 24
    rows = (tmp_path / "x/train_manifest.json").read_text().splitlines()
    assert all(json.loads(row)["audio_filepath"].startswith("/data/tales/audio/") for row in rows)


def test_an_unknown_format_lists_the_known(copy, tmp_path):
    with pytest.raises(exporters.FormatUnknown, match="lhotse"):
        export(copy, "sphinx", tmp_path / "x")
