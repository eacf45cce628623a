"""Bringing a database to the schema of this program, also when several processes start at once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit, urlunsplit

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine

ROOT = Path(__file__).parents[2]
_LOCK = 0x48494C554D
"""Of the advisory lock that migrating processes take turns by."""


def head() -> str:
    """The revision that this program needs."""
    revision = ScriptDirectory.from_config(_config()).get_current_head()
    assert revision is not None
    return revision


async def current(connection: asyncpg.Connection) -> str | None:
    """The revision that the database is at, by a connection of `Database`."""
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision


def upgrade(url: str, revision: str = "head") -> None:
    """Migrate forward. Safe to call from several processes at once, and from a running loop."""
    _run(url, lambda config: command.upgrade(config, revision))


def downgrade(url: str, revision: str = "base") -> None:
    """Migrate back; meant for tests, since going back loses data."""
    _run(url, lambda config: command.downgrade(config, revision))


def _run(url: str, action: Callable[[Config], None]) -> None:
    thread = Thread(target=lambda: outcome.append(_attempt(url, action)))
    outcome: list[BaseException | None] = []
    thread.start()
    thread.join()
    if outcome and outcome[0] is not None:
        raise outcome[0]


def _attempt(url: str, action: Callable[[Config], None]) -> BaseException | None:
    try:
        asyncio.run(_migrate(url, action))
    except Exception as error:
        return error
    return None


async def _migrate(url: str, action: Callable[[Config], None]) -> None:
    engine = create_async_engine(urlunsplit(urlsplit(url)._replace(scheme="postgresql+asyncpg")))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_locked, action)
    finally:
        await engine.dispose()


def _locked(connection: Connection, action: Callable[[Config], None]) -> None:
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    config = _config()
    config.attributes["connection"] = connection
    action(config)


def _config() -> Config:
    return Config(toml_file=str(ROOT / "pyproject.toml"))
