"""Instances get into the index once, completely, and counted, however many come at once."""

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from app.dicom.dataset import BulkValue
from app.index import instances, partitions
from app.index.database import Database
from app.index.instances import (
    Added,
    Differs,
    Identical,
    Misplaced,
    NewInstance,
    Outcome,
    adding,
    locate,
)
from app.index.recount import Counts, Miscount, miscounted, recount
from app.index.visibility import Visibility
from app.span import Span
from tests.integration.index.rows import PARTITION, new_instance, new_series, new_uid

HERE = Visibility(PARTITION)


async def add(database: Database, *new: NewInstance, partition: int = PARTITION) -> list[Outcome]:
    return await database.transact(lambda c: instances.add(c, partition, new))


async def rows(database: Database, statement: str, *values: Any) -> list[tuple[Any, ...]]:
    async with database.reading() as connection:
        return [tuple(row) for row in await connection.fetch(statement, *values)]


async def assert_counted(database: Database) -> None:
    async with database.snapshot() as connection:
        assert await miscounted(connection) == []


async def test_a_first_instance_brings_its_study_and_series(database: Database) -> None:
    new = new_instance(patient_id="P7", modality="MR")
    assert await add(database, new) == [Added()]
    assert await rows(
        database,
        "SELECT study_instance_uid, patient_id, modalities, sop_classes, number_of_series,"
        " number_of_instances, attributes FROM study",
    ) == [
        (
            new.study_instance_uid,
            "P7",
            ["MR"],
            [new.sop_class_uid],
            1,
            1,
            new.study["attributes"],
        )
    ]
    assert await rows(
        database,
        "SELECT series_instance_uid, modality, number_of_instances, attributes FROM series",
    ) == [(new.series_instance_uid, "MR", 1, new.series["attributes"])]
    await assert_counted(database)


async def test_every_column_of_an_instance_is_kept(database: Database) -> None:
    new = new_instance(
        transfer_syntax_uid="1.2.840.10008.1.2.4.90",
        blob_offset=512,
        rows=64,
        columns=32,
        bits_allocated=16,
        number_of_frames=2,
        bulk=(BulkValue("7FE00010", "OW", Span(2000, 4096)),),
        pixel_offset=2000,
        pixel_length=4096,
        frame_bits=16384,
        frame_table=b"t" * 32,
    )
    await add(database, new)
    names = [n for n in adding.COLUMNS if n not in {"partition_id", "study_id", "series_id"}]
    (stored,) = await rows(database, f"SELECT {', '.join(names)}, version FROM instance")
    kept = dict(zip(names, stored, strict=False))
    assert kept.pop("bulk") == [["7FE00010", "OW", 2000, 4096]]
    assert kept == {name: getattr(new, name) for name in kept}
    assert stored[-1] == 1


async def test_study_and_series_stay_as_their_first_instance_gave_them(database: Database) -> None:
    first, second = new_series(2)
    late = new_instance(
        study_instance_uid=first.study_instance_uid,
        series_instance_uid=first.series_instance_uid,
        patient_id="another",
        modality="MR",
    )
    await add(database, first, second)
    await add(database, late)
    assert await rows(database, "SELECT patient_id, attributes, modalities FROM study") == [
        ("PID-1", first.study["attributes"], ["CT"])
    ]
    assert await rows(database, "SELECT modality, attributes FROM series") == [
        ("CT", first.series["attributes"])
    ]


async def test_the_same_bytes_again_change_nothing(database: Database) -> None:
    new = new_instance(content=b"x")
    await add(database, new)
    before = await rows(
        database, "SELECT *, study.xmin, series.xmin, instance.xmin FROM study, series, instance"
    )
    again = new_instance(
        content=b"x",
        study_instance_uid=new.study_instance_uid,
        series_instance_uid=new.series_instance_uid,
        sop_instance_uid=new.sop_instance_uid,
    )
    assert await add(database, again) == [Identical(new.stored)]
    assert (
        await rows(
            database,
            "SELECT *, study.xmin, series.xmin, instance.xmin FROM study, series, instance",
        )
        == before
    )
    assert len(await rows(database, "SELECT FROM change")) == 1


async def test_a_commit_of_unknown_outcome_can_be_tried_again(database: Database) -> None:
    new = new_instance()
    assert await add(database, new) == [Added()]
    assert await add(database, new) == [Added()]
    assert len(await rows(database, "SELECT FROM instance")) == 1


