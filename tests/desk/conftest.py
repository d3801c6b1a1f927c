"""A project with people and accepted clips, as rows, for the tests that need no sound."""

from __future__ import annotations

import itertools
import uuid
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from corpus import tables
from corpus.database import begin, open_engine

RULESET = "zh-Hant"
NOW_MS = 1_800_000_000_000


@dataclass
class World:
    """A database and what to fill it with."""

    engine: sa.Engine
    project_id: str = "tales"
    numbers: itertools.count = field(default_factory=lambda: itertools.count(1))

    def person(self, name: str, role: str = "transcriber") -> str:
        with begin(self.engine) as db:
            db.execute(
                sa.insert(tables.person).values(
                    id=name, speaker_id=None, display_name=name, attributes={}, created_ms=NOW_MS
                )
            )
            db.execute(
                sa.insert(tables.membership).values(
                    id=f"m-{name}", person_id=name, project_id=self.project_id, role=role, created_ms=NOW_MS
                )
            )
        return name

    def clip(self, speaker: str = "voice", style: str = "monologue", speech_s: float = 4.0) -> str:
        clip_id = str(uuid.UUID(int=next(self.numbers)))
        with begin(self.engine) as db:
            db.execute(
                sa.insert(tables.clip).values(
                    id=clip_id,
                    item_id=clip_id,
                    project_id=self.project_id,
                    person_id=speaker,
                    consent_id="c",
                    session_id="s",
                    recording_id="r",
                    channel=0,
                    start_sample=0,
                    style=style,
                    grade_wanted="quiet",
                    grade="quiet",
                    recorded_at="2026-01-01T00:00:00Z",
                    upload_sha256="0" * 64,
                    sha256="0" * 64,
                    pcm_md5="0" * 32,
                    bytes=1,
                    samples=16000 * 5,
                    sample_rate_hz=16000,
                    channels=1,
                    meta={},
                    state="accepted",
                    received_ms=NOW_MS + next(self.numbers),
                )
            )
            db.execute(
                sa.insert(tables.measurement).values(
                    clip_id=clip_id,
                    method="m",
                    figures={"speech_s": speech_s, "snr_db": 31.0},
                    decision="accept",
                    findings=[],
                    profile_id="p",
                    profile_version="1",
                    measured_ms=NOW_MS,
                )
            )
        return clip_id


@pytest.fixture
def world(engine):
    """A project `tales` with a speaker `voice`."""
    with begin(engine) as db:
        db.execute(
            sa.insert(tables.project).values(
                id="tales",
                title="Tales",
                language="zh-Hant-TW",
                orthography=RULESET,
                profile_id="default",
                terms={"version": "1", "text": "t"},
                consent={"version": "1", "text": "c", "license": "CC0-1.0"},
                created_ms=NOW_MS,
            )
        )
    made = World(engine)
    made.person("voice", "speaker")
    with begin(engine) as db:
        db.execute(
            sa.insert(tables.consent).values(
                id="c", person_id="voice", project_id="tales", version="1", text_sha256="", given_ms=NOW_MS
            )
        )
    return made


@pytest.fixture
def engine(tmp_path):
    """A fresh SQLite database."""
    made = open_engine(f"sqlite:///{tmp_path / 'corpus.sqlite'}")
    tables.metadata.create_all(made)
    yield made
    made.dispose()
