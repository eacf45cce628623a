"""Sweeping: blobs that no instance will ever belong to are removed, and nothing else.

A blob is left behind when a process dies between putting it and committing its row, or when it
cannot know whether either happened. Its key is then one of an upload (see `app.index.uploads`)
whose lease nobody extends. A sweeper

1. takes such uploads: from then on nothing can be added under them, however late and by whomever;
2. reads which of their keys are in the index, which therefore cannot change any more;
3. deletes the blobs of all the others.

Any number of sweepers can be at work, be stopped between any two steps and go on later: what they
read in step 2 stays true. Each upload is swept twice, a long time apart, since a process that was
stopped while it put a blob may put it after the first time.
"""

import asyncio
import random
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.archive import Archive
from app.faults import Point, reach
from app.index import uploads
from app.index.database import Connection
from app.index.uploads import Taken

UPLOADS_AT_ONCE = 16
BLOBS_AT_ONCE = 8
BETWEEN_SWEEPS = timedelta(days=1)
"""No put takes so long; and a sweeper that has not finished by then has died."""
SECONDS_BETWEEN_LOOKS = 60
ROUNDS = 2

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has looked through, and for how many blobs it found no instance."""

    uploads: int = 0
    keys: int = 0


async def sweep(archive: Archive) -> Swept:
    """Sweep every upload whose lease is over.

    Raises `Unavailable` if the index or the blobs are; what was not finished is swept again later.
    """
    swept = Swept()
    while taken := await archive.transact(_take):
        for upload in taken:
            keys = await _sweep(archive, upload)
            swept = Swept(swept.uploads + 1, swept.keys + keys)
    return swept


class Sweeper:
    """Sweeps from time to time, as long as its process serves."""

    def __init__(self, archive: Archive) -> None:
        self._archive = archive
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop; what is being swept is swept again later."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(SECONDS_BETWEEN_LOOKS * random.uniform(0.5, 1.5))  # noqa: S311
            try:
                await self._archive.cache.tidy()
                swept = await sweep(self._archive)
            # Whatever it was: the next look may fare better, and without any waste piles up.
            except Exception as error:
                log.warning("sweep_failed", error=repr(error))
                continue
            if swept.uploads:
                log.info("swept", uploads=swept.uploads, keys=swept.keys)


async def _take(connection: Connection) -> list[Taken]:
    return await uploads.take(connection, most=UPLOADS_AT_ONCE, lease=BETWEEN_SWEEPS)


async def _sweep(archive: Archive, upload: Taken) -> int:
    """Delete what has no instance; how many keys that were."""
    reach(Point.SWEEP_TAKEN)
    keys = upload.all_keys()
    async with archive.reading() as connection:
        owned = await uploads.indexed(connection, keys)
    unowned = [key for key in keys if key not in owned]
    reach(Point.SWEEP_CHECKED)
    for first in range(0, len(unowned), BLOBS_AT_ONCE):
        some = unowned[first : first + BLOBS_AT_ONCE]
        await asyncio.gather(*(archive.blobs.delete(key) for key in some))
        reach(Point.SWEEP_DELETED)
    if upload.fence >= ROUNDS:
        async with archive.writing() as connection:
            await uploads.finish(connection, upload)
    return len(unowned)
