"""Which clips train, which develop, which test: disjoint, balanced, and the same for ever.

Pure: columns of clips and earlier assignments in, an assignment out. Speakers who share a session (a
dialogue's two sides do), a folded prompt text or a household form one group, and a group is never parted.
Groups stand in the order of a keyed hash of their speakers, so that no count, clock or file order moves
them. Within each stratum (dialect and gender, as far as they are known) groups are taken for test and then
dev until the quota of hours is met; among the next few in order the one is taken that keeps grades and
styles in proportion.

A unit (speaker, session, prompt, household) keeps the split of the release that first needed it. A new
clip that would tie units of two splits together cannot be placed anywhere and is left out; a group that
is too large for its quota stays in train. Groups whose texts are nearly the same are put together as far
as their size allows; `corpus.near` leaves out what then still stands on two sides.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from corpus.columns import Clips, Fixed, run_starts
from corpus.groups import NONE, Codes, Groups, Labels, Pairs, sum_ms
from corpus.manifest import SPLITS, Split
from protocol.errors import CodedError

_WINDOW = 32  # how far ahead in the order a better balanced group may be taken
MIN_GROUPS = 5  # a smaller stratum cannot spare one for each of test and dev
_PLAN = re.compile(r"(dev|test)=([0-9]+(?:\.[0-9]+)?)(%|h|)")
_HELD_OUT: tuple[Split, ...] = ("test", "dev")  # in the order in which they are filled


class SplitInvalid(CodedError):
    """The wish for a split cannot be read."""

    code: ClassVar[str] = "SPLIT_INVALID"


@dataclass(frozen=True)
class Plan:
    """What share of the speech each held-out split should get.

    Attributes
    ----------
    shares : mapping
        Fractions of the whole, for ``dev`` and ``test``.
    hours : mapping
        Hours asked for instead of a fraction.
    seed : int
        Another seed gives another order of groups.
    """

    shares: Mapping[Split, float] = field(default_factory=lambda: {"dev": 0.1, "test": 0.1})
    hours: Mapping[Split, float] = field(default_factory=dict)
    seed: int = 0

    def wanted_ms(self, name: Split, total_ms: int) -> float:
        """Milliseconds that a split should get out of `total_ms`."""
        if name in self.hours:
            return self.hours[name] * 3_600_000
        return self.shares.get(name, 0.0) * total_ms


@dataclass(frozen=True)
class Assignment:
    """Where everything goes.

    Attributes
    ----------
    labels : ndarray of int8, shape (n_clips,)
        Place of each clip's split in `SPLITS`; -1 for a clip that ties two splits together.
    notes : tuple of str
        Why the corpus got less than was asked for.
    groups : ndarray of int64, shape (n_clips,)
        The group of each clip that was free to go anywhere; -1 for those whose place was fixed.
    """

    labels: Labels
    notes: tuple[str, ...]
    groups: Codes

    def split_of(self, index: int) -> Split | None:
        """The split of one clip, or None if it has no place."""
        label = int(self.labels[index])
        return None if label < 0 else SPLITS[label]


def plan(wishes: Sequence[str], seed: int = 0) -> Plan:
    """Read wishes such as ``dev=10%``, ``test=1.5h`` or ``test=0.05``.

    Raises
    ------
    SplitInvalid
        If one cannot be read or nothing would be left to train on.
    """
    shares: dict[Split, float] = {"dev": 0.1, "test": 0.1}
    hours: dict[Split, float] = {}
    for wish in [part.strip() for given in wishes for part in given.split(",")]:
        match = _PLAN.fullmatch(wish)
        if match is None:
            raise SplitInvalid(given=wish, problem="write dev=10%, test=0.1 or test=1.5h")
        name: Split = "dev" if match[1] == "dev" else "test"
        amount = float(match[2])
        if match[3] == "h":
            hours[name] = amount
        else:
            shares[name] = amount / 100 if match[3] == "%" else amount
    if sum(shares.values()) > 0.8:
        raise SplitInvalid(given=", ".join(wishes), problem="dev and test together may take at most 80 %")
    return Plan(shares, hours, seed)


def assign(
    clips: Clips, fixed: Fixed, wanted: Plan, near: Pairs = (), train_only: Sequence[int] | Codes = ()
) -> Assignment:
    """Place every clip.

    Parameters
    ----------
    clips : Clips
        In the order of their ids.
    fixed : Fixed
        Splits of units from earlier releases; never changed.
    wanted : Plan
        The quotas.
    near : sequence of (index, index)
        Clips whose texts are nearly the same, to be kept on one side where size allows.
    train_only : sequence of index
        Clips whose groups must not be held out, unless an earlier release did.
    """
    labels: Labels = np.full(len(clips), NONE, np.int8)
    if not len(clips):
        return Assignment(labels, (), np.empty(0, np.int64))
    codes, speaker_keys = _dense(clips.speaker)
    edges = _edges(clips, codes)
    group_of_speaker = _components(len(speaker_keys), edges)
    conflicts = np.zeros(len(clips), bool)
    if len(fixed):
        _follow(clips, fixed, group_of_speaker[codes], labels, conflicts)
        # What hangs on no earlier assignment is grouped again without what does.
        is_free = np.ones(len(speaker_keys), bool)
        is_free[codes[(labels >= 0) | conflicts]] = False
        group_of_speaker = _components(len(speaker_keys), edges[is_free[edges].all(axis=1)])
    order = _order(speaker_keys, wanted.seed)
    total = int(clips.duration_ms.sum())
    wishes = [wanted.wanted_ms(name, total) for name in _HELD_OUT]
    most_ms = min((ms for ms in wishes if ms > 0), default=0.0)
    groups = Groups.of(clips, codes, group_of_speaker, order, labels, conflicts, near, train_only, most_ms)
    notes = _fill(clips, codes, groups, labels, wanted)
    free = groups.of_clip >= 0
    labels[free] = groups.labels[groups.of_clip[free]]
    return Assignment(labels, tuple(notes), groups.of_clip)


def _dense(keys: NDArray[np.uint64]) -> tuple[Codes, NDArray[np.uint64]]:
    """Numbers from 0 for equal keys, and the keys. Clips stand speaker by speaker, so most are repeats."""
    starts = run_starts(keys)
    unique, codes = np.unique(keys[starts], return_inverse=True)
    return np.repeat(codes, np.diff(np.append(starts, len(keys)))), unique


def _edges(clips: Clips, codes: Codes) -> Codes:
    """Pairs of speakers who share a unit, enough of them to connect all who do."""
    found_keys, found_codes = [np.empty(0, np.uint64)], [np.empty(0, np.int64)]
    for keys in clips.links.values():
        at = run_starts(keys, codes)
        at = at[keys[at] != 0]
        found_keys.append(keys[at])
        found_codes.append(codes[at])
    every = np.concatenate(found_keys)  # together, since a prompt and a text that was read share their keys
    order = np.argsort(every)
    mine, who = every[order], np.concatenate(found_codes)[order]
    same = (mine[1:] == mine[:-1]) & (who[1:] != who[:-1])
    return np.column_stack((who[:-1][same], who[1:][same]))


def _components(count: int, edges: Codes) -> Codes:
    """A number from 0 for each of `count` speakers, the same for all who are connected."""
    from scipy.sparse import coo_matrix, csgraph

    ones = np.ones(len(edges), np.int8)
    graph = coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(count, count))
    labels: Codes = csgraph.connected_components(graph, directed=False)[1].astype(np.int64)
    return labels


def _order(speaker_keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Where each speaker stands: a keyed hash, which nobody's number of clips can move."""
    key = str(seed).encode()
    digests = (
        hashlib.blake2b(name.tobytes(), key=key, person=b"xiangyin-split", digest_size=8).digest()
        for name in speaker_keys.astype("<u8")
    )
    return np.frombuffer(b"".join(digests), ">u8").astype(np.uint64)


