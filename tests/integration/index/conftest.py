"""The index as a process has it open, over a fresh database."""

from collections.abc import AsyncIterator

import pytest

from app.index.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """For one test, with enough connections for many rivals."""
    database = await Database.open(database_url, connections=32, statement_seconds=20)
    yield database
    await database.close()
