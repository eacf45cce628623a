"""The metadata of instances as one JSON array (PS3.18 10.4.1.1.2), made of what Store kept ready.

Rules:
- The JSON of each instance is joined to that of the others as bytes; none is parsed.
- However many instances there are, a page of them and 1 MiB of their JSON is in memory, and no
  connection is held while that is sent.
- BulkDataURIs become absolute on the way out, below the URL of their instance.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence

from app.archive import Archive
from app.blobs.contract import CHUNK
from app.dicom.jsonmodel import absolute, unpack
from app.errors import NotFound
from app.index.instances import StoredInstance, metadata_of
from app.index.visibility import Visibility
from app.retrieve.plan import instance_path

PAGE = 32
"""Instances whose JSON is read by one statement."""

_LONG_BYTES = 64 * 1024  # of compressed JSON: inflating it would hold up the event loop


def metadata_validator(instances: Sequence[StoredInstance], representation: str) -> str:
    """32 hex digits that change with any of the instances, and with what is told of them."""
    digest = hashlib.blake2b(representation.encode(), digest_size=16)
    for instance in instances:
        digest.update(f"\n{instance_path(instance)} {instance.version} ".encode())
        digest.update(instance.sha256)
    return digest.hexdigest()


async def metadata(
    archive: Archive, visibility: Visibility, instances: Sequence[StoredInstance], base: str
) -> AsyncGenerator[bytes]:
    """The JSON array with an object of each of the instances, in their order and in pieces.

    `base` is the DICOMweb base URL. Raises `NotFound` if an instance has been deleted since.
    """
    pieces, size = [b"["], 0
    for start in range(0, len(instances), PAGE):
        page = instances[start : start + PAGE]
        async with archive.reading() as connection:
            packed = await metadata_of(connection, visibility, [one.id for one in page])
        for number, instance in enumerate(page, start):
            if instance.id not in packed:
                raise NotFound(f"Instance {instance.sop_instance_uid} has just been deleted.")
            text = await _unpacked(packed[instance.id])
            pieces += (b"," if number else b"", absolute(text, base + instance_path(instance)))
            size += len(text)
            if size >= CHUNK:
                yield b"".join(pieces)
                pieces, size = [], 0
    yield b"".join([*pieces, b"]"])


async def _unpacked(packed: bytes) -> bytes:
    if len(packed) < _LONG_BYTES:
        return unpack(packed)
    return await asyncio.to_thread(unpack, packed)