async def test_other_bytes_are_refused_with_what_is_stored(database: Database) -> None:
    first, *_ = new_series(1, content=b"x")
    other = new_instance(
        content=b"y",
        study_instance_uid=first.study_instance_uid,
        series_instance_uid=first.series_instance_uid,
        sop_instance_uid=first.sop_instance_uid,
    )
    await add(database, first)
    assert await add(database, other) == [Differs(first.stored, first.metadata_json)]
    await assert_counted(database)


@pytest.mark.parametrize("same_study", [True, False])
async def test_an_instance_has_one_place(database: Database, same_study: bool) -> None:
    first = new_instance(content=b"x")
    study = first.study_instance_uid if same_study else new_uid()
    elsewhere = new_instance(
        content=b"x", sop_instance_uid=first.sop_instance_uid, study_instance_uid=study
    )
    await add(database, first)
    assert await add(database, elsewhere) == [
        Misplaced(first.study_instance_uid, first.series_instance_uid)
    ]
    assert len(await rows(database, "SELECT FROM study, series")) == 1
    await assert_counted(database)


async def test_one_request_may_hold_an_instance_twice(database: Database) -> None:
    first, neighbour = new_series(2)
    place = {
        "study_instance_uid": first.study_instance_uid,
        "series_instance_uid": first.series_instance_uid,
        "sop_instance_uid": first.sop_instance_uid,
    }
    same = new_instance(content=b"content", **place)
    first = new_instance(content=b"content", **place)
    other = new_instance(content=b"other", **place)
    elsewhere = new_instance(content=b"content", **place | {"series_instance_uid": new_uid()})
    assert await add(database, first, same, other, neighbour, elsewhere) == [
        Added(),
        Identical(first.stored),
        Differs(first.stored, first.metadata_json),
        Added(),
        Misplaced(first.study_instance_uid, first.series_instance_uid),
    ]
    await assert_counted(database)


async def test_nothing_to_add_is_no_mistake(database: Database) -> None:
    assert await add(database) == []


async def test_a_request_larger_than_a_statement_is_added_whole(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adding, "BYTES_OF_STATEMENT", 50)
    new = new_series(10)
    assert await add(database, *new) == [Added()] * 10
    async with database.reading() as connection:
        assert len(await locate(connection, HERE, new[0].study_instance_uid)) == 10
    await assert_counted(database)


async def test_counts_tell_every_modality_and_sop_class_once(database: Database) -> None:
    study = new_uid()
    ct = new_series(3, study_instance_uid=study, modality="CT")
    pt = new_series(2, study_instance_uid=study, modality="PT", sop_class_uid="1.2.3")
    none = new_series(1, study_instance_uid=study, modality=None)
    more_ct = new_series(1, study_instance_uid=study, modality="CT")
    await add(database, *ct[:1], *pt, *none)
    await add(database, *ct[1:], *more_ct)
    assert await rows(
        database,
        "SELECT modalities, sop_classes, number_of_series, number_of_instances FROM study",
    ) == [(["CT", "PT"], ["1.2.3", ct[0].sop_class_uid], 4, 7)]
    await assert_counted(database)


async def test_a_study_grows_older_and_its_revision_with_every_addition(database: Database) -> None:
    seen = "SELECT study.revision, series.revision, study.updated_at, series.updated_at"
    one, two = new_series(2)
    await add(database, one)
    (before,) = await rows(database, f"{seen} FROM study, series")
    await add(database, two)
    (after,) = await rows(database, f"{seen} FROM study, series")
    assert all(late > early for late, early in zip(after, before, strict=True))


async def test_partitions_share_nothing(database: Database) -> None:
    new = new_instance(content=b"x")
    other = new_instance(
        content=b"y",
        study_instance_uid=new.study_instance_uid,
        series_instance_uid=new.series_instance_uid,
        sop_instance_uid=new.sop_instance_uid,
    )
    async with database.transaction() as connection:
        north = await partitions.ensure(connection, "north")
    assert await add(database, new) == [Added()]
    assert await add(database, other, partition=north) == [Added()]
    for partition, wanted in ((PARTITION, new), (north, other)):
        async with database.reading() as connection:
            (found,) = await locate(connection, Visibility(partition), new.study_instance_uid)
        assert found.blob_key == wanted.blob_key
    await assert_counted(database)


async def test_a_wrong_count_is_found(database: Database) -> None:
    new = new_instance()
    await add(database, new)
    async with database.transaction() as connection:
        await connection.execute("UPDATE study SET number_of_instances = 2")
        await connection.execute("UPDATE series SET number_of_instances = 3")
    async with database.snapshot() as connection:
        found = await miscounted(connection)
    rest = (1, ("CT",), (new.sop_class_uid,))
    study = (found[0].study_id, PARTITION, new.study_instance_uid)
    assert found == [
        Miscount(*study, None, Counts(2, *rest), Counts(1, *rest)),
        Miscount(*study, new.series_instance_uid, Counts(3), Counts(1)),
    ]
    await database.transact(lambda c: recount(c, found[0].study_id))
    await assert_counted(database)


