"""Totals: counted once for as long as nothing is written; small ones are never behind."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.dicom.attributes import Level
from app.dicom.query import Empty, Key, Query
from app.index import totals
from app.index.database import Connection, Database
from app.index.instances import add
from app.index.search import Wanted, search, statements
from app.index.search.plan import Plan, plan_of
from app.index.search.statements import Shape
from app.index.statements import Prepared
from app.index.totals import Totals
from app.index.visibility import Visibility
from tests.integration.index.rows import PARTITION, new_instance

VISIBILITY = Visibility(PARTITION)
NO_ADMISSION = (Key("00380010", Empty()),)
"""What all studies match, and only the index of terms can tell."""


class Counting(Totals):
    """Totals that tell how often somebody had to count."""

    def __init__(self) -> None:
        super().__init__()
        self.counts = 0

    def _keep(self, search: Any, counted: Any) -> None:
        self.counts += 1
        super()._keep(search, counted)


async def store(database: Database, number: int = 1) -> None:
    async def work(connection: Connection) -> None:
        await add(connection, PARTITION, [new_instance() for _ in range(number)])

    await database.transact(work)


async def remaining(database: Database, counted: Totals, keys: tuple[Key, ...] = ()) -> int:
    """How many studies there are after the first."""
    async with database.reading() as connection:
        query = Query(Level.STUDY, keys, limit=1)
        page = await search(connection, VISIBILITY, query, Wanted(frozenset()), counted)
    return page.remaining


@asynccontextmanager
async def somebody_writing(database: Database) -> AsyncIterator[None]:
    async with database.transaction() as connection:
        await connection.execute("SELECT pg_current_xact_id()")
        yield


@pytest.mark.parametrize("keys", [(), NO_ADMISSION])
async def test_a_total_is_counted_once_until_something_is_stored(
    database: Database, keys: tuple[Key, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.index.search.FEW", 0)
    counted = Counting()
    await store(database, 3)
    assert [await remaining(database, counted, keys) for _ in range(3)] == [2, 2, 2]
    assert counted.counts == 1
    await store(database)
    assert [await remaining(database, counted, keys) for _ in range(2)] == [3, 3]
    assert counted.counts == 2


async def test_what_is_stored_while_a_search_looks_at_the_terms_counts_for_the_next_one(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def overtaken(*given: Any) -> Plan:
        plan = await plan_of(*given)
        await store(database)
        return plan

    counted = Counting()
    await store(database, 2)
    monkeypatch.setattr("app.index.search.FEW", 0)
    monkeypatch.setattr("app.index.search.plan_of", overtaken)
    assert await remaining(database, counted, NO_ADMISSION) == 1
    monkeypatch.undo()
    assert await remaining(database, counted, NO_ADMISSION) == 2


@pytest.mark.parametrize(("stored", "counts"), [(2, 0), (3, 0), (4, 1)])
async def test_few_are_counted_with_their_page_and_many_are_remembered(
    database: Database, monkeypatch: pytest.MonkeyPatch, stored: int, counts: int
) -> None:
    monkeypatch.setattr("app.index.search.FEW", 3)
    counted, read = Counting(), 0
    page_of_few = statements.page_of_few

    def reading(shape: Shape) -> Prepared:
        nonlocal read
        read += 1
        return page_of_few(shape)

    monkeypatch.setattr(statements, "page_of_few", reading)
    await store(database, stored)
    for _ in range(2):
        assert await remaining(database, counted, NO_ADMISSION) == stored - 1
    assert counted.counts == counts
    assert read == 2 - counts, "of many, it is known the second time that they are"


async def test_what_is_counted_while_others_write_is_counted_again(database: Database) -> None:
    counted = Counting()
    await store(database, 3)
    async with somebody_writing(database):
        assert await remaining(database, counted) == 2
        assert await remaining(database, counted) == 2
    assert counted.counts == 2


async def test_a_large_total_does_for_a_while_that_its_counting_decides(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "LARGE", 3)
    monkeypatch.setattr(totals, "REUSE", 1e9)
    counted = Counting()
    await store(database, 3)
    assert await remaining(database, counted) == 2
    await store(database)
    assert await remaining(database, counted) == 2
    assert counted.counts == 1
    monkeypatch.setattr(totals, "REUSE", 0)
    assert await remaining(database, counted) == 3


async def test_a_small_total_is_never_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals, "REUSE", 1e9)
    counted = Counting()
    await store(database, 2)
    for expected in (1, 2, 3):
        assert await remaining(database, counted) == expected
        await store(database)
