"""Audio files: measured block by block, judged, and drawn in the same pass."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noise_profiles import profile as profiles
from noise_profiles.measure import Measurement, Meter
from noise_profiles.profile import NoiseProfile
from noise_profiles.sketch import Sketch, Sketcher
from noise_profiles.words import word
from protocol.clip import Grade, Verdict
from protocol.errors import CodedError, Language, fill

BLOCK_S = 10
BLOCK_VALUES = 4_000_000  # less than ten seconds of what has very many channels or a very high rate


class FileUnreadable(CodedError):
    """A file that is missing or may not be read."""

    code = "FILE_UNREADABLE"


class AudioUnreadable(CodedError):
    """A file that is no sound, damaged, or cut short."""

    code = "AUDIO_UNREADABLE"


class Unwritable(CodedError):
    """Something cannot be written where it was asked for; why, in the language of who asked."""

    code = "PICTURE_UNWRITABLE"

    @classmethod
    def because(cls, file: Path, error: OSError) -> Unwritable:
        """The error as the operating system told it."""
        known = {
            errno.ENOENT: "no_folder", errno.ENOTDIR: "no_folder", errno.EACCES: "no_write",
            errno.EPERM: "no_write", errno.EROFS: "no_write", errno.ENOSPC: "full",
        }.get(error.errno or 0)  # fmt: skip
        why = problem(known) if known is not None else {"problem": error.strerror or str(error)}
        return cls(file=str(file), **why)

    def sentence(self, language: Language = "en") -> str:
        """What to tell a person, in their language."""
        return Heard.failed("", self).detail(language)


class PictureUnwritable(Unwritable):
    """A picture cannot be written where it was asked for."""


@dataclass(frozen=True)
class Order:
    """What is to be done with every file."""

    profile: NoiseProfile
    wanted: Grade | None = None
    lead_in_s: float = 0.0
    offset_db: float | None = None
    language: Language = "en"


@dataclass(frozen=True)
class Item:
    """One file of an order.

    `name` is what people call it; `path` is where it is; `picture` is where its picture goes, if anywhere;
    `error` is the answer already, for a folder that holds nothing.
    """

    name: str
    path: Path
    picture: Path | None = None
    bytes: int = 0
    error: Heard | None = None


@dataclass(frozen=True)
class Heard:
    """One file: its figures and verdict, or the code of the error that kept it from being measured.

    It travels between processes, so an error is kept as code and parameters.
    """

    file: str
    measurement: Measurement | None = None
    verdict: Verdict | None = None
    picture: str | None = None
    code: str | None = None
    parameters: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def failed(cls, file: str, error: CodedError, **figures: Any) -> Heard:
        """The file with the error that concerns it."""
        return cls(file, code=error.code, parameters=error.parameters, **figures)

    def detail(self, language: Language) -> str:
        """What went wrong, in a sentence; empty if nothing did."""
        if self.code is None:
            return ""
        why = self.parameters.get("why")
        known = {} if why is None else {"problem": _why(str(why), language, self.parameters)}
        return fill(self.code, language, {**self.parameters, **known})

    def as_json(self, language: Language) -> dict[str, Any]:
        """One line of ``--format json``."""
        if self.measurement is None or self.verdict is None:
            return {"file": self.file, "error": {"code": self.code, "detail": self.detail(language)}}
        figures = self.measurement.as_json()
        method = figures.pop("method")
        del figures["defects"]
        return {
            "file": self.file,
            **figures,
            "grade": self.verdict.grade,
            "verdict": self.verdict.decision,
            "findings": [finding.as_json(language) for finding in self.verdict.findings],
            "profile": f"{self.verdict.profile_id}-{self.verdict.profile_version}",
            **({} if self.picture is None else {"picture": self.picture}),
            "method": method,
        }


def problem(why: str, **parameters: object) -> dict[str, object]:
    """What an error says of a problem that has words in every language, by its name in `words`."""
    return {"why": why, **parameters, "problem": _why(why, "en", parameters)}


def _why(why: str, language: Language, parameters: Mapping[str, object]) -> str:
    unit = word(str(parameters["unit"]), language) if "unit" in parameters else ""
    return word(f"why_{why}", language, **{**parameters, "unit": unit})


def os_problem(error: OSError) -> dict[str, object]:
    """The same of what the operating system says; of what is rare, its own words."""
    why = {errno.ENOENT: "missing", errno.ENOTDIR: "missing", errno.EACCES: "denied", errno.EPERM: "denied"}
    known = why.get(error.errno or 0)
    return problem(known) if known is not None else {"problem": error.strerror or str(error)}


def hear(item: Item, order: Order, progress: Callable[[float], None] | None = None) -> Heard:
    """Measure, judge and draw one file; an error that concerns the file alone is part of the answer."""
    if item.error is not None:
        return item.error
    try:
        measurement, sketch = read_and_measure(item, order, progress)
    except CodedError as error:
        return Heard.failed(item.name, error)
    verdict = profiles.verdict(measurement, order.profile, order.wanted)
    if item.picture is None or sketch is None:
        return Heard(item.name, measurement, verdict)
    from noise_profiles import picture

    subject = picture.Subject(
        Path(item.name).name or item.name,
        measurement,
        verdict,
        order.profile,
        sketch,
        order.wanted,
        order.lead_in_s,
    )
    try:
        _write(item.picture, picture.draw(subject, order.language))
    except OSError as error:
        unwritten = PictureUnwritable.because(item.picture, error)
        return Heard.failed(item.name, unwritten, measurement=measurement, verdict=verdict)
    return Heard(item.name, measurement, verdict, str(item.picture))


def read_and_measure(
    item: Item, order: Order, progress: Callable[[float], None] | None = None
) -> tuple[Measurement, Sketch | None]:
    """Measure a file of any length, block by block, and sketch it if a picture is wanted.

    Raises
    ------
    FileUnreadable, AudioUnreadable
        If it is not there, is no ordinary file, or cannot be decoded to its end.
    SignalError
        If what it holds is no sound.
    """
    import soundfile

    from noise_profiles.decoder import Damaged, Decoder

    read = 0
    try:
        with Decoder(_opened(item)) as file:
            rate_hz, channels = file.sample_rate_hz, file.channels
            meter = Meter(rate_hz, channels, lead_in_s=order.lead_in_s, calibration_offset_db=order.offset_db)
            sketcher = Sketcher(rate_hz, channels, file.expected) if item.picture else None
            for block in file.blocks(min(BLOCK_S * rate_hz, BLOCK_VALUES // channels)):
                read += len(block)
                meter.feed(block)
                if sketcher is not None:
                    sketcher.feed(block)
                if progress is not None and file.expected:
                    progress(read / max(read, file.expected))
    except Damaged as damage:
        why = problem(damage.why, **damage.parameters)
        raise AudioUnreadable(file=item.name, **why) from damage
    except soundfile.LibsndfileError as error:
        said = error.error_string.removeprefix("Error : ").rstrip(".")
        why = problem("unknown") if "Format not recognised" in said else {"problem": said}
        raise AudioUnreadable(file=item.name, **why) from error
    except OSError as error:
        raise FileUnreadable(file=item.name, **os_problem(error)) from error
    return meter.finish(), sketcher.finish() if sketcher is not None else None


def _opened(item: Item) -> int:
    """A descriptor of an ordinary file.

    By number and not by name: a name may be of any bytes and any ending, and what is looked at is what is
    read, even if the name is given to a pipe in between.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    if item.path.is_symlink() and not item.path.exists():
        raise FileUnreadable(file=item.name, **problem("link"))
    fd = os.open(item.path, flags)
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise FileUnreadable(file=item.name, **problem("not_a_file"))
    return fd


def _write(path: Path, svg: str) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        part.write_text(svg, encoding="utf-8", newline="\n")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