async def at_once(database: Database, requests: Iterable[Sequence[NewInstance]]) -> list[Outcome]:
    """The outcomes of requests that all run at the same time, one after the other in a list."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(add(database, *request)) for request in requests]
    return [outcome for task in tasks for outcome in task.result()]


async def test_of_32_stores_of_the_same_bytes_one_wins_and_all_succeed(database: Database) -> None:
    first = new_instance(content=b"x")
    rivals = [first] + [
        new_instance(
            content=b"x",
            study_instance_uid=first.study_instance_uid,
            series_instance_uid=first.series_instance_uid,
            sop_instance_uid=first.sop_instance_uid,
        )
        for _ in range(31)
    ]
    outcomes = await at_once(database, ([rival] for rival in rivals))
    assert outcomes.count(Added()) == 1
    winner = rivals[outcomes.index(Added())]
    assert outcomes.count(Identical(winner.stored)) == 31
    assert await rows(database, "SELECT blob_key FROM instance") == [(winner.blob_key,)]
    await assert_counted(database)


async def test_of_32_stores_of_different_bytes_one_wins_and_stays(database: Database) -> None:
    rivals = new_series(32, sop_instance_uid="1.2.3")
    outcomes = await at_once(database, ([rival] for rival in rivals))
    assert outcomes.count(Added()) == 1
    winner = rivals[outcomes.index(Added())]
    refused = Differs(winner.stored, winner.metadata_json)
    assert outcomes.count(refused) == 31
    await assert_counted(database)


async def test_of_stores_of_one_uid_in_many_studies_one_leaves_a_study(database: Database) -> None:
    rivals = [new_instance(sop_instance_uid="1.2.3", content=b"x") for _ in range(16)]
    outcomes = await at_once(database, ([rival] for rival in rivals))
    assert outcomes.count(Added()) == 1
    winner = rivals[outcomes.index(Added())]
    place = Misplaced(winner.study_instance_uid, winner.series_instance_uid)
    assert outcomes.count(place) == 15
    assert await rows(database, "SELECT study_instance_uid, attributes FROM study") == [
        (winner.study_instance_uid, winner.study["attributes"])
    ]
    assert len(await rows(database, "SELECT FROM series")) == 1
    await assert_counted(database)


async def test_first_instances_that_come_at_once_make_one_study(database: Database) -> None:
    study = new_uid()
    series = [new_uid() for _ in range(4)]
    new = [
        new_instance(
            study_instance_uid=study, series_instance_uid=series[n % 4], modality=f"M{n % 4}"
        )
        for n in range(32)
    ]
    assert await at_once(database, ([one] for one in new)) == [Added()] * 32
    assert await rows(
        database, "SELECT number_of_series, number_of_instances, modalities, revision FROM study"
    ) == [(4, 32, ["M0", "M1", "M2", "M3"], 33)]
    await assert_counted(database)


@pytest.mark.parametrize("seed", range(4))
async def test_no_interleaving_makes_a_count_wrong(database: Database, seed: int) -> None:
    chance = random.Random(seed)
    studies = [new_uid() for _ in range(3)]
    series = [new_uid() for _ in range(4)]
    uids = [new_uid() for _ in range(60)]

    def any_instance() -> NewInstance:
        uid = chance.choice(uids)
        # Now and then a UID turns up at another place or with other content.
        place = uids.index(uid) if chance.random() < 0.9 else chance.randrange(60)
        return new_instance(
            sop_instance_uid=uid,
            study_instance_uid=studies[place % 3],
            series_instance_uid=series[place % 4],
            modality=f"M{place % 4}",
            sop_class_uid=f"1.2.{place % 5}",
            content=uid.encode() if chance.random() < 0.9 else b"other",
        )

    requests = [[any_instance() for _ in range(chance.randint(1, 6))] for _ in range(60)]
    outcomes = await at_once(database, requests)
    stored = {uid for (uid,) in await rows(database, "SELECT sop_instance_uid FROM instance")}
    assert stored == {new.sop_instance_uid for request in requests for new in request}
    assert outcomes.count(Added()) == len(stored)
    assert len(await rows(database, "SELECT FROM change")) == len(stored)
    await assert_counted(database)
