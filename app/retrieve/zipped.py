"""Instances as the members of a ZIP archive (PS3.18 8.7.3.3), written while they are read.

Members are called by UIDs, `study/series/instance.dcm`: those are safe names on every system, and
tell nobody whose images they are.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable

from app.archive import Archive
from app.retrieve.inflated import reader_of
from app.retrieve.lost import read_runs
from app.retrieve.plan import Part, Plan
from app.retrieve.recoded import content_pieces
from app.web.zipping import ZipWriter, zip_length

_LONG_BYTES = 64 * 1024  # adding them to a checksum would hold up the event loop


async def zip_pieces(archive: Archive, plan: Plan) -> AsyncGenerator[bytes]:
    """The archive, in pieces that it takes one read or more to make."""
    writer = ZipWriter()
    async with reader_of(archive, plan) as reader:
        async for run, read in read_runs(plan.parts, reader):
            if read is not None:
                yield await asyncio.to_thread(_members, writer, run, read)
                continue
            (part,) = run
            pieces = content_pieces(archive, part.content, reader)
            piece = await anext(pieces, None)  # what cannot be begun can still be told
            yield writer.begin(_name(part), part.instance.created_at, part.content.length)
            while piece is not None:
                if len(piece) < _LONG_BYTES:
                    writer.add(piece)
                else:
                    await asyncio.to_thread(writer.add, piece)
                yield piece
                piece = await anext(pieces, None)
            yield writer.end()
    yield writer.finish()


def length_of_zip(plan: Plan) -> int | None:
    """Of the archive, if it can be known before the instances have been read."""
    members = []
    for part in plan.parts:
        if part.content.length is None:
            return None
        members.append((_name(part), part.content.length))
    return zip_length(members)


def _members(writer: ZipWriter, parts: Iterable[Part], read: Iterable[bytes]) -> bytes:
    written = []
    for part, data in zip(parts, read, strict=True):
        head = writer.begin(_name(part), part.instance.created_at, part.content.length)
        writer.add(data)
        written += [head, data, writer.end()]
    return b"".join(written)


def _name(part: Part) -> str:
    one = part.instance
    series = f"{one.study_instance_uid}/{one.series_instance_uid}"
    return f"{series}/{one.sop_instance_uid}.dcm"
