"""What peers do with a manifest that `bench/releases.py` wrote; run by it, with the peers' own interpreter.

    python bench/releases_peers.py FOLDER LINES [KNOWN ...]

The same tasks on the same rows, each in a process of its own: build, validate, filter, load. Peers that are
known from another environment are not measured again.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

JSONL, PARQUET = "manifest.jsonl", "manifest.parquet"
RULES = """
    select count(*) from m where samples < 1 or length(text) = 0 or regexp_matches(text, '[\x00-\x1f]')
        or abs(duration_s - samples / sample_rate_hz) > 1e-6 or not starts_with(id, speaker_id || '-')
"""
LEAKS = ("speaker_id", "session_id", "recording_id", "prompt_id")


def rows(folder: Path):
    """The manifest's rows, by orjson."""
    import orjson

    with (folder / JSONL).open("rb") as file:
        for raw in file:
            yield orjson.loads(raw)


def cuts(folder: Path):
    """Lhotse's own objects of the rows."""
    from lhotse import MonoCut, Recording, SupervisionSegment
    from lhotse.audio import AudioSource

    with (folder / JSONL).open("rb") as file:
        for raw in file:
            row = json.loads(raw)
            source = AudioSource("file", [0], row["audio"])
            recording = Recording(
                row["id"], [source], row["sample_rate_hz"], row["samples"], row["duration_s"]
            )
            supervision = SupervisionSegment(
                row["id"],
                row["id"],
                0.0,
                row["duration_s"],
                0,
                row["text"],
                row["language"],
                row["speaker_id"],
            )
            yield MonoCut(row["id"], 0.0, row["duration_s"], 0, [supervision], recording=recording)


def lhotse_build(folder: Path) -> None:
    from lhotse import CutSet

    with CutSet.open_writer(folder / "cuts.jsonl.gz", overwrite=True) as writer:
        for cut in cuts(folder):
            writer.write(cut)


def lhotse_validate(folder: Path) -> None:
    from lhotse import load_manifest, validate

    validate(load_manifest(folder / "cuts.jsonl.gz"))


def lhotse_filter(folder: Path) -> None:
    from lhotse import load_manifest_lazy

    assert sum(1 for _ in load_manifest_lazy(folder / "cuts.jsonl.gz").filter(lambda cut: cut.duration > 3))


def lhotse_load(folder: Path) -> None:
    from lhotse import load_manifest_lazy

    assert sum(1 for _ in load_manifest_lazy(folder / "cuts.jsonl.gz"))


def datasets_build(folder: Path) -> None:
    _dataset("json", folder / JSONL, folder).to_parquet(folder / "datasets.parquet")


def _dataset(kind: str, path: Path, folder: Path):
    import datasets

    datasets.disable_progress_bars()
    return datasets.load_dataset(
        kind, data_files=str(path), split="train", cache_dir=str(folder / "cache" / kind)
    )


def datasets_filter(folder: Path) -> None:
    wanted = _dataset("parquet", folder / PARQUET, folder).filter(
        lambda split, grade, snr: split == "train" and grade == "quiet" and snr >= 20,
        input_columns=["split", "grade", "snr_db"],
    )
    assert len(wanted)


def datasets_load(folder: Path) -> None:
    assert len(_dataset("parquet", folder / PARQUET, folder))


def orjson_build(folder: Path) -> None:
    import orjson

    with (folder / "orjson.jsonl").open("wb") as file:
        for row in rows(folder):
            file.write(orjson.dumps(row) + b"\n")


def orjson_filter(folder: Path) -> None:
    assert sum(r["split"] == "train" and r["grade"] == "quiet" and r["snr_db"] >= 20 for r in rows(folder))


def orjson_load(folder: Path) -> None:
    assert sum(1 for _ in rows(folder))


