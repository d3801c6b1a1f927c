"""History through the current measuring method: new figures beside the old, no verdict changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sqlalchemy as sa

from corpus import clips, container, likeness, projects
from corpus.clips import Clip
from corpus.database import begin, reading
from corpus.intake import Intake
from corpus.store import as_file
from corpus.tables import clip as clip_table
from protocol.clip import ClipMeta


def remeasured(intake: Intake, clock_ms: Callable[[], int]) -> Iterator[dict[str, Any]]:
    """Measure every stored sound anew, and keep what differs from its newest figures.

    Yields
    ------
    dict
        ``clip_id``, ``method``, ``changed``, ``snr_db`` and ``decision``, and both as they were before.
    """
    from noise_profiles import profile

    columns = clip_table.c
    with reading(intake.engine) as db:
        query = sa.select(clip_table).where(columns.samples > 0, columns.state != "withdrawn")
        found = [Clip(**row._mapping) for row in db.execute(query.order_by(columns.received_ms, columns.id))]
        judges = {p.id: profile.load()[p.profile_id] for p in projects.every(db)}
    for clip in found:
        meta, judge = ClipMeta.from_json(dict(clip.meta)), judges[clip.project_id]
        with as_file(intake.store, clip.sha256) as file:
            said = container.inspect(file, intake.store.size(clip.sha256), max_clip_s=1 << 30)
            sound = intake.decoder.hear(file, said, meta)
        now = sound.measured
        if now is None or sound.fingerprint is None:
            continue  # it was measured when it came, so it can be measured by this method's successor
        verdict = profile.verdict(now, judge, meta.grade)
        figures = now.as_json()
        with begin(intake.engine) as db:
            if not likeness.is_kept(db, clip.id):
                likeness.keep(db, clip.id, sound.fingerprint)
            before = clips.newest_measurement(db, clip.id)
            changed = before is None or dict(before.figures) != figures or before.decision != verdict.decision
            if changed:
                clips.add_measurement(
                    db,
                    clip.id,
                    method=now.method,
                    figures=figures,
                    outcome=verdict.decision,
                    findings=[clips.finding_json(f) for f in verdict.findings],
                    profile_id=judge.id,
                    profile_version=judge.version,
                    now_ms=clock_ms(),
                )
        yield {
            "clip_id": clip.id,
            "method": now.method,
            "changed": changed,
            "snr_db_before": before.figures.get("snr_db") if before is not None else None,
            "snr_db": figures["snr_db"],
            "decision_before": before.decision if before is not None else None,
            "decision": verdict.decision,
        }
