"""Passphrases, scopes of tokens, limits, and who heard what in which role.

Revision ID: 0003
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sign_in",
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("code", sa.Text(), nullable=False),
        sa.Column("passphrase", sa.Text(), nullable=False),
        sa.Column("changed_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_sign_in_person_id")),
        sa.PrimaryKeyConstraint("person_id", name=op.f("pk_sign_in")),
        sa.UniqueConstraint("code", name=op.f("uq_sign_in_code")),
    )
    op.create_table(
        "bucket",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("full_ms", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_bucket")),
    )
    op.create_index("ix_bucket_full", "bucket", ["full_ms"], unique=False)
    # None: a token of before, which may do whatever its role may.
    op.add_column("token", sa.Column("scopes", sa.Text(), nullable=True))
    op.add_column("token", sa.Column("label", sa.Text(), nullable=True))
    op.create_index("ix_token_membership", "token", ["membership_id"], unique=False)
    op.add_column("audit", sa.Column("role", sa.Text(), nullable=True))
    op.add_column("audit", sa.Column("project_id", sa.Text(), nullable=True))
    op.create_index("ix_audit_object", "audit", ["object", "action"], unique=False)
    op.create_index("ix_audit_person", "audit", ["person_id", "action"], unique=False)
    op.create_index("ix_upload_person", "upload", ["person_id", "created_ms"], unique=False)
