"""Do the columns of instances, series and studies say what their attributes say?

An instance is looked at by itself: its bytes are not walked again, but what was found in them at
Store must agree, and lie within them.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import orjson

from app.archive import Archive
from app.dicom.attributes import Level
from app.dicom.jsonmodel import unpack
from app.dicom.matched import level_columns
from app.dicom.uids import TRANSFER_SYNTAXES
from app.index import mending
from app.index.checking import CheckedInstance, CheckedParent, Details
from app.upkeep.findings import Fault, Finding, Found, Mend

_IDENTITY = {
    "00080016": "sop_class_uid",
    "00080018": "sop_instance_uid",
    "0020000D": "study_instance_uid",
    "0020000E": "series_instance_uid",
}
_ENTRY_BYTES = 16


def check_instance(
    archive: Archive, instance: CheckedInstance, details: Details
) -> Iterator[Found]:
    """What is wrong with the row of an instance."""
    if instance.shared:
        what = "bytes of its blob belong to another instance too"
        yield Finding.of(Fault.BLOB_SHARED, instance, what), None
    for what in _contradictions(instance, details):
        yield Finding.of(Fault.ROW, instance, what), None
    try:
        attributes = orjson.loads(unpack(details.metadata_json))
        columns, _ = level_columns(attributes, Level.INSTANCE)
        identity = {c: attributes.get(tag, {}).get("Value") for tag, c in _IDENTITY.items()}
    # However it is broken (compression, JSON, no text, no elements), it is broken.
    except Exception:
        yield Finding.of(Fault.ROW, instance, "its metadata cannot be read"), None
        return
    for column, values in identity.items():
        if values != [getattr(instance, column)]:
            what = f"{column} is not the one in its metadata"
            yield Finding.of(Fault.ROW, instance, what), None
    wrong = {n: value for n, value in columns.items() if getattr(instance, n) != value}
    if wrong:
        finding = Finding.of(Fault.COLUMNS, instance, _named(wrong))
        source = details.metadata_json
        yield finding, _setting(archive, "instance", instance.id, wrong, source)


def check_parent(archive: Archive, parent: CheckedParent) -> Iterator[Found]:
    """What is wrong with what a study or a series says of itself; counts are another matter."""
    level = Level.STUDY if parent.series_instance_uid is None else Level.SERIES
    place = (parent.study_instance_uid, parent.series_instance_uid)
    try:
        columns, _ = level_columns(orjson.loads(parent.attributes), level)
    # However they are broken (JSON, no elements), they are broken.
    except Exception:
        what = f"the attributes of the {level} cannot be read"
        yield Finding(Fault.ROW, parent.partition_id, what, *place), None
        return
    wrong = {name: value for name, value in columns.items() if parent.columns[name] != value}
    if wrong:
        finding = Finding(Fault.COLUMNS, parent.partition_id, _named(wrong), *place)
        yield finding, _setting(archive, level.value, parent.id, wrong, parent.attributes)


def _contradictions(instance: CheckedInstance, details: Details) -> Iterator[str]:
    table = details.frame_table
    if table is not None and len(table) != _ENTRY_BYTES * (instance.number_of_frames or 0):
        yield "its frame table is not as long as it has frames"
        table = None
    # What is stored deflated is longer once it is inflated, where the offsets count.
    syntax = TRANSFER_SYNTAXES.get(instance.transfer_syntax_uid)
    if syntax is not None and syntax.deflated:
        return
    try:
        ends = [offset + length for _, _, offset, length in details.bulk]
    except (TypeError, ValueError):
        yield "where its values lie cannot be read"
        return
    if instance.pixel_offset is not None:
        ends.append(instance.pixel_offset + (instance.pixel_length or 0))
    if table:
        frames = np.frombuffer(table, ">u8").reshape(-1, 2)
        ends.append(int(frames.sum(axis=1).max()))
    if ends and max(ends) > instance.length:
        yield f"values or frames reach to byte {max(ends)} of {instance.length}"


def _named(wrong: Mapping[str, Any]) -> str:
    """Which columns they are; never their values, which may name a patient."""
    return f"not as in the attributes: {', '.join(sorted(wrong))}"


def _setting(
    archive: Archive, kind: str, row_id: int, columns: Mapping[str, Any], source: bytes
) -> Mend:
    async def mend() -> None:
        async with archive.writing() as connection:
            await mending.set_columns(connection, kind, row_id, columns, source)

    return mend
