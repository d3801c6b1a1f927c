"""Every format read by the toolkit it is for; those live in an environment of their own (`make toolkits`).

A format that only we read is a format nobody can use. Texts here are those that readers stumble over.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile

from corpus import exporters

pytestmark = pytest.mark.toolkit

PRELUDE = """
import hashlib, json, sys, warnings
from pathlib import Path
warnings.simplefilter("ignore")
folder, result = Path(sys.argv[1]), {}

def pcm(samples):
    import numpy as np
    scaled = np.asarray(samples, dtype=np.float64).reshape(-1) * 32768
    return hashlib.sha256(scaled.round().astype("<i2").tobytes()).hexdigest()
"""


# torchcodec is there but does not load where FFmpeg's libraries are not.
MISSING = """
except (ImportError, OSError, RuntimeError) as error:
    print("MISSING", str(error).split("\\n")[0])
    sys.exit()
"""


@pytest.fixture
def read(root, tmp_path):
    """Run a script with the toolkits' Python; it fills `result`."""
    python = Path(os.environ.get("XIANGYIN_TOOLKITS_PYTHON") or root / ".venv-toolkits/bin/python")
    if not python.exists():
        pytest.skip("the toolkits live in .venv-toolkits; make it with `make toolkits`")

    def run(needs: str, script: str, *folders: Path):
        env = {
            **os.environ,
            "HF_HOME": str(tmp_path / "hf"),
            "HF_HUB_OFFLINE": "1",
            "HF_DATASETS_OFFLINE": "1",
        }
        code = f"{PRELUDE}\ntry:\n    import {needs}\n{MISSING}\n{script}\nprint(json.dumps(result))"
        command = [str(python), "-c", code, *map(str, folders)]
        done = subprocess.run(command, capture_output=True, text=True, env=env)
        assert done.returncode == 0, done.stderr[-3000:]
        if done.stdout.startswith("MISSING"):
            pytest.skip(f"{needs} cannot be loaded here: {done.stdout}")
        return json.loads(done.stdout.splitlines()[-1])

    return run


def pcm(samples: np.ndarray) -> str:
    import hashlib

    return hashlib.sha256((samples.reshape(-1) * 32768).round().astype("<i2").tobytes()).hexdigest()


def expected(copy, *, split: str | None = None, text=lambda text: text):
    """What a reader of sound and text must find, by id."""
    return {
        line.id: [text(line.text), line.speaker_id, pcm(soundfile.read(copy.audio(line))[0])]
        for line in copy.lines()
        if split in (None, line.split)
    }


def spaced(text: str) -> str:
    return " ".join(re.split(r"\s+", text)).strip()


def export(copy, name, to, **options):
    (done,) = exporters.export(copy, {name: to}, **options)
    assert done.left_out == 0
    return to


def test_lhotse_reads_shar_in_order_with_every_sample(read, made, tmp_path, monkeypatch):
    monkeypatch.setattr("corpus.exporters.shards.SHARD_BYTES", 1)
    script = """
from lhotse import CutSet
from lhotse.qa import validate
for split in ("train", "dev", "test"):
    cuts = list(CutSet.from_shar(in_dir=folder / split))
    for cut in cuts:
        validate(cut, read_data=True)
    result[split] = {
        c.id: [c.supervisions[0].text, c.supervisions[0].speaker, pcm(c.load_audio())] for c in cuts
    }
    result[split + " shards"] = len(list((folder / split).glob("cuts.*")))
"""
    found = read("lhotse", script, export(made.copy, "shar", tmp_path / "x"))
    for split in ("train", "dev", "test"):
        assert list(found[split].items()) == list(expected(made.copy, split=split).items())
    assert found["train shards"] == 4  # a speaker each


