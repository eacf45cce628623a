"""The bytes of a plan, read in pieces and brought into the form in which they are sent.

Rules:
- No connection to the database is held here, and of each part no more than three pieces.
- What is small is read at once; adjacent spans are read together, others side by side.
- Bytes that fail to come raise, and so do those of a whole instance that are not what was stored: a
  body never ends as if it were whole. A frame has no hash of its own.
"""

import asyncio
import struct
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Protocol

from app.blobs.contract import CHUNK
from app.dicom.frames import join_fragments
from app.dicom.transcode import Transcoder, rewritten
from app.errors import Corrupt
from app.fingerprint import Comparison
from app.retrieve.contents import (
    Content,
    Fragments,
    Inflated,
    Plain,
    RecodedFrame,
    RecodedInstance,
    Reworked,
    Transcoded,
)
from app.span import Span

SIDE_BY_SIDE = 16
"""Reads of one request that are under way at the same time."""

_ITEM_HEADER = struct.Struct("<HHI")
_ITEM = (0xFFFE, 0xE000)
_WORDS = {2: "H", 4: "I", 8: "Q"}
_WIDEST_WORD = 8


class Reader(Protocol):
    """Where the spans of a plan are read: the store of blobs, or one inflated instance."""

    async def read(self, key: str, span: Span) -> bytes: ...

    def stream(self, key: str, span: Span) -> AsyncIterator[bytes]: ...


async def read_small(contents: Sequence[Content], reader: Reader) -> list[bytes]:
    """The bytes of each content of one of the runs of `batches`."""
    groups = _adjacent(contents)
    if len(groups) == 1:
        return await _read_together(groups[0], reader)
    pieces: list[bytes] = []
    for start in range(0, len(groups), SIDE_BY_SIDE):
        some = groups[start : start + SIDE_BY_SIDE]
        read = await asyncio.gather(*(_read_together(group, reader) for group in some))
        pieces += chain.from_iterable(read)
    return pieces


async def read_pieces(content: Content, reader: Reader) -> AsyncGenerator[bytes]:
    """The bytes of one content of any length."""
    match content:
        case Plain():
            pieces = _as_stored(content, reader)
        case Fragments():
            pieces = _without_headers(content, reader)
        case Reworked():
            pieces = _reworked(content, reader)
        case Transcoded():
            pieces = _transcoded(content, reader)
        case RecodedFrame() | RecodedInstance() | Inflated():
            raise ValueError("it cannot be made of what is stored alone")
    async for piece in pieces:
        yield piece


async def settled(content: Content, reader: Reader) -> Content:
    """The content as `Plain`, if it is a frame of one fragment: its length is known then.

    Raises `Corrupt` if it does not begin with an item.
    """
    if not isinstance(content, Fragments):
        return content
    value = await _item(content, content.span.offset, reader)
    return Plain(content.key, value) if value.end == content.span.end else content


