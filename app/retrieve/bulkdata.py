"""The bulk data resources of studies, series and instances (PS3.18 10.4.1.1.4, 10.4.1.1.5).

Every bulk value, or all pixel data alone, as the parts of one message: what the BulkDataURIs of the
metadata name, in the order of the instances. Compressed pixel data is a part for each frame.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.archive import Archive
from app.dicom.encoding import WORD_BYTES
from app.dicom.mediatypes import MediaRange, Offer, values_offers
from app.dicom.uids import transfer_syntax
from app.errors import NotAcceptable, NotFound
from app.index.instances import (
    BulkValue,
    FrameTable,
    StoredInstance,
    bulk_values,
    frame_tables,
    metadata_of,
)
from app.index.visibility import Visibility
from app.retrieve.contents import Inflated, Plain, Reworked
from app.retrieve.plan import FrameParts, Part, PartsOfMany, Plan, Recodable, chosen
from app.retrieve.recodable import asks_for_recoding, find_recodable
from app.retrieve.value_plans import (
    decoded_offers,
    part_of_decoded,
    part_of_value,
    parts_of_compressed,
    word_of_pixels,
)
from app.retrieve.values import read_attributes
from app.span import Span

PIXEL_DATA = ("7FE00010", "7FE00008", "7FE00009")
"""Pixel Data, Float Pixel Data, Double Float Pixel Data: an instance has one of them at most."""

_PAGE = 32


@dataclass(frozen=True, slots=True)
class _Value:
    """One value of an instance; if it is compressed pixel data, with the table of its frames."""

    instance: StoredInstance
    value: BulkValue
    word: int
    entries: FrameTable | None = None

    @property
    def parts(self) -> int:
        """Of how many it is made."""
        return 1 if self.entries is None else len(self.entries)


async def plan_all_values(
    archive: Archive,
    visibility: Visibility,
    instances: Sequence[StoredInstance],
    accepted: Sequence[MediaRange],
    *,
    pixels_only: bool,
) -> Plan:
    """Send every bulk value of the instances, or their pixel data alone.

    Compressed pixel data are decoded where they are not acceptable otherwise. Raises `NotFound` if
    there is none, `NotAcceptable`.
    """
    found: list[_Value] = []
    for start in range(0, len(instances), _PAGE):
        page = instances[start : start + _PAGE]
        found += await _values(archive, visibility, page, pixels_only=pixels_only)
    if not found:
        raise NotFound("There is no pixel data." if pixels_only else "There is no bulk data.")
    single = len(found) == 1
    try:
        planned = [_planned(one, accepted, single=single) for one in found]
    except NotAcceptable:
        if not asks_for_recoding(accepted):
            raise
        compressed = [one.instance for one in found if one.entries is not None]
        sources = await find_recodable(archive, visibility, compressed)
        planned = [
            _planned(one, accepted, sources.get(one.instance.id), single=single) for one in found
        ]
    return Plan(planned[0][0], PartsOfMany([parts for _, parts in planned]))


async def _values(
    archive: Archive,
    visibility: Visibility,
    page: Sequence[StoredInstance],
    *,
    pixels_only: bool,
) -> list[_Value]:
    with_pixels = [one.id for one in page if one.pixel_offset is not None]
    compressed = [one.id for one in page if one.encapsulated and one.number_of_frames]
    async with archive.reading() as connection:
        bulk = {}
        if not pixels_only:
            bulk = await bulk_values(connection, visibility, [one.id for one in page])
        packed = await metadata_of(connection, visibility, with_pixels) if with_pixels else {}
        tables = await frame_tables(connection, visibility, compressed) if compressed else {}
    values: list[_Value] = []
    for one in page:
        swapped = transfer_syntax(one.transfer_syntax_uid).big_endian
        values += [
            _Value(one, value, WORD_BYTES.get(value.vr, 1) if swapped else 1)
            for value in bulk.get(one.id, ())
        ]
        if one.id in packed and (not one.encapsulated or one.id in tables):
            attributes = await read_attributes(packed[one.id], PIXEL_DATA)
            values += _pixels(one, attributes, tables.get(one.id))
    return values


def _pixels(
    instance: StoredInstance, attributes: dict[str, Any], entries: FrameTable | None
) -> Iterator[_Value]:
    assert instance.pixel_offset is not None
    assert instance.pixel_length is not None
    for tag in PIXEL_DATA:
        if tag in attributes:
            vr = attributes[tag]["vr"]
            span = Span(instance.pixel_offset, instance.pixel_length)
            word = word_of_pixels(instance, vr)
            yield _Value(instance, BulkValue(tag, vr, span), word, entries)
            return


def _planned(
    one: _Value,
    accepted: Sequence[MediaRange],
    source: Recodable | None = None,
    *,
    single: bool,
) -> tuple[Offer, tuple[Part, ...] | FrameParts]:
    """`single`: there is no other value. `source`: of compressed pixels that can be decoded."""
    stored = transfer_syntax(one.instance.transfer_syntax_uid)
    compressed = one.entries is not None
    offers = values_offers(stored, pixels=compressed, single=single and one.parts == 1)
    offer = chosen(accepted, (*offers, *decoded_offers(source, single=single)), stored)
    if compressed and not offer.as_stored:
        return offer, (part_of_decoded(one.instance, one.value.path, offer, source),)
    if one.entries is not None:
        return offer, parts_of_compressed(one.instance, one.value.path, one.entries, offer)
    part = part_of_value(one.instance, one.value, offer, one.word)
    if stored.deflated and isinstance(part.content, Plain | Reworked):
        part = replace(part, content=Inflated(one.instance, part.content))
    return offer, (part,)
