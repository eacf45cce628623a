"""Instances as the members of a ZIP archive (PS3.18 8.7.3.3), written while they are read.

Members are called by UIDs, `study/series/instance.dcm`, or by File IDs: those are safe names on
every system, and tell nobody whose images they are.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import aclosing

from app.archive import Archive
from app.retrieve.file_set import DIRECTORY_NAME, directory_pieces, member_names
from app.retrieve.inflated import reader_of
from app.retrieve.lost import read_runs
from app.retrieve.plan import Part, Plan
from app.retrieve.recoded import content_pieces
from app.web.zipping import ZipWriter, zip_length

_LONG_BYTES = 64 * 1024  # adding them to a checksum would hold up the event loop


async def zip_pieces(archive: Archive, plan: Plan, uid: str) -> AsyncGenerator[bytes]:
    """The archive, in pieces that it takes one read or more to make. `uid`: of a DICOMDIR."""
    writer, names = ZipWriter(), member_names(plan)
    async with reader_of(archive, plan) as reader:
        async for run, read in read_runs(plan.parts, reader):
            if read is not None:
                yield await asyncio.to_thread(_members, writer, names, run, read)
                continue
            (part,) = run
            pieces = content_pieces(archive, part.content, reader)
            first = await anext(pieces, b"")  # what cannot be begun can still be told
            yield writer.begin(next(names), part.instance.created_at, part.content.length)
            async for piece in _member(writer, first, pieces):
                yield piece
    if plan.directory_for is not None:
        newest = max(part.instance.created_at for part in plan.models)
        yield writer.begin(DIRECTORY_NAME, newest, None)
        directory = directory_pieces(archive, plan, plan.directory_for, uid)
        async for piece in _member(writer, b"", directory):
            yield piece
    yield writer.finish()


async def _member(
    writer: ZipWriter, first: bytes, pieces: AsyncGenerator[bytes]
) -> AsyncGenerator[bytes]:
    """The bytes of a member that has begun, and what comes after them."""
    async with aclosing(pieces):
        piece: bytes | None = first
        while piece is not None:
            if len(piece) < _LONG_BYTES:
                writer.add(piece)
            else:
                await asyncio.to_thread(writer.add, piece)
            yield piece
            piece = await anext(pieces, None)
    yield writer.end()


def length_of_zip(plan: Plan) -> int | None:
    """Of the archive, if it can be known before the instances have been read."""
    if plan.directory_for is not None:
        return None
    members = []
    for name, part in zip(member_names(plan), plan.parts, strict=True):
        if part.content.length is None:
            return None
        members.append((name, part.content.length))
    return zip_length(members)


def _members(
    writer: ZipWriter, names: Iterator[str], parts: Iterable[Part], read: Iterable[bytes]
) -> bytes:
    written = []
    for part, data in zip(parts, read, strict=True):
        head = writer.begin(next(names), part.instance.created_at, part.content.length)
        writer.add(data)
        written += [head, data, writer.end()]
    return b"".join(written)
