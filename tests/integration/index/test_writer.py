"""Additions that come together share a transaction, and nothing else."""

import asyncio
from typing import Any

import pytest

from app.errors import Unavailable
from app.index import grants
from app.index.database import Connection, Database
from app.index.grants import NewGrant, Scope
from app.index.instances import (
    Added,
    Differs,
    Hidden,
    Identical,
    NewInstance,
    Outcome,
    adding,
    appending,
)
from app.index.recount import miscounted
from app.index.restriction import Action, Depth, Restriction
from app.index.visibility import Visibility
from app.index.writer import Writer
from tests.integration.index.rows import PARTITION, new_instance, new_series


async def test_each_hears_of_its_own_instances_in_their_order(database: Database) -> None:
    shared = Writer(database)
    first, known = new_series(3), new_instance()
    await shared.add(PARTITION, [known])
    outcomes = await asyncio.gather(
        shared.add(PARTITION, first),
        shared.add(PARTITION, [first[0], new_instance()]),
        shared.add(PARTITION, [known]),
    )
    kinds = [[type(outcome) for outcome in outcome_list] for outcome_list in outcomes]
    assert kinds[0] == [Added] * 3
    assert kinds[1] == [Added, Added]
    assert kinds[2] == [Added]
    again = await shared.add(PARTITION, [new_instance(**_same(first[1]))])
    assert [type(outcome) for outcome in again] == [Identical]
    async with database.reading() as connection:
        assert await miscounted(connection) == []


async def test_what_comes_during_a_commit_goes_into_one_transaction(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = adding.add

    async def add(connection: Connection, owner: int, new: list[NewInstance]) -> list[Outcome]:
        sizes.append(len(new))
        return await original(connection, owner, new)

    monkeypatch.setattr("app.index.writer.add", add)
    shared = Writer(database)
    await asyncio.gather(*(shared.add(PARTITION, [new]) for new in new_series(50)))
    assert sum(sizes) == 50
    assert len(sizes) <= 3


async def test_of_those_of_one_uid_the_first_is_added_by_the_short_way_too(
    database: Database,
) -> None:
    known, *firsts = new_series(33)
    others = [
        new_instance(**_place(one), sop_instance_uid=one.sop_instance_uid, sha256=bytes(32))
        for one in firsts
    ]
    shared = Writer(database)
    await shared.add(PARTITION, [known])
    outcomes = await shared.add(PARTITION, [*firsts, *others])
    assert [type(outcome) for outcome in outcomes] == [Added] * 32 + [Differs] * 32


async def test_what_one_cannot_add_keeps_no_other_from_it(database: Database) -> None:
    bad = new_instance(sop_class_uid="no text\0of postgres")
    good = new_series(5)
    shared = Writer(database)
    results = await asyncio.gather(
        *(shared.add(PARTITION, [new]) for new in [*good[:2], bad, *good[2:]]),
        return_exceptions=True,
    )
    assert [isinstance(result, Exception) for result in results] == [
        False,
        False,
        True,
        False,
        False,
        False,
    ]
    async with database.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM instance") == 5


async def test_without_the_index_everybody_is_told(database: Database) -> None:
    shared = Writer(database)
    await database.close()
    results = await asyncio.gather(
        *(shared.add(PARTITION, [new]) for new in new_series(3)), return_exceptions=True
    )
    assert [type(result) for result in results] == [Unavailable] * 3


def _same(instance: NewInstance) -> dict[str, Any]:
    """The same bytes of the same instance, received again under another blob key."""
    names = ("study_instance_uid", "series_instance_uid", "sop_instance_uid", "sha256", "length")
    return {name: getattr(instance, name) for name in names}


def _place(instance: NewInstance) -> dict[str, Any]:
    """Where it belongs."""
    return {name: getattr(instance, name) for name in ("study_instance_uid", "series_instance_uid")}


async def _may_store(database: Database, subject: str, study: str) -> Visibility:
    """What somebody may store who has a grant for one study."""
    grant = NewGrant(subject=subject, actions=[Action.STORE], scope=Scope(study_instance_uid=study))
    async with database.reading() as connection:
        await grants.create(connection, PARTITION, grant)
    return Visibility(PARTITION, Restriction((subject,), Action.STORE, Depth.STUDY))


async def test_what_one_caller_may_not_store_is_left_out_of_what_others_of_its_kind_may(
    database: Database,
) -> None:
    mine, foreign = new_series(8), new_instance()
    shared = Writer(database)
    await shared.add(PARTITION, [foreign])
    visibility = await _may_store(database, "token:1", mine[0].study_instance_uid)
    for new in ([mine[0]], mine[1:4]):  # the long way, and the short one
        outcomes = await asyncio.gather(
            *(
                shared.add(PARTITION, [one], visibility)
                for one in [*new, new_instance(**_place(foreign))]
            )
        )
        assert outcomes == [*([[Added()]] * len(new)), [Hidden()]]
    also = await _may_store(database, "token:2", foreign.study_instance_uid)
    each = await asyncio.gather(
        shared.add(PARTITION, [mine[4]], visibility),
        shared.add(PARTITION, [mine[5]], also),
        shared.add(PARTITION, [mine[6]]),
    )
    assert list(each) == [[Added()], [Hidden()], [Added()]]
    async with database.reading() as connection:
        assert await connection.fetchval("SELECT count(*) FROM instance") == 7
        assert await miscounted(connection) == []


async def test_who_may_store_a_part_goes_the_short_way_too(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = appending.append

    async def append(connection: Connection, owner: int, new: list[NewInstance]) -> set[str]:
        sizes.append(len(new))
        return await original(connection, owner, new)

    monkeypatch.setattr("app.index.instances.permitted.append", append)
    series = new_series(40)
    visibility = await _may_store(database, "token:1", series[0].study_instance_uid)
    shared = Writer(database)
    await shared.add(PARTITION, [series[0]], visibility)
    assert sizes == []
    answers = [shared.add(PARTITION, [one], visibility) for one in series[1:]]
    assert await asyncio.gather(*answers) == [[Added()]] * 39
    assert sum(sizes) == 39
    assert len(sizes) <= 3
    again = [shared.add(PARTITION, [new_instance(**_same(series[3]))], visibility)]
    again += [shared.add(PARTITION, [new_instance(**_place(series[0]))], visibility)]
    kinds = [type(outcome) for (outcome,) in await asyncio.gather(*again)]
    assert kinds == [Identical, Added]
