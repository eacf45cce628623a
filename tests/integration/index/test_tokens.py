"""Tokens and partitions on a real PostgreSQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import Unavailable
from app.index import partitions, tokens
from app.index.database import Database


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(database_url, connections=4, statement_seconds=5)
    yield database
    await database.close()


async def test_a_token_is_found_by_its_hash_until_it_is_revoked(database: Database) -> None:
    expiry = datetime.now(UTC) + timedelta(hours=1)
    async with database.transaction() as connection:
        partition = await partitions.ensure(connection, partitions.DEFAULT)
        identity = await tokens.create(
            connection,
            partition_id=partition,
            name="viewer",
            sha256=b"h" * 32,
            scopes={"store", "read"},
            expires_at=expiry,
        )
        assert identity is not None
        again = await tokens.create(
            connection, partition_id=partition, name="copy", sha256=b"h" * 32, scopes={"admin"}
        )
        assert again is None
    async with database.transaction() as connection:
        token = await tokens.find_by_hash(connection, b"h" * 32)
        assert token is not None
        assert (token.name, token.scopes, token.expires_at) == (
            "viewer",
            frozenset({"read", "store"}),
            expiry,
        )
        assert await tokens.find_by_hash(connection, b"x" * 32) is None
        assert await tokens.revoke(connection, identity)
        assert not await tokens.revoke(connection, identity)
        assert [t.revoked_at is not None for t in await tokens.list_all(connection)] == [True]


async def test_a_partition_is_made_once(database: Database) -> None:
    async with database.transaction() as connection:
        first = await partitions.ensure(connection, "north")
        assert await partitions.ensure(connection, "north") == first
        assert await partitions.ensure(connection, "default") != first


async def test_a_transaction_that_fails_leaves_nothing(database: Database) -> None:
    async def fail_half_way() -> None:
        async with database.transaction() as connection:
            await partitions.ensure(connection, "north")
            raise LookupError

    with pytest.raises(LookupError):
        await fail_half_way()
    async with database.snapshot() as connection:
        assert await connection.fetchval("SELECT count(*) FROM partition") == 1


async def test_a_database_that_does_not_answer_is_unavailable(empty_database_url: str) -> None:
    gone = empty_database_url.replace("/test_", "/no_such_")
    with pytest.raises(Unavailable):
        await Database.open(gone, connections=2, statement_seconds=5)
