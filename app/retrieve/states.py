"""Presentation states on their way to an image: found, read, and asked what they say of a frame."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.archive import Archive
from app.dicom.softcopy import Softcopy, bulk_paths, referenced_images, softcopy_of
from app.errors import InvalidParameter, NotFound, TooLarge
from app.index.instances import StoredInstance, metadata_of
from app.index.visibility import Visibility
from app.retrieve.rendering import Rendering
from app.retrieve.service import Target, locate_target
from app.retrieve.values import bulk_values, read_attributes, whole_reader

_LONGEST = 1024 * 1024  # of compressed JSON; what is in it is looked at in the event loop
_MOST_VALUES = 1000


@dataclass(frozen=True, slots=True)
class State:
    """A presentation state and all of its values."""

    instance: StoredInstance
    attributes: Mapping[str, Any]
    bulk: Mapping[str, bytes]

    def softcopy(
        self, image: Mapping[str, Any], number: int, image_bulk: Mapping[str, bytes]
    ) -> Softcopy:
        """What it says of a frame of the image. Raises `NotFound`, `Unprocessable`."""
        return softcopy_of(self.attributes, image, number, self.bulk, image_bulk)


async def read_state(archive: Archive, visibility: Visibility, instance: StoredInstance) -> State:
    """Raises `NotFound` if it has just been deleted, `TooLarge`."""
    async with archive.reading() as connection:
        packed = await metadata_of(connection, visibility, [instance.id])
    if instance.id not in packed:
        raise NotFound
    if len(packed[instance.id]) > _LONGEST:
        raise TooLarge("The presentation state says more than is applied.")
    attributes = await read_attributes(packed[instance.id])
    paths = bulk_paths(attributes)[:_MOST_VALUES]
    async with whole_reader(archive, instance) as reader:
        bulk = await bulk_values(archive, visibility, instance, reader, paths)
    return State(instance, attributes, bulk)


async def first_image(
    archive: Archive, visibility: Visibility, state: StoredInstance
) -> tuple[StoredInstance, int]:
    """The first of the images that the state is about and that are stored, and which frame of it.

    Raises `NotFound`.
    """
    read = await read_state(archive, visibility, state)
    for series, image, number in referenced_images(read.attributes)[:_MOST_VALUES]:
        try:
            target = Target(state.study_instance_uid, series, image)
            (found,) = await locate_target(archive, visibility, target)
        except NotFound:
            continue
        return found, number
    raise NotFound("None of the images that the presentation state refers to is stored.")


def check_of_state(rendering: Rendering, text: str) -> None:
    """Raise `InvalidParameter` for what a presentation state decides itself (PS3.18 8.3.5.1).

    `text`: of the viewport.
    """
    if rendering.window is not None:
        raise InvalidParameter("window", "", "is decided by the presentation state")
    if rendering.viewport is not None and text.count(",") > 1:
        raise InvalidParameter("viewport", text, "of a presentation state must be vw,vh")
