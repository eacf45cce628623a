"""Instances of which parts are read one by one, after all of it is known to be what was stored.

Parts have no fingerprint of their own. What is small is read once and held in memory; of the rest
no more than a piece is held, and its parts are read from the store of blobs once more.
"""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from app.archive import Archive
from app.blobs.contract import CHUNK
from app.dicom.uids import transfer_syntax
from app.errors import Corrupt
from app.index.instances import StoredInstance
from app.retrieve.contents import is_small, whole_of
from app.retrieve.inflated import inflated
from app.retrieve.stream import Reader, read_pieces, read_small
from app.span import Span

HELD_BYTES = 4 * CHUNK
"""An instance of at most so many bytes is held in memory."""


@asynccontextmanager
async def compared(
    archive: Archive, instance: StoredInstance
) -> AsyncGenerator[tuple[Reader, Span]]:
    """Where spans of the instance can be read, and from where to where it lies there.

    Raises `Corrupt` if it is not what was stored.
    """
    whole = whole_of(instance)
    if transfer_syntax(instance.transfer_syntax_uid).deflated:
        async with inflated(archive, instance) as spooled:
            yield spooled, Span(0, spooled.size)
    elif is_small(whole, HELD_BYTES):
        (data,) = await read_small([whole], archive.blobs)
        yield _Held(data, whole.span.offset), whole.span
    else:
        async for _ in read_pieces(whole, archive.blobs):
            pass
        yield archive.blobs, whole.span


class _Held:
    """Reads spans of a blob of which these bytes, from `first` on, are in memory."""

    def __init__(self, data: bytes, first: int) -> None:
        self._data = data
        self._first = first

    async def read(self, key: str, span: Span) -> bytes:
        data = self._data[span.offset - self._first : span.end - self._first]
        if len(data) < span.length:
            raise Corrupt(f"The object in {key} is shorter than its index says.")
        return data

    async def stream(self, key: str, span: Span) -> AsyncIterator[bytes]:
        for offset in range(span.offset, span.end, CHUNK):
            yield await self.read(key, Span(offset, min(CHUNK, span.end - offset)))
