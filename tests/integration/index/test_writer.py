"""Additions that come together share a transaction, and nothing else."""

import asyncio
from typing import Any

import pytest

from app.errors import Unavailable
from app.index.database import Connection, Database
from app.index.instances import Added, Identical, NewInstance, Outcome, adding
from app.index.recount import miscounted
from app.index.writer import Writer
from tests.integration.index.rows import PARTITION, new_instance, new_series


async def test_each_hears_of_its_own_instances_in_their_order(database: Database) -> None:
    shared = Writer(database)
    first, known = new_series(3), new_instance()
    await shared.add(PARTITION, [known])
    outcomes = await asyncio.gather(
        shared.add(PARTITION, first),
        shared.add(PARTITION, [first[0], new_instance()]),
        shared.add(PARTITION, [known]),
    )
    kinds = [[type(outcome) for outcome in outcome_list] for outcome_list in outcomes]
    assert kinds[0] == [Added] * 3
    assert kinds[1] == [Added, Added]
    assert kinds[2] == [Added]
    again = await shared.add(PARTITION, [new_instance(**_same(first[1]))])
    assert [type(outcome) for outcome in again] == [Identical]
    async with database.reading() as connection:
        assert await miscounted(connection) == []


async def test_what_comes_during_a_commit_goes_into_one_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = adding.add

    async def add(connection: Connection, owner: int, new: list[NewInstance]) -> list[Outcome]:
        sizes.append(len(new))
        return await original(connection, owner, new)

    monkeypatch.setattr("app.index.writer.add", add)
    shared = Writer(database)
    await asyncio.gather(*(shared.add(PARTITION, [new]) for new in new_series(50)))
    assert sum(sizes) == 50
    assert len(sizes) <= 3


async def test_what_one_cannot_add_keeps_no_other_from_it(database: Database) -> None:
    bad = new_instance(sop_class_uid="no text\0of postgres")
    good = new_series(5)
    shared = Writer(database)
    results = await asyncio.gather(
        *(shared.add(PARTITION, [new]) for new in [*good[:2], bad, *good[2:]]),
        return_exceptions=True,
    )
    assert [isinstance(result, Exception) for result in results] == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    async with database.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM instance") == 5


async def test_without_the_index_everybody_is_told(database: Database) -> None:
    shared = Writer(database)
    await database.close()
    results = await asyncio.gather(
        *(shared.add(PARTITION, [new]) for new in new_series(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [Unavailable] * 3


def _same(instance: NewInstance) -> dict[str, Any]:
    """The same bytes of the same instance, received again under another blob key."""
    names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "sha256", "length")
    return {name: getattr(instance, name) for name in names}
