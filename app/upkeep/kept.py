"""Is the metadata of series that is kept to be sent what their instances say?

It is made again from the instances, a page at a time, and compared by length and CRC-32 with what
is kept, which is inflated a piece at a time.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version

from app.archive import Archive
from app.dicom.jsonmodel import absolute, unpack
from app.index import checking, mending
from app.index.database import Connection
from app.index.instances import metadata_of
from app.index.series_metadata import members_of
from app.index.visibility import Visibility
from app.upkeep.findings import Fault, Finding, Found, Mend

_PAGE = 32
_PIECE = 1024 * 1024


@dataclass
class _Sum:
    """Of JSON that passes by."""

    length: int = 0
    crc32: int = 0

    def add(self, json: bytes) -> None:
        self.length += len(json)
        self.crc32 = zlib.crc32(json, self.crc32)


async def check_kept(archive: Archive, kept: checking.CheckedKept) -> Found | None:
    """What is wrong with what is kept of a series, if somebody could be sent it."""
    recipe, _, base = kept.form.partition(" ")
    if recipe != version("hilum"):
        return None
    visibility = Visibility(kept.partition_id)
    async with archive.snapshot() as connection:
        deflated = await checking.kept_of(connection, kept.series_id)
        if deflated is None:
            return None
        url = f"{base}/studies/{kept.study_instance_uid}/series/{kept.series_instance_uid}"
        made = await _made(connection, visibility, kept.series_id, url)
    said = (deflated.length, deflated.crc32)
    try:
        held = _Sum()
        for piece in _inflated(deflated.blocks):
            held.add(piece)
    except zlib.error:
        held = _Sum(-1)
    if said == (held.length, held.crc32) == (made.length, made.crc32):
        return None
    finding = Finding(
        Fault.KEPT_METADATA,
        kept.partition_id,
        "what is kept of its metadata is not what its instances say",
        kept.study_instance_uid,
        kept.series_instance_uid,
    )
    return finding, _dropping(archive, kept.series_id)


async def _made(
    connection: Connection, visibility: Visibility, series_id: int, series_url: str
) -> _Sum:
    made = _Sum()
    members = (await members_of(connection, visibility, [series_id]))[series_id]
    for start in range(0, len(members), _PAGE):
        page = members[start : start + _PAGE]
        packed = await metadata_of(connection, visibility, [one.id for one in page])
        for one in page:
            made.add(b"," if made.length else b"")
            url = f"{series_url}/instances/{one.sop_instance_uid}"
            made.add(absolute(unpack(packed[one.id]), url))
    return made


def _inflated(blocks: bytes) -> Iterator[bytes]:
    inflator = zlib.decompressobj(-zlib.MAX_WBITS)
    rest = blocks
    while piece := inflator.decompress(rest, _PIECE):
        rest = inflator.unconsumed_tail
        yield piece


def _dropping(archive: Archive, series_id: int) -> Mend:
    async def mend() -> None:
        async with archive.writing() as connection:
            await mending.drop_kept_metadata(connection, series_id)

    return mend
