"""A search that takes too long is refused, and leaves its connection as it was."""

from collections.abc import AsyncIterator

import pytest

from app.dicom.attributes import Level
from app.dicom.query import Key, OneOf, Query, Wildcard
from app.errors import TooLarge
from app.index.database import Database
from app.index.search import Wanted, search
from app.index.totals import Totals
from app.index.visibility import Visibility
from tests.integration.index.rows import PARTITION


@pytest.fixture
async def impatient(database_url: str) -> AsyncIterator[Database]:
    """An index that waits for no statement."""
    opened = await Database.open(database_url, connections=1, statement_seconds=0.2)
    yield opened
    await opened.close()


@pytest.mark.parametrize(
    "key",
    [
        Key("00100020", OneOf(("PID-1",))),
        Key("00081030", Wildcard(("*he*",))),
        Key("00380010", OneOf(("ADM1",))),
    ],
    ids=["by an index", "planned by its values", "by terms"],
)
@pytest.mark.parametrize("within", ["nothing", "a snapshot"])
async def test_a_search_that_takes_too_long_is_refused(
    database: Database, impatient: Database, key: Key, within: str
) -> None:
    lent = impatient.reading if within == "nothing" else impatient.snapshot
    query = Query(Level.STUDY, (key,))
    async with database.transaction() as others:
        await others.execute("LOCK TABLE study, study_terms IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(TooLarge, match="narrow it down"):
            async with lent() as connection:
                await search(
                    connection, Visibility(PARTITION), query, Wanted(frozenset()), Totals()
                )
    async with impatient.reading() as connection:
        assert await connection.fetchval("SHOW plan_cache_mode") == "auto"
