"""Blobs that are still to be erased, with those of earlier withdrawals, which may have been left behind."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "erasure",
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("asked_ms", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.BigInteger(), nullable=False),
        sa.Column("next_ms", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_erasure")),
    )
    op.create_index("ix_erasure_next", "erasure", ["next_ms"], unique=False)
    op.execute(
        "INSERT INTO erasure (sha256, asked_ms, tries, next_ms, problem)"
        " SELECT sha256, MIN(COALESCE(withdrawn_ms, 0)), 0, 0, NULL FROM clip"
        " WHERE state = 'withdrawn' GROUP BY sha256"
    )
