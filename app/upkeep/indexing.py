"""Indexing: what has been stored gets its terms, a moment later and while nobody waits for it."""

import asyncio
import time

from app.archive import Archive
from app.index.terms import follow, partitions
from app.upkeep.repeating import Repeating

SECONDS_BETWEEN_LOOKS = 5
PAUSE = 2.0


async def index(archive: Archive, *, pause: float = 0) -> int:
    """Follow the logs of all partitions to their ends; how many changes that were.

    `pause`: for how much of the time that something takes nothing is done after it, so that who is
    far behind leaves the processor to others. Raises `Unavailable` if the index is.
    """
    number = 0
    async with archive.reading() as connection:
        numbers = await partitions(connection)
    for partition_id in numbers:
        while followed := await _follow(archive, partition_id, pause):
            number += followed
    return number


async def _follow(archive: Archive, partition_id: int, pause: float) -> int:
    begin = time.monotonic()
    async with archive.transaction() as connection:
        followed = await follow(connection, partition_id)
    if followed:
        await asyncio.sleep(pause * (time.monotonic() - begin))
    return followed


def indexer(archive: Archive) -> Repeating:
    """Indexes as long as its process serves. What is not done yet, searches find all the same."""

    async def work() -> None:
        await index(archive, pause=PAUSE)

    return Repeating("indexing", work, seconds=SECONDS_BETWEEN_LOOKS)
