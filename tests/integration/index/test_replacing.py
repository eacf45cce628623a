"""Instances take the place of others: one live row at every moment, and no version lost."""

import asyncio
from typing import Any

import pytest

from app.index import changes, instances
from app.index.changes import Action
from app.index.database import Database
from app.index.instances import (
    Added,
    Identical,
    Misplaced,
    NewInstance,
    Outcome,
    Replaced,
    locate,
    locate_versions,
)
from app.index.recount import miscounted
from app.index.visibility import Visibility
from tests.integration.index.rows import PARTITION, new_instance, new_series, new_uid
from tests.integration.index.test_adding import add, assert_counted, rows

HERE = Visibility(PARTITION)


async def replace(database: Database, *new: NewInstance) -> list[Outcome]:
    return await database.transact(lambda c: instances.replace(c, PARTITION, new))


def instead_of(old: NewInstance, **fields: Any) -> NewInstance:
    """Another instance under the UIDs of one that is stored."""
    uids = ("study_instance_uid", "series_instance_uid", "sop_instance_uid")
    return new_instance(**{uid: getattr(old, uid) for uid in uids} | fields)


async def versions(database: Database, sop_instance_uid: str) -> list[tuple[Any, ...]]:
    return await rows(
        database,
        "SELECT version, blob_key, removed_by, removed_at IS NULL FROM instance"
        " WHERE sop_instance_uid = $1 ORDER BY version",
        sop_instance_uid,
    )


async def test_the_new_one_is_read_and_the_old_one_stays(database: Database) -> None:
    old = new_instance()
    await add(database, old)
    new = instead_of(old)
    assert await replace(database, new) == [Replaced(2, old.metadata_json)]
    assert await versions(database, old.sop_instance_uid) == [
        (1, old.blob_key, "replaced", False),
        (2, new.blob_key, None, True),
    ]
    async with database.reading() as connection:
        (located,) = await locate(connection, HERE, old.study_instance_uid)
    assert (located.blob_key, located.version) == (new.blob_key, 2)
    await assert_counted(database)


async def test_old_versions_are_seen_for_as_long_as_the_instance_is(database: Database) -> None:
    old = new_instance()
    await add(database, old)
    await replace(database, new := instead_of(old))
    uids = old.study_instance_uid, old.series_instance_uid, old.sop_instance_uid

    async def keys(visibility: Visibility) -> list[str]:
        async with database.reading() as connection:
            found = await locate_versions(connection, visibility, *uids)
        return [version.blob_key for version in found]

    assert await keys(HERE) == [new.blob_key, old.blob_key]
    assert await keys(Visibility(PARTITION + 1)) == []
    async with database.transaction() as connection:
        await connection.execute(
            "UPDATE instance SET removed_at = now(), removed_by = 'deleted' WHERE version = 2"
        )
    assert await keys(HERE) == []


async def test_what_is_replaced_is_told_of_in_the_log_of_changes(database: Database) -> None:
    old = new_instance()
    await add(database, old)
    await replace(database, instead_of(old))
    async with database.reading() as connection:
        entries = await changes.read(connection, HERE, limit=10)
    assert [(entry.action, entry.version) for entry in entries] == [
        (Action.CREATED, 1),
        (Action.REPLACED, 2),
    ]


async def test_several_are_replaced_together_and_in_their_order(database: Database) -> None:
    first, second, third = new_series(3)
    await add(database, first, second, third)
    outcomes = await replace(database, instead_of(third), instead_of(first), instead_of(third))
    assert [o.version for o in outcomes if isinstance(o, Replaced)] == [2, 2, 3]
    assert [v[0] for v in await versions(database, third.sop_instance_uid)] == [1, 2, 3]
    assert await rows(database, "SELECT count(*) FROM instance WHERE removed_at IS NULL") == [(3,)]
    await assert_counted(database)


async def test_the_same_bytes_are_not_replaced(database: Database) -> None:
    old = new_instance(content=b"x")
    await add(database, old)
    assert await replace(database, instead_of(old, content=b"x")) == [Identical(old.stored)]
    assert await replace(database, old) == [Added()]
    assert len(await versions(database, old.sop_instance_uid)) == 1


async def test_the_bytes_of_an_old_version_replace_the_new_one(database: Database) -> None:
    old = new_instance(content=b"x")
    await add(database, old)
    await replace(database, instead_of(old, content=b"y"))
    (outcome,) = await replace(database, instead_of(old, content=b"x"))
    assert isinstance(outcome, Replaced)
    assert outcome.version == 3


