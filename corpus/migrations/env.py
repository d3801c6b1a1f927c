"""Alembic's entry: runs on the connection that `corpus.migrate` has opened, inside its transaction."""

from __future__ import annotations

from alembic import context

from corpus import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    render_as_batch=True,
)
context.run_migrations()
