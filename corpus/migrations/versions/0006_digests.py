"""Digests of texts as they were handed in, so that one edited in the database by hand is told from them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from corpus.digests import of_text

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("transcript", sa.Column("digest", sa.Text, nullable=True))
    t = sa.table(
        "transcript",
        *(sa.column(name) for name in ("id", "clip_id", "text_raw", "text", "status", "digest")),
        sa.column("events", sa.JSON),
    )
    db = op.get_bind()
    last = 0
    while rows := db.execute(sa.select(t).where(t.c.id > last).order_by(t.c.id).limit(1000)).all():
        for row in rows:
            digest = of_text(row.clip_id, row.text_raw, row.text, row.events, row.status)
            db.execute(sa.update(t).where(t.c.id == row.id).values(digest=digest))
        last = rows[-1].id
