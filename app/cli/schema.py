"""`hilum migrate` and `hilum openapi`: the schemas of the database and of the HTTP interface."""

import json
from pathlib import Path

from app.cli.environment import database, read_settings
from app.index import migrate as migrations

OPENAPI = Path("openapi/hilum.json")


def migrate() -> None:
    """Bring the database to the schema of this program; `serve` does so too."""
    with database(read_settings()) as url:
        migrations.upgrade(url)
    print(f"The database is at {migrations.head()}.")


def openapi() -> None:
    """Write the description of the HTTP interface to openapi/hilum.json."""
    from app.main import create_app  # noqa: PLC0415 - takes a second that no other command needs

    description = create_app().openapi()
    OPENAPI.write_text(json.dumps(description, indent=2, sort_keys=True) + "\n")
    print(f"{OPENAPI} is written.")
