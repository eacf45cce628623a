"""Frames and instances whose pixels are decoded or encoded while they are sent.

Rules:
- Codestreams are decoded and encoded in the sandbox alone, a frame at a time. Of an instance a few
  frames are under way at once, and no more of it is held than these.
- The first frame is made before anything is sent, so that what goes wrong with it can be told. Then
  a sandbox that is busy is waited for.
- The data set is rewritten on its way, so that it says what its pixels have become.
"""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from itertools import islice

from app.archive import Archive
from app.dicom.frames import join_fragments
from app.dicom.native import BitJoiner
from app.dicom.recoding import recode
from app.dicom.transcode import Transcoder
from app.dicom.uids import transfer_syntax
from app.errors import TooLarge, Unprocessable
from app.index.instances import StoredInstance
from app.retrieve.compared import compared
from app.retrieve.contents import Content, Inflated, RecodedFrame, RecodedInstance, origin_of
from app.retrieve.inflated import inflated
from app.retrieve.patience import patiently
from app.retrieve.stream import Reader, read_pieces
from app.span import Span

_AHEAD_BYTES = 64 * 1024 * 1024
"""Decoded frames that are under way of one instance, if they are small enough for several."""

_SPARE_BYTES = 1024 * 1024
_GROUP, _PIXEL_DATA = 0x7FE0, 0x0010
_ITEM_TAG, _END_TAG = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_ITEM = struct.Struct("<HHI")
_ELEMENT = struct.Struct("<HH2sxxI")
_IMPLICIT_HEAD = 8
_UNDEFINED = 0xFFFFFFFF
_EMPTY_OFFSET_TABLE = _ITEM.pack(*_ITEM_TAG, 0)
_BYTE = 8


def content_pieces(archive: Archive, content: Content, reader: Reader) -> AsyncGenerator[bytes]:
    """The bytes of any content, of any length."""
    match content:
        case RecodedFrame() | RecodedInstance():
            return recoded_pieces(archive, content, reader)
        case Inflated(instance, inner):
            return _inflated_pieces(archive, instance, inner)
        case _:
            return read_pieces(content, reader)


async def _inflated_pieces(
    archive: Archive, instance: StoredInstance, content: Content
) -> AsyncGenerator[bytes]:
    async with inflated(archive, instance) as reader:
        async for piece in read_pieces(content, reader):
            yield piece


async def recoded_bytes(archive: Archive, frame: RecodedFrame, reader: Reader) -> bytes:
    """The frame in its new encoding. Raises `TooLarge`, `Unprocessable`, `TooBusy`."""
    description = frame.recoding.description
    largest = archive.settings.limits.rendered_pixels
    if description.rows * description.columns > largest:
        raise TooLarge(
            f"A frame of {description.rows} x {description.columns} pixels is too large to recode."
        )
    if frame.span.length > 2 * frame.recoding.frame_bytes + _SPARE_BYTES:
        raise Unprocessable("The frame is stored in more bytes than its pixels can need.")
    data = await reader.read(frame.key, frame.span)
    if transfer_syntax(description.transfer_syntax_uid).encapsulated:
        data = join_fragments(data)
    return await archive.sandbox.run(recode, data, frame.recoding, frame.first_bit, largest)


async def recoded_pieces(
    archive: Archive, content: RecodedFrame | RecodedInstance, reader: Reader
) -> AsyncGenerator[bytes]:
    """The bytes of the content. `reader`: of frames; instances are read where they lie."""
    if isinstance(content, RecodedFrame):
        yield await recoded_bytes(archive, content, reader)
        return
    async with compared(archive, content.instance) as (own, whole):
        frames = _frames(archive, content, own)
        async with aclosing(frames), aclosing(_value(content, frames)) as value:
            if content.pixels_only:
                async for piece in value:
                    yield piece
                return
            async for piece in _instance(content, own, whole, value):
                yield piece


