"""The migrations lead from nothing to the schema of the models, and back."""

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel

from app.index import migrate, tables
from app.index.database import Database


async def tables_of(url: str) -> set[str]:
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()
    return {row["tablename"] for row in rows}


def differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), SQLModel.metadata))


async def test_migrations_go_up_down_and_up_again(empty_database_url: str) -> None:
    wanted = {table.name for table in SQLModel.metadata.sorted_tables} | {"alembic_version"}
    migrate.upgrade(empty_database_url)
    assert await tables_of(empty_database_url) == wanted
    migrate.downgrade(empty_database_url)
    assert await tables_of(empty_database_url) == {"alembic_version"}
    migrate.upgrade(empty_database_url)
    assert await tables_of(empty_database_url) == wanted


async def test_migrating_twice_changes_nothing(database_url: str) -> None:
    migrate.upgrade(database_url)
    assert "instance" in await tables_of(database_url)


async def test_the_migrated_schema_is_that_of_the_models(database_url: str) -> None:
    assert tables.Study.metadata is SQLModel.metadata
    url = database_url.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            assert await connection.run_sync(differences) == []
    finally:
        await engine.dispose()


@pytest.mark.parametrize("column", ["frame_table", "metadata_json"])
async def test_large_columns_are_stored_as_they_are(database_url: str, column: str) -> None:
    database = await Database.open(database_url, connections=2, statement_seconds=5)
    try:
        async with database.snapshot() as connection:
            storage = await connection.fetchval(
                "SELECT attstorage FROM pg_attribute"
                " WHERE attrelid = 'instance'::regclass AND attname = $1",
                column,
            )
    finally:
        await database.close()
    assert storage == b"e"
