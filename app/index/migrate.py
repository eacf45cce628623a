"""Bringing a database to the schema of this program, also when several processes start at once.

Everything happens in one transaction under an advisory lock: whoever comes second waits, and then
finds the work done. Who stores meanwhile waits too; reading goes on, as far as a migration lets it.
A database of a newer program is left alone.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from app.errors import ArchiveError
from app.index.database import CONNECT_SECONDS, Database, asyncpg_url
from app.index.database import Connection as Lent
from app.index.failures import ours

ROOT = Path(__file__).parents[2]
OLDEST_POSTGRESQL = 15

_LOCK = 0x48494C554D
"""Of the advisory lock that migrating processes take turns by."""

_WRITTEN_IN_TURN = ("upload", "study", "series")
"""Tables, in the order of everybody's locks. Who stores begins with its upload, who mends counts
with the study."""


class CannotMigrate(ArchiveError):
    """The database cannot be brought to the schema of this program."""


class NoArchive(ArchiveError):
    """Nobody has migrated the database yet."""


def head() -> str:
    """The revision that this program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


async def current(connection: Lent) -> str | None:
    """The revision that the database is at."""
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


async def expect_archive(index: Database) -> None:
    """Raise `NoArchive` where nobody has migrated the database yet."""
    async with index.reading() as connection:
        if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
            raise NoArchive(
                "The database holds no archive yet: `hilum serve` makes one. If there is one, it "
                "is in another folder, or has other settings."
            )


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate forward. Safe to call from several processes at once, and from a running loop.

    Raises `CannotMigrate` with what to do about it, and `Unavailable`.
    """
    run(url, lambda connection: _upgrade(connection, revision))


def downgrade(url: str, revision: str = "base") -> None:
    """Migrate back; meant for tests, since going back loses data."""
    run(url, lambda connection: command.downgrade(_config(connection), revision))


def run(url: str, action: Callable[[Connection], None]) -> None:
    """Do something in a transaction, alone among all who would migrate the database."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, _run(url, action)).result()


async def _run(url: str, action: Callable[[Connection], None]) -> None:
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(asyncpg_url(url), timeout=CONNECT_SECONDS),
        poolclass=NullPool,
    )
    try:
        with ours(OSError):
            async with engine.begin() as connection:
                await connection.run_sync(_alone, action)
    except DBAPIError as error:
        said = error.orig.__cause__ if error.orig else None
        raise CannotMigrate(f"The schema cannot be changed. PostgreSQL says: {said}") from error
    finally:
        await engine.dispose()


def _alone(connection: Connection, action: Callable[[Connection], None]) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    action(connection)


def _upgrade(connection: Connection, revision: str) -> None:
    server = int(connection.execute(text("SHOW server_version_num")).scalar_one()) // 10_000
    if server < OLDEST_POSTGRESQL:
        raise CannotMigrate(
            f"The database is PostgreSQL {server}; {OLDEST_POSTGRESQL} or newer is needed."
        )
    config = _config(connection)
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = set(MigrationContext.configure(connection).get_current_heads())
    if current - known:
        raise CannotMigrate(
            f"The database has the schema {', '.join(sorted(current))} of a newer Hilum; this one "
            f"knows {head()} at most. Start the newer one."
        )
    if current and head() not in current:
        _keep_writers_out(connection)
    command.upgrade(config, revision)


def _keep_writers_out(connection: Connection) -> None:
    """Wait until nobody is changing what is stored, and let nobody begin before the commit.

    Whoever came upon a migration half-way could have what it waits for, and wait for what it has.
    """
    for table in _WRITTEN_IN_TURN:
        if connection.execute(text("SELECT to_regclass(:name)"), {"name": table}).scalar():
            connection.execute(text(f"LOCK TABLE {table} IN EXCLUSIVE MODE"))


def _config(connection: Connection | None = None) -> Config:
    config = Config(toml_file=str(ROOT / "pyproject.toml"))
    config.attributes["connection"] = connection
    return config
