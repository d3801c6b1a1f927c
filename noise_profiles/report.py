"""What `xiangyin measure` prints of many files for people: the table and the summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from noise_profiles.files import Heard
from noise_profiles.typeset import columns, fitted, printable, wrapped
from noise_profiles.words import word
from protocol.clip import GRADES
from protocol.errors import Language

NARROW = 110  # columns of a terminal below which the table leaves something out


@dataclass(frozen=True)
class Table:
    """The table for one width of terminal. Names and intervals give way first; no line is wider."""

    width: int
    language: Language
    paint: Callable[[str, str], str] = lambda said, decision: said

    @property
    def _wide(self) -> bool:
        return self.width >= NARROW

    def _line(self, name: str, cells: list[str], verdict: str) -> str:
        widths = (9, 7, 7, 7, 7, 15) if self._wide else (9, 7, 7, 12)
        right = " ".join(_right(cell, width) for cell, width in zip(cells, widths, strict=True))
        rest = self.width - sum(widths) - len(widths) - 2 - 10 - 7
        return f"{fitted(name, max(12, rest))} {right}  {verdict}".rstrip()

    def head(self) -> str:
        """What the columns are."""
        names = ["length", "peak", "speech", "noise"] if self._wide else ["length", "speech", "noise"]
        cells = [word(name, self.language) for name in names]
        cells += ["SNR", word("interval", self.language)] if self._wide else ["SNR"]
        last = fitted(word("grade", self.language), 10) + word("verdict", self.language)
        return self._line(word("file", self.language), cells, last)

    def row(self, heard: Heard) -> str:
        """One file as a line, its findings below it."""
        name, colon = printable(heard.file), _colon(self.language)
        notes = []
        if heard.measurement is None or heard.verdict is None:
            line = f"{fitted(name, max(12, self.width - 20))} {word('unmeasured', self.language)}"
        else:
            m, v = heard.measurement, heard.verdict
            interval = "-"
            snr = _level(m.snr_db)
            if m.snr_db is not None and m.snr_low_db is not None and m.snr_high_db is not None:
                interval = f"{m.snr_low_db:.1f} … {m.snr_high_db:.1f}"
                if not self._wide:
                    snr = f"{snr} ±{max(m.snr_high_db - m.snr_db, m.snr_db - m.snr_low_db):.1f}"
            peak = [_level(m.peak_dbfs)] if self._wide else []
            cells = [length(m.duration_s), *peak, _level(m.speech_dbfs), _level(m.noise_dbfs), snr]
            cells += [interval] if self._wide else []
            grade = word(v.grade, self.language) if v.grade else "-"
            decision = self.paint(word(v.decision, self.language), v.decision)
            line = self._line(name, cells, fitted(grade, 10) + decision)
            for one in v.findings:
                place = _place(one.start_s, one.end_s)
                if "channel" in one.parameters and not one.code.startswith("channel."):
                    place += f"[{word('in_channel', self.language, n=one.parameters['channel'])}] "
                notes.append(f"{word(one.severity, self.language)}{colon}{place}{one.message(self.language)}")
        if heard.code is not None:
            notes.append(f"{heard.code}: {heard.detail(self.language)}")
        return "\n".join([line, *(self._note(printable(note)) for note in notes)])

    def _note(self, said: str) -> str:
        return "\n".join("    " + line for line in wrapped(said, max(30, self.width - 4)))


def _colon(language: Language) -> str:
    return ": " if language == "en" else "："


def _right(cell: str, width: int) -> str:
    return " " * (width - columns(cell)) + cell


def _level(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _place(start_s: float | None, end_s: float | None) -> str:
    return "" if start_s is None or end_s is None else f"[{start_s:.2f}-{end_s:.2f} s] "


def length(seconds: float) -> str:
    """``8.0 s``, ``12:05``, ``3:00:00``."""
    if seconds < 99.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes = f"{whole // 60 % 60:02}:{whole % 60:02}"
    return f"{whole // 3600}:{minutes}" if whole >= 3600 else minutes.lstrip("0")


@dataclass
class Summary:
    """Counts over all files, kept as they come."""

    files: int = 0
    seconds: float = 0.0
    verdicts: Counter[str] = field(default_factory=Counter)
    grades: Counter[str] = field(default_factory=Counter)
    warnings: Counter[str] = field(default_factory=Counter)
    refusals: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, heard: Heard) -> None:
        """Count one file."""
        self.files += 1
        if heard.code is not None:
            self.errors[heard.code] += 1
        if heard.measurement is None or heard.verdict is None:
            return
        self.seconds += heard.measurement.duration_s
        self.verdicts[heard.verdict.decision] += 1
        self.grades[heard.verdict.grade or "none"] += 1
        for severity, counts in (("warning", self.warnings), ("error", self.refusals)):
            counts.update({one.code for one in heard.verdict.findings if one.severity == severity})

    @property
    def unmeasured(self) -> int:
        """Files without figures."""
        return self.files - self.verdicts.total()

    @property
    def exit_status(self) -> int:
        """0 all accepted, 1 some refused, 2 something could not be done."""
        return 2 if self.errors else 1 if self.verdicts["refuse"] else 0

    def as_json(self) -> dict[str, Any]:
        """``--summary``: counts by verdict, grade and code, and the hours."""
        codes = sorted(self.warnings | self.refusals)
        return {
            "files": self.files,
            "hours": round(self.seconds / 3600, 4),
            "verdicts": {name: self.verdicts[name] for name in ("accept", "refuse")},
            "not_measured": self.unmeasured,
            "grades": {name: self.grades[name] for name in (*GRADES, "none")},
            "findings": {
                code: {"warning": self.warnings[code], "error": self.refusals[code]} for code in codes
            },
            "errors": dict(sorted(self.errors.items())),
        }

    def as_text(self, language: Language, width: int) -> str:
        """The same in a few lines; commonest codes first."""
        colon = _colon(language)
        hours = f"{self.seconds / 3600:.{1 if self.seconds > 36_000 else 3}f}"
        counts = {"accept": self.verdicts["accept"], "refuse": self.verdicts["refuse"]}
        counts["unmeasured"] = self.unmeasured
        together = self.warnings + self.refusals
        commonest = sorted(together.items(), key=lambda item: (-item[1], item[0]))
        rows = {
            word("files", language, n=self.files, h=hours): [
                word(f"n_{name}", language, n=n) for name, n in counts.items() if n
            ],
            word("grades", language): [
                f"{word(name, language)} {self.grades[name]}"
                for name in (*GRADES, "none")
                if self.grades[name]
            ],
            word("findings", language): [
                f"{code} {n}" + self._of_refusals(code, language) for code, n in commonest
            ],
            word("errors", language): [f"{code} {n}" for code, n in sorted(self.errors.items())],
        }
        return "\n".join(_packed(label + colon, parts, width) for label, parts in rows.items() if parts)

    def _of_refusals(self, code: str, language: Language) -> str:
        refused = self.refusals[code]
        return f" ({word('of_refuse', language, n=refused)})" if refused else ""


def _packed(label: str, parts: list[str], width: int) -> str:
    """The parts behind their label, as many to a line as go."""
    lines = [label]
    for number, part in enumerate(parts):
        joint = "" if number == 0 else " · "
        if number and columns(lines[-1] + joint + part) > width:
            lines.append("  " + part)
        else:
            lines[-1] += joint + part
    return "\n".join(lines)
