"""What a card says in numbers, gathered in one pass over the lines of a release."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from operator import attrgetter

from corpus.manifest import SPLITS, Line

SNR_BIN_DB = 5
DURATION_BIN_S = 2
LONG_S = 30
WITHHELD = "withheld"
NOT_TOLD = "not told"
TOLD = ("gender", "age_band", "region", "native_language", "dialect")
SEEN = (
    "license",
    "rules_version",
    "measure_method",
    "device_class",
    "sample_rate_hz",
    "channels",
    "language",
    "transcribers",
)
_source = attrgetter("consent_version", *SEEN)
_Source = tuple[str, str, str, str, str | None, int, int, str, int]
_Kind = tuple[str, str, str, str | None, str | None, str | None]  # split, grade, style, then as `_stratum`
Stratum = tuple[str, str]  # dialect and gender, as far as they are told


@dataclass
class Statistics:
    """Milliseconds and counts by what an ASR team asks for. Sums are whole numbers, so order is no matter."""

    clips: int = 0
    bytes: int = 0
    samples: int = 0
    ms: int = 0
    characters: int = 0
    clips_by_split: Counter[str] = field(default_factory=Counter)
    ms_by_split: Counter[str] = field(default_factory=Counter)
    speakers_by_split: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    ms_by: dict[str, Counter[tuple[str, str]]] = field(default_factory=lambda: defaultdict(Counter))
    snr: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    durations: Counter[int] = field(default_factory=Counter)
    shortest_ms: int = 0
    longest_ms: int = 0
    ms_by_speaker: Counter[str] = field(default_factory=Counter)
    clips_by_speaker: Counter[str] = field(default_factory=Counter)
    told_of: dict[str, tuple[str | None, ...]] = field(default_factory=dict)  # of a speaker, as `TOLD`
    consents: Counter[tuple[str, str]] = field(default_factory=Counter)  # clips by version and licence
    alphabet: set[str] = field(default_factory=set)
    ms_by_dialect_grade: Counter[tuple[str, str]] = field(default_factory=Counter)
    ms_by_stratum: Counter[tuple[Stratum, str]] = field(default_factory=Counter)
    stratum_of: dict[str, Stratum] = field(default_factory=dict)  # of a speaker
    seen: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    days: set[str] = field(default_factory=set)
    cer_millionths: int = 0
    with_cer: int = 0

    @property
    def hours(self) -> dict[str, float]:
        """Hours of the whole and of each split."""
        by_split = {str(name): hours(self.ms_by_split[name]) for name in SPLITS}
        return {"total": hours(self.ms), **by_split}


class Counting:
    """Takes lines one by one and gives their statistics.

    A line adds to the sums of its kind, and what a card asks is made of those at the end: there are as many
    kinds as mixtures of what lines say of themselves, however many lines there are.
    """

    def __init__(self) -> None:
        self._found = Statistics()
        self._kinds: dict[_Kind, list[int]] = defaultdict(lambda: [0, 0])  # clips and ms
        self._sources: Counter[_Source] = Counter()  # clips
        self._levels: Counter[tuple[str, float]] = Counter()
        self._lengths: Counter[int] = Counter()
        self._voice: tuple[str, str] | None = None  # speaker and split of the lines that come now
        self._before = (0, 0)  # clips and ms ahead of theirs

    def feed(self, line: Line) -> None:
        """Take one line into account."""
        found = self._found
        if (line.speaker_id, line.split) != self._voice:  # lines stand speaker by speaker
            self._begin(line)
        ms = line.samples * 1000 // line.sample_rate_hz
        found.shortest_ms = min(found.shortest_ms, ms) if found.clips else ms
        found.longest_ms = max(found.longest_ms, ms)
        found.clips += 1
        found.bytes += line.bytes
        found.samples += line.samples
        found.ms += ms
        found.characters += len(line.text)
        found.alphabet.update(line.text)
        found.days.add(line.recorded_on)
        sums = self._kinds[line.split, line.grade, line.style, line.dialect, line.glottocode, line.gender]
        sums[0] += 1
        sums[1] += ms
        self._sources[_source(line)] += 1
        self._levels[line.grade, line.snr_db // SNR_BIN_DB] += 1
        self._lengths[line.samples // line.sample_rate_hz // DURATION_BIN_S] += 1
        if line.agreement_cer is not None:
            found.cer_millionths += round(line.agreement_cer * 1_000_000)
            found.with_cer += 1

    def statistics(self) -> Statistics:
        """Those of all lines; asked for once, when there are no more."""
        found = self._found
        self._end()
        for (split, grade, style, *of_speaker), (clips, ms) in self._kinds.items():
            dialect, gender = _stratum(*of_speaker)
            found.clips_by_split[split] += clips
            found.ms_by_split[split] += ms
            values = {"grade": grade, "style": style, "gender": gender, "dialect": dialect}
            for name, value in values.items():
                found.ms_by[name][value, split] += ms
            found.ms_by_dialect_grade[dialect, grade] += ms
            found.ms_by_stratum[(dialect, gender), split] += ms
        for source, clips in self._sources.items():
            found.consents[source[0], source[1]] += clips
            for name, told in zip(SEEN, source[1:], strict=True):
                found.seen[name][str(told or NOT_TOLD)] += clips
        for (grade, level), clips in self._levels.items():
            found.snr[grade][int(level) * SNR_BIN_DB] += clips
        for length, clips in self._lengths.items():
            found.durations[min(length * DURATION_BIN_S, LONG_S)] += clips
        return found

    def _begin(self, line: Line) -> None:
        self._end()
        self._voice = line.speaker_id, line.split
        found = self._found
        found.speakers_by_split[line.split].add(line.speaker_id)
        found.stratum_of[line.speaker_id] = _stratum(line.dialect, line.glottocode, line.gender)
        found.told_of.setdefault(line.speaker_id, tuple(getattr(line, name) for name in TOLD))

    def _end(self) -> None:
        found = self._found
        if self._voice is not None:
            found.clips_by_speaker[self._voice[0]] += found.clips - self._before[0]
            found.ms_by_speaker[self._voice[0]] += found.ms - self._before[1]
        self._before = found.clips, found.ms


def _stratum(dialect: str | None, glottocode: str | None, gender: str | None) -> Stratum:
    return dialect or glottocode or WITHHELD, gender or WITHHELD


def gather(lines: Iterable[Line]) -> Statistics:
    """Statistics of these lines."""
    counting = Counting()
    for line in lines:
        counting.feed(line)
    return counting.statistics()


def hours(ms: int) -> float:
    """Hours with 6 decimals."""
    return round(ms / 3_600_000, 6)


def histogram(counts: Mapping[int, int], width: int) -> list[tuple[int, int]]:
    """Bins from the lowest to the highest, the empty ones between them too."""
    if not counts:
        return []
    return [(low, counts.get(low, 0)) for low in range(min(counts), max(counts) + width, width)]


def size(count: int) -> str:
    """An amount of bytes for people: ``950 kB``, ``6.59 MB``, ``12.3 GB``."""
    for limit, unit in ((10**9, "kB"), (10**12, "MB"), (10**15, "GB")):
        if count * 1000 < limit:
            return f"{count * 10**6 / limit:.3g} {unit}"
    return f"{count / 10**12:.3g} TB"


def counted(count: int, thing: str) -> str:
    """``1 clip``, ``2 clips``, ``1,000 clips``."""
    return f"{count:,} {thing}" + ("" if count == 1 else "s")


def span(ms: int | float) -> str:
    """A length of speech for people: ``48 s``, ``12.5 min`` or ``3.21 h``."""
    if ms < 60_000:
        return f"{ms / 1000:.0f} s"
    return f"{ms / 60_000:.1f} min" if ms < 3_600_000 else f"{ms / 3_600_000:.2f} h"
