"""An index of the entries that change the log's key, of which there are few.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
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
