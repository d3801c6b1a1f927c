"""An index of the entries that change the log's key, of which there are few.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index(
        "ix_ledger_entry_key",
        "ledger_entry",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("event = 'key'"),
        postgresql_where=sa.text("event = 'key'"),
    )