def polars_validate(folder: Path) -> None:
    import polars as pl

    m = pl.read_parquet(folder / PARQUET)
    bad = m.filter(
        (pl.col("samples") < 1)
        | (pl.col("text").str.len_chars() == 0)
        | pl.col("text").str.contains(r"[\x00-\x1f]")
        | ((pl.col("duration_s") - pl.col("samples") / pl.col("sample_rate_hz")).abs() > 1e-6)
        | ~pl.col("id").str.starts_with(pl.col("speaker_id") + "-")
    )
    assert not len(bad) and m["id"].is_sorted() and m["id"].n_unique() == len(m)
    for name in LEAKS:
        parted = (
            m.group_by(name).agg(pl.col("split").n_unique().alias("n")).filter(pl.col(name).is_not_null())
        )
        assert not len(parted.filter(pl.col("n") > 1))


def polars_filter(folder: Path) -> None:
    import polars as pl

    wanted = (pl.col("split") == "train") & (pl.col("grade") == "quiet") & (pl.col("snr_db") >= 20)
    assert len(pl.scan_parquet(folder / PARQUET).filter(wanted).collect())


def polars_load(folder: Path) -> None:
    import polars as pl

    assert len(pl.read_ndjson(folder / JSONL, infer_schema_length=1000))


def polars_build(folder: Path) -> None:
    import polars as pl

    pl.read_ndjson(folder / JSONL, infer_schema_length=1000).write_parquet(folder / "polars.parquet")


def duckdb_validate(folder: Path) -> None:
    import duckdb

    duckdb.sql(f"create view m as from read_parquet('{folder / PARQUET}')")
    assert duckdb.sql(RULES).fetchall() == [(0,)]
    assert duckdb.sql("select count(*) - count(distinct id) from m").fetchall() == [(0,)]
    for name in LEAKS:
        parted = f"select {name} from m where {name} is not null group by 1 having count(distinct split) > 1"
        assert not duckdb.sql(parted).fetchall()


def duckdb_filter(folder: Path) -> None:
    import duckdb

    wanted = "split = 'train' and grade = 'quiet' and snr_db >= 20"
    assert duckdb.sql(f"from read_parquet('{folder / PARQUET}') where {wanted}").fetchall()


def duckdb_load(folder: Path) -> None:
    import duckdb

    assert duckdb.sql(f"from read_json('{folder / JSONL}')").fetchall()


STEPS: tuple[tuple[str, str, str, Callable[[Path], None]], ...] = (
    ("build", "lhotse", "cuts.jsonl.gz of objects", lhotse_build),
    ("validate", "lhotse", "", lhotse_validate),
    ("filter", "lhotse", "lazily", lhotse_filter),
    ("load", "lhotse", "lazily", lhotse_load),
    ("build", "datasets", "Parquet of JSON Lines", datasets_build),
    ("filter", "datasets", "", datasets_filter),
    ("load", "datasets", "from Parquet", datasets_load),
    ("build", "orjson", "read and written", orjson_build),
    ("filter", "orjson", "", orjson_filter),
    ("load", "orjson", "unchecked", orjson_load),
    ("build", "polars", "Parquet of JSON Lines", polars_build),
    ("validate", "polars", "the same rules by columns", polars_validate),
    ("filter", "polars", "", polars_filter),
    ("load", "polars", "JSON Lines", polars_load),
    ("validate", "duckdb", "the same rules in SQL", duckdb_validate),
    ("filter", "duckdb", "", duckdb_filter),
    ("load", "duckdb", "JSON Lines", duckdb_load),
)


def main(words: list[str]) -> None:
    """Every peer that is installed."""
    if words[:1] == ["--step"]:
        task, library, note, step = STEPS[int(words[1])]
        importlib.import_module(library)  # not what is measured
        before = time.process_time()
        step(Path(words[2]))
        cpu_s = round(time.process_time() - before, 3)
        peak_mib = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        tool = f"{library}, {note}" if note else library
        print(
            json.dumps(
                {"task": task, "tool": tool, "lines": int(words[3]), "cpu_s": cpu_s, "peak_mib": peak_mib}
            )
        )
        return
    missing = sorted({library for _, library, _, _ in STEPS if importlib.util.find_spec(library) is None})
    for place, (_, library, _, _) in enumerate(STEPS):
        if library not in missing and library not in words[2:]:
            subprocess.run([sys.executable, __file__, "--step", str(place), *words[:2]], check=True)
    if missing:
        print(
            json.dumps(
                {"not installed here": missing, "environment": Path(sys.executable).parent.parent.name}
            ),
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
