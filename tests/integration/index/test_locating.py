"""What is stored is found by its UIDs, in order, by those who may see it and by nobody else."""

import struct
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import pytest

from app.dicom.dataset import BulkValue
from app.errors import NotFound
from app.index import instances
from app.index.database import Database
from app.index.instances import (
    NewInstance,
    StoredInstance,
    bulk_value,
    frame_entries,
    frame_table,
    locate,
    locate_metadata,
)
from app.index.visibility import Visibility
from app.span import Span
from tests.integration.index.rows import PARTITION, new_instance, new_series, new_uid

HERE = Visibility(PARTITION)
ELSEWHERE = Visibility(PARTITION + 1)


async def add(database: Database, *new: NewInstance) -> None:
    await database.transact(lambda connection: instances.add(connection, PARTITION, new))


async def locate_one(database: Database, new: NewInstance) -> StoredInstance:
    async with database.reading() as connection:
        (found,) = await locate(
            connection,
            HERE,
            new.study_instance_uid,
            new.series_instance_uid,
            new.sop_instance_uid,
        )
    return found


async def test_an_instance_comes_back_as_it_went_in(database: Database) -> None:
    new = new_instance(
        blob_offset=512,
        rows=64,
        columns=32,
        bits_allocated=16,
        number_of_frames=2,
        pixel_offset=2000,
        pixel_length=8192,
        frame_bits=32768,
    )
    await add(database, new)
    found = asdict(await locate_one(database, new))
    assert found.pop("id") > 0
    assert found.pop("version") == 1
    assert found.pop("created_at").tzinfo is not None
    assert found == {name: getattr(new, name) for name in found}


async def test_a_study_is_ordered_as_its_images_are_read(database: Database) -> None:
    study = new_uid()

    def instance(series: int | None, series_uid: str, number: int | None, uid: str) -> NewInstance:
        return new_instance(
            study_instance_uid=study,
            series={"series_number": series, "attributes": b"{}"},
            series_instance_uid=series_uid,
            instance_number=number,
            sop_instance_uid=uid,
        )

    in_order = [
        instance(2, "1.9", 1, "1.9.3"),
        instance(2, "1.9", 10, "1.9.1"),
        instance(2, "1.9", None, "1.9.2"),
        instance(10, "1.3", 5, "1.3.1"),
        instance(10, "1.3", 5, "1.3.2"),
        instance(10, "1.4", 1, "1.4.1"),
        instance(None, "1.1", 1, "1.1.1"),
    ]
    await add(database, *reversed(in_order))
    wanted = [new.sop_instance_uid for new in in_order]
    async with database.reading() as connection:
        found = await locate(connection, HERE, study)
        metadata = await locate_metadata(connection, HERE, study)
        series = await locate(connection, HERE, study, "1.3")
    assert [one.sop_instance_uid for one in found] == wanted
    assert [one.sop_instance_uid for one in metadata] == wanted
    assert [one.metadata_json for one in metadata] == [new.metadata_json for new in in_order]
    assert [one.sop_instance_uid for one in series] == ["1.3.1", "1.3.2"]


async def test_only_the_whole_path_leads_to_an_instance(database: Database) -> None:
    one, other = new_instance(), new_instance()
    await add(database, one, other)
    study, series, sop = one.study_instance_uid, one.series_instance_uid, one.sop_instance_uid
    wrong = [
        (new_uid(),),
        (study, other.series_instance_uid),
        (other.study_instance_uid, series),
        (other.study_instance_uid, series, sop),
        (study, other.series_instance_uid, sop),
        (study, series, other.sop_instance_uid),
    ]
    async with database.reading() as connection:
        for path in wrong:
            assert await locate(connection, HERE, *path) == []
            assert await locate_metadata(connection, HERE, *path) == []
        for path in [(study,), (study, series), (study, series, sop)]:
            assert len(await locate(connection, HERE, *path)) == 1
            assert len(await locate_metadata(connection, HERE, *path)) == 1


