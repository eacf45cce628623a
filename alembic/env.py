"""Runs migrations on the connection that `app.index.migrate` hands over.

To write a new one, change `app/index/tables.py` and compare it with a migrated database:
    alembic -x url=postgresql://… revision --autogenerate --rev-id 0002 -m "What it is for"
"""

from alembic import context
from sqlalchemy import Connection

from app.index import migrate
from app.index.tables import Study


def run(connection: Connection) -> None:
    context.configure(connection=connection, target_metadata=Study.metadata)
    with context.begin_transaction():
        context.run_migrations()


handed_over = context.config.attributes.get("connection")
if handed_over is not None:
    run(handed_over)
else:
    migrate.run(context.get_x_argument(as_dictionary=True)["url"], run)
