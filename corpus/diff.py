"""What changed between two manifests: a merge of two sorted lists, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from corpus import header
from corpus.dataset import STATE_FOLDER
from corpus.manifest import FIELDS, FILE_NAME, Line, parse

_GROUPS = {
    "text": ("text", "text_raw", "events", "rules_version", "transcribers", "agreement_cer"),
    "measured": ("snr_db", "speech_dbfs", "noise_dbfs", "noise_dba", "measure_method", "grade"),
    "moved": ("split",),
}


class Change(msgspec.Struct, frozen=True):
    """One clip that differs: ``added``, ``withdrawn`` or ``changed``, and then in which `kinds` of fields."""

    what: str
    id: str
    sha256: str
    kinds: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()


class _Named(msgspec.Struct, frozen=True, gc=False):
    """What a line is found by, and what names its sound."""

    id: str
    sha256: str


class _Numbered(NamedTuple):
    number: int
    raw: bytes
    name: _Named

    def line(self) -> Line:
        return parse(self.raw.removesuffix(b"\n"), FILE_NAME, self.number)


def changes(old: Iterable[bytes], new: Iterable[bytes]) -> Iterator[Change]:
    """Changes from `old` to `new`, by id; the lines are as they stand in two manifests, newline included.

    A line has one spelling, so that two with the same bytes need not be looked into.

    Raises
    ------
    ManifestInvalid
        If one of two lines that differ is not one that this version writes.
    """
    lefts, rights = _numbered(old), _numbered(new)
    left, right = next(lefts, None), next(rights, None)
    while left is not None or right is not None:
        if left is not None and (right is None or left.name.id < right.name.id):
            yield Change("withdrawn", left.name.id, left.name.sha256)
            left = next(lefts, None)
        elif right is not None and (left is None or right.name.id < left.name.id):
            yield Change("added", right.name.id, right.name.sha256)
            right = next(rights, None)
        elif left is not None and right is not None:
            if left.raw != right.raw:
                one, other = left.line(), right.line()
                fields = tuple(name for name in FIELDS if getattr(one, name) != getattr(other, name))
                if fields:
                    yield Change("changed", other.id, other.sha256, _kinds(fields), fields)
            left, right = next(lefts, None), next(rights, None)


_named = msgspec.json.Decoder(_Named).decode


def _numbered(lines: Iterable[bytes]) -> Iterator[_Numbered]:
    for number, raw in enumerate(lines, start=1):
        yield _Numbered(number, raw, _named(raw))


def manifest_of(folder: Path) -> Path:
    """The manifest of the whole release, in a folder that may hold only the clips that were wanted."""
    whole = folder / STATE_FOLDER / FILE_NAME
    return whole if whole.is_file() else folder / FILE_NAME


def reasons(folder: Path) -> dict[str, str]:
    """Why clips are not in a release, by id: the codes that it gives, and its tombstones above them."""
    found: dict[str, str] = {}
    try:
        for raw in (folder / header.EXCLUDED_NAME).read_bytes().splitlines():
            row = msgspec.json.decode(raw, type=header.Excluded)
            found[row.id] = row.code
        for stone in header.parse_tombstones(
            (folder / header.TOMBSTONES_NAME).read_bytes(), str(folder / header.TOMBSTONES_NAME)
        ):
            found[stone.id] = "excluded.withdrawn"
    except FileNotFoundError:
        pass  # a copy may be older than the reasons; what differs is told all the same
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise header.ReleaseInvalid(file=str(folder / header.EXCLUDED_NAME), problem=str(error)) from error
    return found


def _kinds(fields: tuple[str, ...]) -> tuple[str, ...]:
    known = [kind for kind, names in _GROUPS.items() if any(name in names for name in fields)]
    others = [name for name in fields if not any(name in names for names in _GROUPS.values())]
    return tuple(known + (["described"] if others else []))
