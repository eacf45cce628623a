"""The audit on a real PostgreSQL: chained as it is written, whoever writes, and for good."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg
import pytest

from app.audit import chain
from app.audit.event import NOBODY, AuditEvent
from app.errors import Unavailable
from app.index import audits, migrate
from app.index.database import Connection, Database

RECORD = AuditEvent(
    partition_id=1,
    at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    request_id="r",
    event="110112",
    action="E",
    outcome=0,
    principal="viewer",
    client_address="127.0.0.1",
    method="GET",
    path="/dicomweb/studies",
    query="PatientID=Ä",
    status=200,
    study_instance_uid=None,
    series_instance_uid="1.2",
    sop_instance_uid=None,
)


async def append(connection: Connection, *records: AuditEvent) -> None:
    partition_id = records[0].partition_id
    texts = [chain.canonical(record) for record in records]
    digests = [chain.digest_of(text) for text in texts]
    await audits.append(connection, partition_id, chain.genesis(partition_id), texts, digests)


async def assert_chained(connection: Connection, partition_id: int, count: int) -> None:
    before, sequence = chain.genesis(partition_id), 0
    async for record in audits.records(connection, partition_id):
        sequence += 1
        assert record.sequence == sequence
        assert record.hash == chain.link(before, chain.digest(record))
        before = record.hash
    assert sequence == count
    assert audits.End(partition_id, count, before, count) in await audits.ends(connection)


async def test_who_stands_still_with_the_chain_loses_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is stopped between its record and its commit keeps nobody else waiting."""
    monkeypatch.setattr(audits, "HOLD_MILLISECONDS", 50)

    async def stand_still() -> None:
        async with database.transaction() as connection:
            await append(connection, RECORD)
            async with database.reading() as other:
                await append(other, replace(RECORD, request_id="other"))

    with pytest.raises(Unavailable):
        await stand_still()
    async with database.reading() as connection:
        (stored,) = [record async for record in audits.records(connection, 1)]
        assert stored.request_id == "other"
        await assert_chained(connection, 1, 1)


async def test_records_are_kept_column_by_column(database: Database) -> None:
    async with database.reading() as connection:
        await append(connection, RECORD)
        (stored,) = [record async for record in audits.records(connection, 1)]
    assert {name: getattr(stored, name) for name in chain.FIELDS} == {
        name: getattr(RECORD, name) for name in chain.FIELDS
    }


async def test_the_patients_of_a_list_are_kept_and_sealed(database: Database) -> None:
    several = [{"id": "P1", "issuer": ""}, {"id": "Ä", "issuer": "A"}]
    async with database.reading() as connection:
        await append(connection, RECORD, replace(RECORD, patients=several), RECORD)
        stored = [record async for record in audits.records(connection, 1)]
        assert [record.patients for record in stored] == [None, several, None]
        await assert_chained(connection, 1, 3)


async def test_each_partition_has_a_chain_of_its_own(database: Database) -> None:
    stranger = replace(RECORD, partition_id=NOBODY, principal=None, status=401)
    async with database.reading() as connection:
        await append(connection, RECORD, replace(RECORD, status=404))
        await append(connection, stranger)
        await append(connection, RECORD)
        await assert_chained(connection, 1, 3)
        await assert_chained(connection, NOBODY, 1)
        assert [end.partition_id for end in await audits.ends(connection)] == [NOBODY, 1]


async def test_many_who_append_at_once_make_one_chain(database: Database) -> None:
    async def write(writer: int) -> None:
        for number in range(10):
            async with database.reading() as connection:
                records = [replace(RECORD, request_id=f"{writer}.{number}.{n}") for n in range(3)]
                await append(connection, *records)

    await asyncio.gather(*map(write, range(20)))
    async with database.reading() as connection:
        await assert_chained(connection, 1, 600)


async def test_a_writer_who_fails_leaves_no_gap(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await append(connection, RECORD)
            raise LookupError

    async with database.reading() as connection:
        await append(connection, RECORD)
        with pytest.raises(LookupError):
            await fail()
        await append(connection, RECORD)
        await assert_chained(connection, 1, 2)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET principal = 'somebody else'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "DELETE FROM audit_chain",
        "TRUNCATE audit_chain",
        "UPDATE audit_chain SET sequence = sequence - 1",
        "UPDATE audit_chain SET hash = '\\x00'",
        "UPDATE audit_chain SET partition_id = 7, sequence = sequence + 1",
    ],
)
async def test_what_is_written_stays(database: Database, statement: str) -> None:
    async with database.reading() as connection:
        await append(connection, RECORD, RECORD)
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added to"):
            await connection.execute(statement)
        await assert_chained(connection, 1, 2)


async def test_records_from_before_there_were_chains_are_chained(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0002")
    connection = await asyncpg.connect(empty_database_url)
    await connection.executemany(
        "INSERT INTO audit (partition_id, request_id, event, action, outcome, method, path, status)"
        " VALUES ($1, $2, '110112', 'E', 0, 'GET', '/', 200)",
        [(None if number % 3 else 1, f"r{number}") for number in range(9)],
    )
    migrate.upgrade(empty_database_url)
    await assert_chained(connection, 1, 3)
    await assert_chained(connection, NOBODY, 6)
    await append(connection, RECORD)
    await assert_chained(connection, 1, 4)
    await connection.close()
