"""``manifest.parquet``: the lines of a manifest in columns, a group of rows at a time."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from corpus import manifest

_ROW_GROUP = 10_000


class Columns:
    """Takes the bytes of lines and writes their columns; every choice that moves bytes is pinned here."""

    def __init__(self, path: Path) -> None:
        from pyarrow import parquet

        self._schema = manifest.columns()
        self._writer = parquet.ParquetWriter(
            path,
            self._schema,
            version="2.6",
            compression="zstd",
            compression_level=3,
            data_page_version="1.0",
        )
        self._rows: list[bytes] = []

    def add(self, raw: bytes) -> None:
        """Take one line, newline included."""
        self._rows.append(raw)
        if len(self._rows) == _ROW_GROUP:
            self._write()

    def _write(self) -> None:
        import pyarrow as pa
        from pyarrow import json

        rows = b"".join(self._rows)
        self._rows.clear()
        # A group at a time: Arrow's own streaming reader runs up to 32 blocks ahead of what is written.
        blocks = json.ReadOptions(use_threads=False, block_size=len(rows))
        options = json.ParseOptions(explicit_schema=self._schema, unexpected_field_behavior="error")
        table = json.read_json(pa.BufferReader(rows), blocks, options)
        self._writer.write_table(table.combine_chunks(), row_group_size=_ROW_GROUP)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        try:
            if kind is None and self._rows:
                self._write()
        finally:
            self._writer.close()
