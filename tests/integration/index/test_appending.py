"""The short way into the index: it ends where the long one does, or leaves an instance out."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from app.index import changes, uploads
from app.index.changes import Action
from app.index.database import Database
from app.index.instances import Added, Differs, Identical, Lapsed, Misplaced, NewInstance, adding
from app.index.instances.appending import append
from app.index.recount import miscounted
from app.index.visibility import Visibility
from app.index.writer import Writer
from tests.integration.index.rows import PARTITION, new_instance, new_series

CT, SEG = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.66.4"


async def add(database: Database, *instances: NewInstance) -> None:
    await database.transact(lambda c: adding.add(c, PARTITION, instances))


async def appended(database: Database, *instances: NewInstance) -> set[str]:
    async with database.reading() as connection:
        return await append(connection, PARTITION, instances)


async def table_of(database: Database, name: str, columns: str = "*") -> list[dict[str, object]]:
    """What is told by a table, but for what no two rows share."""
    async with database.reading() as connection:
        rows = await connection.fetch(f"SELECT {columns} FROM {name} ORDER BY 1")
    own = {"id", "created_at", "updated_at", "at", "transaction_id", "sequence"}
    return [{key: row[key] for key in set(row.keys()) - own} for row in rows]


async def test_an_instance_is_as_the_long_way_makes_it(database: Database) -> None:
    first, second, third = new_series(3, sop_class_uid=CT)
    await add(database, first, second)
    assert await appended(database, third) == {third.blob_key}
    rows = await table_of(database, "instance", "sop_instance_uid, *")
    by_uid = {row["sop_instance_uid"]: row for row in rows}
    made, there = by_uid[third.sop_instance_uid], by_uid[second.sop_instance_uid]
    own = {"sop_instance_uid", "instance_number", "blob_key", "sha256", "crc32", "metadata_json"}
    assert {key for key in made if made[key] != there[key]} <= own
    assert made["metadata_json"] == third.metadata_json
    assert made["bulk"] == there["bulk"] == []


async def test_study_and_series_are_counted_and_the_change_is_logged(database: Database) -> None:
    place, *more = new_series(3, sop_class_uid=CT)
    other = new_instance(
        study_instance_uid=place.study_instance_uid,
        series_instance_uid=place.series_instance_uid,
        sop_class_uid=SEG,
    )
    await add(database, place)
    (before,) = await table_of(database, "study")
    assert len(await appended(database, *more, other)) == 3
    (study,) = await table_of(database, "study")
    (series,) = await table_of(database, "series")
    assert study["number_of_instances"] == series["number_of_instances"] == 4
    assert study["sop_classes"] == [CT, SEG]
    assert study["revision"] == before["revision"] + 1  # type: ignore[operator]
    async with database.snapshot() as connection:
        assert await miscounted(connection) == []
        log = await changes.read(connection, Visibility(PARTITION), limit=10)
    assert [(entry.action, entry.sop_instance_uid, entry.version) for entry in log[1:]] == [
        (Action.CREATED, uid, 1)
        for uid in sorted(instance.sop_instance_uid for instance in [*more, other])
    ]


async def test_what_is_not_simple_is_left_out_and_untouched(database: Database) -> None:
    known, other = new_series(2)
    await add(database, known)
    place: dict[str, Any] = {
        "study_instance_uid": known.study_instance_uid,
        "series_instance_uid": known.series_instance_uid,
    }
    stranger = new_instance(study_instance_uid=known.study_instance_uid)
    duplicate = new_instance(**place, sop_instance_uid=known.sop_instance_uid)
    lapsed = new_instance(**place, upload_id=77)
    assert await appended(database, new_instance(), stranger, duplicate, lapsed, other) == {
        other.blob_key
    }
    assert len(await table_of(database, "instance")) == 2
    async with database.snapshot() as connection:
        assert await miscounted(connection) == []


async def test_an_upload_that_a_sweeper_has_taken_adds_nothing(database: Database) -> None:
    known = new_instance()
    await add(database, known)
    async with database.reading() as connection:
        upload = await uploads.reserve(connection, PARTITION, "p1/stem", 5, timedelta(seconds=-1))
    late = new_instance(
        study_instance_uid=known.study_instance_uid,
        series_instance_uid=known.series_instance_uid,
        upload_id=upload,
        blob_key="p1/stem-0",
    )
    async with database.transaction() as connection:
        assert await uploads.take(connection, most=10, lease=timedelta(seconds=60))
    assert await appended(database, late) == set()
    assert await Writer(database).add(PARTITION, [late]) == [Lapsed()]


async def test_a_writer_answers_the_same_whichever_way_it_goes(database: Database) -> None:
    writer = Writer(database)
    first, second, third = new_series(3)
    assert await writer.add(PARTITION, [first]) == [Added()]
    same: dict[str, Any] = {
        name: getattr(first, name) for name in ("study_instance_uid", "series_instance_uid")
    }
    again = new_instance(**same, sop_instance_uid=first.sop_instance_uid, sha256=first.sha256)
    differs = new_instance(**same, sop_instance_uid=second.sop_instance_uid)
    elsewhere = new_instance(sop_instance_uid=first.sop_instance_uid)
    outcomes = await writer.add(PARTITION, [second, again, differs, elsewhere, third])
    assert [type(outcome) for outcome in outcomes] == [Added, Identical, Differs, Misplaced, Added]


@pytest.mark.parametrize("seed", range(3))
async def test_writers_of_several_processes_stand_in_nobodys_way(
    database: Database, seed: int
) -> None:
    writers = [Writer(database) for _ in range(4)]
    studies = [new_series(12, sop_class_uid=[CT, SEG][seed % 2]) for _ in range(3)]
    first = [series[0] for series in studies]
    for writer in writers:
        await writer.add(PARTITION, first)
    offered = [instance for series in studies for instance in series[1:]]
    outcomes = await asyncio.gather(
        *(
            writer.add(PARTITION, part)
            for number, writer in enumerate(writers)
            for part in _parts(offered, number + seed)
        )
    )
    assert {type(outcome) for some in outcomes for outcome in some} == {Added}
    assert len(await table_of(database, "instance")) == len(offered) + 3
    assert len(await table_of(database, "change")) == len(offered) + 3
    async with database.snapshot() as connection:
        assert await miscounted(connection) == []


def _parts(instances: list[NewInstance], turn: int) -> list[list[NewInstance]]:
    """All of the instances, in portions, each writer's in another order."""
    turned = instances[turn * 5 :] + instances[: turn * 5]
    mixed = turned[::2] + turned[1::2] if turn % 2 else turned[::-1]
    return [mixed[at : at + 7] for at in range(0, len(mixed), 7)]
