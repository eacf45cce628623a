"""The index as a process has it open, over a fresh database."""

import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.index import uploads
from app.index.database import Database
from tests.integration.index.rows import PARTITION, UPLOAD


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A folder in which there is room for the path of a socket, wherever tests have theirs."""
    with tempfile.TemporaryDirectory(prefix="hilum-") as folder:
        yield Path(folder)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """For one test, with enough connections for many rivals."""
    database = await Database.open(database_url, connections=32, statement_seconds=20)
    async with database.reading() as connection:
        upload = await uploads.reserve(connection, PARTITION, "p1/rows", 1, timedelta(days=1))
    assert upload == UPLOAD
    yield database
    await database.close()
