"""Whoever follows the log of changes reads every entry once, whatever is being written."""

import asyncio
import random

import pytest

from app.index import changes, instances
from app.index.changes import BEGINNING, Action, Place, StoredChange
from app.index.database import Database
from app.index.visibility import Visibility
from tests.integration.index.rows import PARTITION, new_instance, new_series

HERE = Visibility(PARTITION)


async def read(
    database: Database, after: Place = BEGINNING, limit: int = 1000, visibility: Visibility = HERE
) -> list[StoredChange]:
    async with database.reading() as connection:
        return await changes.read(connection, visibility, after=after, limit=limit)


async def test_an_added_instance_is_in_the_log(database: Database) -> None:
    new = new_instance()
    await database.transact(lambda connection: instances.add(connection, PARTITION, [new]))
    (entry,) = await read(database)
    assert entry.action is Action.CREATED
    assert entry.version == 1
    assert (entry.study_instance_uid, entry.series_instance_uid, entry.sop_instance_uid) == (
        new.study_instance_uid,
        new.series_instance_uid,
        new.sop_instance_uid,
    )
    assert await read(database, visibility=Visibility(PARTITION + 1)) == []


async def test_the_log_is_read_in_pieces(database: Database) -> None:
    new = new_series(7)
    await database.transact(lambda connection: instances.add(connection, PARTITION, new))
    whole = await read(database)
    assert len(whole) == 7
    first = await read(database, limit=3)
    rest = await read(database, after=first[-1].place)
    assert first + rest == whole
    assert await read(database, after=whole[-1].place) == []


async def test_what_is_not_committed_holds_up_what_comes_after_it(database: Database) -> None:
    early, late = new_instance(), new_instance()
    async with database.transaction() as slow:
        await instances.add(slow, PARTITION, [early])
        await database.transact(lambda connection: instances.add(connection, PARTITION, [late]))
        assert await read(database) == []
    assert [entry.sop_instance_uid for entry in await read(database)] == [
        early.sop_instance_uid,
        late.sop_instance_uid,
    ]


async def test_what_is_undone_holds_up_nothing(database: Database) -> None:
    undone, done = new_instance(), new_instance()

    async def fail_at_last() -> None:
        async with database.transaction() as slow:
            await instances.add(slow, PARTITION, [undone])
            await database.transact(lambda other: instances.add(other, PARTITION, [done]))
            raise LookupError

    with pytest.raises(LookupError):
        await fail_at_last()
    assert [entry.sop_instance_uid for entry in await read(database)] == [done.sop_instance_uid]


async def test_who_took_a_place_late_but_began_early_is_waited_for(database: Database) -> None:
    """The order of transactions is not that of their places in the log."""
    first, second = new_instance(), new_instance()
    async with database.transaction() as slow, database.transaction() as quick:
        await slow.execute("SELECT pg_current_xact_id()")
        await instances.add(quick, PARTITION, [first])
        await instances.add(slow, PARTITION, [second])
        await quick.execute("COMMIT; BEGIN")
        assert await read(database) == []
    assert [entry.sop_instance_uid for entry in await read(database)] == [
        second.sop_instance_uid,
        first.sop_instance_uid,
    ]


async def test_a_follower_misses_nothing_while_many_write(database: Database) -> None:
    chance = random.Random(7)
    followed: list[StoredChange] = []
    writing = True

    async def follow() -> None:
        while True:
            over = not writing
            after = followed[-1].place if followed else BEGINNING
            news = await read(database, after, limit=5)
            followed.extend(news)
            if over and not news:
                return
            await asyncio.sleep(0)

    async def write(pause: float) -> None:
        async with database.transaction() as connection:
            await instances.add(connection, PARTITION, new_series(2))
            await asyncio.sleep(pause)
            await instances.add(connection, PARTITION, new_series(1))

    follower = asyncio.create_task(follow())
    async with asyncio.TaskGroup() as group:
        for _ in range(40):
            group.create_task(write(chance.random() / 50))
            await asyncio.sleep(chance.random() / 200)
    writing = False
    await follower
    async with database.reading() as connection:
        written = await connection.fetch("SELECT sequence FROM change ORDER BY sequence")
    read_in_order = [entry.place.sequence for entry in followed]
    assert sorted(read_in_order) == [row["sequence"] for row in written]
    assert len(followed) == 120
