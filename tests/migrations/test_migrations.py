"""The migrations lead from nothing to the schema of the models, and back."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

from app.errors import Unavailable
from app.index import migrate, uploads
from app.index.database import Database
from app.index.instances.parents import count, parents_of
from app.index.migrate import CannotMigrate
from app.index.tables import Study
from tests.integration.index.rows import PARTITION, UPLOAD, new_instance
from tests.integration.index.test_replacing import somebody_waits


async def fetch(url: str, statement: str) -> list[object]:
    connection = await asyncpg.connect(url)
    try:
        return [row[0] for row in await connection.fetch(statement)]
    finally:
        await connection.close()


async def tables_of(url: str) -> set[object]:
    return set(await fetch(url, "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))


VERSION = "SELECT version_num FROM alembic_version"
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
    assert await fetch(database_url, VERSION) == [migrate.head()]


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


async def test_who_is_storing_is_waited_for(empty_database_url: str) -> None:
    """Amid a new series in an old study: its row is there, and the study does not count it yet."""
    migrate.upgrade(empty_database_url, "0020")
    database = await Database.open(empty_database_url, connections=3, statement_seconds=20)
    try:
        async with database.reading() as connection:
            await uploads.reserve(connection, PARTITION, "p1/rows", 1, timedelta(days=1))
        # Instances have columns now that they had not then; their studies and series have not.
        old = new_instance()
        async with database.transaction() as connection:
            parents = await parents_of(connection, PARTITION, [old])
            await count(connection, parents, [old])
        new = new_instance(study_instance_uid=old.study_instance_uid)
        async with database.transaction() as connection:
            await uploads.hold(connection, {UPLOAD})
            parents = await parents_of(connection, PARTITION, [new])
            migrating = asyncio.create_task(asyncio.to_thread(migrate.upgrade, empty_database_url))
            await somebody_waits(database)
            await count(connection, parents, [new])
        await migrating
    finally:
        await database.close()
    assert await fetch(empty_database_url, "SELECT number_of_series FROM study") == [2]
    assert await fetch(empty_database_url, VERSION) == [migrate.head()]


async def test_what_postgresql_refuses_is_told_in_its_words(empty_database_url: str) -> None:
    await fetch(empty_database_url, "CREATE TABLE partition (foreign_thing int)")
    with pytest.raises(CannotMigrate, match='relation "partition" already exists'):
        migrate.upgrade(empty_database_url)
    assert await tables_of(empty_database_url) == {"partition"}


def test_a_server_that_does_not_answer_is_unavailable() -> None:
    with pytest.raises(Unavailable):
        migrate.upgrade("postgresql://hilum@/postgres?host=/nowhere")


async def test_names_of_before_are_found_without_their_letters(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0013")
    names = ["=łukasz^wałesa=", "=doe^jane=", f"={'æ' * 200}=山田^太郎=", None]
    connection = await asyncpg.connect(empty_database_url)
    await connection.executemany(
        "INSERT INTO study (partition_id, study_instance_uid, patient_name,"
        " referring_physician_name, attributes) VALUES (1, $1, $2, $3, '{}')",
        [(f"1.2.{number}", name, "=bjørn=") for number, name in enumerate(names)],
    )
    await connection.execute(
        "INSERT INTO study_terms (id, partition_id, terms) VALUES (1, 1, '{}')"
    )
    await connection.execute("INSERT INTO indexed VALUES (1, 1, 1)")
    await connection.close()
    migrate.upgrade(empty_database_url)
    found = "SELECT patient_name FROM study ORDER BY study_instance_uid"
    assert await fetch(empty_database_url, found) == [
        "=lukasz^walesa=",
        "=doe^jane=",
        f"={'ae' * 128}=山田^太郎=",
        None,
    ]
    physicians = "SELECT DISTINCT referring_physician_name FROM study"
    assert await fetch(empty_database_url, physicians) == ["=bjorn="]
    terms = "SELECT partition_id FROM indexed UNION ALL SELECT partition_id FROM study_terms"
    assert await fetch(empty_database_url, terms) == []


async def test_names_are_mended_in_batches(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0013")
    await fetch(
        empty_database_url,
        "INSERT INTO study (partition_id, study_instance_uid, patient_name, attributes)"
        " SELECT 1, '1.2.' || number, '=øre=', '{}' FROM generate_series(1, 10001) AS number",
    )
    migrate.upgrade(empty_database_url)
    names = "SELECT DISTINCT patient_name FROM study"
    assert await fetch(empty_database_url, names) == ["=ore="]


async def test_further_values_of_before_are_found(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0016")
    texts = [
        '{"00081030":{"vr":"LO","Value":["HEAD","NECK"]},"00100010":{"vr":"PN","Value":'
        '[{"Alphabetic":"Doe"},{"Alphabetic":"Roe"}]}}',
        '{"00081030":{"vr":"LO","Value":[null,"NECK","CHEST"]}}',
        '{"00081030":{"vr":"LO","Value":["one, not two"]},"00100010":{"vr":"PN"}}',
    ]
    connection = await asyncpg.connect(empty_database_url)
    await connection.executemany(
        "INSERT INTO study (partition_id, study_instance_uid, patient_name, study_description,"
        " attributes) VALUES (1, $1, '=doe=', 'as it was', $2)",
        [(f"1.2.{number}", text.encode()) for number, text in enumerate(texts)],
    )
    await connection.close()
    migrate.upgrade(empty_database_url)
    further = "SELECT further_values::text FROM study ORDER BY study_instance_uid"
    assert await fetch(empty_database_url, further) == [
        '{"patient_name": ["=roe="], "study_description": ["NECK"]}',
        '{"study_description": ["CHEST"]}',
        None,
    ]
    described = "SELECT study_description FROM study ORDER BY study_instance_uid"
    assert await fetch(empty_database_url, described) == ["HEAD", "NECK", "as it was"]


async def test_names_of_before_are_found_by_how_they_sound(empty_database_url: str) -> None:
    migrate.upgrade(empty_database_url, "0019")
    connection = await asyncpg.connect(empty_database_url)
    await connection.executemany(
        "INSERT INTO study (partition_id, study_instance_uid, patient_name,"
        " referring_physician_name, further_values, attributes) VALUES (1, $1, $2, $3, $4, '{}')",
        [
            ("1.2.1", "=meyer^jo=", "=kim=", '{"patient_name": ["=kim="]}'),
            ("1.2.2", None, "=kim=", None),
            ("1.2.3", None, None, None),
        ],
    )
    await connection.close()
    migrate.upgrade(empty_database_url)
    sounds = "SELECT sounds FROM study ORDER BY study_instance_uid"
    assert await fetch(empty_database_url, sounds) == [
        ["patient_name~619000", "referring_physician_name~560000"],
        ["referring_physician_name~560000"],
        [],
    ]
