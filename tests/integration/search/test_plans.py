"""The commonest queries are answered through an index, also where there is little to be found."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from app.dicom.attributes import Level
from app.dicom.query import Between, Key, OneOf, Order, Query
from app.index.database import Connection, Database
from app.index.search import Page, Wanted, search
from app.index.totals import Totals
from app.index.visibility import Visibility
from tests.benchmarks.population import Size, populate
from tests.benchmarks.queries import COMMON, Common, examples, explained, nodes, scans

STUDIES = 3000


@pytest.fixture(scope="module")
async def populated(module_database_url: str) -> AsyncIterator[Connection]:
    """A connection to an index with some thousand studies."""
    await populate(module_database_url, Size(STUDIES))
    database = await Database.open(module_database_url, connections=1, statement_seconds=30)
    async with database.reading() as connection:
        yield connection
    await database.close()


@pytest.mark.parametrize("common", COMMON, ids=lambda common: common.name)
async def test_a_common_query_uses_an_index(populated: Connection, common: Common) -> None:
    path, query = common.filled(await examples(populated))
    told = await explained(populated, Visibility(1), path, query, analyze=True)
    read = scans(told)
    assert not [scan for scan in read if scan.startswith("Seq Scan")], read
    assert told[-1]["Plan"]["Actual Rows"] > 0
    touched = sum(node.get("Rows Removed by Filter", 0) for node in nodes(told))
    assert touched < STUDIES / 2, read


BY_VALUES = Query(
    Level.STUDY,
    (Key("00080061", OneOf(("SM",))), Key("00080020", Between("20200101", None))),
    limit=1,
)
KEPT = Query(Level.STUDY, (Key("00080061", OneOf(("SM",))),), limit=1)


@pytest.mark.parametrize(
    ("asked", "expected"), [(BY_VALUES, (0, 10)), (KEPT, (5, 5))], ids=["by values", "kept"]
)
async def test_a_search_that_may_find_little_or_much_is_planned_each_time_unless_one_index_knows(
    populated: Connection, asked: Query, expected: tuple[int, int]
) -> None:
    await populated.execute("DEALLOCATE ALL")
    await populated.reload_schema_state()
    for _ in range(10):
        await search(populated, Visibility(1), asked, Wanted(frozenset()), Totals())
    plans = await populated.fetchrow(
        "SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements"
        " WHERE statement LIKE $1",
        "WITH matching %modalities &&%",
    )
    assert tuple(plans) == expected, "generic and custom ones of the page, with its total"
    assert await populated.fetchval("SHOW plan_cache_mode") == "auto"


async def test_a_list_of_all_is_planned_once_and_reaches_as_far_as_it_is_asked_for(
    populated: Connection,
) -> None:
    await populated.execute("DEALLOCATE ALL")
    await populated.reload_schema_state()
    for _ in range(10):
        await _page(populated, Query(Level.STUDY, limit=25))
    plans = await populated.fetchrow(
        "SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements"
        " WHERE statement LIKE $1",
        "SELECT first.%LIMIT 128%",
    )
    assert tuple(plans) == (5, 5)
    whole = await _page(populated, Query(Level.STUDY, limit=STUDIES))
    everything = [found.study_instance_uid for found in whole.found]
    for limit, offset in ((127, 0), (128, 0), (100, 27), (100, 28), (1000, 23), (1000, 24)):
        page = await _page(populated, Query(Level.STUDY, limit=limit, offset=offset))
        found = [found.study_instance_uid for found in page.found]
        assert found == everything[offset : offset + limit]


async def test_further_values_are_only_asked_for_where_there_are_some(
    populated: Connection,
) -> None:
    values, totals = await examples(populated), Totals()

    async def asked_for(patient_id: str) -> tuple[int, int]:
        """How many statements it takes, and how many studies are found."""
        query = Query(Level.STUDY, (Key("00100020", OneOf((patient_id,))),))
        statements: list[str] = []
        with populated.query_logger(lambda record: statements.append(record.query)):
            page = await search(populated, Visibility(1), query, Wanted(frozenset()), totals)
            await asyncio.sleep(0)
        return sum("FROM study" in each for each in statements), len(page.found)

    _, studies = await asked_for(values["patient_id"])
    assert await asked_for(values["patient_id"]) == (1, studies)
    assert await asked_for("OTHER") == (2, 0)
    stored = populated.transaction()
    await stored.start()
    await populated.execute(
        "UPDATE study SET further_values = $2 WHERE study_instance_uid = $1",
        values["study"],
        {"patient_id": ["OTHER"]},
    )
    assert await asked_for("OTHER") == (3, 1)
    assert await asked_for(values["patient_id"]) == (3, studies)
    assert await asked_for("OTHER") == (2, 1), "by now it is known that there are some"
    await stored.rollback()


async def test_series_of_a_modality_are_looked_for_in_the_studies_that_have_it(
    populated: Connection,
) -> None:
    told = await explained(populated, Visibility(1), "series", "Modality=SM&limit=10", analyze=True)
    studies, page = told
    assert "Bitmap Index Scan study_modalities" in scans([studies])
    assert [studies["Plan"]["Actual Rows"], page["Plan"]["Actual Rows"]] == [12, 11]


async def test_of_the_instances_of_a_modality_no_more_are_read_than_a_page_takes(
    populated: Connection,
) -> None:
    _, page = await explained(
        populated, Visibility(1), "instances", "Modality=SM&limit=10", analyze=True
    )
    (looked_at,) = (n["Actual Rows"] for n in nodes([page]) if n["Node Type"] == "Function Scan")
    assert page["Plan"]["Actual Rows"] == 11
    assert looked_at < 12, "the studies that there could be something in"


@pytest.mark.parametrize("level", [Level.SERIES, Level.INSTANCE])
@pytest.mark.parametrize(
    "order",
    [(), (Order("00080020"),), (Order("00200011", descending=True),)],
    ids=["newest first", "oldest first", "by their numbers"],
)
async def test_pages_of_a_modality_miss_nothing_and_repeat_nothing(
    populated: Connection, level: Level, order: tuple[Order, ...]
) -> None:
    everything = await _found(populated, Query(level, (_SM,), limit=1000, order=order))
    assert len(everything) > 20
    assert sorted(everything) == sorted(map(tuple, await populated.fetch(_OF_SM[level])))
    pages: list[tuple[str, ...]] = []
    query = Query(level, (_SM,), limit=7, offset=2, order=order)
    while (page := await _page(populated, query)).end is not None:
        pages += _uids(page)
        query = replace(query, after=page.end, offset=0)
    assert [*pages, *_uids(page)] == everything[2:]


@pytest.mark.parametrize("level", [Level.SERIES, Level.INSTANCE])
async def test_no_page_of_a_modality_ends_early_where_studies_say_that_they_have_it_and_do_not(
    populated: Connection, level: Level
) -> None:
    wrong = populated.transaction()
    await wrong.start()
    await populated.execute(
        "UPDATE study SET modalities = '{CT,SM}' WHERE id % 3 = 0 AND NOT 'SM' = ANY(modalities)"
    )
    everything = sorted(map(tuple, await populated.fetch(_OF_SM[level])))
    pages: list[tuple[str, ...]] = []
    query = Query(level, (_SM,), limit=7)
    while (page := await _page(populated, query)).end is not None:
        assert len(page.found) == 7
        pages += _uids(page)
        query = replace(query, after=page.end)
    assert sorted([*pages, *_uids(page)]) == everything
    last = replace(query, after=None, offset=len(everything) - 1)
    assert len(await _found(populated, last)) == 1
    await wrong.rollback()


_SM = Key("00080060", OneOf(("SM",)))
_OF_SM = {
    Level.SERIES: "SELECT series_instance_uid FROM series WHERE modality = 'SM'",
    Level.INSTANCE: "SELECT series_instance_uid, sop_instance_uid FROM instance"
    " JOIN series ON series.id = series_id WHERE modality = 'SM'",
}


async def _page(connection: Connection, query: Query) -> Page:
    return await search(connection, Visibility(1), query, Wanted(frozenset()), Totals())


async def _found(connection: Connection, query: Query) -> list[tuple[str, ...]]:
    return _uids(await _page(connection, query))


def _uids(page: Page) -> list[tuple[str, ...]]:
    return [tuple(filter(None, found[1:3])) for found in page.found]


@pytest.mark.parametrize("dates", ["20260101-20260131", "20260101"])
async def test_of_few_days_each_study_is_looked_at(populated: Connection, dates: str) -> None:
    query = f"ModalitiesInStudy=CT,MR&StudyDate={dates}"
    told = await explained(populated, Visibility(1), "studies", query, analyze=False)
    assert scans(told) == ["Index Scan study_newest_first"]
    conditions = [node["Filter"] for node in nodes(told) if "Filter" in node]
    assert "array_cat(modalities" in conditions[0], "no index of modalities is for this"
