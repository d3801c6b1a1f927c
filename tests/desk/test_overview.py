"""Figures for operators and for writers, on both databases."""

from __future__ import annotations

import sqlalchemy as sa

from corpus import overview, tables, work
from corpus.database import begin, reading

NOW = 1_800_000_000_000


def test_an_overview_counts_what_is_there(world):
    world.person("ann")
    clips = [world.clip(style="read"), world.clip(), world.clip()]
    with begin(world.engine) as db:
        c = tables.clip
        db.execute(sa.update(c).where(c.c.id == clips[2]).values(state="refused", grade=None))
        db.execute(
            sa.insert(tables.decision).values(
                clip_id=clips[2],
                person_id=None,
                outcome="refused",
                reasons=[{"code": "snr.below_band", "value": 3.0, "limit": 10.0}],
                decided_ms=NOW,
            )
        )
        db.execute(
            sa.update(tables.person)
            .where(tables.person.c.id == "voice")
            .values(attributes={"dialect": "海口"})
        )
    with reading(world.engine) as db:
        shown = overview.of_project(db, world.project_id)
    assert shown.by_state == {"accepted": overview.Sum(2, 10.0), "refused": overview.Sum(1, 5.0)}
    assert shown.by_grade == {"quiet": overview.Sum(2, 10.0)}
    assert shown.by_style == {"read": overview.Sum(1, 5.0), "monologue": overview.Sum(1, 5.0)}
    assert shown.by_dialect == {"海口": overview.Sum(2, 10.0)}
    assert shown.text_stages == {"first": 2}
    assert shown.finished == overview.Sum(0, 0.0)
    assert shown.agreement_cer is None
    assert shown.refusals == {"snr.below_band": 1}
    assert shown.snr_db == {30: 2}
    voice = next(worker for worker in shown.workers if worker.role == "speaker")
    assert (voice.clips, voice.seconds, voice.refused) == (2, 10.0, 1)


def test_an_empty_project_has_an_overview_too(world):
    with reading(world.engine) as db:
        shown = overview.of_project(db, world.project_id)
    assert shown.by_state == {}
    assert shown.snr_db == {}
    assert shown.finished == overview.Sum(0, 0.0)


def test_what_waits_for_a_person_leaves_out_their_own_voice(world):
    ann = world.person("ann")
    world.clip()
    world.clip(speaker=ann)
    with reading(world.engine) as db:
        count = work.waiting(db, person_id=ann, project_id=world.project_id, role="transcriber", now_ms=NOW)
        none = work.waiting(db, person_id=ann, project_id=world.project_id, role="reviewer", now_ms=NOW)
    assert (count, none) == (1, 0)