def test_lhotses_own_shar_has_the_same_members(read, copy, tmp_path):
    """What we write directly and what lhotse writes from our cuts differ in nothing but the FLAC's bytes."""
    export(copy, "shar", tmp_path / "x")
    export(copy, "lhotse", tmp_path / "l")
    script = """
import gzip, tarfile
from lhotse import CutSet
theirs = Path(sys.argv[3])
theirs.mkdir()
CutSet.from_file(Path(sys.argv[2]) / "cuts_train.jsonl.gz").to_shar(theirs, fields={"recording": "flac"})
def members(path):
    with tarfile.open(path) as tar:
        return [[m.name, m.mtime, m.uid, json.load(tar.extractfile(m)) if m.name.endswith("json") else None]
                for m in tar]
def rows(path):
    return [json.loads(row) for row in gzip.open(path)]
names = ("recording.000000.tar", "cuts.000000.jsonl.gz")
result["ours"] = [members(folder / "train" / names[0]), rows(folder / "train" / names[1])]
result["theirs"] = [members(theirs / names[0]), rows(theirs / names[1])]
"""
    found = read("lhotse", script, tmp_path / "x", tmp_path / "l", tmp_path / "t")
    assert found["ours"] == found["theirs"]


def test_webdataset_finds_each_sample_whole(read, made, tmp_path):
    script = """
import io, soundfile, webdataset as wds
urls = sorted(str(p) for p in folder.glob("*.tar"))
for one in wds.WebDataset(urls, shardshuffle=False):
    row = json.loads(one["json"])
    samples, _ = soundfile.read(io.BytesIO(one["flac"]))
    result[one["__key__"]] = [one["txt"].decode(), row["speaker_id"], pcm(samples)]
"""
    assert read("webdataset", script, export(made.copy, "webdataset", tmp_path / "x")) == expected(made.copy)


@pytest.mark.parametrize("name", ["hf", "hf-parquet"])
def test_datasets_loads_every_split_from_the_folder_alone(name, read, made, tmp_path):
    script = """
import io, soundfile
from datasets import Audio, load_dataset
data = load_dataset(str(folder))
result["splits"] = {split: len(part) for split, part in data.items()}
for split, part in data.items():
    assert isinstance(part.features["audio"], Audio), part.features
    for row in part.cast_column("audio", Audio(decode=False)):
        sound = row["audio"]
        data = sound["bytes"] or Path(sound["path"]).read_bytes()
        result[row["id"]] = [row["text"], row["speaker_id"], pcm(soundfile.read(io.BytesIO(data))[0])]
    result["types"] = [str(part.features[n].dtype) for n in ("snr_db", "samples", "text")]
"""
    needs = "datasets, torchcodec" if name == "hf" else "datasets"
    found = read(needs, script, export(made.copy, name, tmp_path / "x"))
    assert found.pop("splits") == {"train": 24, "validation": 12, "test": 12}
    assert found.pop("types") == ["float64", "int64", "string"]
    assert found == expected(made.copy)


def test_datasets_streams_parquet(read, made, tmp_path):
    script = """
from datasets import Audio, load_dataset
data = load_dataset(str(folder), streaming=True)["train"].cast_column("audio", Audio(decode=False))
result["ids"] = [row["id"] for row in data]
"""
    found = read("datasets", script, export(made.copy, "hf-parquet", tmp_path / "x"))
    assert found["ids"] == list(expected(made.copy, split="train"))


def test_datasets_reads_webdataset_shards(read, made, tmp_path):
    """It infers the columns from the first samples, so all samples must have the same."""
    script = """
from datasets import Audio, load_dataset
data = load_dataset("webdataset", data_files={"train": str(folder / "train-*.tar")}, split="train")
data = data.cast_column("flac", Audio(decode=False))
result["rows"] = {row["__key__"]: row["txt"] for row in data}
"""
    found = read("datasets, torchcodec", script, export(made.copy, "webdataset", tmp_path / "x"))
    assert found["rows"] == {key: row[0] for key, row in expected(made.copy, split="train").items()}


def test_speechbrain_reads_both_manifests_with_every_text_unchanged(read, made, tmp_path):
    """Its CSV reader takes ``$5`` for a variable and its JSON reader ``{laugh}`` for a placeholder."""
    script = """
import types
# It asks torchaudio for its version and no more; torchaudio's wheel here wants CUDA.
sys.modules["torchaudio"] = types.ModuleType("torchaudio")
from speechbrain.dataio.dataio import read_audio
from speechbrain.dataio.dataset import DynamicItemDataset
known = json.loads((folder / "replacements.json").read_text())
for form in ("csv", "json"):
    read, found = getattr(DynamicItemDataset, f"from_{form}"), {}
    for split in ("train", "dev", "test"):
        data = read(str(folder / f"{split}.{form}"), replacements=known)
        data.add_dynamic_item(read_audio, takes="wav", provides="sig")
        data.set_output_keys(["id", "wrd", "spk_id", "sig", "duration", "dialect"])
        for row in data:
            found[row["id"]] = [row["wrd"], row["spk_id"], pcm(row["sig"])]
            assert abs(row["duration"] * 16000 - len(row["sig"])) < 1e-6
            assert row["dialect"] == "north coast $9 {x}"
    result[form] = found
"""
    found = read("hyperpyyaml", script, export(made.copy, "speechbrain", tmp_path / "x"))
    assert found["csv"] == expected(made.copy)
    assert found["json"] == expected(made.copy)


