"""What may be told of a speaker: nothing that fewer than k speakers of the release share."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

ATTRIBUTES = ("gender", "dialect", "age_band", "region", "native_language", "glottocode")
DEFAULT_K = 3

Told = tuple[str | None, ...]


def withheld(speakers: Mapping[str, Told], k: int) -> dict[str, Told]:
    """The attributes of each speaker, with None for what must not be told.

    Attribute after attribute, in the order of `ATTRIBUTES`: speakers who look alike so far are parted by
    the next one, and where a part would have fewer than `k` of them its value is withheld. Where those
    withheld are themselves fewer than `k`, the next smallest part joins them, since otherwise the missing
    value would tell. So whoever is told apart by everything that is told still stands among at least `k`,
    or among all.

    Parameters
    ----------
    speakers : mapping
        Pseudonym to attributes, all of one length.
    k : int
        1 tells everything.
    """
    told: dict[str, list[str | None]] = {name: [] for name in speakers}
    groups = [sorted(speakers)]
    for place in range(len(next(iter(speakers.values()), ()))):
        groups = [part for group in groups for part in _part(group, place, speakers, told, k)]
    return {name: tuple(values) for name, values in told.items()}


def _part(
    group: Sequence[str], place: int, speakers: Mapping[str, Told], told: dict[str, list[str | None]], k: int
) -> list[list[str]]:
    by_value: dict[str | None, list[str]] = defaultdict(list)
    for name in group:
        by_value[speakers[name][place]].append(name)
    hidden = by_value.pop(None, [])
    for value in sorted(by_value, key=lambda value: (len(by_value[value]), value)):
        if len(by_value[value]) < k or 0 < len(hidden) < k:
            hidden += by_value.pop(value)
    for name in hidden:
        told[name].append(None)
    for value, names in by_value.items():
        for name in names:
            told[name].append(value)
    return [names for _, names in sorted(by_value.items(), key=lambda item: str(item[0]))] + (
        [sorted(hidden)] if hidden else []
    )
