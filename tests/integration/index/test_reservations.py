"""Keys are reserved before they are used, and nobody loses sight of one."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.errors import Unavailable
from app.index import uploads
from app.index.database import Database
from app.index.reservations import KEYS, Reservations
from tests.integration.index.rows import PARTITION, UPLOAD

DAY = timedelta(days=1)


@pytest.fixture
async def reservations(database: Database) -> AsyncIterator[Reservations]:
    numbers = count(1)
    reservations = Reservations(database, lambda partition: f"p{partition}/stem{next(numbers)}")
    yield reservations
    await reservations.close()


async def rows(database: Database) -> list[Any]:
    """Id, stem, and whether the lease is over, of every upload but that of the fixture."""
    statement = "SELECT id, key_stem, lease_until <= now() FROM upload WHERE id <> $1 ORDER BY id"
    async with database.reading() as connection:
        return [tuple(row) for row in await connection.fetch(statement, UPLOAD)]


async def test_a_key_is_of_a_row_that_is_there_before_it(
    database: Database, reservations: Reservations
) -> None:
    with reservations.lend(PARTITION) as loan:
        key = await loan.take()
        assert key.blob_key == "p1/stem1-0"
        assert await rows(database) == [(key.upload_id, "p1/stem1", False)]


async def test_many_share_a_row_and_no_two_are_equal(
    database: Database, reservations: Reservations
) -> None:
    with reservations.lend(PARTITION) as loan:
        keys = await asyncio.gather(*(loan.take() for _ in range(KEYS + 10)))
    assert len(set(keys)) == KEYS + 10
    assert len(await rows(database)) == 2


async def test_each_partition_has_keys_of_its_own(reservations: Reservations) -> None:
    with reservations.lend(1) as one, reservations.lend(2) as two:
        assert (await one.take()).blob_key.startswith("p1/")
        assert (await two.take()).blob_key.startswith("p2/")


async def test_what_is_used_up_and_settled_is_forgotten(
    database: Database, reservations: Reservations
) -> None:
    with reservations.lend(PARTITION) as loan:
        for _ in range(KEYS + 1):
            loan.settle(await loan.take())
        assert len(await rows(database)) == 2
        await reservations.care()
        assert [stem for _, stem, _ in await rows(database)] == ["p1/stem2"]


async def test_what_nobody_has_needed_lately_is_given_back(
    database: Database, reservations: Reservations
) -> None:
    with reservations.lend(PARTITION) as loan:
        loan.settle(await loan.take())
    await reservations.care()
    assert len(await rows(database)) == 1
    await reservations.care()
    assert await rows(database) == []


async def test_a_key_in_use_keeps_its_row_and_extends_its_lease(
    database: Database, reservations: Reservations
) -> None:
    with reservations.lend(PARTITION) as loan:
        key = await loan.take()
        async with database.reading() as connection:
            await uploads.extend(connection, [key.upload_id], timedelta())
        assert [over for _, _, over in await rows(database)] == [True]
        await reservations.care()
        await reservations.care()
        assert [over for _, _, over in await rows(database)] == [False]


async def test_a_key_of_which_nobody_knows_leaves_its_row_to_a_sweeper(
    database: Database, reservations: Reservations
) -> None:
    with reservations.lend(PARTITION) as loan:
        await loan.take()
        loan.settle(await loan.take())
    await reservations.close()
    assert [over for _, _, over in await rows(database)] == [True]


async def test_no_more_keys_are_given_out_of_what_a_sweeper_has_taken(
    database: Database, reservations: Reservations
) -> None:
    with reservations.lend(PARTITION) as loan:
        first = await loan.take()
        async with database.reading() as connection:
            await uploads.extend(connection, [first.upload_id], timedelta())
            (taken,) = await uploads.take(connection, most=10, lease=DAY)
        assert first.blob_key in taken.all_keys()
        await reservations.care()
        assert (await loan.take()).upload_id != first.upload_id


async def test_leases_are_extended_again_after_whatever_went_wrong(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors, again = [RuntimeError("Doe^Jane"), Unavailable()], asyncio.Event()

    async def care(_: Reservations) -> None:
        if errors:
            raise errors.pop()
        again.set()

    monkeypatch.setattr(Reservations, "care", care)
    reservations = Reservations(database, lambda _: "p1/stem", lease=timedelta(milliseconds=5))
    with capture_logs() as lines, reservations.lend(PARTITION) as loan:
        await loan.take()
        await asyncio.wait_for(again.wait(), 20)
        await reservations.close()
    assert [line["event"] for line in lines] == ["leases_not_extended"] * 2
    assert "Doe" not in str(lines)


async def test_a_lost_upload_is_told_by_who_noticed(reservations: Reservations) -> None:
    with reservations.lend(PARTITION) as loan:
        first = await loan.take()
        loan.lose(first)
        assert (await loan.take()).upload_id != first.upload_id


class TestTaking:
    async def test_is_for_one_of_those_who_try_at_once(self, database: Database) -> None:
        async with database.reading() as connection:
            for number in range(20):
                await uploads.reserve(connection, PARTITION, f"p1/{number}", 1, timedelta())

        async def take() -> list[uploads.Taken]:
            async with database.reading() as connection:
                return await uploads.take(connection, most=3, lease=DAY)

        taken = [one for some in await asyncio.gather(*(take() for _ in range(10))) for one in some]
        assert len(taken) == 20
        assert len({one.id for one in taken}) == 20

    async def test_leaves_those_that_a_transaction_holds(self, database: Database) -> None:
        async with database.reading() as connection:
            identity = await uploads.reserve(connection, PARTITION, "p1/held", 1, timedelta())
        async with database.reading() as sweeper:
            async with database.transaction() as writer:
                assert await uploads.hold(writer, [identity]) == {identity}
                assert await uploads.take(sweeper, most=10, lease=DAY) == []
            (taken,) = await uploads.take(sweeper, most=10, lease=DAY)
            assert await uploads.hold(sweeper, [identity]) == set()
            assert await uploads.take(sweeper, most=10, lease=DAY) == []
            await uploads.finish(sweeper, taken)
        assert await rows(database) == []

    async def test_outdates_whoever_had_it_before(self, database: Database) -> None:
        async with database.reading() as connection:
            await uploads.reserve(connection, PARTITION, "p1/old", 1, timedelta())
            (first,) = await uploads.take(connection, most=1, lease=timedelta())
            (second,) = await uploads.take(connection, most=1, lease=DAY)
            assert (first.fence, second.fence) == (1, 2)
            await uploads.finish(connection, first)
            assert len(await rows(database)) == 1
