"""Which clips train, which develop, which test: disjoint, balanced, and the same for ever.

Pure: clips and earlier assignments in, an assignment out. Clips that share a speaker, a session, a
recording or a folded prompt text form one group, and a group is never parted. Groups stand in the
order of a keyed hash of their speakers, so that no count, clock or file order moves them. Within each
stratum (dialect and gender, as far as they are known) groups are taken for test and then dev until the
quota of hours is met; among the next few in order the one is taken that keeps grades and styles in
proportion.

A unit (speaker, session, recording, prompt) keeps the split of the release that first needed it. A new
clip that would tie units of two splits together cannot be placed anywhere and is left out; a group
that is too large for its quota stays in train.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from corpus.manifest import SPLITS, Split
from protocol.errors import CodedError

Unit = tuple[str, str]  # kind (speaker, session, recording, prompt), value
_WINDOW = 32  # how far ahead in the order a better balanced group may be taken
_MIN_GROUPS = 5  # a smaller stratum cannot spare one for each of test and dev
_PLAN = re.compile(r"(dev|test)=([0-9]+(?:\.[0-9]+)?)(%|h|)")


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
class Item:
    """A clip as the split sees it."""

    id: str
    units: tuple[Unit, ...]
    stratum: tuple[str, ...]
    cell: tuple[str, ...]  # grade and style
    duration_ms: int


@dataclass(frozen=True)
class Assignment:
    """Where everything goes.

    Attributes
    ----------
    splits : mapping
        Of every clip that has a place.
    conflicts : tuple of str
        Clips that tie two splits together and have no place.
    units : mapping
        Units that now have a split for ever and had none before.
    notes : tuple of str
        Why a stratum or the corpus got less than was asked for.
    """

    splits: Mapping[str, Split]
    conflicts: tuple[str, ...]
    units: Mapping[Unit, Split]
    notes: tuple[str, ...]


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


@dataclass
class _Group:
    order: bytes
    items: list[int]
    duration_ms: int
    stratum: tuple[str, ...]
    cells: Counter[tuple[str, ...]]


def assign(items: Sequence[Item], fixed: Mapping[Unit, Split], wanted: Plan) -> Assignment:
    """Place every clip.

    Parameters
    ----------
    items : sequence of Item
        In the order of their ids.
    fixed : mapping
        Splits of units from earlier releases; never changed.
    wanted : Plan
        The quotas.
    """
    placed: dict[int, Split] = {}
    conflicts: list[int] = []
    free: list[int] = []
    for members in _components(items, range(len(items))):
        known = {fixed[unit] for index in members for unit in items[index].units if unit in fixed}
        if not known:
            free += members
        elif len(known) == 1:
            placed.update(dict.fromkeys(members, known.pop()))
        else:
            free += _spread(items, members, fixed, placed, conflicts)
    groups = [_group(items, members, wanted.seed) for members in _components(items, sorted(free))]
    notes = _fill(items, groups, placed, wanted)
    units = {unit: name for index, name in placed.items() for unit in items[index].units if unit not in fixed}
    return Assignment(
        splits={items[index].id: placed[index] for index in sorted(placed)},
        conflicts=tuple(items[index].id for index in sorted(conflicts)),
        units=dict(sorted(units.items())),
        notes=tuple(notes),
    )


def _components(items: Sequence[Item], indexes: Iterable[int]) -> list[list[int]]:
    """Clips joined by a common unit, each list and the list of lists in the order of the clips."""
    parent: list[int] = []
    number: dict[Unit, int] = {}

    def root(unit: int) -> int:
        while parent[unit] != unit:
            parent[unit] = parent[parent[unit]]
            unit = parent[unit]
        return unit

    firsts: list[tuple[int, int]] = []
    for index in indexes:
        first = -1
        for unit in items[index].units:
            here = number.setdefault(unit, len(parent))
            if here == len(parent):
                parent.append(here)
            if first < 0:
                first = here
            else:
                low, high = sorted((root(first), root(here)))
                parent[high] = low
        firsts.append((index, first))
    found: dict[int, list[int]] = defaultdict(list)
    for index, first in firsts:
        found[root(first)].append(index)
    return list(found.values())


def _spread(
    items: Sequence[Item],
    members: list[int],
    fixed: Mapping[Unit, Split],
    placed: dict[int, Split],
    conflicts: list[int],
) -> list[int]:
    """Place what hangs on earlier assignments that disagree; gives back what then hangs on none."""
    known: dict[Unit, Split] = {
        unit: fixed[unit] for index in members for unit in items[index].units if unit in fixed
    }
    waiting = members
    while True:
        later: list[int] = []
        for index in waiting:
            names = {known[unit] for unit in items[index].units if unit in known}
            if not names:
                later.append(index)
            elif len(names) == 1:
                placed[index] = names.pop()
                known.update(dict.fromkeys(items[index].units, placed[index]))
            else:
                conflicts.append(index)
        if len(later) == len(waiting):
            return later
        waiting = later


def _group(items: Sequence[Item], members: list[int], seed: int) -> _Group:
    key = str(seed).encode()
    speakers = {value for index in members for kind, value in items[index].units if kind == "speaker"}
    order = min(
        hashlib.blake2b(name.encode(), key=key, person=b"xiangyin-split", digest_size=16).digest()
        for name in speakers
    )
    strata: Counter[tuple[str, ...]] = Counter()
    cells: Counter[tuple[str, ...]] = Counter()
    for index in members:
        strata[items[index].stratum] += items[index].duration_ms
        cells[items[index].cell] += items[index].duration_ms
    heaviest = min(strata, key=lambda name: (-strata[name], name))
    return _Group(order, members, strata.total(), heaviest, cells)


def _fill(items: Sequence[Item], groups: list[_Group], placed: dict[int, Split], wanted: Plan) -> list[str]:
    """Give each free group a split, stratum by stratum."""
    total_ms = sum(items[index].duration_ms for index in placed) + sum(g.duration_ms for g in groups)
    cells: Counter[tuple[str, ...]] = Counter()
    have: dict[Split, Counter[tuple[str, ...]]] = {name: Counter() for name in SPLITS}
    speech: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    speakers: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for index, name in placed.items():
        item = items[index]
        have[name][item.cell] += item.duration_ms
        speech[item.stratum][name] += item.duration_ms
        speakers[item.stratum].update(value for kind, value in item.units if kind == "speaker")
        cells[item.cell] += item.duration_ms
    strata: dict[tuple[str, ...], list[_Group]] = defaultdict(list)
    for group in sorted(groups, key=lambda g: g.order):
        strata[group.stratum].append(group)
        cells.update(group.cells)
    small: list[tuple[str, ...]] = []
    left: list[_Group] = []
    # What one stratum could not give, or gave too much, since speakers are whole, the next one makes up for.
    owed_ms: dict[Split, float] = {"test": 0.0, "dev": 0.0}
    for stratum in sorted(strata):
        queue = strata[stratum]
        stratum_ms = speech[stratum].total() + sum(g.duration_ms for g in queue)
        for name in owed_ms:
            quota_ms = wanted.wanted_ms(name, total_ms) * stratum_ms / max(total_ms, 1)
            owed_ms[name] += quota_ms - speech[stratum][name]
        if len(queue) + len(speakers[stratum]) < _MIN_GROUPS:
            small.append(stratum)
            left += queue
            continue
        for name in owed_ms:
            owed_ms[name] = _take(queue, name, owed_ms[name], have[name], cells, placed)
        left += queue
    notes: list[str] = []
    held_out: set[tuple[str, ...]] = set()
    enough = len(left) >= 3  # one for each split
    for name in ("test", "dev"):
        wanted_ms = wanted.wanted_ms(name, total_ms)
        if wanted_ms > 0 and not have[name].total():
            fitting = [group for group in left if enough and group.duration_ms * 2 <= total_ms]
            if not fitting:
                notes.append(f"{name} is empty: nothing can be held out without taking most of the speech")
                continue
            held_out.add(_take_one(left, fitting, name, wanted_ms, placed).stratum)
    for group in left:
        placed.update(dict.fromkeys(group.items, "train"))
    for stratum in small:
        fate = "some held out, or dev or test would be empty" if stratum in held_out else "all in train"
        notes.append(f"{_named(stratum)}: fewer than {_MIN_GROUPS} independent groups, {fate}")
    return notes


def _take(
    queue: list[_Group],
    name: Split,
    missing_ms: float,
    have: Counter[tuple[str, ...]],
    cells: Counter[tuple[str, ...]],
    placed: dict[int, Split],
) -> float:
    """Move groups out of `queue` while each brings the split nearer to its quota; gives what is missing."""
    while missing_ms > 0:
        fitting = [group for group in queue if group.duration_ms <= 2 * missing_ms][:_WINDOW]
        if not fitting or len(queue) < 2:
            break
        best = min(fitting, key=lambda group: _imbalance(have, group.cells, cells))
        queue.remove(best)
        placed.update(dict.fromkeys(best.items, name))
        have.update(best.cells)
        missing_ms -= best.duration_ms
    return missing_ms


def _take_one(
    left: list[_Group], fitting: list[_Group], name: Split, wanted_ms: float, placed: dict[int, Split]
) -> _Group:
    """Where the strata were too small, give a split that is still empty one group of the whole corpus."""
    best = min(fitting, key=lambda group: abs(group.duration_ms - wanted_ms))
    left.remove(best)
    placed.update(dict.fromkeys(best.items, name))
    return best


def _imbalance(
    have: Counter[tuple[str, ...]], more: Counter[tuple[str, ...]], whole: Counter[tuple[str, ...]]
) -> float:
    """How far the mixture of grades and styles would lie from the corpus's, from 0 to 2."""
    mine, all_ms = have.total() + more.total(), max(whole.total(), 1)
    return sum(abs((have[cell] + more[cell]) / mine - whole[cell] / all_ms) for cell in sorted(whole))


def _named(stratum: tuple[str, ...]) -> str:
    return " / ".join(stratum) or "corpus"
