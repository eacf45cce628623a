"""Which instance is shown for a study or a series."""

from typing import Any

import pytest

from app.index import instances
from app.index.database import Database
from app.index.instances.representing import Representative, representative
from app.index.visibility import Visibility
from tests.integration.index.rows import PARTITION, new_instance, new_series, new_uid

HERE = Visibility(PARTITION)
NATIVE, VIDEO = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.102"


class Stored:
    """A study to put series into."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.study = new_uid()

    async def series(self, frames: list[int | None], **fields: Any) -> list[str]:
        """A series of instances with so many frames each; their SOP Instance UIDs, by number."""
        series = new_uid()
        place: dict[str, Any] = {"study_instance_uid": self.study, "series_instance_uid": series}
        new = [new_instance(number_of_frames=n, **place, **fields) for n in frames]
        await self.database.transact(
            lambda connection: instances.add(connection, PARTITION, list(reversed(new)))
        )
        return [instance.sop_instance_uid for instance in new]

    async def shown(self, series: str | None = None, visibility: Visibility = HERE) -> str | None:
        found = await self.found(series, visibility)
        return found.sop_instance_uid if found else None

    async def found(
        self, series: str | None = None, visibility: Visibility = HERE
    ) -> Representative | None:
        async with self.database.reading() as connection:
            return await representative(connection, visibility, [NATIVE], self.study, series)


@pytest.fixture
def stored(database: Database) -> Stored:
    return Stored(database)


@pytest.mark.parametrize(("size", "middle"), [(1, 0), (2, 1), (5, 2)])
async def test_the_middle_one_of_a_stack(stored: Stored, size: int, middle: int) -> None:
    uids = await stored.series([1] * size)
    assert await stored.shown() == uids[middle]


async def test_the_series_of_most_frames_stands_for_a_study(stored: Stored) -> None:
    await stored.series([1, 1, 1])
    (cine,) = await stored.series([40])
    await stored.series([1] * 10)
    assert await stored.shown() == cine


async def test_what_was_derived_stands_only_where_nothing_else_is(stored: Stored) -> None:
    (mask,) = await stored.series([100], modality="SEG")
    assert await stored.shown() == mask
    (slice_,) = await stored.series([1])
    assert await stored.shown() == slice_


async def test_what_cannot_be_shown_is_passed_over(stored: Stored) -> None:
    await stored.series([None, None])
    await stored.series([500], transfer_syntax_uid=VIDEO)
    assert await stored.shown() is None
    (slice_,) = await stored.series([1], modality=None)
    assert await stored.shown() == slice_


async def test_of_a_slide_it_is_the_one_of_fewest_frames(stored: Stored) -> None:
    uids = await stored.series([400, 100, 1, 25], modality="SM")
    found = await stored.found()
    assert found is not None
    assert found.is_slide
    assert found.sop_instance_uid == uids[2]


async def test_of_a_series_only_its_own_images_count(database: Database, stored: Stored) -> None:
    small = new_series(3, study_instance_uid=stored.study, number_of_frames=1)
    await database.transact(lambda connection: instances.add(connection, PARTITION, small))
    await stored.series([100])
    assert await stored.shown(small[0].series_instance_uid) == small[1].sop_instance_uid
    assert await stored.shown(new_uid()) is None


async def test_nobody_else_sees_it(stored: Stored) -> None:
    await stored.series([1])
    assert await stored.shown(visibility=Visibility(PARTITION + 1)) is None
