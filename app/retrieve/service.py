"""The Retrieve transaction: what a path names is located, and what will be sent of it is planned.

A connection is held for the statements alone; a plan is carried out without one.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import structlog

from app.archive import Archive
from app.dicom.encoding import WORD_BYTES
from app.dicom.mediatypes import ZIP, MediaRange, asks_for_dicomdir, asks_for_values
from app.dicom.uids import TRANSFER_SYNTAXES
from app.errors import NotAcceptable, NotFound
from app.index.database import Connection
from app.index.instances import (
    BulkValue,
    StoredInstance,
    bulk_value,
    frame_table,
    locate,
    locate_frames,
    metadata_of,
)
from app.index.visibility import Visibility
from app.retrieve.bulkdata import PIXEL_DATA, plan_all_values
from app.retrieve.plan import Plan, plan_frames, plan_instances, plan_recoded_frames
from app.retrieve.recodable import asks_for_recoding, find_recodable
from app.retrieve.value_plans import (
    plan_bulk_value,
    plan_compressed_pixels,
    word_of_pixels,
)
from app.retrieve.values import read_attributes
from app.span import Span

_PATH = re.compile(r"[0-9A-F]{8}(?:/[0-9]{1,9}/[0-9A-F]{8})*")


@dataclass(frozen=True, slots=True)
class Target:
    """What a path names: a study, or a series or an instance in it."""

    study_instance_uid: str
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None

    @property
    def is_instance(self) -> bool:
        """Whether an instance is named, which can be the whole body of a message."""
        return self.sop_instance_uid is not None

    @property
    def uids(self) -> list[str]:
        """Those that are named, of the study first."""
        uids = self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid
        return [uid for uid in uids if uid is not None]


async def retrieve_instances(
    archive: Archive, visibility: Visibility, target: Target, accepted: Sequence[MediaRange]
) -> Plan:
    """Every instance of the target. Raises `NotFound`, `NotAcceptable`.

    Of a study or a series those whose bytes are lost are left out, if there are others. Of an
    instance the bulk data are sent to who asks for octets, as older editions had it.
    """
    found = await locate_target(archive, visibility, target)
    if target.is_instance:
        try:
            return await planned(archive, visibility, found, accepted, single=True)
        except NotAcceptable:
            if not asks_for_values(accepted):
                raise
            return await plan_all_values(archive, visibility, found, accepted, pixels_only=False)
    readable = await _readable(archive, found) or found
    plan = await planned(archive, visibility, readable, accepted, single=False)
    return replace(plan, left_out=len(found) - len(readable))


async def _readable(
    archive: Archive, instances: Sequence[StoredInstance]
) -> Sequence[StoredInstance]:
    lengths = {one.blob_key: one.blob_offset + one.length for one in instances}
    lost = await archive.blobs.lost(lengths)
    if not lost:
        return instances
    structlog.get_logger().error("retrieve.lost", blobs=sorted(lost))
    return [one for one in instances if one.blob_key not in lost]


async def planned(
    archive: Archive,
    visibility: Visibility,
    instances: Sequence[StoredInstance],
    accepted: Sequence[MediaRange],
    *,
    single: bool,
) -> Plan:
    """As `plan_instances`, with those recoded that cannot be sent otherwise.

    A ZIP archive with a DICOMDIR, if that is asked for.
    """
    try:
        plan = plan_instances(instances, accepted, single=single)
    except NotAcceptable:
        if not asks_for_recoding(accepted):
            raise
        recodable = await find_recodable(archive, visibility, instances)
        plan = plan_instances(instances, accepted, single=single, recodable=recodable)
    if plan.offer.media_type == ZIP and asks_for_dicomdir(accepted):
        return replace(plan, directory_for=visibility)
    return plan


async def retrieve_frames(
    archive: Archive,
    visibility: Visibility,
    target: Target,
    numbers: Sequence[int],
    accepted: Sequence[MediaRange],
) -> Plan:
    """Frames of an instance, by their 1-based numbers. Raises `NotFound`, `NotAcceptable`."""
    async with archive.reading() as connection:
        found = await locate_frames(connection, visibility, numbers, *target.uids)
        if found is None:
            raise NotFound
        instance, entries = found
        require_frames(instance, max(numbers))
        word = 1
        if TRANSFER_SYNTAXES[instance.transfer_syntax_uid].big_endian:
            element = await _pixel_element(connection, visibility, instance)
            word = word_of_pixels(instance, element["vr"])
    spans = [entries[number] for number in numbers] if instance.encapsulated else ()
    try:
        return plan_frames(instance, numbers, spans, accepted, word)
    except NotAcceptable:
        if not asks_for_recoding(accepted):
            raise
    recodable = await find_recodable(archive, visibility, [instance])
    return plan_recoded_frames(instance, numbers, accepted, recodable.get(instance.id))


async def retrieve_bulk_value(
    archive: Archive,
    visibility: Visibility,
    target: Target,
    path: str,
    accepted: Sequence[MediaRange],
) -> Plan:
    """The value of an instance that a BulkDataURI names. Raises `NotFound`, `NotAcceptable`.

    `path`: tags and 0-based numbers of items, as `00480105/0/00282000`.
    """
    path = path.upper()
    if not _PATH.fullmatch(path):
        raise NotFound("There is no bulk value at this path.")
    async with archive.reading() as connection:
        (instance,) = await _locate(connection, visibility, target)
        if path not in PIXEL_DATA:
            value = await bulk_value(connection, visibility, instance.id, path)
            return plan_bulk_value(instance, value, accepted, WORD_BYTES.get(value.vr, 1))
        element = await _pixel_element(connection, visibility, instance, path)
        if instance.encapsulated:
            require_frames(instance, 1)
            entries = await frame_table(connection, visibility, instance.id)
    if instance.encapsulated:
        try:
            return plan_compressed_pixels(instance, path, entries, accepted)
        except NotAcceptable:
            if not asks_for_recoding(accepted):
                raise
        recodable = await find_recodable(archive, visibility, [instance])
        source = recodable.get(instance.id)
        return plan_compressed_pixels(instance, path, entries, accepted, source)
    assert instance.pixel_offset is not None
    assert instance.pixel_length is not None
    vr = element["vr"]
    value = BulkValue(path, vr, Span(instance.pixel_offset, instance.pixel_length))
    return plan_bulk_value(instance, value, accepted, word_of_pixels(instance, vr))


async def retrieve_bulk_data(
    archive: Archive,
    visibility: Visibility,
    target: Target,
    accepted: Sequence[MediaRange],
    *,
    pixels_only: bool = False,
) -> Plan:
    """Every bulk value of the target, or its pixel data. Raises `NotFound`, `NotAcceptable`."""
    found = await locate_target(archive, visibility, target)
    return await plan_all_values(archive, visibility, found, accepted, pixels_only=pixels_only)


async def locate_target(
    archive: Archive, visibility: Visibility, target: Target
) -> list[StoredInstance]:
    """Every instance of the target, in the order of the study's images. Raises `NotFound`."""
    async with archive.reading() as connection:
        return await _locate(connection, visibility, target)


async def _locate(
    connection: Connection, visibility: Visibility, target: Target
) -> list[StoredInstance]:
    found = await locate(connection, visibility, *target.uids)
    if not found:
        raise NotFound
    return found


def require_frames(instance: StoredInstance, number: int) -> None:
    """Raise `NotFound` unless the instance has a frame of this number."""
    if instance.number_of_frames is None:
        raise NotFound("The instance has no pixel data.")
    if number > instance.number_of_frames:
        raise NotFound(f"There is no frame {number}: the instance has {instance.number_of_frames}.")


async def _pixel_element(
    connection: Connection,
    visibility: Visibility,
    instance: StoredInstance,
    path: str | None = None,
) -> dict[str, Any]:
    """Pixel data as the DICOM JSON has it. `path`: which of its tags, where that is asked."""
    packed = await metadata_of(connection, visibility, [instance.id])
    wanted = PIXEL_DATA if path is None else (path,)
    attributes = await read_attributes(packed[instance.id], wanted) if packed else {}
    for tag in wanted:
        if tag in attributes and instance.pixel_offset is not None:
            element: dict[str, Any] = attributes[tag]
            return element
    raise NotFound("The instance has no such pixel data.")
