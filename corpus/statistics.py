"""What a card says in numbers, gathered in one pass over the lines of a release."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from corpus.manifest import SPLITS, Line

SNR_BIN_DB = 5
DURATION_BIN_S = 2
LONG_S = 30
WITHHELD = "withheld"
TOLD = ("gender", "age_band", "region", "native_language", "dialect")
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

    def feed(self, line: Line) -> None:
        """Take one line into account."""
        ms = line.samples * 1000 // line.sample_rate_hz
        self.shortest_ms = min(self.shortest_ms, ms) if self.clips else ms
        self.longest_ms = max(self.longest_ms, ms)
        self.clips += 1
        self.bytes += line.bytes
        self.samples += line.samples
        self.ms += ms
        self.characters += len(line.text)
        self.alphabet.update(line.text)
        self.clips_by_split[line.split] += 1
        self.ms_by_split[line.split] += ms
        self.speakers_by_split[line.split].add(line.speaker_id)
        dialect, gender = line.dialect or line.glottocode or WITHHELD, line.gender or WITHHELD
        for name, value in (
            ("grade", line.grade),
            ("style", line.style),
            ("gender", gender),
            ("dialect", dialect),
        ):
            self.ms_by[name][value, line.split] += ms
        self.ms_by_dialect_grade[dialect, line.grade] += ms
        self.ms_by_stratum[(dialect, gender), line.split] += ms
        self.stratum_of[line.speaker_id] = (dialect, gender)
        self.snr[line.grade][int(line.snr_db // SNR_BIN_DB) * SNR_BIN_DB] += 1
        length_s = line.samples // line.sample_rate_hz
        self.durations[min(length_s // DURATION_BIN_S * DURATION_BIN_S, LONG_S)] += 1
        if line.speaker_id not in self.told_of:
            self.told_of[line.speaker_id] = tuple(getattr(line, name) for name in TOLD)
        self.ms_by_speaker[line.speaker_id] += ms
        self.clips_by_speaker[line.speaker_id] += 1
        self.consents[line.consent_version, line.license] += 1
        for name, text in (
            ("license", line.license),
            ("rules_version", line.rules_version),
            ("measure_method", line.measure_method),
            ("device_class", line.device_class or "not told"),
            ("sample_rate_hz", str(line.sample_rate_hz)),
            ("channels", str(line.channels)),
            ("language", line.language),
            ("transcribers", str(line.transcribers)),
        ):
            self.seen[name][text] += 1
        self.days.add(line.recorded_on)
        if line.agreement_cer is not None:
            self.cer_millionths += round(line.agreement_cer * 1_000_000)
            self.with_cer += 1

    @property
    def hours(self) -> dict[str, float]:
        """Hours of the whole and of each split."""
        by_split = {str(name): hours(self.ms_by_split[name]) for name in SPLITS}
        return {"total": hours(self.ms), **by_split}


def gather(lines: Iterable[Line]) -> Statistics:
    """Statistics of these lines."""
    found = Statistics()
    for line in lines:
        found.feed(line)
    return found


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
