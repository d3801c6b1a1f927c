"""Versions of terms and consent, the terms of each clip, final decisions, payments."""

from __future__ import annotations

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "agreement",
        sa.Column("project_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.Column("since_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["project_id"], ["project.id"], name=op.f("fk_agreement_project_id")),
        sa.PrimaryKeyConstraint("project_id", "kind", "version", name=op.f("pk_agreement")),
    )
    op.create_table(
        "payment",
        sa.Column("item_id", sa.Text(), nullable=False),
        sa.Column("person_id", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=False),
        sa.Column("paid_ms", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["person.id"], name=op.f("fk_payment_person_id")),
        sa.PrimaryKeyConstraint("item_id", name=op.f("pk_payment")),
        sa.UniqueConstraint("person_id", "reference", name=op.f("uq_payment_person_id_reference")),
    )
    op.add_column("clip", sa.Column("terms_version", sa.Text(), server_default=sa.text("''"), nullable=False))
    op.add_column("clip", sa.Column("final_ms", sa.BigInteger(), nullable=True))
    op.add_column("membership", sa.Column("terms_seen", sa.Text(), nullable=True))
    _fill(op.get_bind())


def _fill(db: sa.Connection) -> None:
    """Keep the versions in force; take each clip's from its first entry in the log."""
    project = sa.table("project", *map(sa.column, ("id", "created_ms")), _json("terms"), _json("consent"))
    agreement = sa.table(
        "agreement", *map(sa.column, ("project_id", "kind", "version", "since_ms")), _json("body")
    )
    for row in db.execute(sa.select(project)).all():
        for kind, body in (("terms", row.terms), ("consent", row.consent)):
            values = {"kind": kind, "version": body["version"], "body": body, "since_ms": row.created_ms}
            db.execute(sa.insert(agreement).values(project_id=row.id, **values))
    entry = sa.table("ledger_entry", *map(sa.column, ("seq", "item_id", "event", "leaf", "time_ms")))
    clip = sa.table("clip", *map(sa.column, ("item_id", "terms_version", "final_ms")))
    appealed: set[str] = set()
    for row in db.execute(sa.select(entry).order_by(entry.c.seq)).all():
        where = clip.c.item_id == row.item_id
        version = json.loads(row.leaf).get("terms")
        if row.event in ("accepted", "refused") and version:
            db.execute(sa.update(clip).where(where).values(terms_version=version))
        elif row.event == "appealed":
            appealed.add(row.item_id)
        elif row.event == "decided" and row.item_id in appealed:
            db.execute(sa.update(clip).where(where).values(final_ms=row.time_ms))
    member = sa.table("membership", *map(sa.column, ("project_id", "terms_seen")))
    for row in db.execute(sa.select(project)).all():
        seen = sa.update(member).where(member.c.project_id == row.id)
        db.execute(seen.values(terms_seen=row.terms["version"]))


def _json(name: str) -> sa.ColumnClause[object]:
    return sa.column(name, sa.JSON())
