"""The rendered resources: a frame as a screen shows it (PS3.18 10.4.1.1.3, 8.3.5).

Rules:
- The size of the frame is checked before any of its pixels is read.
- A codestream may be made to break its decoder, so frames are decoded in the sandbox alone. A JPEG
  that is stored as it would be sent is not decoded at all.
- Of an instance that is deflated or in big endian, the bytes are read as they were stored; what
  they mean is for `app.dicom` to know.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import app.dicom
from app.archive import Archive
from app.dicom.annotation import annotation_of
from app.dicom.description import PixelDescription, describe, whole_words
from app.dicom.drawing import Drawing, draw, drawn_already
from app.dicom.frames import native_span
from app.dicom.icc import ColourSpace, profile_of, profile_paths
from app.dicom.presentation import lookup_paths, presentation_of
from app.errors import NotFound, TooLarge, Unprocessable
from app.index.instances import StoredInstance, frame_entries, metadata_of
from app.index.visibility import Visibility
from app.retrieve.contents import origin_of
from app.retrieve.kinds import require_image
from app.retrieve.rendering import Rendering
from app.retrieve.service import Target, locate_target
from app.retrieve.states import State, read_state
from app.retrieve.stream import Reader
from app.retrieve.values import bulk_values, read_attributes, whole_reader
from app.span import Span

_SPARE_BYTES = 1024 * 1024


def _revision() -> str:
    """Changes with all by which an image becomes another one: our code, and that of the codecs."""
    digest = hashlib.blake2b(digest_size=8)
    for path in sorted(Path(app.dicom.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return " ".join((digest.hexdigest(), version("imagecodecs"), version("pillow")))


DRAWN_BY = _revision()


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of an instance, by its 1-based number."""

    instance: StoredInstance
    number: int
    state: StoredInstance | None = None
    """A presentation state that says how it is shown."""

    def validator(self, rendering: Rendering) -> str:
        """32 hex digits that change with the frame, and with how it is shown."""
        said = f"{DRAWN_BY} {self.number} {rendering} ".encode()
        state = self.state.sha256 if self.state else b""
        return hashlib.blake2b(said + self.instance.sha256 + state, digest_size=16).hexdigest()

    def key(self, rendering: Rendering, visibility: Visibility) -> str:
        """Under what its image is kept: never the key of what another partition has."""
        said = f"{visibility.partition_id} {self.instance.id} {self.validator(rendering)}"
        return hashlib.blake2b(said.encode(), digest_size=20).hexdigest()


async def locate_frame(
    archive: Archive, visibility: Visibility, target: Target, number: int
) -> Frame:
    """The frame of the instance that the target names. Raises `NotFound`."""
    (instance,) = await locate_target(archive, visibility, target)
    require_image(instance, number)
    return Frame(instance, number)


async def render_frame(
    archive: Archive, visibility: Visibility, frame: Frame, rendering: Rendering
) -> bytes:
    """The frame as an image file.

    Raises `TooLarge`, `Unprocessable`, `InvalidParameter` for a viewport that sees nothing of it,
    `TooBusy`, and `NotFound` if it has just been deleted.
    """
    kept = await archive.cache.get(frame.key(rendering, visibility))
    if kept is not None:
        return kept
    numbers = [frame.number]
    async with opened(archive, visibility, frame.instance, numbers, frame.state) as film:
        return await film.render(frame.number, rendering)


@dataclass(frozen=True, slots=True)
class Film:
    """An instance that has been opened to render some of its frames, one after the other."""

    archive: Archive
    visibility: Visibility
    instance: StoredInstance
    attributes: Mapping[str, Any]
    description: PixelDescription
    reader: Reader
    items: Mapping[int, Span]
    """Where the items of a compressed frame lie, by its number."""
    state: State | None = None

    async def render(self, number: int, rendering: Rendering) -> bytes:
        """One of the frames as an image file. Raises as `render_frame` does."""
        limits, description = self.archive.settings.limits, self.description
        attributes = self.attributes
        if rendering.bare:
            attributes = {tag: one for tag, one in attributes.items() if tag[:2] != "60"}
        span, first_bit = self._place(number)
        _check_size(span, description, limits.rendered_pixels)
        if rendering.viewport is not None:
            rendering.viewport.region(description.rows, description.columns)
        profiled = rendering.colour_space not in (None, ColourSpace.NONE)
        paths = lookup_paths(attributes, number)
        if profiled:
            paths += profile_paths(attributes)
        bulk = await bulk_values(self.archive, self.visibility, self.instance, self.reader, paths)
        softcopy = None
        if self.state is not None:
            softcopy = self.state.softcopy(attributes, number, bulk)
        data = await self._read(span)
        drawing = Drawing(
            description,
            softcopy.presentation if softcopy else presentation_of(attributes, number, bulk),
            rendering.media_type,
            rendering.window,
            rendering.viewport,
            rendering.quality,
            first_bit,
            limits.rendered_pixels,
            rendering.colour_space,
            profile_of(attributes, bulk) if profiled else b"",
            annotation_of(attributes, number, rendering.topics) if rendering.topics else None,
            softcopy,
        )
        drawn = None if rendering.bare else drawn_already(data, drawing)
        if drawn is not None:
            return drawn
        image = await self.archive.sandbox.run(draw, data, drawing)
        state = self.state.instance if self.state else None
        key = Frame(self.instance, number, state).key(rendering, self.visibility)
        self.archive.cache.put(key, image)
        return image

    def _place(self, number: int) -> tuple[Span, int]:
        """Where a frame lies, and its first bit there."""
        instance = self.instance
        if instance.encapsulated:
            return self.items[number], 0
        assert instance.pixel_offset is not None
        assert instance.frame_bits is not None
        span, first_bit = native_span(instance.pixel_offset, instance.frame_bits, number)
        return whole_words(span, first_bit, instance.pixel_offset, self.description)

    async def _read(self, span: Span) -> bytes:
        return await self.reader.read(
            self.instance.blob_key, span.shifted(origin_of(self.instance))
        )


@asynccontextmanager
async def opened(
    archive: Archive,
    visibility: Visibility,
    instance: StoredInstance,
    numbers: Sequence[int],
    state: StoredInstance | None = None,
) -> AsyncIterator[Film]:
    """The instance, for as long as frames of these numbers are rendered, as the state says.

    Raises `NotFound` if it has just been deleted, `Unprocessable`.
    """
    items: dict[int, Span] = {}
    async with archive.reading() as connection:
        packed = await metadata_of(connection, visibility, [instance.id])
        if instance.id not in packed:
            raise NotFound
        if instance.encapsulated:
            entries = await frame_entries(connection, visibility, instance.id, numbers)
            items = dict(zip(numbers, entries, strict=True))
    shown = frozenset(numbers)
    attributes = await read_attributes(packed[instance.id], frames=shown, first=True)
    description = describe(attributes, instance.transfer_syntax_uid)
    read = None if state is None else await read_state(archive, visibility, state)
    async with whole_reader(archive, instance) as reader:
        yield Film(archive, visibility, instance, attributes, description, reader, items, read)


def _check_size(span: Span, description: PixelDescription, largest: int) -> None:
    """Raise unless decoding takes as much memory as such a frame may."""
    pixels = description.rows * description.columns
    if pixels > largest:
        raise TooLarge(
            f"A frame of {description.rows} x {description.columns} pixels is too large to render."
        )
    native_bytes = pixels * description.samples_per_pixel * description.bits_allocated // 8
    if span.length > 2 * native_bytes + _SPARE_BYTES:
        raise Unprocessable("The frame is stored in more bytes than its pixels can need.")
