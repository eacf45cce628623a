"""Emergency overrides that time has ended are ended in the audit too, each once.

They have opened nothing any more since that moment; any number of processes may do this at once.
"""

from itertools import groupby
from operator import attrgetter

from app.archive import Archive
from app.audit.overrides import EXPIRED, end_of
from app.audit.trail import append
from app.index import overrides
from app.index.database import Connection
from app.upkeep.repeating import Repeating

AT_ONCE = 100
SECONDS_BETWEEN_LOOKS = 10


async def end_expired(archive: Archive) -> int:
    """End up to `AT_ONCE` overrides that have expired, and return how many that were.

    If they are fewer than `AT_ONCE`, no others are left.
    """
    return await archive.transact(_end)


async def _end(connection: Connection) -> int:
    ended = await overrides.end_expired(connection, AT_ONCE)
    of_partition = attrgetter("partition_id")
    for _, some in groupby(sorted(ended, key=of_partition), key=of_partition):
        await append(connection, [end_of(one, EXPIRED, one.opened_by) for one in some])
    return len(ended)


def expirer(archive: Archive) -> Repeating:
    """Ends what expires as long as its process serves."""

    async def work() -> None:
        while await end_expired(archive) == AT_ONCE:
            pass

    return Repeating("expire", work, seconds=SECONDS_BETWEEN_LOOKS)
