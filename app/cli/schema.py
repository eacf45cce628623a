"""`hilum migrate` and `hilum openapi`: the schemas of the database and of the HTTP interface."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from app.cli.environment import database, read_settings
from app.index import migrate as migrations
from app.index.roles import grant_to

OPENAPI = Path("openapi/hilum.json")


def migrate(
    service_role: Annotated[
        str | None, typer.Option(help="The role that `serve` connects as: what it needs.")
    ] = None,
) -> None:
    """Bring the database to the schema of this program; `serve` does so too, if it may."""
    with database(read_settings()) as url:
        migrations.upgrade(url)
        if service_role is not None:
            asyncio.run(grant_to(url, service_role))
    print(f"The database is at {migrations.head()}.")


def openapi() -> None:
    """Write the description of the HTTP interface to openapi/hilum.json."""
    # It takes a second to import, which no other command needs.
    from app.main import create_app  # noqa: PLC0415
    from app.web.openapi import openapi_text  # noqa: PLC0415

    OPENAPI.write_bytes(openapi_text(create_app()))
    print(f"{OPENAPI} is written.")