def test_lhotses_common_voice_recipe_reads_ours(read, made, tmp_path):
    script = """
from lhotse.recipes.commonvoice import _parse_utterance
import csv
lang = next(p for p in folder.iterdir() if p.is_dir())
result["language"], result["files"] = lang.name, sorted(p.name for p in lang.iterdir())
for split in ("train", "dev", "test"):
    with open(lang / f"{split}.tsv") as file:
        for row in csv.DictReader(file, delimiter="\\t", quoting=csv.QUOTE_NONE):
            recording, one = _parse_utterance(lang, lang.name, row)
            result[one.id] = [one.text, one.speaker, pcm(recording.load_audio())]
            assert (one.gender, one.custom["age"]) == ("female_feminine", "thirties")
"""
    found = read("lhotse", script, export(made.copy, "common-voice", tmp_path / "x"))
    assert found.pop("language") == "cmn-Hant-TW"
    tables = ["dev.tsv", "invalidated.tsv", "other.tsv", "test.tsv", "train.tsv", "validated.tsv"]
    assert found.pop("files") == sorted(["clip_durations.tsv", "clips", *tables])
    assert found == expected(made.copy, text=spaced)


def turns(copy, text=spaced):
    """By recording: start and end in seconds, speaker and text of each clip."""
    found: dict[str, list] = {}
    for line in copy.lines():
        start_s = line.start_sample / line.sample_rate_hz
        end_s = (line.start_sample + line.samples) / line.sample_rate_hz
        found.setdefault(line.recording_id, []).append([start_s, end_s, line.speaker_id, text(line.text)])
    return {name: sorted(rows) for name, rows in found.items()}


def test_praatio_reads_textgrids_without_a_hole(read, made, tmp_path):
    script = """
from praatio import textgrid
for path in folder.rglob("*.TextGrid"):
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    rows = []
    for name in grid.tierNames:
        tier = grid.getTier(name)
        entries = list(tier.entries)
        assert entries[0].start == 0 and entries[-1].end == grid.maxTimestamp
        assert all(a.end == b.start for a, b in zip(entries, entries[1:]))
        rows += [[e.start, e.end, name, e.label] for e in entries if e.label]
    result[path.stem] = sorted(rows)
"""
    assert read("praatio", script, export(made.copy, "textgrid", tmp_path / "x")) == turns(made.copy)


def test_pympi_reads_elan_documents(read, made, tmp_path):
    script = """
from pympi import Eaf
for path in folder.rglob("*.eaf"):
    document = Eaf(str(path))
    rows = []
    for tier in document.get_tier_names():
        rows += [[a[0], a[1], tier, a[2]] for a in document.get_annotation_data_for_tier(tier)]
    result[path.stem] = sorted(rows)
    media = document.get_linked_files()
    assert all((path.parent / m["RELATIVE_MEDIA_URL"]).is_file() for m in media) and len(media) == 2
    assert all(m["MEDIA_URL"] == m["RELATIVE_MEDIA_URL"] for m in media)
"""
    found = read("pympi", script, export(made.copy, "eaf", tmp_path / "x", recordings=True))
    rows = turns(made.copy)
    assert found == {
        name: sorted([round(start_s * 1000), round(end_s * 1000), *rest] for start_s, end_s, *rest in row)
        for name, row in rows.items()
    }


