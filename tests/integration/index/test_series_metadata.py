"""What is kept of a series is found in the state that it was made of, and in no other."""

import asyncio

import pytest

from app.index import instances, series_metadata
from app.index.database import Database
from app.index.instances import NewInstance
from app.index.series_metadata import (
    Deflated,
    Member,
    StoredSeries,
    keep,
    locate_series,
    members_of,
)
from app.index.visibility import Visibility
from tests.integration.index.rows import PARTITION, new_instance, new_series, new_uid

HERE = Visibility(PARTITION)
ELSEWHERE = Visibility(PARTITION + 1)
FORM = "1 http://h/dicomweb"


def deflated(text: bytes) -> Deflated:
    return Deflated(text, 2 * len(text), 0xFFFFFFFF)


async def add(database: Database, *new: NewInstance) -> None:
    await database.transact(lambda connection: instances.add(connection, PARTITION, new))


async def located(
    database: Database,
    new: NewInstance,
    *,
    visibility: Visibility = HERE,
    form: str = FORM,
    whole_study: bool = False,
) -> list[StoredSeries]:
    uids = [new.study_instance_uid, None if whole_study else new.series_instance_uid]
    async with database.reading() as connection:
        return await locate_series(connection, visibility, form, *filter(None, uids))


async def kept(database: Database, new: NewInstance, form: str = FORM) -> bytes | None:
    (series,) = await located(database, new, form=form)
    return None if series.kept is None else series.kept.blocks


async def put(
    database: Database, series: StoredSeries, text: bytes, form: str = FORM, by: Visibility = HERE
) -> None:
    async with database.reading() as connection:
        await keep(connection, by, series, form, deflated(text))


async def test_what_is_kept_comes_back(database: Database) -> None:
    (new,) = new_series(1)
    await add(database, new)
    (series,) = await located(database, new)
    assert series.kept is None
    assert series.series_instance_uid == new.series_instance_uid
    await put(database, series, b"first")
    (series,) = await located(database, new)
    assert series.kept == deflated(b"first")


async def test_it_is_not_found_any_more_when_the_series_has_changed(database: Database) -> None:
    first, second = new_series(2)
    await add(database, first)
    (series,) = await located(database, first)
    await put(database, series, b"one")
    await add(database, second)
    assert await kept(database, first) is None
    await put(database, series, b"late")
    assert await kept(database, first) is None, "it was made of an older state"
    (series,) = await located(database, first)
    await put(database, series, b"two")
    assert await kept(database, first) == b"two"


async def test_it_is_found_in_the_form_that_it_was_made_in(database: Database) -> None:
    (new,) = new_series(1)
    await add(database, new)
    (series,) = await located(database, new)
    await put(database, series, b"here")
    assert await kept(database, new, "1 http://there/dicomweb") is None
    await put(database, series, b"there", "1 http://there/dicomweb")
    assert await kept(database, new, "1 http://there/dicomweb") == b"there"
    assert await kept(database, new) is None, "one form of each series is kept"


async def test_nobody_sees_or_keeps_what_is_of_others(database: Database) -> None:
    (new,) = new_series(1)
    await add(database, new)
    assert await located(database, new, visibility=ELSEWHERE) == []
    (series,) = await located(database, new)
    await put(database, series, b"theirs", by=ELSEWHERE)
    assert await kept(database, new) is None
    async with database.reading() as connection:
        assert await members_of(connection, ELSEWHERE, [series.id]) == {series.id: []}


async def test_the_series_of_a_study_come_in_the_order_of_its_images(database: Database) -> None:
    study = new_uid()
    numbers = {"1.5": 2, "1.4": 2, "1.9": 1, "1.1": None}
    for uid, number in numbers.items():
        series = {"series_number": number, "attributes": b"{}"}
        await add(
            database,
            new_instance(study_instance_uid=study, series=series, series_instance_uid=uid),
        )
    new = new_instance(study_instance_uid=study)
    found = await located(database, new, whole_study=True)
    assert [series.series_instance_uid for series in found] == ["1.9", "1.4", "1.5", "1.1"]


async def test_no_more_is_read_at_once_than_there_is_room_for(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = new_uid()
    for number in range(3):
        series = {"series_number": number, "attributes": b"{}"}
        await add(database, new_instance(study_instance_uid=study, series=series))
    new = new_instance(study_instance_uid=study)
    half = bytes(series_metadata.AT_ONCE_BYTES // 2)
    for one in await located(database, new, whole_study=True):
        await put(database, one, half)
    found = await located(database, new, whole_study=True)
    assert [one.kept is not None for one in found] == [True, True, False]


async def test_the_members_of_series_are_in_order(database: Database) -> None:
    series = new_series(12)
    other = new_series(1)
    await add(database, *reversed(series), *other)
    (found,) = await located(database, series[0])
    (of_other,) = await located(database, other[0])
    async with database.reading() as connection:
        members = await members_of(connection, HERE, [found.id, of_other.id])
    in_order = [new.sop_instance_uid for new in series]
    assert [one.sop_instance_uid for one in members[found.id]] == in_order
    assert [one.sop_instance_uid for one in members[of_other.id]] == [other[0].sop_instance_uid]
    assert all(isinstance(one, Member) for one in members[found.id])


async def test_whoever_keeps_and_changes_at_once_nothing_wrong_is_found(
    database: Database,
) -> None:
    """Each keeps the number of instances that it has seen; it is right for whoever finds it."""
    series = new_series(20)
    await add(database, series[0])

    async def keep_often() -> None:
        for _ in range(40):
            async with database.snapshot() as connection:
                uids = series[0].study_instance_uid, series[0].series_instance_uid
                (one,) = await locate_series(connection, HERE, FORM, *uids)
                count = len((await members_of(connection, HERE, [one.id]))[one.id])
                assert one.kept is None or one.kept.blocks == b"%d" % count
            await put(database, one, b"%d" % count)

    async def change() -> None:
        for new in series[1:]:
            await add(database, new)

    await asyncio.gather(change(), *(keep_often() for _ in range(4)))
    await keep_often()
    assert await kept(database, series[0]) == b"20"


async def test_with_a_series_goes_what_is_kept_of_it(database: Database) -> None:
    (new,) = new_series(1)
    await add(database, new)
    (series,) = await located(database, new)
    await put(database, series, b"first")
    async with database.transaction() as connection:
        await connection.execute("DELETE FROM instance WHERE series_id = $1", series.id)
        await connection.execute("DELETE FROM series WHERE id = $1", series.id)
        assert await connection.fetchval("SELECT count(*) FROM series_metadata") == 0
    await put(database, series, b"late")
