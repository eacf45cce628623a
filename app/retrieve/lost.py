"""Instances whose bytes are missing or damaged, where that shows only when they are read.

Rules:
- As long as all can be read, nothing is done for it: no byte is read twice.
- An answer that cannot begin is planned again without them. One that has begun breaks off, after
  all that comes before the first of them.
"""

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace

import structlog

from app.archive import Archive
from app.blobs.contract import CHUNK, BlobMissing
from app.errors import Corrupt
from app.retrieve.contents import is_small
from app.retrieve.plan import PARTS_OF_RUN, Part, Plan, batches
from app.retrieve.recoded import content_pieces
from app.retrieve.stream import Reader, read_small

LOST = (BlobMissing, Corrupt)
"""What is raised where bytes are not there, or are not those that were stored."""


async def read_runs(
    parts: Iterable[Part], reader: Reader
) -> AsyncGenerator[tuple[Sequence[Part], list[bytes] | None]]:
    """The parts in runs, as `batches` makes them, and the bytes of each, or None of one too large.

    After the first run, one of which bytes are lost is given part by part, up to these.
    """
    begun = False
    for run in batches(parts):
        if not is_small(run[0].content):
            yield run, None
        else:
            try:
                read = await _bytes(run, reader)
            except LOST:
                if not begun:
                    raise
                for part in run:
                    yield (part,), await _bytes((part,), reader)
            else:
                yield run, read
        begun = True


async def _bytes(run: Sequence[Part], reader: Reader) -> list[bytes]:
    return await read_small([part.content for part in run], reader)


async def without_lost(archive: Archive, plan: Plan) -> Plan | None:
    """The plan without instances of which bytes are lost, so that an answer can begin.

    None if no other is left, or if none is lost after all. What an answer reads before it begins is
    looked at, and no more.
    """
    lost: dict[int, str] = {}
    passed, good = 0, 0
    for part in plan.parts:
        if not await _can_be_read(archive, part):
            lost[part.instance.id] = part.instance.blob_key
            continue
        passed, good = passed + part.content.span.length, good + 1
        if passed > CHUNK or good == PARTS_OF_RUN or not is_small(part.content):
            break
    structlog.get_logger().error("retrieve.lost", blobs=sorted(lost.values()))
    kept = tuple(part for part in plan.parts if part.instance.id not in lost)
    if not lost or not kept:
        return None
    return replace(plan, parts=kept, left_out=(plan.left_out or 0) + len(lost))


async def _can_be_read(archive: Archive, part: Part) -> bool:
    """Whether all of a small part can be read, or the beginning of a large one."""
    try:
        if is_small(part.content):
            await _bytes((part,), archive.blobs)
        else:
            async with aclosing(content_pieces(archive, part.content, archive.blobs)) as pieces:
                await anext(pieces, None)
    except LOST:
        return False
    return True
