"""Hugging Face Parquet: the manifest's columns with the sound inside, split into files as the hub wants.

The schema's ``huggingface`` metadata names the audio column, which readers older than 5 need. Row groups
are small, so that a reader that streams holds little, and sound is stored as it is: FLAC does not shrink.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
        group = _Group(
            lambda rows, ends, memory: writer.write_table(
                _table(pa, schema, rows, ends, memory), row_group_size=len(rows)
            )
        )
        for line in task.sounds(left_out, group.room):
            group.take(line)
        group.write()
    part.replace(task.target)
    return tuple(left_out)


class _Group:
    """The rows of one row group; their sounds lie end to end in memory that the next group uses again."""

    def __init__(self, write: Callable[[list[Line], array[int], memoryview], None]) -> None:
        self._write = write
        self._memory = memoryview(bytearray(ROW_GROUP_BYTES))
        self._lines: list[Line] = []
        self._ends = array("i", [0])

    def room(self, size: int) -> memoryview:
        """Where the next sound's `size` bytes go; they are a row once `take` is given their line."""
        start = self._ends[-1]
        if self._lines and (start + size > ROW_GROUP_BYTES or len(self._lines) == ROW_GROUP_ROWS):
            self.write()
            start = 0
        if size > len(self._memory):
            self._memory = memoryview(bytearray(size))
        return self._memory[start : start + size]

    def take(self, line: Line) -> None:
        """Append the row whose sound was put into the `room` that was given last."""
        self._lines.append(line)
        self._ends.append(self._ends[-1] + line.bytes)

    def write(self) -> None:
        """Write the rows, if there are any."""
        if self._lines:
            self._write(self._lines, self._ends, self._memory[: self._ends[-1]])
        self._lines, self._ends = [], array("i", [0])


def _table(pa: Any, schema: Any, lines: list[Line], ends: array[int], sounds: memoryview) -> Any:
    """A row group. The sounds are not copied."""
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(sounds)]
    binary = pa.BinaryArray.from_buffers(pa.binary(), len(lines), buffers)
    paths = pa.array([f"{line.id}.flac" for line in lines], pa.string())
    found = []
    for field, values in zip(schema, zip(*map(msgspec.structs.astuple, lines), strict=True), strict=True):
        if field.name == "audio":
            found.append(pa.StructArray.from_arrays([binary, paths], fields=list(field.type)))
        else:
            told = msgspec.to_builtins(values) if field.name == "events" else values
            found.append(pa.array(told, field.type))
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
