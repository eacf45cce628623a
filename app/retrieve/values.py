"""The attributes of one instance, and its values that lie outside of them, to work with."""

import asyncio
from collections.abc import Container, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

import orjson

from app.archive import Archive
from app.dicom import longjson
from app.dicom.dataset import Attributes
from app.dicom.encoding import WORD_BYTES
from app.dicom.jsonmodel import unpack_short
from app.dicom.uids import transfer_syntax
from app.index.instances import StoredInstance, bulk_value
from app.index.visibility import Visibility
from app.retrieve.contents import origin_of
from app.retrieve.inflated import inflated
from app.retrieve.stream import Reader, reworked

_LARGEST_VALUE = 16 * 1024 * 1024  # an overlay over as many pixels as are rendered has half of that
_SHORT_BYTES = 256 * 1024  # of JSON: reading more would hold up the event loop


async def read_attributes(
    packed: bytes,
    wanted: Container[str] | None = None,
    frames: Container[int] | None = None,
    *,
    first: bool = False,
) -> Attributes:
    """The DICOM JSON that is kept compressed, as `app.dicom.longjson.loads` reads it."""
    if (json := unpack_short(packed, _SHORT_BYTES)) is not None:
        whole: Attributes = orjson.loads(json)
        return whole
    return await asyncio.to_thread(longjson.loads, packed, wanted, frames, first=first)


def whole_reader(archive: Archive, instance: StoredInstance) -> AbstractAsyncContextManager[Reader]:
    """Where the spans of the instance can be read, for as long as the context lasts."""
    if transfer_syntax(instance.transfer_syntax_uid).deflated:
        return inflated(archive, instance)
    return nullcontext(archive.blobs)


async def bulk_values(
    archive: Archive,
    visibility: Visibility,
    instance: StoredInstance,
    reader: Reader,
    paths: Sequence[str],
) -> dict[str, bytes]:
    """The values at these paths, as little endian; one of great length is left out."""
    if not paths:
        return {}
    async with archive.reading() as connection:
        values = [await bulk_value(connection, visibility, instance.id, path) for path in paths]
    big_endian = transfer_syntax(instance.transfer_syntax_uid).big_endian
    found = {}
    for value in values:
        if value.span.length > _LARGEST_VALUE:
            continue
        data = await reader.read(instance.blob_key, value.span.shifted(origin_of(instance)))
        word = WORD_BYTES.get(value.vr, 1) if big_endian else 1
        found[value.path] = reworked(data, word, 0, 8 * len(data))
    return found
