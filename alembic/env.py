"""Runs migrations on the connection that `app.index.migrate` hands over."""

from alembic import context
from sqlmodel import SQLModel

from app.index import tables

assert tables.Study.metadata is SQLModel.metadata
context.configure(
    connection=context.config.attributes["connection"], target_metadata=SQLModel.metadata
)
with context.begin_transaction():
    context.run_migrations()
