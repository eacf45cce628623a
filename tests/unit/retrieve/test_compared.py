"""Instances that are compared as a whole, and then read in parts."""

import hashlib
import os
import zlib
from types import SimpleNamespace
from typing import cast

import pytest

from app.archive import Archive
from app.errors import Corrupt
from app.index.instances import StoredInstance
from app.retrieve.compared import HELD_BYTES, compared
from app.span import Span
from tests.unit.retrieve.rows import stored_instance
from tests.unit.retrieve.test_stream import Blob

BEFORE = 100
"""Bytes of another instance in the same blob."""


def archive_of(blob: Blob) -> Archive:
    return cast(Archive, SimpleNamespace(blobs=blob))


def instance_of(data: bytes) -> StoredInstance:
    return stored_instance(
        blob_offset=BEFORE,
        length=len(data),
        sha256=hashlib.sha256(data).digest(),
        crc32=zlib.crc32(data),
    )


@pytest.mark.parametrize(("size", "reads"), [(HELD_BYTES, 1), (HELD_BYTES + 1, 5 + 1 + 5)])
async def test_what_is_small_is_read_once(size: int, reads: int) -> None:
    data = os.urandom(size)
    blob = Blob(bytes(BEFORE) + data + b"after")
    async with compared(archive_of(blob), instance_of(data)) as (reader, whole):
        assert whole == Span(BEFORE, size)
        assert await reader.read("a", Span(BEFORE + 7, 9)) == data[7:16]
        assert b"".join([piece async for piece in reader.stream("a", whole)]) == data
        if reads == 1:
            with pytest.raises(Corrupt):
                await reader.read("a", Span(BEFORE + size - 1, 2))
    assert len(blob.spans) == reads


@pytest.mark.parametrize("size", [HELD_BYTES, HELD_BYTES + 1])
async def test_nothing_is_read_in_what_is_not_as_it_was_stored(size: int) -> None:
    data = os.urandom(size)
    turned = data[:-1] + bytes([data[-1] ^ 1])
    with pytest.raises(Corrupt):
        async with compared(archive_of(Blob(bytes(BEFORE) + turned)), instance_of(data)):
            pytest.fail("it is given out")