async def ahead(pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
    """The same pieces, each being made while the one before it is sent."""
    coming = asyncio.ensure_future(anext(pieces, None))
    try:
        while (piece := await coming) is not None:
            coming = asyncio.ensure_future(anext(pieces, None))
            yield piece
    finally:
        coming.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await coming
        await pieces.aclose()


def _adjacent(contents: Sequence[Content]) -> list[list[Content]]:
    """The contents in groups whose spans follow each other, so that one read gets them all."""
    groups: list[list[Content]] = []
    for content in contents:
        last = groups[-1][-1] if groups else None
        if last and last.key == content.key and last.span.end == content.span.offset:
            groups[-1].append(content)
        else:
            groups.append([content])
    return groups


async def _read_together(group: list[Content], reader: Reader) -> list[bytes]:
    start, end = group[0].span.offset, group[-1].span.end
    data = await reader.read(group[0].key, Span(start, end - start))
    pieces = []
    for content in group:
        piece = data[content.span.offset - start : content.span.end - start]
        if isinstance(content, Transcoded):
            pieces.append(await asyncio.to_thread(_finished, content, piece))
        else:
            pieces.append(_finished(content, piece))
    return pieces


def _finished(content: Content, data: bytes) -> bytes:
    match content:
        case Plain():
            return _checked(content, data)
        case Fragments():
            return join_fragments(data)
        case Reworked():
            return reworked(data, content.word, content.shift, content.bits)
        case Transcoded():
            return b"".join(rewritten([_checked(content, data)], content.target))
        case RecodedFrame() | RecodedInstance() | Inflated():
            raise ValueError("it cannot be made of what is stored alone")


def _checked(content: Plain | Transcoded, data: bytes) -> bytes:
    if content.fingerprint is not None and not content.fingerprint.is_of(data):
        raise _not_as_stored(content)
    return data


async def _as_stored(content: Plain | Transcoded, reader: Reader) -> AsyncIterator[bytes]:
    """The bytes as they lie; the last piece is not given if they are not those that were stored."""
    pieces = reader.stream(content.key, content.span)
    if content.fingerprint is None:
        async for piece in pieces:
            yield piece
        return
    comparison = Comparison(content.fingerprint)
    before = b""
    async for piece in pieces:
        if before:
            yield before
        comparison.take(piece)
        before = piece
    if not comparison.is_equal:
        raise _not_as_stored(content)
    yield before


def _not_as_stored(content: Plain | Transcoded) -> Corrupt:
    return Corrupt(f"The bytes of blob {content.key} are not those that were stored.")


def reworked(data: bytes, word: int, shift: int, bits: int) -> bytes:
    """`bits` bits from bit `shift` on (lowest first) of the bytes with their words reversed.

    An incomplete word at the end is left as it is; the last byte is filled with zero bits.
    """
    if word > 1:
        whole = len(data) - len(data) % word
        words = array(_WORDS[word], data[:whole])
        words.byteswap()
        data = words.tobytes() + data[whole:]
    if shift % 8 == 0 and bits % 8 == 0:
        return data[shift // 8 : (shift + bits) // 8]
    number = int.from_bytes(data, "little") >> shift
    return (number & ((1 << bits) - 1)).to_bytes(-(-bits // 8), "little")


async def _reworked(content: Reworked, reader: Reader) -> AsyncIterator[bytes]:
    """As `reworked`, in pieces of `CHUNK` bytes, which are whole words."""
    skipped, shift = divmod(content.shift, 8 * _WIDEST_WORD)
    start = content.span.offset + skipped * _WIDEST_WORD
    for sent in range(0, content.length, CHUNK):
        bits = min(8 * CHUNK, content.bits - 8 * sent)
        end = min(start + sent + CHUNK + 2 * _WIDEST_WORD, content.span.end)
        data = await reader.read(content.key, Span(start + sent, end - start - sent))
        yield reworked(data, content.word, shift, bits)


async def _without_headers(content: Fragments, reader: Reader) -> AsyncIterator[bytes]:
    """One stream of the frame, since it may be of a million fragments, each of a few bytes."""
    joiner = _Joiner(content.span)
    async for items in reader.stream(content.key, content.span):
        joined = await asyncio.to_thread(joiner.feed, items)
        if joined:
            yield joined
    joiner.finish()


class _Joiner:
    """Takes the items of `span` in pieces, cut anywhere, and gives their values."""

    def __init__(self, span: Span) -> None:
        self._span = span
        self._passed = span.offset
        self._header = b""
        self._left = 0
        """Bytes of the current value that are still to come."""

    def feed(self, items: bytes) -> bytes:
        """The values in the next bytes. Raises `Corrupt` where an item should begin and none does.

        Also where an item reaches beyond the span, so that no frame is sent short.
        """
        values: list[bytes] = []
        at = 0
        while at < len(items):
            if self._left:
                value = items[at : at + self._left]
                values.append(value)
                self._left -= len(value)
                at += len(value)
                continue
            more = items[at : at + _ITEM_HEADER.size - len(self._header)]
            self._header += more
            at += len(more)
            if len(self._header) == _ITEM_HEADER.size:
                begin = self._passed + at
                value_span = _value_of(self._header, begin - _ITEM_HEADER.size, self._span)
                self._header, self._left = b"", value_span.length
        self._passed += len(items)
        return b"".join(values)

    def finish(self) -> None:
        """Raise `Corrupt` if the last item has not come to its end."""
        if self._header or self._left:
            raise Corrupt(f"The last item of pixel data is cut at byte {self._passed}.")


async def _transcoded(content: Transcoded, reader: Reader) -> AsyncIterator[bytes]:
    transcoder = Transcoder(content.target)
    async for stored in _as_stored(content, reader):
        made = transcoder.feed(stored)
        while (piece := await asyncio.to_thread(next, made, None)) is not None:
            yield piece
    for piece in transcoder.finish():
        yield piece


async def _item(content: Fragments, at: int, reader: Reader) -> Span:
    """Where the value of the item that begins at `at` lies."""
    header = await reader.read(content.key, Span(at, _ITEM_HEADER.size))
    return _value_of(header, at, content.span)


def _value_of(header: bytes, at: int, within: Span) -> Span:
    """Where the value of an item with this header lies; `at` is where the header does."""
    group, element, length = _ITEM_HEADER.unpack(header)
    value = Span(at + _ITEM_HEADER.size, length)
    if (group, element) != _ITEM or value.end > within.end:
        raise Corrupt(f"There is no item of pixel data at byte {at} of the stored object.")
    return value
