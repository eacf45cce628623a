"""Indexing: what has been stored gets its terms, a moment later and while nobody waits for it."""

import asyncio
import random
import time

import structlog

from app.archive import Archive
from app.index.terms import follow, partitions

SECONDS_BETWEEN_LOOKS = 5
PAUSE = 2.0

log = structlog.get_logger()


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


class Indexer:
    """Indexes again and again, as long as its process serves."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what is not done yet is done later."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await index(self._archive, pause=PAUSE)
            # Whatever it was: what is not indexed is looked at by searches, and found all the same.
            except Exception as error:
                log.warning("indexing_failed", error=repr(error))
