"""Instances that were stored deflated: inflated into a temporary file, where spans can be read.

The spans of their rows count in the inflated file: preamble and File Meta as they are, then the
data set inflated (PS3.5 A.5).
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext

from app.archive import Archive
from app.blobs.contract import CHUNK
from app.blobs.spool import Spool, spool_directory
from app.dicom.part10 import read_file_meta
from app.dicom.source import BytesSource
from app.errors import Corrupt, TooLarge
from app.index.instances import StoredInstance
from app.retrieve.plan import Plan
from app.retrieve.stream import Reader
from app.span import Span

_HEAD = 256 * 1024
"""Bytes of the file in which File Meta ends."""


def reader_of(archive: Archive, plan: Plan) -> AbstractAsyncContextManager[Reader]:
    """Where the spans of the plan can be read, for as long as the context lasts."""
    if plan.is_inflated:
        return _inflated(archive, plan.parts[0].instance)
    return nullcontext(archive.blobs)


@asynccontextmanager
async def _inflated(archive: Archive, instance: StoredInstance) -> AsyncIterator[Reader]:
    limits = archive.settings.limits
    directory = spool_directory(archive.settings.data_dir)
    with Spool(limits.spool_memory_bytes, directory) as spool:
        inflater = _Inflater(spool, limits.inflated_bytes)
        stored = Span(instance.blob_offset, instance.length)
        async for piece in archive.blobs.stream(instance.blob_key, stored):
            await asyncio.to_thread(inflater.feed, piece)
        inflater.finish()
        yield _Spooled(spool)


class _Inflater:
    """Writes the inflated file as the bytes of the stored one come."""

    def __init__(self, spool: Spool, most: int) -> None:
        self._spool = spool
        self._most = most
        self._head: bytes | None = b""
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)

    def feed(self, data: bytes) -> None:
        if self._head is None:
            self._inflate(data)
            return
        self._head += data
        if len(self._head) >= _HEAD:
            self._begin(self._head)

    def finish(self) -> None:
        if self._head is not None:
            self._begin(self._head)
        if not self._inflater.eof:
            raise Corrupt("The deflated data set of the stored object has no end.")

    def _begin(self, head: bytes) -> None:
        end = read_file_meta(BytesSource(head)).end
        self._head = None
        self._spool.write(head[:end])
        self._inflate(head[end:])

    def _inflate(self, data: bytes) -> None:
        while data and not self._inflater.eof:
            try:
                self._spool.write(self._inflater.decompress(data, CHUNK))
            except zlib.error as error:
                raise Corrupt("The deflated data set of the stored object is broken.") from error
            if self._spool.size > self._most:
                raise TooLarge(f"Inflated, the object is larger than {self._most} bytes.")
            data = self._inflater.unconsumed_tail


class _Spooled:
    """Reads the spans of a spooled file, in threads where it lies on disk."""

    def __init__(self, spool: Spool) -> None:
        self._spool = spool

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
