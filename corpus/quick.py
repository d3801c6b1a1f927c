"""A quick check of a whole manifest in columns: a million lines in a few seconds, no sound opened.

The rules that toolkits hold a data folder to (ids unique and in order, one speaker an id, positive whole
lengths, texts that a line can hold) and every leak that can be seen without folding a text: speaker,
session, recording, prompt, read text and sound. It reads the Parquet, whose digest the header vouches for;
`corpus.verify` looks at everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus.manifest import SPLITS

_BAD_TEXT = r"^ | $|  |[\x00-\x1f\x7f-\x{9f}\x{2028}\x{2029}]"


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a row, counted from 1 as in the manifest's lines."""

    line: int
    detail: str


def check(path: Path) -> Iterator[Trouble]:
    """Everything that is wrong with the rows of a ``manifest.parquet``, the first of each kind."""
    from pyarrow import compute as pc
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        if not file.metadata.num_rows:
            return

        def column(name: str) -> Any:  # one at a time: all of them would fill the memory
            return file.read(columns=[name], use_threads=False)[name].combine_chunks()

        split = _split(column("split"))
        yield from _first(split < 0, "split is not train, dev or test")
        yield from _ids(column, pc)
        yield from _numbers(column)
        texts = column("text")
        yield from _first(_bools(pc.equal(pc.utf8_length(texts), 0)), "text is empty")
        bad = _bools(pc.match_substring_regex(texts, _BAD_TEXT))
        yield from _first(bad, "text holds a control or stray space")
        read = pc.equal(column("style"), "read")
        yield from _leaks(pc.if_else(read, texts, None), split, "read text")
        del texts
        for name in ("speaker_id", "session_id", "recording_id", "prompt_id"):
            yield from _leaks(column(name), split, name)
        yield from _first(_repeated(_codes(column("pcm_md5"))), "the same sound stands twice")


Column = Callable[[str], Any]


def _numbers(column: Column) -> Iterator[Trouble]:
    names = ("samples", "sample_rate_hz", "duration_s", "channel", "start_sample")
    samples, rates, lengths, channels, starts = (column(name).to_numpy() for name in names)
    bad = (samples < 1) | (rates < 1)
    yield from _first(bad, "samples and sample_rate_hz must be at least 1")
    off_s = np.abs(lengths - samples / np.maximum(rates, 1))
    yield from _first(~bad & (off_s > 0.5e-6 + 1e-9 * lengths), "duration_s is not its samples'")
    yield from _first((channels < 0) | (starts < 0), "a position is negative")


def _ids(column: Column, pc: Any) -> Iterator[Trouble]:
    ids = column("id")
    unordered = np.append(False, _bools(pc.less_equal(ids[1:], ids[:-1])))
    yield from _first(unordered, "id is out of order or stands twice")
    speaker = pc.binary_join_element_wise(column("speaker_id"), "", "-")
    width = int(pc.utf8_length(speaker[:1])[0].as_py())
    if pc.all(pc.equal(pc.utf8_length(speaker), width)).as_py():
        head = pc.utf8_slice_codeunits(ids, 0, width)
        yield from _first(~_bools(pc.equal(head, speaker)), "id does not begin with its speaker_id")
    else:
        pairs = zip(ids.to_pylist(), speaker.to_pylist(), strict=True)
        told = np.fromiter((name.startswith(begin) for name, begin in pairs), bool)
        yield from _first(~told, "id does not begin with its speaker_id")
    del ids, speaker
    digest = column("sha256")
    file = pc.binary_join_element_wise(digest, "flac", ".")
    wanted = pc.binary_join_element_wise("audio", pc.utf8_slice_codeunits(digest, 0, 2), file, "/")
    yield from _first(~_bools(pc.equal(wanted, column("audio"))), "audio is not named by its sha256")


def _split(column: Any) -> NDArray[np.int8]:
    found = column.dictionary_encode()
    names = [SPLITS.index(name) if name in SPLITS else -1 for name in found.dictionary.to_pylist()]
    codes = found.indices.fill_null(len(names)).to_numpy(zero_copy_only=False)
    places: NDArray[np.int8] = np.array([*names, -1], np.int8)[codes]
    return places


def _codes(column: Any) -> NDArray[np.int64]:
    """A number for equal values; -1 for none."""
    codes = column.dictionary_encode().indices.fill_null(-1)
    found: NDArray[np.int64] = codes.to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _leaks(column: Any, split: NDArray[np.int8], name: str) -> Iterator[Trouble]:
    codes = _codes(column)
    there = codes >= 0
    if not there.any():
        return
    low = np.full(int(codes.max()) + 1, 127, np.int8)
    high = np.full(len(low), -1, np.int8)
    np.minimum.at(low, codes[there], split[there])
    np.maximum.at(high, codes[there], split[there])
    parted = low != high
    if parted.any():
        yield from _first(there & parted[np.maximum(codes, 0)], f"its {name} stands in two splits")


def _repeated(codes: NDArray[np.int64]) -> NDArray[np.bool_]:
    repeated: NDArray[np.bool_] = (np.bincount(codes) > 1)[codes]
    return repeated


def _bools(column: Any) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = column.fill_null(False).to_numpy(zero_copy_only=False)
    return found


def _first(bad: NDArray[np.bool_], detail: str) -> Iterator[Trouble]:
    """The first bad row, with how many there are."""
    count = int(np.count_nonzero(bad))
    if count:
        more = f" ({count} such lines)" if count > 1 else ""
        yield Trouble(int(np.argmax(bad)) + 1, detail + more)