def _follow(
    clips: Clips, fixed: Fixed, component: Codes, labels: Labels, conflicts: NDArray[np.bool_]
) -> None:
    """Place what hangs on earlier assignments."""
    low = np.full(len(clips), 127, np.int8)
    high = np.full(len(clips), NONE, np.int8)
    complete = np.ones(len(clips), bool)
    for keys in (clips.speaker, *clips.links.values()):
        known = fixed.lookup(keys)
        high = np.maximum(high, known)
        low = np.minimum(low, np.where(known < 0, 127, known).astype(np.int8))
        complete &= (known >= 0) | (keys == 0)
    count = int(component.max()) + 1
    lowest, highest = np.full(count, 127, np.int8), np.full(count, NONE, np.int8)
    np.minimum.at(lowest, component, low)
    np.maximum.at(highest, component, high)
    agreed = lowest == highest
    placed = agreed[component]
    labels[placed] = highest[component][placed]
    mixed = (highest >= 0)[component] & ~placed
    settled = mixed & complete & (low == high)  # an old clip among those that a new one ties together
    labels[settled] = high[settled]
    waiting = np.flatnonzero(mixed & ~settled)
    _spread(clips, fixed, waiting, labels, conflicts)


def _spread(clips: Clips, fixed: Fixed, waiting: Codes, labels: Labels, conflicts: NDArray[np.bool_]) -> None:
    """Place clips whose units' earlier assignments disagree, one by one; what hangs on none stays free."""
    columns = (clips.speaker, *clips.links.values())
    units = {
        int(index): tuple({int(keys[index]) for keys in columns if keys[index]}) for index in waiting.tolist()
    }
    every = np.array(sorted({unit for mine in units.values() for unit in mine}), np.uint64)
    known = {
        unit: label
        for unit, label in zip(every.tolist(), fixed.lookup(every).tolist(), strict=True)
        if label >= 0
    }
    queue = list(units)
    while True:
        later = []
        for index in queue:
            names = {known[unit] for unit in units[index] if unit in known}
            if not names:
                later.append(index)
            elif len(names) == 1:
                labels[index] = names.pop()
                known.update(dict.fromkeys(units[index], int(labels[index])))
            else:
                conflicts[index] = True
        if len(later) == len(queue):
            return
        queue = later


