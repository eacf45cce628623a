"""Which frame stands for a study, a series or an instance, where one image is asked for."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from app.archive import Archive
from app.dicom.longjson import loads
from app.dicom.pixels import DECODED
from app.errors import NotFound
from app.index.instances import StoredInstance, locate, metadata_of
from app.index.instances.representing import representative
from app.index.visibility import Visibility
from app.retrieve.kinds import require_image
from app.retrieve.rendered import Frame
from app.retrieve.service import Target, locate_target

CANDIDATES = 6
"""Images of a slide among which one is looked for that shows it whole."""

_IMAGE_TYPE = "00080008"
_FLAVOURS = {"THUMBNAIL": 0, "OVERVIEW": 1, "VOLUME": 2, "LABEL": 4}
"""The third value of Image Type of a slide (PS3.3 C.8.12.4.1.1), the best one first.

A label comes last, since it may show the name of the patient.
"""
_OTHER_FLAVOUR = 3


async def representative_frame(archive: Archive, visibility: Visibility, target: Target) -> Frame:
    """The frame that is shown for the target. Raises `NotFound` if it has no image."""
    if target.sop_instance_uid is not None:
        (instance,) = await locate_target(archive, visibility, target)
        require_image(instance, 1)
        return middle_frame(instance)
    study, series = target.study_instance_uid, target.series_instance_uid
    async with archive.reading() as connection:
        found = await representative(connection, visibility, DECODED, study, series)
        if found is None:
            raise NotFound("There is no image that could be shown for it.")
        one = None if found.is_slide else found.sop_instance_uid
        images = await locate(connection, visibility, study, found.series_instance_uid, one)
        if not images:
            raise NotFound
        if not found.is_slide:
            return middle_frame(images[0])
        candidates = sorted(filter(_is_image, images), key=_number_of_frames)[:CANDIDATES]
        packed = await metadata_of(connection, visibility, [image.id for image in candidates])
    return middle_frame(overview(candidates, await asyncio.to_thread(_read, packed)))


def middle_frame(instance: StoredInstance) -> Frame:
    """The frame in the middle, since the first ones of a run or a stack show little."""
    return Frame(instance, (instance.number_of_frames or 1) // 2 + 1)


def overview(
    images: Sequence[StoredInstance], attributes: Mapping[int, Mapping[str, Any]]
) -> StoredInstance:
    """The image that shows a slide best, of those in order of their frames.

    `attributes`: the DICOM JSON of each by its id.
    """

    def rank(image: StoredInstance) -> int:
        values = attributes.get(image.id, {}).get(_IMAGE_TYPE, {}).get("Value") or []
        return _FLAVOURS.get(str(values[2]), _OTHER_FLAVOUR) if len(values) > 2 else _OTHER_FLAVOUR

    return min(images, key=rank)


def _number_of_frames(instance: StoredInstance) -> int:
    return instance.number_of_frames or 0


def _is_image(instance: StoredInstance) -> bool:
    return bool(instance.number_of_frames) and instance.transfer_syntax_uid in DECODED


def _read(packed: Mapping[int, bytes]) -> dict[int, dict[str, Any]]:
    return {number: loads(each, {_IMAGE_TYPE}) for number, each in packed.items()}
