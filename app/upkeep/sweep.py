"""Sweeping: blobs that no instance will ever belong to are removed, and nothing else.

A blob is left behind when a process dies between putting it and committing its row, or when it
cannot know whether either happened. Its key is then one of an upload (see `app.index.uploads`)
whose lease nobody extends. A sweeper

1. takes such uploads: from then on nothing can be added under them, however late and by whomever.
   That is all, the first time.
2. takes them again a week later, and reads which of their keys are in the index, which therefore
   cannot change any more;
3. deletes the blobs of all the others.

Any number of sweepers can be at work, be stopped between any two steps and go on later: what they
read in step 2 stays true. The week is for an index that was restored from a backup: it has uploads
under which instances were acknowledged that it does not know. Till then a check tells of the blobs.
A process that was stopped while it put a blob has long put it by then, too.
"""

import asyncio
from dataclasses import asdict, dataclass, replace

import structlog

from app.archive import Archive
from app.faults import Point, reach
from app.index import uploads
from app.index.database import Connection
from app.index.uploads import QUARANTINE, Taken
from app.upkeep.repeating import Repeating

UPLOADS_AT_ONCE = 16
BLOBS_AT_ONCE = 8
SECONDS_BETWEEN_LOOKS = 60
ROUNDS = 2
"""How often an upload is taken before anything is deleted."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Swept:
    """What a sweep has done."""

    taken: int = 0
    """Uploads that were taken for the first time."""
    ended: int = 0
    """Uploads that are no more."""
    keys: int = 0
    """Of those, the keys without an instance, whose blobs are no more either."""


async def sweep(archive: Archive) -> Swept:
    """Take every upload whose lease is over; end those that were taken a week ago.

    Raises `Unavailable` if the index or the blobs are; what was not finished is swept again later.
    """
    swept = Swept()
    while taken := await archive.transact(_take):
        for upload in taken:
            if upload.fence < ROUNDS:
                swept = replace(swept, taken=swept.taken + 1)
                continue
            keys = await _end(archive, upload)
            swept = replace(swept, ended=swept.ended + 1, keys=swept.keys + keys)
    return swept


def sweeper(archive: Archive) -> Repeating:
    """Sweeps as long as its process serves. What it was stopped at is swept again later."""

    async def work() -> None:
        await archive.cache.tidy()
        swept = await sweep(archive)
        if swept != Swept():
            log.info("swept", **asdict(swept))

    return Repeating("sweep", work, seconds=SECONDS_BETWEEN_LOOKS)


async def _take(connection: Connection) -> list[Taken]:
    return await uploads.take(connection, most=UPLOADS_AT_ONCE, lease=QUARANTINE)


async def _end(archive: Archive, upload: Taken) -> int:
    """Delete what has no instance, and the upload; how many keys that were."""
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
    async with archive.writing() as connection:
        await uploads.finish(connection, upload)
    return len(unowned)
