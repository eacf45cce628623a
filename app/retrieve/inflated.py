"""Instances that were stored deflated: inflated into a temporary file, where spans can be read.

The spans of their rows count in the inflated file: preamble and File Meta as they are, then the
data set inflated (PS3.5 A.5). All of it is read for the smallest span, and so compared as well: a
deflated data set tells nothing of its damages itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from app.archive import Archive
from app.blobs.contract import CHUNK
from app.blobs.spool import Spool, spool_directory
from app.dicom.dataset import Unreadable
from app.dicom.deflate import Inflater
from app.errors import Corrupt
from app.index.instances import StoredInstance
from app.retrieve.contents import whole_of
from app.retrieve.plan import Plan
from app.retrieve.stream import Reader, read_pieces
from app.span import Span


def reader_of(archive: Archive, plan: Plan) -> AbstractAsyncContextManager[Reader]:
    """Where the spans of the plan can be read, for as long as the context lasts."""
    if plan.is_inflated:
        return inflated(archive, plan.parts[0].instance)
    return nullcontext(archive.blobs)


@asynccontextmanager
async def inflated(archive: Archive, instance: StoredInstance) -> AsyncIterator["Spooled"]:
    """Where spans of one deflated instance can be read, for as long as the context lasts."""
    limits = archive.settings.limits
    directory = spool_directory(archive.settings.data_dir)
    with Spool(limits.spool_memory_bytes, directory, hashed=False) as spool:
        inflater = Inflater(spool, limits.inflated_bytes)
        try:
            async for piece in read_pieces(whole_of(instance), archive.blobs):
                await asyncio.to_thread(inflater.feed, piece)
            inflater.finish()
        except Unreadable as error:
            raise Corrupt(f"The stored object cannot be inflated: {error}") from error
        yield Spooled(spool)


class Spooled:
    """Reads the spans of a spooled file, in threads where it lies on disk."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    @property
    def size(self) -> int:
        """Of the whole file, in bytes."""
        return self._spool.size

    async def read(self, key: str, span: Span) -> bytes:
        if self._spool.path is None:
            data = self._spool.read_at(span.offset, span.length)
        else:
            data = await asyncio.to_thread(self._spool.read_at, span.offset, span.length)
        if len(data) < span.length:
            raise Corrupt(f"The inflated object {key} is shorter than its index says.")
        return data

    async def stream(self, key: str, span: Span) -> AsyncIterator[bytes]:
        for offset in range(span.offset, span.end, CHUNK):
            yield await self.read(key, Span(offset, min(CHUNK, span.end - offset)))