def _fill(clips: Clips, codes: Codes, groups: Groups, labels: Labels, wanted: Plan) -> list[str]:
    """Give each free group a split, stratum by stratum."""
    placed = labels >= 0
    total_ms = int(clips.duration_ms[placed].sum() + groups.duration_ms.sum())
    n_strata, n_cells, n_splits = len(clips.strata), len(clips.cells), len(SPLITS)
    mine, ms = labels[placed].astype(np.int64), clips.duration_ms[placed]
    have = sum_ms(mine * n_cells + clips.cell[placed], ms, n_splits * n_cells).reshape(n_splits, n_cells)
    pulled = groups.labels >= 0
    np.add.at(have, groups.labels[pulled], groups.cells[pulled])
    speech = sum_ms(clips.stratum[placed] * n_splits + mine, ms, n_strata * n_splits).reshape(
        n_strata, n_splits
    )
    np.add.at(speech, (groups.stratum[pulled], groups.labels[pulled]), groups.duration_ms[pulled])
    starts = run_starts(codes, clips.stratum)
    told = starts[placed[starts]]
    pairs = np.unique(clips.stratum[told].astype(np.int64) * (int(codes.max()) + 1) + codes[told])
    speakers = np.bincount(pairs // (int(codes.max()) + 1), minlength=n_strata)
    shares = have.sum(axis=0) + groups.cells[~pulled].sum(axis=0)
    waiting = np.flatnonzero(~pulled)
    # What one stratum could not give, or gave too much, since speakers are whole, the next one makes up for.
    owed_ms: dict[Split, float] = dict.fromkeys(_HELD_OUT, 0.0)
    for stratum in range(n_strata):
        queue = waiting[groups.stratum[waiting] == stratum]
        stratum_ms = int(speech[stratum].sum() + groups.duration_ms[queue].sum())
        for name in _HELD_OUT:
            quota_ms = wanted.wanted_ms(name, total_ms) * stratum_ms / max(total_ms, 1)
            owed_ms[name] += quota_ms - float(speech[stratum, SPLITS.index(name)])
        if len(queue) + speakers[stratum] >= MIN_GROUPS:
            for name in _HELD_OUT:
                owed_ms[name] = _take(queue, groups, name, owed_ms[name], have, shares)
    notes: list[str] = []
    left = np.flatnonzero(groups.labels < 0)
    enough = len(left) >= len(SPLITS)
    for name in _HELD_OUT:
        label, wanted_ms = SPLITS.index(name), wanted.wanted_ms(name, total_ms)
        if wanted_ms > 0 and not have[label].any():
            left = np.flatnonzero(groups.labels < 0)
            fitting = left[groups.duration_ms[left] * 2 <= total_ms].tolist() if enough else []
            if not fitting:
                notes.append(f"{name} is empty: nothing can be held out without taking most of the speech")
                continue
            best = min(fitting, key=lambda group: abs(int(groups.duration_ms[group]) - wanted_ms))
            groups.labels[best] = label
            have[label] += groups.cells[best]
    groups.labels[groups.labels < 0] = SPLITS.index("train")
    return notes


def _take(
    queue: Codes,
    groups: Groups,
    name: Split,
    missing_ms: float,
    have: NDArray[np.int64],
    shares: NDArray[np.int64],
) -> float:
    """Take groups of `queue` while each brings the split nearer to its quota; gives what is missing."""
    label = SPLITS.index(name)
    queue = queue[groups.labels[queue] < 0]
    ms = groups.duration_ms[queue]
    there, left = np.ones(len(queue), bool), len(queue)
    begin = 0  # all before it are taken
    aim = shares / max(int(shares.sum()), 1)
    while missing_ms > 0 and left >= 2:
        while begin < len(queue) and not there[begin]:
            begin += 1
        fitting = _next_fitting(there, ms, begin, 2 * missing_ms)
        if not len(fitting):
            break
        more = have[label] + groups.cells[queue[fitting]]
        off = np.abs(more / np.maximum(more.sum(axis=1, keepdims=True), 1) - aim)
        apart = off[:, 0].copy()
        for cell in range(1, off.shape[1]):  # one after the other: a sum's order differs between machines
            apart += off[:, cell]
        best = fitting[int(np.argmin(apart))]
        groups.labels[queue[best]] = label
        have[label] += groups.cells[queue[best]]
        missing_ms -= float(ms[best])
        there[best] = False
        left -= 1
    return missing_ms


def _next_fitting(there: NDArray[np.bool_], ms: NDArray[np.int64], begin: int, most_ms: float) -> Codes:
    """The next few groups in order that are not too large; looks no farther than it must."""
    reach = 4 * _WINDOW
    while True:
        part = slice(begin, begin + reach)
        found = begin + np.flatnonzero(there[part] & (ms[part] <= most_ms))
        if len(found) >= _WINDOW or begin + reach >= len(there):
            return found[:_WINDOW]
        reach *= 4


def fresh_units(clips: Clips, fixed: Fixed, labels: Labels) -> Iterable[tuple[str, int, Split]]:
    """Units that now have a split for ever and had none before: kind, key, split."""
    placed = labels >= 0
    for kind, keys in (("speaker", clips.speaker), *clips.links.items()):
        mine = placed & (keys != 0)
        unique, at = np.unique(keys[mine], return_index=True)
        new = fixed.lookup(unique) < 0
        names = labels[mine][at]
        for key, label in zip(unique[new].tolist(), names[new].tolist(), strict=True):
            yield kind, key, SPLITS[label]