async def test_another_partition_sees_nothing(database: Database) -> None:
    new = encapsulated([Span(100, 10)], bulk=(BulkValue("00420011", "OB", Span(50, 4)),))
    await add(database, new)
    found = await locate_one(database, new)
    async with database.reading() as connection:
        assert await locate(connection, ELSEWHERE, new.study_instance_uid) == []
        assert await locate_metadata(connection, ELSEWHERE, new.study_instance_uid) == []
        with pytest.raises(NotFound):
            await frame_entries(connection, ELSEWHERE, found.id, [1])
        with pytest.raises(NotFound):
            await frame_table(connection, ELSEWHERE, found.id)
        with pytest.raises(NotFound):
            await bulk_value(connection, ELSEWHERE, found.id, "00420011")


async def test_what_was_removed_nobody_sees(database: Database) -> None:
    removed, kept = new_series(2, frame_table=b"\0" * 16, bulk=(BulkValue("1", "OB", Span(0, 1)),))
    await add(database, removed, kept)
    found = await locate_one(database, removed)
    async with database.transaction() as connection:
        await connection.execute("UPDATE instance SET removed_at = now() WHERE id = $1", found.id)
    async with database.reading() as connection:
        (left,) = await locate(connection, HERE, removed.study_instance_uid)
        assert left.sop_instance_uid == kept.sop_instance_uid
        with pytest.raises(NotFound):
            await frame_entries(connection, HERE, found.id, [1])
        with pytest.raises(NotFound):
            await bulk_value(connection, HERE, found.id, "1")


async def test_after_a_removal_the_uid_is_free(database: Database) -> None:
    first = new_instance()
    await add(database, first)
    async with database.transaction() as connection:
        await connection.execute("UPDATE instance SET removed_at = now()")
    again = new_instance(
        study_instance_uid=first.study_instance_uid,
        series_instance_uid=first.series_instance_uid,
        sop_instance_uid=first.sop_instance_uid,
    )
    await add(database, again)
    assert (await locate_one(database, again)).blob_key == again.blob_key


def encapsulated(entries: Sequence[Span], **fields: Any) -> NewInstance:
    table = b"".join(struct.pack(">QQ", entry.offset, entry.length) for entry in entries)
    return new_instance(
        number_of_frames=len(entries),
        pixel_offset=100,
        pixel_length=10**11,
        frame_table=table,
        **fields,
    )


async def test_frames_are_found_wherever_they_are_asked_for(database: Database) -> None:
    entries = [Span(100 + 50 * n, 42 + n % 7) for n in range(100_000)]
    new = encapsulated(entries)
    await add(database, new)
    found = await locate_one(database, new)
    assert found.encapsulated
    for numbers in ([1], [100_000], [3, 1, 2, 2], [7, 500, 99_999, 8], range(1, 100_001), []):
        async with database.reading() as connection:
            located = await frame_entries(connection, HERE, found.id, numbers)
        assert located == [entries[number - 1] for number in numbers]
    async with database.reading() as connection:
        whole = await frame_table(connection, HERE, found.id)
    assert [whole[index] for index in range(len(whole))] == entries


@pytest.mark.parametrize("number", [4, 1_000_000])
async def test_a_frame_beyond_the_last_is_not_found(database: Database, number: int) -> None:
    new = encapsulated([Span(0, 1)] * 3)
    await add(database, new)
    found = await locate_one(database, new)
    async with database.reading() as connection:
        with pytest.raises(NotFound, match=f"no frame {number}"):
            await frame_entries(connection, HERE, found.id, [1, number])


async def test_native_frames_have_no_entries(database: Database) -> None:
    new = new_instance(number_of_frames=1, pixel_offset=1, pixel_length=8, frame_bits=64)
    await add(database, new)
    found = await locate_one(database, new)
    assert not found.encapsulated
    async with database.reading() as connection:
        with pytest.raises(NotFound):
            await frame_entries(connection, HERE, found.id, [1])
        with pytest.raises(NotFound):
            await frame_table(connection, HERE, found.id)


async def test_a_bulk_value_is_found_by_its_path(database: Database) -> None:
    value = BulkValue("00081140/0/00420011", "OB", Span(5_000_000_000, 4096))
    new = new_instance(bulk=(BulkValue("00420011", "UN", Span(1, 2)), value))
    await add(database, new)
    found = await locate_one(database, new)
    async with database.reading() as connection:
        assert await bulk_value(connection, HERE, found.id, value.path) == value
        for path in ("00420012", "", '" || true', "$"):
            with pytest.raises(NotFound):
                await bulk_value(connection, HERE, found.id, path)
