"""Vouching: nobody hears that an instance is stored already unless its bytes are there, and right.

Who hears it may delete the only other copy. So what is stored is read and hashed before it is said.
If it is lost or damaged, the bytes that have just come take its place, if they are the very same;
else the sender hears that nothing was stored.
"""

from collections.abc import Awaitable, Callable, Sequence

import structlog

from app.archive import Archive
from app.blobs.contract import BlobMissing
from app.blobs.digest import sha256_of
from app.errors import Unavailable
from app.index import mending, uploads
from app.index.instances import (
    Added,
    Differs,
    Identical,
    NewInstance,
    Outcome,
    StoredBytes,
    rehouse,
)
from app.settings import Duplicates
from app.span import Span
from app.store.differences import came_before
from app.store.intake import Intake

DAMAGED = "What is stored under its SOP Instance UID is damaged; store it with duplicates=replace."
MOVING = "What is stored under its SOP Instance UID is changing; try again."
TRIES = 3

Ask = Callable[[Sequence[NewInstance]], Awaitable[Sequence[Outcome]]]
"""Offers instances to the index and returns its answers."""

log = structlog.get_logger()


async def vouched(
    archive: Archive,
    partition_id: int,
    intake: Intake,
    answer: Outcome,
    duplicates: Duplicates,
    ask: Ask,
) -> Outcome | Unavailable:
    """The answer of the index to an instance, once it is sure that what it relies on is there.

    `Identical` for what came before as the same bytes, `Added` if those had been lost, and
    `Unavailable` for what nobody can vouch for.
    """
    try:
        for _ in range(TRIES):
            settled = await _settled(archive, partition_id, intake, answer, duplicates)
            if settled is not None:
                return settled
            (answer,) = await ask([intake.instance])
    except Unavailable as lack:
        return lack
    return Unavailable(MOVING)


async def _settled(
    archive: Archive, partition_id: int, intake: Intake, answer: Outcome, duplicates: Duplicates
) -> Outcome | Unavailable | None:
    """What can be said; None if the instance has got other bytes since the index answered."""
    match answer:
        case Identical(stored):
            if await _is_whole(archive, stored):
                return answer
            return Added() if await _rehouse(archive, partition_id, intake, stored) else None
        case Differs(stored) if came_before(intake, answer):
            if await _is_whole(archive, stored):
                return Identical(stored, as_it_came=answer.received_sha256 is None)
            return answer if duplicates is Duplicates.REPLACE else Unavailable(DAMAGED)
        case Differs(stored) if duplicates is Duplicates.KEEP:
            return answer if await _is_whole(archive, stored) else Unavailable(DAMAGED)
        case _:
            return answer


async def _is_whole(archive: Archive, stored: StoredBytes) -> bool:
    span = Span(stored.blob_offset, stored.length)
    try:
        return await sha256_of(archive.blobs, stored.blob_key, span) == stored.sha256
    except BlobMissing:
        return False


async def _rehouse(archive: Archive, partition_id: int, intake: Intake, lost: StoredBytes) -> bool:
    offered = intake.instance
    done = await archive.transact(lambda c: rehouse(c, partition_id, lost, offered))
    if done:
        log.warning("lost_bytes_stored_again", lost=lost.blob_key, key=offered.blob_key)
        if left_over := uploads.parts_of(lost.blob_key):
            # Not in the transaction: this waits for those who are adding, and they for that.
            async with archive.writing() as connection:
                await mending.give_up(connection, left_over)
    return done
