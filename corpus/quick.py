"""Every rule of a manifest's lines, in columns: a million lines in a few seconds, no sound opened.

It reads the Parquet, whose digest the header vouches for, a group of rows at a time. Each field must be what
`manifest.problem` asks, ids be in order, and no speaker, session, recording, prompt or read text stand in
two splits, nor a sound stand twice. `corpus.verify` looks at everything else: how the JSON is spelled, the
sounds, the texts' rules, and texts that are the same only when folded, or nearly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from corpus import manifest
from corpus.flat import Flat
from corpus.manifest import SPLITS, Line
from protocol.clip import GRADES, STYLES

_MANY = ("id", "audio", "sha256", "pcm_md5", "text", "text_raw", "recording_id")  # different in each line
_FEW = tuple(
    name
    for name, kind in Line.__annotations__.items()
    if name not in _MANY and ("str" in str(kind) or str(kind) in ("Style", "Grade", "Split"))
)
_FORMS: dict[str, tuple[Callable[[str], object], str]] = {
    "split": (SPLITS.__contains__, "split is not train, dev or test"),
    "style": (STYLES.__contains__, f"style is none of {', '.join(STYLES)}"),
    "grade": (GRADES.__contains__, f"grade is none of {', '.join(GRADES)}"),
    "language": (manifest.LANGUAGE.fullmatch, "language is not a BCP 47 tag"),
    "glottocode": (manifest.GLOTTOCODE.fullmatch, "glottocode is not four letters and four digits"),
    "recorded_on": (manifest.DAY.fullmatch, "recorded_on is not a day such as 2026-01-31"),
    "license": (manifest.LICENSE.fullmatch, "license is not an SPDX identifier"),
}
_FROM_0, _FROM_1 = (
    ("channel", "start_sample"),
    ("bytes", "samples", "sample_rate_hz", "channels", "transcribers"),
)
_LONGEST_ID = 100
_SPACE = ord(" ")

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a row, counted from 1 as in the manifest's lines; None for the whole file."""

    line: int | None
    detail: str


@dataclass
class _Troubles:
    """The first row of each kind, and how many there are."""

    first: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, begin: int, bad: Mask, detail: str) -> None:
        count = int(np.count_nonzero(bad))
        if count:
            self.first.setdefault(detail, begin + int(np.argmax(bad)) + 1)
            self.counts[detail] = self.counts.get(detail, 0) + count

    def __iter__(self) -> Iterator[Trouble]:
        for detail, line in self.first.items():
            count = self.counts[detail]
            yield Trouble(line, detail + (f" ({count} such lines)" if count > 1 else ""))


@dataclass
class _Units:
    """Hashes of the values of a kind where a new one begins, with split and row."""

    keys: list[NDArray[np.uint64]] = field(default_factory=list)
    splits: list[NDArray[np.int8]] = field(default_factory=list)
    rows: list[NDArray[np.int64]] = field(default_factory=list)

    def add(self, begin: int, keys: NDArray[np.uint64], split: NDArray[np.int8], there: Mask) -> None:
        new = there.copy()
        new[1:] &= (keys[1:] != keys[:-1]) | (split[1:] != split[:-1]) | ~there[:-1]
        rows = np.flatnonzero(new)
        self.keys.append(keys[rows])
        self.splits.append(split[rows])
        self.rows.append(rows + begin)

    def parted(self) -> int | None:
        """The first row of which the value stood in another split before."""
        if not self.keys:
            return None
        keys, splits, rows = np.concatenate(self.keys), np.concatenate(self.splits), np.concatenate(self.rows)
        # Sorted alone, which is several times faster, two bits of each key give way to its split.
        told = np.sort(keys << np.uint64(2) | (splits + 1).astype(np.uint64))
        if not ((told[1:] >> np.uint64(2) == told[:-1] >> np.uint64(2)) & (told[1:] != told[:-1])).any():
            return None
        order = np.argsort(keys, kind="stable")
        keys, splits = keys[order], splits[order]
        parted = (keys[1:] == keys[:-1]) & (splits[1:] != splits[:-1])
        return int(rows[order[1:][parted]].min()) if parted.any() else None


