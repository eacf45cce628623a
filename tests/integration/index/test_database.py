"""The database is reached safely, lent fairly, and its troubles are told as `Unavailable`."""

import asyncio
from pathlib import Path

import asyncpg
import pytest
from sqlalchemy import bindparam, select

from app.errors import TooBusy, Unavailable
from app.index.database import ATTEMPTS, Connection, Database, asyncpg_url, prepare
from app.index.embedded import EmbeddedPostgres
from app.index.failures import Contended
from app.index.statements import table
from app.index.tables import Partition


async def count(database: Database) -> int:
    async with database.reading() as connection:
        found: int = await connection.fetchval("SELECT count(*) FROM partition")
        return found


async def make(connection: Connection, name: str) -> None:
    await connection.execute("INSERT INTO partition (name) VALUES ($1)", name)


async def test_a_session_keeps_what_it_acknowledges(database: Database) -> None:
    async with database.reading() as connection:
        for setting, value in {
            "synchronous_commit": "on",
            "statement_timeout": "20s",
            "idle_in_transaction_session_timeout": "20s",
            "application_name": "hilum",
            "timezone": "UTC",
        }.items():
            assert await connection.fetchval(f"SHOW {setting}") == value


async def test_a_stronger_promise_of_the_server_stays(short_path: Path) -> None:
    with EmbeddedPostgres(short_path, parameters={"synchronous_commit": "remote_apply"}) as server:
        database = await Database.open(server.url, connections=1, statement_seconds=5)
        async with database.reading() as connection:
            assert await connection.fetchval("SHOW synchronous_commit") == "remote_apply"
        await database.close()


async def test_a_transaction_is_committed_whole_or_not_at_all(database: Database) -> None:
    async with database.transaction() as connection:
        await make(connection, "north")
    assert await count(database) == 2

    async def fail_half_way() -> None:
        async with database.transaction() as connection:
            await make(connection, "south")
            raise LookupError

    with pytest.raises(LookupError):
        await fail_half_way()
    assert await count(database) == 2


async def test_a_snapshot_does_not_change_and_cannot_be_written_to(database: Database) -> None:
    async with database.snapshot() as snapshot:
        before = await snapshot.fetchval("SELECT count(*) FROM partition")
        async with database.transaction() as connection:
            await make(connection, "north")
        assert await snapshot.fetchval("SELECT count(*) FROM partition") == before
    with pytest.raises(Unavailable, match="only be read"):
        async with database.snapshot() as snapshot:
            await make(snapshot, "south")


async def test_a_connection_comes_back_usable_after_a_failure(database_url: str) -> None:
    database = await Database.open(database_url, connections=1, statement_seconds=5)

    async def make_again() -> None:
        async with database.transaction() as connection:
            await make(connection, "default")

    async def take_too_long() -> None:
        async with asyncio.timeout(0.05), database.transaction() as connection:
            await make(connection, "north")
            await connection.execute("SELECT pg_sleep(60)")

    with pytest.raises(asyncpg.UniqueViolationError):
        await make_again()
    with pytest.raises(TimeoutError):
        await take_too_long()
    assert await count(database) == 1
    await database.close()


async def test_who_waits_too_long_for_a_connection_is_told(database_url: str) -> None:
    database = await Database.open(
        database_url, connections=1, statement_seconds=5, queue_seconds=0.05
    )
    async with database.reading():
        with pytest.raises(TooBusy):
            async with database.reading():
                pass
    await database.close()


async def test_a_statement_ends_in_time(database_url: str) -> None:
    database = await Database.open(database_url, connections=1, statement_seconds=0.1)
    with pytest.raises(TooBusy, match="took too long"):
        async with database.reading() as connection:
            await connection.execute("SELECT pg_sleep(60)")
    assert await count(database) == 1
    await database.close()


async def test_work_that_others_undo_is_done_again(database: Database) -> None:
    """Two transactions lock two rows in opposite order; PostgreSQL undoes one of them."""
    async with database.transaction() as connection:
        await make(connection, "north")
    meeting = asyncio.Barrier(2)
    tries = 0

    async def lock_both(connection: Connection, names: tuple[str, str]) -> None:
        nonlocal tries
        tries += 1
        lock = "SELECT FROM partition WHERE name = $1 FOR UPDATE"
        await connection.execute("SET LOCAL deadlock_timeout = '10ms'")
        await connection.execute(lock, names[0])
        if tries <= 2:
            await meeting.wait()
        await connection.execute(lock, names[1])

    await asyncio.gather(
        database.transact(lambda c: lock_both(c, ("default", "north"))),
        database.transact(lambda c: lock_both(c, ("north", "default"))),
    )
    assert tries > 2


async def test_work_that_is_always_undone_is_given_up(database: Database) -> None:
    tries = 0

    async def fail(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        raise Contended

    with pytest.raises(TooBusy):
        await database.transact(fail)
    assert tries == ATTEMPTS


async def test_a_server_that_ends_and_returns_is_survived(short_path: Path) -> None:
    server = EmbeddedPostgres(short_path)
    with server:
        database = await Database.open(server.url, connections=2, statement_seconds=5)
        async with database.reading() as connection:
            assert await connection.fetchval("SELECT 1") == 1
    with pytest.raises(Unavailable):
        async with database.reading() as connection:
            await connection.fetchval("SELECT 1")
    with server:
        async with asyncio.timeout(10), database.reading() as connection:
            assert await connection.fetchval("SELECT 1") == 1
        await database.close()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://hilum@/postgres?host=/nowhere",
        "postgresql://127.0.0.1:1/hilum",
        "postgresql://127.0.0.1:port/hilum",
        "mysql://localhost/hilum",
        "localhost",
        "",
    ],
)
async def test_no_database_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable):
        await Database.open(url, connections=1, statement_seconds=5)


async def test_a_database_that_does_not_exist_is_unavailable(postgres_url: str) -> None:
    gone = postgres_url.replace("/postgres?", "/no_such?")
    with pytest.raises(Unavailable, match="does not exist"):
        await Database.open(gone, connections=1, statement_seconds=5)


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+asyncpg"])
def test_urls_are_understood_as_other_programs_write_them(scheme: str) -> None:
    rest = "://a:b%40@host:5433/name?sslmode=require"
    assert asyncpg_url(scheme + rest) == "postgresql" + rest


async def test_a_prepared_statement_takes_its_parameters_by_name(database: Database) -> None:
    rows = table(Partition).c
    statement = prepare(
        select(rows.name, rows.id)
        .where(rows.name == bindparam("name"), rows.id < 5, rows.id >= bindparam("least"))
        .limit(bindparam("limit"))
    )
    async with database.reading() as connection:
        found = await statement.fetchrow(connection, limit=1, least=1, name="default")
        assert tuple(found) == ("default", 1)
        assert await statement.fetch(connection, limit=1, least=2, name="default") == []
        assert await statement.fetchval(connection, limit=1, least=1, name="default") == "default"
        with pytest.raises(KeyError):
            await statement.fetch(connection, limit=1, least=1)
