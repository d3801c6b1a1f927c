"""What changed between two manifests: a merge of two sorted lists, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from corpus import header
from corpus.dataset import STATE_FOLDER
from corpus.manifest import FIELDS, FILE_NAME, Line

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


def changes(old: Iterable[Line], new: Iterable[Line]) -> Iterator[Change]:
    """Changes from `old` to `new`, by id."""
    lefts, rights = iter(old), iter(new)
    left, right = next(lefts, None), next(rights, None)
    while left is not None or right is not None:
        if left is not None and (right is None or left.id < right.id):
            yield Change("withdrawn", left.id, left.sha256)
            left = next(lefts, None)
        elif right is not None and (left is None or right.id < left.id):
            yield Change("added", right.id, right.sha256)
            right = next(rights, None)
        elif left is not None and right is not None:
            if left != right:
                fields = tuple(name for name in FIELDS if getattr(left, name) != getattr(right, name))
                yield Change("changed", right.id, right.sha256, _kinds(fields), fields)
            left, right = next(lefts, None), next(rights, None)


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
