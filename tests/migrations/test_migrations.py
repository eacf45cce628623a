"""The migrations lead from nothing to the schema of the models, and back."""

from concurrent.futures import ThreadPoolExecutor

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app.errors import Unavailable
from app.index import migrate
from app.index.migrate import CannotMigrate
from app.index.tables import Study


async def fetch(url: str, statement: str) -> list[object]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def tables_of(url: str) -> set[object]:
    return set(await fetch(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))


WANTED = {table.name for table in Study.metadata.sorted_tables} | {"alembic_version"}


async def test_migrations_go_up_down_and_up_again(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url)
    assert await tables_of(empty_database_url) == WANTED
    migrate.downgrade(empty_database_url)
    assert await tables_of(empty_database_url) == {"alembic_version"}
    migrate.upgrade(empty_database_url)
    assert await tables_of(empty_database_url) == WANTED


async def test_migrating_twice_changes_nothing(database_url: str) -> None:
    migrate.upgrade(database_url)
    assert await fetch(database_url, "SELECT version_num FROM alembic_version") == [migrate.head()]


async def test_servers_that_start_at_once_take_turns(empty_database_url: str) -> None:
    with ThreadPoolExecutor() as threads:
        list(threads.map(migrate.upgrade, [empty_database_url] * 4))
    assert await tables_of(empty_database_url) == WANTED
    assert await fetch(empty_database_url, "SELECT name FROM partition") == ["default"]


async def test_the_migrated_schema_is_that_of_the_models(database_url: str) -> None:
    found: list[object] = []

    def compare(connection: Connection) -> None:
        options = {"compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        found.extend(compare_metadata(context, Study.metadata))

    migrate.run(database_url, compare)
    assert found == []


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("instance", "frame_table"),
        ("instance", "metadata_json"),
        ("series_metadata", "deflated"),
    ],
)
async def test_large_columns_are_stored_as_they_are(
    database_url: str, table: str, column: str
) -> None:
    storage = await fetch(
        database_url,
        "SELECT attstorage FROM pg_attribute"
        f" WHERE attrelid = '{table}'::regclass AND attname = '{column}'",
    )
    assert storage == [b"e"]


async def test_rows_with_counts_have_room_for_their_next_version(database_url: str) -> None:
    roomy = "SELECT relname FROM pg_class WHERE reloptions = '{fillfactor=80}' ORDER BY relname"
    assert await fetch(database_url, roomy) == ["series", "study"]


async def test_the_database_of_a_newer_program_is_left_alone(database_url: str) -> None:
    await fetch(database_url, "UPDATE alembic_version SET version_num = '9999' RETURNING 1")
    with pytest.raises(CannotMigrate, match="the schema 9999 of a newer Hilum"):
        migrate.upgrade(database_url)


async def test_what_postgresql_refuses_is_told_in_its_words(empty_database_url: str) -> None:
    await fetch(empty_database_url, "CREATE TABLE partition (foreign_thing int)")
    with pytest.raises(CannotMigrate, match='relation "partition" already exists'):
        migrate.upgrade(empty_database_url)
    assert await tables_of(empty_database_url) == {"partition"}


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        migrate.upgrade("postgresql://hilum@/postgres?host=/nowhere")