async def _instance(
    content: RecodedInstance, reader: Reader, whole: Span, value: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    recoding = content.recoding
    stored = transfer_syntax(content.instance.transfer_syntax_uid)
    transcoder = Transcoder(recoding.target, recoding.changes(), inflated=stored.deflated)
    element = _element_of_pixels(content.instance)
    first = await anext(value)
    async for piece in reader.stream(
        content.key, Span(whole.offset, element.offset - whole.offset)
    ):
        for made in await asyncio.to_thread(list, transcoder.feed(piece)):
            yield made
    for made in await asyncio.to_thread(list, transcoder.insert(_head(content) + first)):
        yield made
    async for frame in value:
        for made in await asyncio.to_thread(list, transcoder.insert(frame)):
            yield made
    async for piece in reader.stream(content.key, Span(element.end, whole.end - element.end)):
        for made in await asyncio.to_thread(list, transcoder.feed(piece)):
            yield made
    for made in transcoder.finish():
        yield made


async def _frames(
    archive: Archive, content: RecodedInstance, reader: Reader
) -> AsyncGenerator[bytes]:
    """The frames by themselves, some being made while one is sent."""
    count = content.instance.number_of_frames
    assert count is not None
    at_once = min(
        archive.settings.limits.concurrent_renders,
        max(1, _AHEAD_BYTES // content.recoding.frame_bytes),
    )
    coming: deque[asyncio.Task[bytes]] = deque()
    numbers = iter(range(1, count + 1))

    def begun(number: int) -> asyncio.Task[bytes]:
        frame = content.frame(number)
        return asyncio.create_task(patiently(lambda: recoded_bytes(archive, frame, reader)))

    try:
        first = await recoded_bytes(archive, content.frame(next(numbers)), reader)
        coming.extend(begun(number) for number in islice(numbers, at_once))
        yield first
        while coming:
            made = await coming.popleft()
            coming.extend(begun(number) for number in islice(numbers, 1))
            yield made
    finally:
        for task in coming:
            task.cancel()
        await asyncio.gather(*coming, return_exceptions=True)


async def _value(content: RecodedInstance, frames: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """The value of the new Pixel Data, with what ends it; a piece for each frame at least."""
    if not content.recoding.is_native:
        async for frame in frames:
            yield _as_item(frame)
        yield _ITEM.pack(*_END_TAG, 0)
        return
    if content.recoding.frame_bits % _BYTE:
        joiner = BitJoiner(content.recoding.frame_bits)
        async for frame in frames:
            yield await asyncio.to_thread(joiner.add, frame)
        yield joiner.finish()
    else:
        async for frame in frames:
            yield frame
    yield b"\0" * (_native_length(content) % 2)


def _element_of_pixels(instance: StoredInstance) -> Span:
    """Pixel Data with its head and, if it is compressed, the delimiter at its end."""
    assert instance.pixel_offset is not None
    assert instance.pixel_length is not None
    implicit = transfer_syntax(instance.transfer_syntax_uid).implicit
    head = _IMPLICIT_HEAD if implicit else _ELEMENT.size
    tail = _ITEM.size if instance.encapsulated else 0
    length = head + instance.pixel_length + tail
    return Span(instance.pixel_offset - head, length).shifted(origin_of(instance))


def _head(content: RecodedInstance) -> bytes:
    """What comes before the first frame."""
    if content.recoding.is_native:
        vr = b"OW" if content.recoding.description.bits_allocated > _BYTE else b"OB"
        length = _native_length(content)
        return _ELEMENT.pack(_GROUP, _PIXEL_DATA, vr, length + length % 2)
    return _ELEMENT.pack(_GROUP, _PIXEL_DATA, b"OB", _UNDEFINED) + _EMPTY_OFFSET_TABLE


def _as_item(frame: bytes) -> bytes:
    padded = frame + b"\0" * (len(frame) % 2)
    return _ITEM.pack(*_ITEM_TAG, len(padded)) + padded


def _native_length(content: RecodedInstance) -> int:
    return content.recoding.native_bytes(content.instance.number_of_frames or 0)
