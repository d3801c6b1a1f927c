"""Looking into a release: hours by what an ASR team asks for, and its clips, filtered, a page at a time.

Reads ``manifest.parquet``: the few columns that filters and sums need are kept for the releases that were
looked at last (about 50 bytes a clip); the rest is read for the rows of a page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec

from corpus.manifest import SPLITS
from protocol.clip import GRADES

PARQUET_NAME = "manifest.parquet"
PAGE_ROWS = 25
WITHHELD = "withheld"  # what too few speakers share, or did not tell
Order = Literal["id", "snr", "-snr", "duration", "-duration"]
ORDERS: tuple[Order, ...] = ("id", "snr", "-snr", "duration", "-duration")
_KEPT = ("split", "grade", "dialect", "glottocode", "snr_db", "duration_s")
_SHOWN = (
    "id", "sha256", "text", "language", "split", "grade", "dialect", "glottocode", "snr_db", "duration_s",
    "speaker_id", "gender", "style",
)  # fmt: skip


class Row(msgspec.Struct, frozen=True):
    """What a page shows of a clip."""

    id: str
    sha256: str
    text: str
    language: str
    split: str
    grade: str
    dialect: str | None
    glottocode: str | None
    snr_db: float
    duration_s: float
    speaker_id: str
    gender: str | None
    style: str


@dataclass(frozen=True)
class Filter:
    """Which clips to show, and in which order; None takes all."""

    split: str | None = None
    grade: str | None = None
    dialect: str | None = None
    min_snr_db: float | None = None
    max_snr_db: float | None = None
    order: Order = "id"


@dataclass(frozen=True)
class Page:
    """One page of the clips that were asked for, and how many there are in all."""

    rows: tuple[Row, ...]
    clips: int
    seconds: float
    number: int
    of: int


@dataclass(frozen=True)
class Outline:
    """Seconds of sound by grade, dialect and split, the values that a filter may have."""

    by_grade: Mapping[str, float]
    by_dialect: Mapping[str, float]
    by_split: Mapping[str, float]


@lru_cache(maxsize=64)
def outline(folder: Path, sha256: str) -> Outline:
    """What a release holds; `sha256` is that of its header, so that a renewed one is read anew."""
    table = _columns(folder, sha256)

    def seconds_by(name: str) -> dict[str, float]:
        sums = table.group_by(name).aggregate([("duration_s", "sum")]).to_pydict()
        return dict(zip(sums[name], sums["duration_s_sum"], strict=True))

    grades, splits, dialects = seconds_by("grade"), seconds_by("split"), seconds_by("dialect")
    return Outline(
        by_grade={str(grade): grades[grade] for grade in GRADES if grade in grades},
        by_dialect={name: dialects[name] for name in sorted(dialects, key=lambda n: (n == WITHHELD, n))},
        by_split={str(split): splits[split] for split in SPLITS if split in splits},
    )


def page(folder: Path, sha256: str, wanted: Filter, number: int = 1, rows: int = PAGE_ROWS) -> Page:
    """Page `number`, from 1, of the clips of a release; one that is too high gives the last."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = _columns(folder, sha256)
    mask = pa.scalar(True)
    for name, value in (("split", wanted.split), ("grade", wanted.grade), ("dialect", wanted.dialect)):
        if value is not None:
            mask = pc.and_(mask, pc.equal(table[name], value))
    if wanted.min_snr_db is not None:
        mask = pc.and_(mask, pc.greater_equal(table["snr_db"], wanted.min_snr_db))
    if wanted.max_snr_db is not None:
        mask = pc.and_(mask, pc.less_equal(table["snr_db"], wanted.max_snr_db))
    if isinstance(mask, pa.Scalar):
        places = pa.array(range(table.num_rows), pa.uint64())
    else:
        places = pc.indices_nonzero(mask)
    durations = table["duration_s"].take(places)
    key = wanted.order.removeprefix("-")
    if key != "id":
        column = durations if key == "duration" else table["snr_db"].take(places)
        direction = "descending" if wanted.order.startswith("-") else "ascending"
        places = places.take(pc.sort_indices(column, sort_keys=[("", direction)]))
    clips = len(places)
    of = max(1, -(-clips // rows))
    number = min(max(1, number), of)
    shown = places.slice((number - 1) * rows, rows).to_pylist()
    return Page(_rows(folder, shown), clips, pc.sum(durations).as_py() or 0.0, number, of)


def _rows(folder: Path, places: list[int]) -> tuple[Row, ...]:
    """The rows at these places of the file, in this order; only the groups that hold them are read."""
    from pyarrow import parquet

    found: dict[int, Row] = {}
    with parquet.ParquetFile(folder / PARQUET_NAME) as file:
        start = 0
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            here = [place for place in places if start <= place < end]
            if here:
                table = file.read_row_group(group, columns=list(_SHOWN)).take([p - start for p in here])
                for place, row in zip(here, table.to_pylist(), strict=True):
                    found[place] = msgspec.convert(row, Row)
            start = end
    return tuple(found[place] for place in places)


@lru_cache(maxsize=2)
def _columns(folder: Path, sha256: str) -> Any:
    """The columns that filters need; a dialect that was not told is its Glottocode, or `WITHHELD`."""
    import pyarrow.compute as pc
    from pyarrow import parquet

    table = parquet.read_table(folder / PARQUET_NAME, columns=list(_KEPT))
    dialect = pc.coalesce(table["dialect"], table["glottocode"], WITHHELD)
    table = table.drop_columns(["dialect", "glottocode"])
    for name in ("split", "grade"):
        column = pc.dictionary_encode(table[name])
        table = table.set_column(table.column_names.index(name), name, column)
    return table.append_column("dialect", pc.dictionary_encode(dialect))