def check(path: Path) -> Iterator[Trouble]:
    """Everything that is wrong with the rows of a ``manifest.parquet``, the first of each kind."""
    from pyarrow import parquet

    if not parquet.read_schema(path).equals(manifest.columns()):
        yield Trouble(None, "its columns are not those of a manifest")
        return
    found = _Troubles()
    units = {
        name: _Units() for name in ("speaker_id", "session_id", "recording_id", "prompt_id", "read text")
    }
    sounds: list[NDArray[np.uint64]] = []
    begin, last_id = 0, ""
    with parquet.ParquetFile(path, read_dictionary=list(_FEW)) as file:
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, use_threads=False)
            columns = {name: table[name].combine_chunks() for name in table.column_names}
            if not table.num_rows:
                continue
            last_id = _look(columns, begin, last_id, found, units, sounds)
            begin += table.num_rows
    yield from found
    if not begin:
        return
    for name, unit in units.items():
        row = unit.parted()
        if row is not None:
            yield Trouble(row + 1, f"its {name} stands in two splits")
    again = _repeated(np.concatenate(sounds))
    if again is not None:
        yield Trouble(again + 1, "the same sound stands twice")


def _look(
    columns: dict[str, Any],
    begin: int,
    last_id: str,
    found: _Troubles,
    units: dict[str, _Units],
    sounds: list[NDArray[np.uint64]],
) -> str:
    """Check some rows; gives the id of the last one."""

    def tell(bad: Mask, detail: str) -> None:
        found.add(begin, bad, detail)

    for name, kind in Line.__annotations__.items():
        if columns[name].null_count and "None" not in str(kind):
            tell(_mask(columns[name].is_null()), f"{name} is missing")
    for name, (is_good, detail) in _FORMS.items():
        codes, values = _coded(columns[name])
        tell(np.array([not is_good(value) for value in values] + [False])[codes], detail)
    _numbers(columns, tell)
    _events(columns, tell)
    _ids(columns, last_id, tell)
    _text(columns["text"], tell)
    split, names = _coded(columns["split"])
    splits = np.array([SPLITS.index(name) if name in SPLITS else -1 for name in names] + [-1], np.int8)[split]
    for name in ("speaker_id", "session_id", "prompt_id"):
        codes, _ = _coded(columns[name], named=False)
        keys = np.append(Flat.of(columns[name].dictionary).hashes(), np.uint64(0))
        units[name].add(begin, keys[codes], splits, codes < len(keys) - 1)
    every = np.ones(len(splits), bool)
    units["recording_id"].add(begin, Flat.of(columns["recording_id"]).hashes(), splits, every)
    style, names = _coded(columns["style"])
    is_read = np.array([*(name == "read" for name in names), False])[style]
    if is_read.any():
        units["read text"].add(begin, Flat.of(columns["text"]).hashes(), splits, is_read)
    sounds.append(Flat.of(columns["pcm_md5"]).hashes())
    return str(columns["id"][-1].as_py() or last_id)


Tell = Callable[[Mask, str], None]


def _numbers(columns: dict[str, Any], tell: Tell) -> None:
    asked = (*_FROM_0, *_FROM_1, "duration_s")
    numbers = {name: columns[name].fill_null(0).to_numpy(zero_copy_only=False) for name in asked}
    for names, least in ((_FROM_0, 0), (_FROM_1, 1)):
        for name in names:
            tell(~(numbers[name] >= least), f"{name} must be at least {least}")
    for name in ("snr_db", "speech_dbfs", "noise_dbfs"):
        tell(~np.isfinite(columns[name].to_numpy(zero_copy_only=False)), f"{name} is not a number")
    samples, rates, lengths_s = (numbers[name] for name in ("samples", "sample_rate_hz", "duration_s"))
    off = np.rint(samples * 1e6 / np.maximum(rates, 1)) / 1e6 != lengths_s
    for row in np.flatnonzero(off & (rates >= 1)).tolist():  # a few halves are rounded another way
        off[row] = manifest.seconds(int(samples[row]), int(rates[row])) != lengths_s[row]
    tell(off & (rates >= 1), "duration_s is not its samples'")


def _events(columns: dict[str, Any], tell: Tell) -> None:
    from pyarrow import compute as pc

    column = columns["events"]
    events = column.flatten()
    if not len(events):
        return
    owner = np.repeat(np.arange(len(column)), pc.list_value_length(column).fill_null(0).to_numpy())
    start_s, end_s = (events.field(name).to_numpy(zero_copy_only=False) for name in ("start_s", "end_s"))
    most_s = columns["duration_s"].to_numpy(zero_copy_only=False)[owner] + 0.001
    good = (start_s >= 0) & (start_s <= end_s) & (end_s <= most_s)
    good &= _mask(pc.greater(pc.binary_length(events.field("label")), 0))
    bad = np.zeros(len(column), bool)
    bad[owner[~good]] = True
    tell(bad, "an event lies outside the clip or has no label")


