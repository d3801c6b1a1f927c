"""Places clips so that not even nearly the same text stands in two splits.

`corpus.split` keeps groups whole and joins those that nearly share a text as far as size allows. What then
still stands on two sides is mended here: a new held-out group that repeats much of what others say goes to
train, where nothing is lost, unless there were nothing left to test on; of the texts that then remain, one
of each pair is left out and named.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from corpus import near
from corpus.columns import Clips, Fixed
from corpus.manifest import SPLITS
from corpus.split import Assignment, Plan, assign

_MUCH = 0.2  # of a held-out group's speech: more is moved to train, less is left out
_RELEASED = 1 << 50  # weighs more than any speech, so that what was released stays
_TRAIN = SPLITS.index("train")
_ROUNDS = 100


@dataclass(frozen=True)
class Placed:
    """Where everything goes, and what nearly the same texts made of it.

    Attributes
    ----------
    left_out : mapping
        Index of a clip to that of the one whose text it nearly repeats on another side.
    moved : int
        Clips that went to train for it.
    compared : int
        Texts that were long enough to be compared.
    """

    assignment: Assignment
    left_out: Mapping[int, int]
    moved: int
    compared: int

    @property
    def labels(self) -> NDArray[np.int8]:
        """Places in `SPLITS`; -1 for every clip that is not in the release."""
        return self.assignment.labels


def place(
    clips: Clips,
    fixed: Fixed,
    wanted: Plan,
    signatures: near.Signatures,
    texts: near.Texts,
    *,
    dropped: NDArray[np.bool_],
    released: NDArray[np.bool_],
) -> Placed:
    """Assign splits to all clips but those `dropped`.

    Parameters
    ----------
    signatures, texts
        Keys of the clips' texts by their index, and the folded texts themselves.
    released : ndarray of bool
        Clips that an earlier release holds.
    """
    kept = np.flatnonzero(~dropped)
    ours = clips.take(kept)
    side = np.full(len(clips), -1, np.int64)
    _, speakers = np.unique(ours.speaker, return_inverse=True)
    side[kept] = speakers
    pairs = signatures.pairs(side, texts)
    row = np.full(len(clips), -1, np.int64)
    row[kept] = np.arange(len(kept))
    train_only = np.zeros(len(clips), bool)
    done = assign(ours, fixed, wanted, row[pairs])
    for _ in range(_ROUNDS):
        labels, group = np.full(len(clips), -1, np.int8), np.full(len(clips), -1, np.int64)
        labels[kept], group[kept] = done.labels, done.groups
        repeating = train_only | _repeating(pairs[_parted(pairs, labels)], clips, labels, group)
        if (repeating == train_only).all():
            break
        other = assign(ours, fixed, wanted, row[pairs], row[repeating])
        if len(np.unique(other.labels)) < len(np.unique(done.labels)):
            break  # rather some texts left out than nothing to test on
        done, train_only = other, repeating
    left_out: dict[int, int] = {}
    for _ in range(_ROUNDS):
        apart = pairs[_parted(pairs, labels)]
        if not len(apart):  # a crowd of like texts shows only a few of its pairs at a time
            apart = pairs = signatures.pairs(labels.astype(np.int64), texts)
        if not len(apart):
            break
        weight = clips.duration_ms + np.where(released, _RELEASED, 0)
        out = near.lesser(apart, weight, labels.astype(np.int64))
        left_out |= out
        labels[list(out)] = -1
    compared = signatures.compared(labels >= 0)
    return Placed(Assignment(labels, done.notes, group), left_out, int(train_only.sum()), compared)


def _parted(pairs: NDArray[np.int64], labels: NDArray[np.int8]) -> NDArray[np.bool_]:
    one, other = labels[pairs[:, 0]], labels[pairs[:, 1]]
    parted: NDArray[np.bool_] = (one != other) & (one >= 0) & (other >= 0)
    return parted


def _repeating(
    pairs: NDArray[np.int64], clips: Clips, labels: NDArray[np.int8], group: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Clips of new held-out groups of which much nearly stands elsewhere."""
    held_out = (labels > _TRAIN) & (group >= 0)
    size = int(group.max()) + 1 if len(group) else 0
    if not size:
        return held_out
    ms = clips.duration_ms
    whole = np.bincount(group[held_out], ms[held_out], size)
    told = np.zeros(len(labels), bool)
    told[pairs.ravel()] = True
    told &= held_out
    again = np.bincount(group[told], ms[told], size)
    much = again > _MUCH * np.maximum(whole, 1)
    return held_out & much[np.maximum(group, 0)]
