"""A whole study or series as images: one part for each instance, made one after the other.

Rules:
- An instance without an image, or with one that no decoder is there for, has no part; the caller is
  told how many those are. One that turns out to be broken has none either.
- Before the answer has begun the sandbox may be too busy; after that it is waited for.
"""

import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from functools import partial

from app.archive import Archive
from app.dicom.pixels import DECODED
from app.errors import NotFound, TooLarge, Unprocessable
from app.index.visibility import Visibility
from app.retrieve.patience import patiently
from app.retrieve.plan import instance_path
from app.retrieve.rendered import Frame, render_frame
from app.retrieve.rendering import Rendering
from app.retrieve.service import Target, locate_target
from app.web.multipart import Writer


@dataclass(frozen=True, slots=True)
class Album:
    """The frames of which a message is made: the first of each instance."""

    frames: Sequence[Frame]
    left_out: int
    """Instances that have no image to show."""

    def validator(self, rendering: Rendering, base: str) -> str:
        """32 hex digits that change with any of the images. `base`: the DICOMweb base URL."""
        digest = hashlib.blake2b(base.encode(), digest_size=16)
        for frame in self.frames:
            path = instance_path(frame.instance)
            digest.update(f"\n{path} {frame.validator(rendering)}".encode())
        return digest.hexdigest()


async def locate_album(archive: Archive, visibility: Visibility, target: Target) -> Album:
    """Raises `NotFound` if the target has no images, `TooLarge` if they are too many."""
    instances = await locate_target(archive, visibility, target)
    images = [
        Frame(instance, 1)
        for instance in instances
        if instance.number_of_frames and instance.transfer_syntax_uid in DECODED
    ]
    most = archive.settings.limits.rendered_frames
    if not images:
        raise NotFound("There is no image that could be shown.")
    if len(images) > most:
        raise TooLarge(f"There are {len(images)} images; at most {most} are rendered at once.")
    return Album(images, len(instances) - len(images))


async def album_message(
    archive: Archive,
    visibility: Visibility,
    album: Album,
    rendering: Rendering,
    writer: Writer,
    base: str,
) -> AsyncGenerator[bytes]:
    """The multipart message, a piece for each image. `base`: the DICOMweb base URL."""
    begun = False
    for frame in album.frames:
        try:
            render = partial(render_frame, archive, visibility, frame, rendering)
            image = await (patiently(render) if begun else render())
        except (NotFound, TooLarge, Unprocessable):
            continue
        begun = True
        location = f"{base}{instance_path(frame.instance)}/rendered"
        yield (
            writer.part({"Content-Type": rendering.media_type, "Content-Location": location})
            + image
        )
    if not begun:
        raise Unprocessable("None of the images can be decoded.")
    yield writer.end()
