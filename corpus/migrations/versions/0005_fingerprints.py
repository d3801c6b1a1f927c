"""Fingerprints of sounds, so that a copy is known again."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fingerprint",
        sa.Column("clip_id", sa.Text(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name=op.f("fk_fingerprint_clip_id")),
        sa.PrimaryKeyConstraint("clip_id", name=op.f("pk_fingerprint")),
    )
    op.create_table(
        "fingerprint_key",
        sa.Column("key", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("clip_id", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["clip_id"], ["clip.id"], name=op.f("fk_fingerprint_key_clip_id")),
        sa.PrimaryKeyConstraint("key", "clip_id", name=op.f("pk_fingerprint_key")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_fingerprint_key_clip", "fingerprint_key", ["clip_id"], unique=False)