def _ids(columns: dict[str, Any], last_id: str, tell: Tell) -> None:
    from pyarrow import compute as pc

    ids, speakers = columns["id"], columns["speaker_id"]
    unordered = np.append((ids[0].as_py() or "") <= last_id, _mask(pc.less_equal(ids[1:], ids[:-1])))
    tell(unordered, "id is out of order or stands twice")
    flat, voices = Flat.of(ids), Flat.of(speakers.dictionary)
    bad = flat.not_names() | (flat.lengths > _LONGEST_ID)
    tell(bad, "id is not letters and digits joined by dashes")
    codes, _ = _coded(speakers, named=False)
    widths = np.append(voices.lengths, 0)[codes]
    strange = np.append(voices.not_names(dashes=False), True)[codes] | (flat.lengths <= widths)
    for width in np.unique(widths[~strange]).tolist():
        rows = np.flatnonzero((widths == width) & ~strange)
        mine = voices.bytes_at(np.flatnonzero(voices.lengths == width), width)
        place = np.cumsum(voices.lengths == width) - 1
        heads = flat.data[flat.starts[rows][:, None] + np.arange(width + 1)]
        strange[rows] = (heads[:, :-1] != mine[place[codes[rows]]]).any(axis=1) | (heads[:, -1] != ord("-"))
    tell(strange, "id does not begin with its speaker_id")
    codes, _ = _coded(columns["session_id"], named=False)
    odd = np.append(Flat.of(columns["session_id"].dictionary).not_names(), True)[codes]
    tell(odd, "session_id is not letters and digits joined by dashes")
    tell(
        Flat.of(columns["recording_id"]).not_names(),
        "recording_id is not letters and digits joined by dashes",
    )
    digests, files = Flat.of(columns["sha256"]), Flat.of(columns["audio"])
    bad = digests.not_hex(64)
    tell(bad, "sha256 is not 64 lower-case hexadecimal digits")
    tell(Flat.of(columns["pcm_md5"]).not_hex(32), "pcm_md5 is not 32 lower-case hexadecimal digits")
    rows = np.flatnonzero(~bad & (files.lengths == len(manifest.audio_path("0" * 64))))
    named = np.zeros(len(bad), bool)
    mine, told = digests.bytes_at(rows, 64), files.bytes_at(rows, len(manifest.audio_path("0" * 64)))
    named[rows] = (told[:, 6:8] == mine[:, :2]).all(axis=1) & (told[:, 9:73] == mine).all(axis=1)
    for begin, written in ((0, b"audio/"), (8, b"/"), (73, b".flac")):
        part = told[:, begin : begin + len(written)]
        named[rows] &= (part == np.frombuffer(written, np.uint8)).all(axis=1)
    tell(~named & ~bad, "audio is not named by its sha256")


def _text(column: Any, tell: Tell) -> None:
    from pyarrow import compute as pc

    flat = Flat.of(column)
    tell((flat.lengths == 0) | _mask(pc.utf8_is_space(column)), "text is empty")
    data = flat.data
    after = np.append(data[1:], np.uint8(0))
    third = np.append(data[2:], np.zeros(2, np.uint8))[: len(data)]
    control = (data < _SPACE) | (data == 0x7F) | ((data == 0xC2) & (after < 0xA0))
    control |= (data == 0xE2) & (after == 0x80) & ((third == 0xA8) | (third == 0xA9))
    bad = flat.holding(np.flatnonzero(control))
    spaces = np.flatnonzero(data == _SPACE)
    if len(spaces):
        owner = np.searchsorted(flat.starts, spaces, "right") - 1
        stray = (spaces == flat.starts[owner]) | (spaces + 1 == flat.starts[owner + 1])
        stray[1:] |= (np.diff(spaces) == 1) & (owner[1:] == owner[:-1])
        bad[owner[stray]] = True
    tell(bad, "text holds a control or stray space")


def _coded(column: Any, *, named: bool = True) -> tuple[NDArray[np.int64], Sequence[str]]:
    """For each row a place in the dictionary, one past its end for none; and the dictionary."""
    codes = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), column.dictionary.to_pylist() if named else ()


def _repeated(keys: NDArray[np.uint64]) -> int | None:
    """The first row whose key came before."""
    told = np.sort(keys)
    if not (told[1:] == told[:-1]).any():
        return None
    order = np.argsort(keys, kind="stable")
    again = order[1:][keys[order[1:]] == keys[order[:-1]]]
    return int(again.min()) if len(again) else None


def _mask(column: Any) -> Mask:
    found: Mask = column.fill_null(False).to_numpy(zero_copy_only=False)
    return found