def test_lhotse_reads_rttm(read, made, tmp_path):
    script = """
from lhotse import SupervisionSet
for path in folder.glob("*.rttm"):
    for s in SupervisionSet.from_rttm(path):
        result.setdefault(s.recording_id, []).append([s.start, s.end, s.speaker, s.channel])
"""
    found = read("lhotse", script, export(made.copy, "rttm", tmp_path / "x"))
    assert {name: len(rows) for name, rows in found.items()} == {
        n: len(r) for n, r in turns(made.copy).items()
    }
    for name, rows in turns(made.copy).items():
        for row, (start_s, end_s, speaker, _) in zip(sorted(found[name]), rows, strict=True):
            assert row[:2] == pytest.approx([start_s, end_s], abs=2e-6)
            assert row[2] == speaker


def test_lhotse_takes_segments_of_rebuilt_recordings_from_a_kaldi_directory(read, made, tmp_path):
    script = """
from lhotse import validate_recordings_and_supervisions, CutSet
from lhotse.kaldi import load_kaldi_data_dir
for split in ("train", "dev", "test"):
    recordings, supervisions, _ = load_kaldi_data_dir(folder / split, sampling_rate=16000)
    validate_recordings_and_supervisions(recordings, supervisions, read_data=True)
    for cut in CutSet.from_manifests(recordings, supervisions).trim_to_supervisions():
        one = cut.supervisions[0]
        result[one.id] = [one.text, one.speaker, pcm(cut.load_audio())]
"""
    found = read("lhotse", script, export(made.copy, "ctm", tmp_path / "x", recordings=True))
    assert found == expected(made.copy, text=spaced)


def test_mlcroissant_reads_the_records_of_a_release(read, copy):
    script = """
import mlcroissant
data = mlcroissant.Dataset(str(folder / "croissant.json"))
result["problems"] = sorted(data.metadata.ctx.issues.errors)
result["sets"] = [one.id for one in data.metadata.record_sets]
"""
    found = read("mlcroissant", script, copy.folder)
    assert found["problems"] == []
    assert found["sets"]


def test_lhotse_itself_loads_and_validates(read, copy, tmp_path):
    export(copy, "lhotse", tmp_path / "l")
    export(copy, "kaldi", tmp_path / "k", audio="path")
    script = """
from lhotse import CutSet, RecordingSet, SupervisionSet, validate_recordings_and_supervisions
from lhotse.kaldi import load_kaldi_data_dir
from lhotse.qa import validate
from lhotse.recipes.utils import read_manifests_if_cached

kaldi = Path(sys.argv[2])
cached = read_manifests_if_cached(["train", "dev", "test"], folder)
for split in ("train", "dev", "test"):
    recordings = RecordingSet.from_file(folder / f"recordings_{split}.jsonl.gz")
    supervisions = SupervisionSet.from_file(folder / f"supervisions_{split}.jsonl.gz")
    validate_recordings_and_supervisions(recordings, supervisions, read_data=True)
    cuts = CutSet.from_file(folder / f"cuts_{split}.jsonl.gz")
    validate(cuts, read_data=True)
    built = CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
    same = [a.to_dict()["supervisions"] == b.to_dict()["supervisions"] for a, b in zip(built, cuts)]
    loaded, from_kaldi, _ = load_kaldi_data_dir(kaldi / split, sampling_rate=16000)
    validate_recordings_and_supervisions(loaded, from_kaldi, read_data=True)
    result[split] = {
        "cached": len(cached[split]["recordings"]),
        "same": all(same),
        "kaldi": {s.id: [s.text, s.speaker] for s in from_kaldi},
        "cuts": {
            cut.id: [cut.load_audio().shape[1], cut.num_samples, cut.supervisions[0].text,
                     cut.supervisions[0].speaker, cut.supervisions[0].custom["snr_db"]]
            for cut in cuts
        },
    }
"""
    found = read("lhotse", script, tmp_path / "l", tmp_path / "k")
    seen = {name: row for split in found.values() for name, row in split["cuts"].items()}
    lines = list(copy.lines())
    assert seen == {one.id: [one.samples, one.samples, one.text, one.speaker_id, one.snr_db] for one in lines}
    from_kaldi = {name: row for split in found.values() for name, row in split["kaldi"].items()}
    assert from_kaldi == {one.id: [one.text, one.speaker_id] for one in lines}
    for split, part in found.items():
        assert part["same"] and part["cached"] == sum(one.split == split for one in lines)
