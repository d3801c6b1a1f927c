"""What the studio tells whoever listens: lines of text, a screen, a test."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from recorder import session
from recorder.judge import Judgement
from recorder.spool import Take


@dataclass(frozen=True)
class Notice:
    """Something to say: a key of ``wording.toml`` and its parameters."""

    key: str
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Judged:
    """A take was measured; `take` is set once it is kept."""

    judgement: Judgement
    take: Take | None
    start_sample: int


@dataclass(frozen=True)
class Levels:
    """What the meters show, ten times a second."""

    state: session.State
    level_dbfs: float
    peak_dbfs: float
    noise_dbfs: float | None
    speaking: bool
    position_s: float
    lost_samples: int


Told: TypeAlias = Notice | Judged | Levels


@dataclass(frozen=True)
class Prompt:
    """A text to be read aloud."""

    id: str | None
    text: str
