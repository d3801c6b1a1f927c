"""Hugging Face Parquet: the manifest's columns with the sound inside, split into files as the hub wants.

The schema's ``huggingface`` metadata names the audio column, which readers older than 5 need. Row groups
are small, so that a reader that streams holds little, and sound is stored as it is: FLAC does not shrink.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import accumulate
from typing import Any

import msgspec

from corpus.exporters.hf import SPLIT_NAMES, card
from corpus.exporters.job import Feed, Job, LeftOut
from corpus.exporters.shards import Shard, Task, sharded
from corpus.manifest import Line

ROW_GROUP_BYTES = 16 << 20
ROW_GROUP_ROWS = 1000
_LOADING = """from datasets import load_dataset
data = load_dataset("PATH OF THIS FOLDER")"""
_KINDS = {"int": "int64", "float": "float64", "float | None": "float64"}
_EVENT = {"start_s": "float64", "end_s": "float64", "label": "string"}


@contextmanager
def hf_parquet(job: Job) -> Iterator[Feed]:
    """Write ``data/train-00000-of-00004.parquet`` … and a card that names the splits."""

    def name(shard: Shard, total: int) -> str:
        return f"data/{SPLIT_NAMES[shard.split]}-{shard.number:05d}-of-{total:05d}.parquet"

    with sharded(job, name, _shard) as plan:
        yield plan.feed
    patterns = {SPLIT_NAMES[split]: f"data/{SPLIT_NAMES[split]}-*" for split in plan.splits}
    text = card(job.copy.header, plan.languages, patterns, ", as Parquet with the sound inside", _LOADING)
    (job.to / "README.md").write_text(text, encoding="utf-8")


def _shard(task: Task) -> tuple[LeftOut, ...]:
    """Write row groups as they fill; every choice that moves bytes is pinned here."""
    import pyarrow as pa
    from pyarrow import parquet

    left_out: list[LeftOut] = []
    schema = _schema(pa)
    kept = [name for name in schema.names if name != "audio"]
    part = task.target.with_name(f"{task.target.name}.part")
    with parquet.ParquetWriter(
        part,
        schema,
        version="2.6",
        data_page_version="1.0",
        compression={**dict.fromkeys(_leaves(kept), "zstd"), "audio.bytes": "none", "audio.path": "zstd"},
        use_dictionary=_leaves(kept),
        write_statistics=kept,  # a least and a greatest sound would be stored whole
    ) as writer:
        rows: list[dict[str, Any]] = []
        sounds: list[bytes] = []
        size = 0
        for line, data in task.sounds(left_out):
            if rows and (size + len(data) > ROW_GROUP_BYTES or len(rows) == ROW_GROUP_ROWS):
                writer.write_table(_table(pa, schema, rows, sounds), row_group_size=len(rows))
                rows, sounds, size = [], [], 0
            rows.append(msgspec.to_builtins(line))
            sounds.append(data)
            size += len(data)
        if rows:
            writer.write_table(_table(pa, schema, rows, sounds), row_group_size=len(rows))
    part.replace(task.target)
    return tuple(left_out)


def _table(pa: Any, schema: Any, rows: list[dict[str, Any]], sounds: list[bytes]) -> Any:
    """A row group. The sounds are joined once; arrow would copy them more often."""
    ends = array("i", accumulate(map(len, sounds), initial=0))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(sounds))]
    paths = pa.array([f"{row['id']}.flac" for row in rows], pa.string())
    binary = pa.BinaryArray.from_buffers(pa.binary(), len(sounds), buffers)
    columns = pa.Table.from_pylist(rows, schema=schema.remove(schema.get_field_index("audio")))
    audio = pa.StructArray.from_arrays([binary, paths], fields=list(schema.field("audio").type))
    found = [audio if name == "audio" else columns[name] for name in schema.names]
    return pa.Table.from_arrays(found, schema=schema)


def _leaves(names: list[str]) -> list[str]:
    """The columns as Parquet counts them, a list's parts apart."""
    events = [f"events.list.element.{name}" for name in _EVENT]
    return [leaf for name in names for leaf in (events if name == "events" else [name])]


def _schema(pa: Any) -> Any:
    """Arrow types, and the same told in the words of ``datasets``."""
    fields: list[Any] = []
    features: dict[str, Any] = {}
    for name, annotation in Line.__annotations__.items():
        kind = _KINDS.get(str(annotation), "string")
        if name == "audio":
            fields.append(pa.field(name, pa.struct([("bytes", pa.binary()), ("path", pa.string())])))
            features[name] = {"_type": "Audio"}
        elif name == "events":
            event = pa.struct([(part, pa.type_for_alias(kind)) for part, kind in _EVENT.items()])
            fields.append(pa.field(name, pa.list_(event)))
            features[name] = [{part: {"dtype": kind, "_type": "Value"} for part, kind in _EVENT.items()}]
        else:
            fields.append(pa.field(name, pa.type_for_alias(kind)))
            features[name] = {"dtype": kind, "_type": "Value"}
    metadata = {"huggingface": msgspec.json.encode({"info": {"features": features}})}
    return pa.schema(fields, metadata=metadata)
