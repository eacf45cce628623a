"""The lender of connections: the same one again, unless something may be wrong with it."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from app.index import lending
from app.index.lending import Lender
from app.index.statements import Connection


@pytest.fixture
async def pool(database_url: str) -> AsyncIterator[Any]:
    pool = await asyncpg.create_pool(database_url, min_size=1, max_size=2)
    yield pool
    pool.terminate()


@pytest.fixture
def lender(pool: Any) -> Lender:
    return Lender(pool, queue_seconds=5)


async def number(connection: Connection) -> int:
    """Which session of PostgreSQL it is."""
    session: int = await connection.fetchval("SELECT pg_backend_pid()")
    return session


async def lent_once(lender: Lender) -> int:
    connection = await lender.take()
    session = await number(connection)
    await lender.give_back(connection, well=True)
    return session


async def test_the_latest_is_lent_again(lender: Lender, pool: Any) -> None:
    first, second = await lender.take(), await lender.take()
    sessions = [await number(first), await number(second)]
    await lender.give_back(first, well=True)
    await lender.give_back(second, well=True)

    assert await lent_once(lender) == sessions[1]
    assert await lent_once(lender) == sessions[1]
    assert pool.get_size() == 2


async def test_who_queues_gets_what_comes_back(lender: Lender) -> None:
    first, _ = await lender.take(), await lender.take()
    session = await number(first)
    queueing = [asyncio.create_task(lender.take()) for _ in range(2)]
    await asyncio.sleep(0)

    await lender.give_back(first, well=True)
    got = await queueing[0]
    assert await number(got) == session
    await lender.give_back(got, well=True)
    assert await number(await queueing[1]) == session


async def test_nobody_queues_for_ever(lender: Lender, pool: Any) -> None:
    await lender.take(), await lender.take()

    with pytest.raises(TimeoutError):
        await Lender(pool, queue_seconds=0.01).take()


async def test_what_the_server_ended_is_not_lent(lender: Lender, pool: Any) -> None:
    ended = await lender.take()
    session = await number(ended)
    closed = asyncio.Event()
    ended.add_termination_listener(lambda _: closed.set())
    await lender.give_back(ended, well=True)
    async with pool.acquire() as other:
        await other.execute("SELECT pg_terminate_backend($1)", session)
    await closed.wait()

    assert await lent_once(lender) != session


async def test_an_open_transaction_is_undone(lender: Lender) -> None:
    connection = await lender.take()
    await connection.execute("BEGIN; CREATE TABLE left_alone ()")
    await lender.give_back(connection, well=True)

    after = await lender.take()
    assert await after.fetchval("SELECT to_regclass('left_alone')") is None
    assert not after.is_in_transaction()


async def test_after_a_cancelled_statement_it_can_be_used(lender: Lender) -> None:
    connection, other = await lender.take(), await lender.take()
    session = await number(connection)
    sleeping = asyncio.create_task(connection.execute("SELECT pg_sleep(60)"))
    await until_asleep(other, session)
    sleeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sleeping
    await lender.give_back(connection, well=False)

    assert await lent_once(lender) == session
    await lender.give_back(other, well=True)


async def test_one_whose_statement_goes_on_all_the_same_is_closed(pool: Any) -> None:
    lender = Lender(pool, queue_seconds=0.2)
    connection, other = await lender.take(), await lender.take()
    session = await number(connection)
    goes_on = asyncio.create_task(
        connection.execute(
            "DO $$ BEGIN PERFORM pg_sleep(60);"
            " EXCEPTION WHEN query_canceled THEN PERFORM pg_sleep(60); END $$"
        )
    )
    await until_asleep(other, session)
    goes_on.cancel()
    with pytest.raises(asyncio.CancelledError):
        await goes_on
    await lender.give_back(connection, well=False)

    assert await lent_once(lender) != session
    await other.execute("SELECT pg_terminate_backend($1)", session)
    await lender.give_back(other, well=True)


async def until_asleep(other: Connection, session: int) -> None:
    """Wait until a session is at work on what it was asked to do."""
    async with asyncio.timeout(10):
        while not await other.fetchval(
            "SELECT wait_event = 'PgSleep' FROM pg_stat_activity WHERE pid = $1", session
        ):
            pass


async def test_what_nobody_wants_goes_back(
    lender: Lender, pool: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lending, "UNWANTED_SECONDS", 0)
    await lent_once(lender)
    assert pool.get_idle_size() == 0

    async with asyncio.timeout(5):
        while pool.get_idle_size() == 0:
            await asyncio.sleep(0)


async def test_closing_waits_for_what_is_lent(lender: Lender, pool: Any) -> None:
    lent = await lender.take()
    await lent_once(lender)
    closing = asyncio.create_task(lender.close())
    await asyncio.sleep(0)

    assert await number(lent)
    assert not closing.done()
    await lender.give_back(lent, well=True)
    await closing
    assert pool.get_size() == 0
