"""The rendered resources: a frame as a screen shows it (PS3.18 10.4.1.1.3, 8.3.5).

Rules:
- The size of the frame is checked before any of its pixels is read.
- A codestream may be made to break its decoder, so frames are decoded in the sandbox alone. A JPEG
  that is stored as it would be sent is not decoded at all.
- Of an instance that is deflated or in big endian, the bytes are read as they were stored; what
  they mean is for `app.dicom` to know.
"""

import asyncio
import hashlib
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import orjson

from app.archive import Archive
from app.dicom.description import PixelDescription, describe, whole_words
from app.dicom.drawing import Drawing, draw, drawn_already
from app.dicom.frames import native_span
from app.dicom.jsonmodel import unpack
from app.dicom.presentation import lookup_paths, presentation_of
from app.dicom.uids import transfer_syntax
from app.errors import NotFound, TooLarge, Unprocessable
from app.index.instances import StoredInstance, bulk_value, frame_entries, metadata_of
from app.index.visibility import Visibility
from app.retrieve.inflated import inflated
from app.retrieve.plan import WORD_BYTES
from app.retrieve.rendering import Rendering
from app.retrieve.service import Target, locate_target, require_frames
from app.retrieve.stream import Reader, reworked
from app.span import Span

_LARGEST_TABLE = 16 * 1024 * 1024  # an overlay over as many pixels as are rendered has half of that
_SPARE_BYTES = 1024 * 1024
_LONG_BYTES = 64 * 1024  # of compressed JSON: reading it would hold up the event loop
_VERSION = version("hilum")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of an instance, by its 1-based number."""

    instance: StoredInstance
    number: int

    def validator(self, rendering: Rendering) -> str:
        """32 hex digits that change with the frame, and with how it is shown."""
        said = f"{_VERSION} {self.number} {rendering} ".encode()
        return hashlib.blake2b(said + self.instance.sha256, digest_size=16).hexdigest()


async def locate_frame(
    archive: Archive, visibility: Visibility, target: Target, number: int
) -> Frame:
    """The frame of the instance that the target names. Raises `NotFound`."""
    (instance,) = await locate_target(archive, visibility, target)
    require_frames(instance, number)
    return Frame(instance, number)


async def render_frame(
    archive: Archive, visibility: Visibility, frame: Frame, rendering: Rendering
) -> bytes:
    """The frame as an image file.

    Raises `TooLarge`, `Unprocessable`, `InvalidParameter` for a viewport that sees nothing of it,
    `TooBusy`, and `NotFound` if it has just been deleted.
    """
    instance = frame.instance
    attributes, span, tables = await _located(archive, visibility, frame)
    description = describe(attributes, instance.transfer_syntax_uid)
    largest = archive.settings.limits.rendered_pixels
    first_bit = 0
    if not instance.encapsulated:
        span, first_bit = _native(frame, description)
    _check_size(span, description, largest)
    if rendering.viewport is not None:
        rendering.viewport.region(description.rows, description.columns)
    syntax = transfer_syntax(instance.transfer_syntax_uid)
    source = inflated(archive, instance) if syntax.deflated else nullcontext(archive.blobs)
    origin = 0 if syntax.deflated else instance.blob_offset
    async with source as reader:
        data = await reader.read(instance.blob_key, span.shifted(origin))
        bulk = {
            path: await _table(reader, instance.blob_key, table.shifted(origin), word)
            for path, (table, word) in tables.items()
        }
    drawing = Drawing(
        description,
        presentation_of(attributes, frame.number, bulk),
        rendering.media_type,
        rendering.window,
        rendering.viewport,
        rendering.quality,
        first_bit,
        largest,
    )
    drawn = drawn_already(data, drawing)
    return await archive.sandbox.run(draw, data, drawing) if drawn is None else drawn


_Tables = dict[str, tuple[Span, int]]
"""Where lookup tables and overlays lie, and the bytes of a word in which they are reversed."""


async def _located(
    archive: Archive, visibility: Visibility, frame: Frame
) -> tuple[dict[str, Any], Span, _Tables]:
    """The instance's DICOM JSON, the items of a compressed frame, the tables and overlays."""
    instance = frame.instance
    big_endian = transfer_syntax(instance.transfer_syntax_uid).big_endian
    span = Span(0, 0)
    tables: _Tables = {}
    async with archive.reading() as connection:
        packed = await metadata_of(connection, visibility, [instance.id])
        if instance.id not in packed:
            raise NotFound
        attributes = await _read(packed[instance.id])
        if instance.encapsulated:
            (span,) = await frame_entries(connection, visibility, instance.id, [frame.number])
        for path in lookup_paths(attributes, frame.number):
            value = await bulk_value(connection, visibility, instance.id, path)
            if value.span.length > _LARGEST_TABLE:
                continue  # as if it were empty
            tables[path] = value.span, WORD_BYTES.get(value.vr, 1) if big_endian else 1
    return attributes, span, tables


async def _read(packed: bytes) -> dict[str, Any]:
    def work() -> dict[str, Any]:
        attributes: dict[str, Any] = orjson.loads(unpack(packed))
        return attributes

    return work() if len(packed) < _LONG_BYTES else await asyncio.to_thread(work)


def _native(frame: Frame, description: PixelDescription) -> tuple[Span, int]:
    """Where a native frame lies, and its first bit there."""
    instance = frame.instance
    assert instance.pixel_offset is not None
    assert instance.frame_bits is not None
    span, first_bit = native_span(instance.pixel_offset, instance.frame_bits, frame.number)
    return whole_words(span, first_bit, instance.pixel_offset, description)


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


async def _table(reader: Reader, key: str, span: Span, word: int) -> bytes:
    """The data of a lookup table or an overlay, as little endian."""
    data = await reader.read(key, span)
    return reworked(data, word, 0, 8 * len(data))
