"""Which instances can be sent with other pixels than the stored ones, found out when that is asked.

That takes the metadata and the frame table of each, which nothing else on this path needs.
"""

import asyncio
from collections.abc import Sequence

from app.archive import Archive
from app.dicom.description import PixelDescription, describe
from app.dicom.longjson import loads
from app.dicom.mediatypes import (
    MediaRange,
    as_zip,
    choose,
    recoded_dicom_offers,
    recoded_frame_offers,
)
from app.dicom.pixels import DECODED
from app.dicom.recoding import NATIVE_TARGETS, TARGETS, Recoding, targets
from app.errors import Unprocessable
from app.index.instances import StoredInstance, frame_tables, metadata_of
from app.index.visibility import Visibility
from app.retrieve.plan import Recodable

_PAGE = 32
_LONGEST_VALUE = 2**32 - 2
_RECODED = (
    *recoded_dicom_offers(TARGETS, single=True),
    *as_zip(recoded_dicom_offers(TARGETS, single=True)),
    *recoded_frame_offers(TARGETS, single=True),
)
"""Whatever can be made anew."""


def asks_for_recoding(accepted: Sequence[MediaRange]) -> bool:
    """Whether anything that is made anew is accepted."""
    return choose(accepted, _RECODED) is not None


async def find_recodable(
    archive: Archive, visibility: Visibility, instances: Sequence[StoredInstance]
) -> dict[int, Recodable]:
    """Those of the instances whose frames can be decoded, by their ids."""
    decodable = [
        one for one in instances if one.number_of_frames and one.transfer_syntax_uid in DECODED
    ]
    found: dict[int, Recodable] = {}
    for start in range(0, len(decodable), _PAGE):
        page = decodable[start : start + _PAGE]
        ids = [one.id for one in page]
        async with archive.reading() as connection:
            packed = await metadata_of(connection, visibility, ids)
            compressed = [one.id for one in page if one.encapsulated]
            tables = await frame_tables(connection, visibility, compressed) if compressed else {}
        for one in page:
            if one.id not in packed or (one.encapsulated and one.id not in tables):
                continue  # it has just been deleted, and the others are there
            described = await asyncio.to_thread(_described, one, packed[one.id])
            if described is not None:
                found[one.id] = Recodable(*described, tables.get(one.id))
    return found


def _described(
    instance: StoredInstance, packed: bytes
) -> tuple[PixelDescription, tuple[str, ...]] | None:
    assert instance.number_of_frames is not None
    attributes = loads(packed, frames=(), first=True)
    try:
        description = describe(attributes, instance.transfer_syntax_uid)
    except Unprocessable:
        return None
    said = attributes.get("00280008", {}).get("Value", [1])[0]
    if said != instance.number_of_frames:
        return None  # frames that cannot be found would be missing
    possible = targets(description, attributes)
    native = Recoding(description, NATIVE_TARGETS[0])
    if native.native_bytes(instance.number_of_frames) > _LONGEST_VALUE:
        possible = tuple(uid for uid in possible if uid not in NATIVE_TARGETS)
    return description, possible
