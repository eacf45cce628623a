"""What the index keeps of an instance: the columns that Search matches, and all that is returned.

What is matched is in the normal forms of `app.dicom.matched`, what is returned is as it was stored.
A value that has no normal form (a date of 99999999) is returned all the same, and whoever stored
it hears of it.
"""

from typing import Any

from app.dicom.attributes import Level
from app.dicom.dataset import Problem
from app.dicom.instance import SopInstance
from app.dicom.jsonmodel import dumps, level_attributes, pack
from app.dicom.matched import Json, level_columns
from app.fingerprint import Fingerprint
from app.index.instances import NewInstance
from app.index.reservations import ReservedKey


def new_instance(
    sop: SopInstance,
    *,
    key: ReservedKey,
    length: int,
    fingerprint: Fingerprint,
    received_sha256: bytes | None = None,
) -> tuple[NewInstance, tuple[Problem, ...]]:
    """The row of an instance, and what is wrong with the values that are matched.

    `received_sha256`: of the file that it was made of, if it was changed.
    """
    attributes = sop.dataset.attributes
    problems: list[Problem] = []
    columns = {}
    for level in Level:
        columns[level], unmatched = level_columns(attributes, level)
        problems += unmatched
    frames = sop.frames
    instance = NewInstance(
        study=columns[Level.STUDY] | _whole(attributes, Level.STUDY),
        series=columns[Level.SERIES] | _whole(attributes, Level.SERIES),
        study_instance_uid=sop.study_instance_uid,
        series_instance_uid=sop.series_instance_uid,
        sop_instance_uid=sop.sop_instance_uid,
        sop_class_uid=sop.sop_class_uid,
        transfer_syntax_uid=sop.transfer_syntax.uid,
        blob_key=key.blob_key,
        upload_id=key.upload_id,
        length=length,
        sha256=fingerprint.sha256,
        received_sha256=received_sha256,
        crc32=fingerprint.crc32,
        metadata_json=pack(attributes),
        instance_number=columns[Level.INSTANCE]["instance_number"],
        rows=columns[Level.INSTANCE]["rows"],
        columns=columns[Level.INSTANCE]["columns"],
        bits_allocated=columns[Level.INSTANCE]["bits_allocated"],
        bulk=sop.dataset.bulk,
        number_of_frames=frames.number_of_frames if frames else None,
        pixel_offset=frames.pixel_offset if frames else None,
        pixel_length=frames.pixel_length if frames else None,
        frame_bits=frames.frame_bits if frames else None,
        frame_table=frames.table if frames else None,
    )
    return instance, tuple(problems)


def _whole(attributes: Json, level: Level) -> dict[str, Any]:
    return {"attributes": dumps(level_attributes(attributes, level))}
