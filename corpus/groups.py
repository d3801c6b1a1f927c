"""Groups of clips that may go to any split: what each holds, and which nearly share a text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus.columns import Clips, run_starts
from corpus.manifest import SPLITS

Labels = NDArray[np.int8]  # places in `SPLITS`
Codes = NDArray[np.int64]
Pairs = Sequence[tuple[int, int]] | NDArray[np.int64]
NONE = -1


@dataclass
class Groups:
    """Groups that may go anywhere, in their order."""

    of_clip: Codes  # -1 for a clip that has its place
    duration_ms: NDArray[np.int64]
    stratum: Codes
    cells: NDArray[np.int64]  # (n_groups, n_cells), milliseconds
    labels: Labels

    @staticmethod
    def of(
        clips: Clips,
        codes: Codes,
        group_of_speaker: Codes,
        order: NDArray[np.uint64],
        labels: Labels,
        conflicts: NDArray[np.bool_],
        near: Pairs,
        train_only: Sequence[int] | Codes,
        most_ms: float,
    ) -> Groups:
        """Sum up what each free group holds."""
        free = (labels < 0) & ~conflicts
        of_clip = np.where(free, group_of_speaker[codes], NONE)
        count = int(group_of_speaker.max()) + 1
        first = np.full(count, np.iinfo(np.uint64).max, np.uint64)
        np.minimum.at(first, group_of_speaker, order)
        pulled: dict[int, int] = {}
        if len(near):
            of_clip, pulled = _put_together(clips, of_clip, first, labels, near, most_ms)
        for group in of_clip[np.asarray(train_only, np.int64)].tolist():
            if group >= 0:
                pulled[group] = SPLITS.index("train")
        there = np.unique(of_clip[of_clip >= 0])
        there = there[np.argsort(first[there], kind="stable")]
        rank = np.full(count + 1, NONE, np.int64)
        rank[there] = np.arange(len(there))
        of_clip = rank[of_clip]  # -1 reads the last, which is none
        mine = of_clip >= 0
        ms, size = clips.duration_ms[mine], len(there)
        groups = Groups(
            of_clip,
            sum_ms(of_clip[mine], ms, size),
            _heaviest(of_clip[mine], clips.stratum[mine], ms, size, len(clips.strata)),
            sum_ms(of_clip[mine] * len(clips.cells) + clips.cell[mine], ms, size * len(clips.cells)).reshape(
                size, len(clips.cells)
            ),
            np.full(size, NONE, np.int8),
        )
        for group, label in pulled.items():
            groups.labels[rank[group]] = label
        return groups


def sum_ms(at: Codes, ms: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Milliseconds at each of `size` places."""
    # A float holds every whole number of milliseconds up to 285,000 years.
    return np.rint(np.bincount(at, ms, size)).astype(np.int64)


def _heaviest(at: Codes, stratum: NDArray[np.int32], ms: NDArray[np.int64], size: int, strata: int) -> Codes:
    """The stratum of most of each group's speech; of two alike the first by name."""
    pairs = at * strata + stratum
    starts = run_starts(pairs)
    sums = np.add.reduceat(ms, starts) if len(starts) else ms
    kinds, inverse = np.unique(pairs[starts], return_inverse=True)
    weight = sum_ms(inverse, sums, len(kinds))
    order = np.lexsort((kinds % strata, -weight, kinds // strata))
    firsts = order[run_starts(kinds[order] // strata)]
    found = np.zeros(size, np.int64)
    found[kinds[firsts] // strata] = kinds[firsts] % strata
    return found


def _put_together(
    clips: Clips,
    of_clip: Codes,
    first: NDArray[np.uint64],
    labels: Labels,
    near: Pairs,
    most_ms: float,
) -> tuple[Codes, dict[int, int]]:
    """Join free groups that nearly share a text, and pull one to the side of an earlier text.

    No more is joined than `most_ms`, what a held-out split wants: without a bound a few such pairs a speaker
    would tie the whole corpus into one group.
    """
    free = of_clip >= 0
    weight = sum_ms(of_clip[free], clips.duration_ms[free], len(first)).tolist()
    parent = list(range(len(first)))
    pulled: dict[int, int] = {}

    def root(group: int) -> int:
        while parent[group] != group:
            parent[group] = parent[parent[group]]
            group = parent[group]
        return group

    for one, other in sorted({_ordered(int(i), int(j), of_clip, first) for i, j in near}, key=lambda p: p[0]):
        if not free[one[2]] or not free[other]:
            continue
        low, high = sorted(
            (root(int(of_clip[one[2]])), root(int(of_clip[other]))), key=lambda g: int(first[g])
        )
        if low != high and weight[low] + weight[high] <= most_ms:
            parent[high] = low
            weight[low] += weight[high]
    for i, j in near:
        for here, there in ((int(i), int(j)), (int(j), int(i))):
            if free[here] and labels[there] >= 0:
                group = root(int(of_clip[here]))
                if weight[group] <= most_ms or labels[there] == SPLITS.index("train"):
                    pulled.setdefault(group, int(labels[there]))
    roots = np.array([root(group) for group in range(len(first))] + [NONE], np.int64)
    return roots[of_clip], pulled


def _ordered(i: int, j: int, of_clip: Codes, first: NDArray[np.uint64]) -> tuple[tuple[int, int, int], int]:
    """A pair with the hashes that say when its turn is; no number of a row is in them."""
    a, b = int(first[of_clip[i]]), int(first[of_clip[j]])
    return ((a, b, i), j) if a <= b else ((b, a, j), i)
