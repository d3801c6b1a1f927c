"""Figures for the operator: how a project stands, by state, grade, style, dialect and person."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy import Connection, func, select

from corpus import tables

UNSAID = ""  # a dialect or region that a speaker did not name
SNR_STEP_DB = 5


@dataclass(frozen=True)
class Sum:
    """A number of clips and how long they are together."""

    clips: int
    seconds: float


@dataclass(frozen=True)
class Worker:
    """A member and what they have done."""

    person_id: str
    name: str | None
    speaker_id: str | None
    role: str
    clips: int
    seconds: float
    refused: int
    texts: int
    joined_ms: int


@dataclass(frozen=True)
class Overview:
    """How a project stands.

    Attributes
    ----------
    by_grade, by_style, by_dialect : mapping to Sum
        Accepted clips only.
    text_stages : mapping of stage to int
        Accepted clips by what their text waits for: first, second, review, done.
    agreement_cer : float or None
        Mean difference between two blind texts, over clips with a final text.
    refusals : mapping of reason code to int
        Most frequent first.
    snr_db : mapping of the lower edge of a 5 dB step to number of accepted clips
    """

    by_state: Mapping[str, Sum]
    by_grade: Mapping[str, Sum]
    by_style: Mapping[str, Sum]
    by_dialect: Mapping[str, Sum]
    text_stages: Mapping[str, int]
    finished: Sum
    agreement_cer: float | None
    refusals: Mapping[str, int]
    snr_db: Mapping[int, int]
    workers: Sequence[Worker]


def of_project(db: Connection, project_id: str) -> Overview:
    """Count a project's clips, texts, refusals and people."""
    c = tables.clip
    accepted = sa.and_(c.c.project_id == project_id, c.c.state == "accepted")
    stages = db.execute(select(c.c.text_stage, func.count()).where(accepted).group_by(c.c.text_stage))
    f = tables.final_text
    done = db.execute(
        select(func.count(), _seconds(), func.avg(f.c.agreement_cer))
        .select_from(f.join(c, c.c.id == f.c.clip_id))
        .where(accepted)
    ).one()
    return Overview(
        by_state=_sums(db, c.c.state, c.c.project_id == project_id),
        by_grade=_sums(db, c.c.grade, accepted),
        by_style=_sums(db, c.c.style, accepted),
        by_dialect=_by_dialect(db, accepted),
        text_stages={row[0]: row[1] for row in stages},
        finished=Sum(done[0], float(done[1] or 0.0)),
        agreement_cer=None if done[2] is None else float(done[2]),
        refusals=_refusals(db, project_id),
        snr_db=_snr_steps(db, accepted),
        workers=_workers(db, project_id),
    )


def _seconds() -> sa.ColumnElement[float]:
    c = tables.clip
    return func.sum(sa.cast(c.c.samples, sa.Float) / c.c.sample_rate_hz)


def _sums(db: Connection, key: sa.ColumnElement[str], where: sa.ColumnElement[bool]) -> dict[str, Sum]:
    rows = db.execute(
        select(key, func.count(), _seconds()).where(where).group_by(key).order_by(func.count().desc())
    )
    return {name or UNSAID: Sum(clips, float(seconds or 0.0)) for name, clips, seconds in rows}


def _by_dialect(db: Connection, accepted: sa.ColumnElement[bool]) -> dict[str, Sum]:
    c, p = tables.clip, tables.person
    rows = db.execute(
        select(p.c.attributes, func.count(), _seconds())
        .select_from(c.join(p, p.c.id == c.c.person_id))
        .where(accepted)
        .group_by(p.c.id)
    )
    clips: Counter[str] = Counter()
    seconds: defaultdict[str, float] = defaultdict(float)
    for attributes, number, length_s in rows:
        name = attributes.get("dialect") or attributes.get("region") or UNSAID
        clips[name] += number
        seconds[name] += float(length_s or 0.0)
    return {name: Sum(number, seconds[name]) for name, number in clips.most_common()}


def _refusals(db: Connection, project_id: str) -> dict[str, int]:
    c, d = tables.clip, tables.decision
    rows = db.execute(
        select(d.c.reasons)
        .join(c, c.c.id == d.c.clip_id)
        .where(c.c.project_id == project_id, d.c.outcome == "refused")
    ).scalars()
    codes = Counter(reason["code"] for reasons in rows for reason in reasons)
    return dict(codes.most_common())


def _snr_steps(db: Connection, accepted: sa.ColumnElement[bool]) -> dict[int, int]:
    c, m = tables.clip, tables.measurement
    newest = select(func.max(m.c.id).label("id")).group_by(m.c.clip_id).subquery()
    rows = db.execute(
        select(m.c.figures["snr_db"].as_float())
        .select_from(newest)
        .join(m, m.c.id == newest.c.id)
        .join(c, c.c.id == m.c.clip_id)
        .where(accepted)
    ).scalars()
    steps = Counter(int(snr_db // SNR_STEP_DB) * SNR_STEP_DB for snr_db in rows if snr_db is not None)
    return dict(sorted(steps.items()))


def _workers(db: Connection, project_id: str) -> list[Worker]:
    c, t, m, p = tables.clip, tables.transcript, tables.membership, tables.person
    spoken = {
        row.person_id: row
        for row in db.execute(
            select(
                c.c.person_id,
                func.count().filter(c.c.state == "accepted").label("clips"),
                func.count().filter(c.c.state == "refused").label("refused"),
                _seconds().filter(c.c.state == "accepted").label("seconds"),
            )
            .where(c.c.project_id == project_id)
            .group_by(c.c.person_id)
        )
    }
    texts = db.execute(
        select(t.c.person_id, func.count())
        .join(c, c.c.id == t.c.clip_id)
        .where(c.c.project_id == project_id)
        .group_by(t.c.person_id)
    )
    written = {row[0]: row[1] for row in texts}
    members = db.execute(
        select(p.c.id, p.c.display_name, p.c.speaker_id, m.c.role, m.c.created_ms)
        .join(p, p.c.id == m.c.person_id)
        .where(m.c.project_id == project_id, m.c.ended_ms.is_(None))
        .order_by(m.c.role, m.c.created_ms, p.c.id)
    )
    return [
        Worker(
            person_id=row.id,
            name=row.display_name,
            speaker_id=row.speaker_id,
            role=row.role,
            clips=spoken[row.id].clips if row.id in spoken else 0,
            seconds=float(spoken[row.id].seconds or 0.0) if row.id in spoken else 0.0,
            refused=spoken[row.id].refused if row.id in spoken else 0,
            texts=written.get(row.id, 0),
            joined_ms=row.created_ms,
        )
        for row in members
    ]