@pytest.mark.parametrize("moved", ["study_instance_uid", "series_instance_uid"])
async def test_nothing_is_replaced_from_elsewhere(database: Database, moved: str) -> None:
    old = new_instance()
    await add(database, old)
    elsewhere = instead_of(old, **{moved: new_uid()})
    assert await replace(database, elsewhere) == [
        Misplaced(old.study_instance_uid, old.series_instance_uid)
    ]
    assert len(await versions(database, old.sop_instance_uid)) == 1


async def test_what_is_not_stored_any_more_is_added(database: Database) -> None:
    new = new_instance()
    assert await replace(database, new) == [Added()]
    assert await versions(database, new.sop_instance_uid) == [(1, new.blob_key, None, True)]
    await assert_counted(database)


async def test_study_and_series_are_described_as_the_last_one_gives_them(
    database: Database,
) -> None:
    old, other = new_series(2)
    await add(database, old, other)
    (before,) = await rows(
        database, "SELECT s.revision, e.revision FROM study s JOIN series e ON e.study_id = s.id"
    )
    new = instead_of(old, patient_id="right", modality="MR", sop_class_uid="1.2.3")
    await replace(database, new)
    ((patient_id, attributes, modalities, sop_classes, study, series),) = await rows(
        database,
        "SELECT patient_id, s.attributes, modalities, sop_classes, s.revision, e.revision"
        " FROM study s JOIN series e ON e.study_id = s.id",
    )
    assert (patient_id, attributes) == ("right", new.study["attributes"])
    assert modalities == ["MR"]
    assert sop_classes == sorted(["1.2.3", other.sop_class_uid])
    assert study > before[0]
    assert series > before[1]
    await assert_counted(database)


async def test_a_study_has_the_modalities_that_those_who_replace_at_once_leave(
    database: Database,
) -> None:
    """The second one has read that the series is CT, and waits for the first one."""
    one, another = new_series(2)
    await add(database, one, another)
    async with database.transaction() as connection:
        await instances.replace(connection, PARTITION, [instead_of(one, modality="MR")])
        waiting = asyncio.create_task(replace(database, instead_of(another)))
        await somebody_waits(database)
    await waiting
    assert await rows(database, "SELECT modality FROM series") == [("CT",)]
    assert await rows(database, "SELECT modalities FROM study") == [(["CT"],)]
    await assert_counted(database)


async def somebody_waits(database: Database) -> None:
    """Return once a session waits for what another one has locked."""
    waiting = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    while await rows(database, waiting) == [(0,)]:
        await asyncio.sleep(0)


async def test_of_32_who_replace_one_instance_each_has_its_version(database: Database) -> None:
    old, neighbour = new_series(2)
    await add(database, old, neighbour)
    candidates = [instead_of(old) for _ in range(32)]
    stop = asyncio.Event()

    async def watch() -> set[str]:
        """Look all the time: there is one live row, always."""
        seen = set()
        while not stop.is_set():
            async with database.reading() as connection:
                (one, two) = await locate(connection, HERE, old.study_instance_uid)
            seen |= {one.blob_key, two.blob_key}
        return seen

    watching = asyncio.create_task(watch())
    results = await asyncio.gather(*(replace(database, each) for each in candidates))
    stop.set()
    seen = await watching
    numbers = sorted(o.version for (o,) in results if isinstance(o, Replaced))
    assert numbers == list(range(2, 34))
    stored = await versions(database, old.sop_instance_uid)
    assert [version for version, *_ in stored] == list(range(1, 34))
    assert [live for *_, live in stored].count(True) == 1
    assert {key for _, key, *_ in stored} == {old.blob_key, *(c.blob_key for c in candidates)}
    assert seen <= {key for _, key, *_ in stored} | {neighbour.blob_key}
    await assert_counted(database)


async def test_those_who_add_and_those_who_replace_in_one_study_leave_right_counts(
    database: Database,
) -> None:
    stored = new_series(4)
    await add(database, *stored)
    place: dict[str, Any] = {
        "study_instance_uid": stored[0].study_instance_uid,
        "series_instance_uid": stored[0].series_instance_uid,
    }

    async def work(number: int) -> None:
        if number % 2:
            await add(database, *(new_instance(**place, sop_class_uid="1.2.3") for _ in range(2)))
        else:
            some = stored[number % 4], stored[(number + 1) % 4]
            await replace(database, *(instead_of(old, modality="MR") for old in some))

    await asyncio.gather(*(work(number) for number in range(24)))
    async with database.snapshot() as connection:
        assert await miscounted(connection) == []
    assert await rows(database, "SELECT count(*) FROM instance WHERE removed_at IS NULL") == [(28,)]
