"""What changed between two manifests: a merge of two sorted lists, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from corpus.manifest import FIELDS, Line

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


def _kinds(fields: tuple[str, ...]) -> tuple[str, ...]:
    known = [kind for kind, names in _GROUPS.items() if any(name in names for name in fields)]
    others = [name for name in fields if not any(name in names for names in _GROUPS.values())]
    return tuple(known + (["described"] if others else []))
