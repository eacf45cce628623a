"""The index of terms follows the log of changes, in its own time and whatever comes between."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.archive import Archive
from app.errors import Unavailable
from app.index.terms import following, unindexed
from app.index.visibility import Visibility
from app.upkeep import indexing
from app.upkeep.indexing import index, indexer
from app.upkeep.repeating import Repeating
from tests.factories import ct_series
from tests.integration.index.rows import PARTITION
from tests.integration.store.conftest import Modality

VISIBILITY = Visibility(PARTITION)


@pytest.fixture(autouse=True)
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else indexes meanwhile."""
    monkeypatch.setattr(indexing, "SECONDS_BETWEEN_LOOKS", 10_000)


@pytest.fixture
async def often(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Repeating]:
    """One that looks all the time."""
    monkeypatch.setattr(indexing, "SECONDS_BETWEEN_LOOKS", 0.01)
    repeating = indexer(archive)
    yield repeating
    await repeating.close()


async def behind(archive: Archive) -> int:
    """How many series are not indexed."""
    async with archive.snapshot() as connection:
        found = await unindexed(connection, VISIBILITY, most=1000)
    assert found is not None
    return len(found.series)


async def terms_of(archive: Archive, table: str) -> list[int]:
    async with archive.reading() as connection:
        rows = await connection.fetch(f"SELECT terms FROM {table} ORDER BY id")
    return [len(row[0]) for row in rows]


async def test_the_log_is_followed_to_its_end(
    modality: Modality, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MOST_CHANGES", 2)
    for _ in range(3):
        await modality.store(*ct_series(3))
    assert await behind(archive) == 3
    assert await index(archive) == 9
    assert await behind(archive) == 0
    assert await index(archive) == 0
    for table in ("study_terms", "series_terms", "instance_terms"):
        assert all(number > 0 for number in await terms_of(archive, table))
        assert len(await terms_of(archive, table)) == 3


async def test_several_at_once_do_it_once(modality: Modality, archive: Archive) -> None:
    await modality.store(*ct_series(5))
    assert sum(await asyncio.gather(*(index(archive) for _ in range(4)))) == 5
    assert await behind(archive) == 0


async def test_what_is_done_twice_is_the_same(modality: Modality, archive: Archive) -> None:
    await modality.store(*ct_series(3))
    await index(archive)
    before = [await terms_of(archive, f"{of}_terms") for of in ("study", "series", "instance")]
    async with archive.writing() as connection:
        await connection.execute("DELETE FROM indexed")
    assert await index(archive) == 3
    after = [await terms_of(archive, f"{of}_terms") for of in ("study", "series", "instance")]
    assert after == before


async def test_an_archive_that_serves_indexes_by_itself(
    modality: Modality, archive: Archive, often: Repeating
) -> None:
    await modality.store(*ct_series(3))
    async with asyncio.timeout(10):
        while await behind(archive):
            await asyncio.sleep(0.02)


async def test_a_failure_is_not_the_end(
    modality: Modality, archive: Archive, often: Repeating, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries = 0

    async def failing(*_: object) -> int:
        nonlocal tries
        tries += 1
        raise Unavailable

    monkeypatch.setattr(indexing, "follow", failing)
    await modality.store(*ct_series(2))
    async with asyncio.timeout(10):
        while tries < 2:
            await asyncio.sleep(0.02)
    assert await behind(archive) == 1
    monkeypatch.undo()
    async with asyncio.timeout(10):
        while await behind(archive):
            await asyncio.sleep(0.02)
