"""Where each frame of an instance lies, found once at Store (PS3.5 A.4, PS3.3 C.7.6.3).

Native frames follow each other and need three numbers. Of encapsulated ones a table is made: 16
bytes a frame, the offset and the length of its items as big-endian unsigned numbers, from the first
item's tag to the end of its last fragment.

Which fragments make a frame is told, in this order, by
1. the Extended or the Basic Offset Table, if every entry is the start of a fragment, in order;
2. the counts: as many fragments as frames, or one frame of all fragments;
3. the fragments themselves: those that begin as an image of the JPEG family begins.
If none of these gives as many frames as Number of Frames says, no frame can be retrieved: a guess
would show the wrong image. A video counts as one frame, whatever it says.
"""

import base64
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Any

from app.dicom.dataset import DataSet, PixelData
from app.dicom.jsonvalues import first_of
from app.dicom.source import Source
from app.dicom.uids import TransferSyntax
from app.span import Span

_ITEM_HEAD = struct.Struct("<HHI")
_FLOAT_BITS = {"7FE00008": 32, "7FE00009": 64}
_MOST_FRAMES = 2**31 - 1
_MOST_BITS = 2**63 - 1
"""Of a native frame, as the index can hold them; no instance is so long."""
_BEGINNINGS = (b"\xff\xd8\xff", b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  ", b"\xff\x0a")
"""Of a JPEG or JPEG-LS image, a JPEG 2000 codestream, a JP2 file, a JPEG XL codestream."""


@dataclass(frozen=True, slots=True)
class FrameMap:
    """How many frames can be retrieved, and from where."""

    number_of_frames: int
    pixel_offset: int
    """Native: where frame 1 begins. Encapsulated: where the first item begins."""
    pixel_length: int
    frame_bits: int | None
    """Bits of one native frame; None if encapsulated."""
    table: bytes | None
    """Encapsulated: the table of the frames' items; None if native."""


def map_frames(source: Source, dataset: DataSet, syntax: TransferSyntax) -> FrameMap | None:
    """The frame map of an instance; None if it has no pixel data.

    Pixels that are encapsulated or not against the transfer syntax have no frames, since nobody can
    say what their bytes are.
    """
    pixels = dataset.pixel_data
    if pixels is None:
        return None
    if pixels.encapsulated != syntax.encapsulated:
        bits, table = (None, b"") if pixels.encapsulated else (0, None)
        return FrameMap(0, pixels.span.offset, pixels.span.length, bits, table)
    told = _integer(dataset.attributes, "00280008") or 1
    wanted = 1 if syntax.video else max(told, 1)
    if pixels.encapsulated:
        return _encapsulated(source, dataset, pixels, wanted)
    bits = (
        (_integer(dataset.attributes, "00280010") or 0)
        * (_integer(dataset.attributes, "00280011") or 0)
        * (_integer(dataset.attributes, "00280002") or 1)
        * _FLOAT_BITS.get(pixels.tag, _integer(dataset.attributes, "00280100") or 0)
    )
    if first_of(dataset.attributes, "00280004") == "YBR_FULL_422":
        bits = bits * 2 // 3
    if abs(bits) > _MOST_BITS:
        bits = 0
    there = min(wanted, pixels.span.length * 8 // bits, _MOST_FRAMES) if bits > 0 else 0
    return FrameMap(there, pixels.span.offset, pixels.span.length, bits, None)


def native_span(pixel_offset: int, frame_bits: int, number: int) -> tuple[Span, int]:
    """The bytes that hold native frame `number` (from 1), and the bit at which it begins."""
    first = (number - 1) * frame_bits
    last = first + frame_bits
    begin = first // 8
    return Span(pixel_offset + begin, -(-last // 8) - begin), first % 8


def join_fragments(items: bytes) -> bytes:
    """The codestream in a run of items, without their headers."""
    fragments = []
    at = 0
    while at + 8 <= len(items):
        length = _ITEM_HEAD.unpack_from(items, at)[2]
        fragments.append(items[at + 8 : at + 8 + length])
        at += 8 + length
    return b"".join(fragments)


def _encapsulated(source: Source, dataset: DataSet, pixels: PixelData, wanted: int) -> FrameMap:
    fragments, end = pixels.items[1:-1], pixels.span.end
    starts: Sequence[int] = ()
    if wanted <= len(fragments):
        starts = (
            _by_table(_extended_offsets(source, dataset, wanted), fragments)
            or _by_table(_basic_offsets(source, pixels, wanted), fragments)
            or _by_count(fragments, wanted)
            or _by_beginning(source, fragments, wanted)
        )
    table = _table(starts, end)
    return FrameMap(len(starts), pixels.span.offset, pixels.span.length, None, table)


def _table(starts: Sequence[int], end: int) -> bytes:
    """The table of frames that begin at `starts` and follow each other to `end`."""
    table = array("Q", bytes(16 * len(starts)))
    for place, (start, stop) in enumerate(
        zip(starts, chain(islice(starts, 1, None), (end,)), strict=False)
    ):
        table[2 * place], table[2 * place + 1] = start, stop - start
    return _turned(table, "big").tobytes()


def _turned(numbers: "array[int]", order: str) -> "array[int]":
    """The numbers, read from or to be written in this byte order."""
    if sys.byteorder != order:
        numbers.byteswap()
    return numbers


def _by_table(offsets: Sequence[int], fragments: Sequence[int]) -> Sequence[int]:
    """Where the frames begin by a table of offsets from the first fragment; empty if it lies."""
    if not offsets or offsets[0] != 0 or offsets[-1] > fragments[-1]:
        return ()
    if any(later <= earlier for earlier, later in pairwise(offsets)):
        return ()
    starts = array("Q", (fragments[0] + offset for offset in offsets))
    return starts if all(_holds(fragments, start) for start in starts) else ()


def _holds(fragments: Sequence[int], start: int) -> bool:
    """Whether a fragment begins there; they are in order, and may be too many for a set."""
    index = bisect_left(fragments, start)
    return index < len(fragments) and fragments[index] == start


def _by_count(fragments: Sequence[int], wanted: int) -> Sequence[int]:
    if len(fragments) == wanted:
        return fragments
    return fragments[:1] if wanted == 1 else ()


def _by_beginning(source: Source, fragments: Sequence[int], wanted: int) -> Sequence[int]:
    longest = max(map(len, _BEGINNINGS))
    starts = array(
        "Q", (at for at in fragments if source.read_at(at + 8, longest).startswith(_BEGINNINGS))
    )
    return starts if len(starts) == wanted and starts[0] == fragments[0] else ()


def _basic_offsets(source: Source, pixels: PixelData, wanted: int) -> Sequence[int]:
    """The Basic Offset Table; empty if it is not of as many frames as there are."""
    item, after = pixels.items[0], pixels.items[1]
    if after - item - 8 != 4 * wanted:
        return ()
    return _turned(array("I", source.read_at(item + 8, 4 * wanted)), "little")


def _extended_offsets(source: Source, dataset: DataSet, wanted: int) -> Sequence[int]:
    """Extended Offset Table (7FE0,0001); empty if it is not of as many frames as there are."""
    element = dataset.attributes.get("7FE00001", {})
    raw = base64.b64decode(element.get("InlineBinary", ""))
    for value in dataset.bulk:
        if value.path == "7FE00001" and value.span.length == 8 * wanted:
            raw = source.read_at(value.span.offset, value.span.length)
    return _turned(array("Q", raw), "little") if len(raw) == 8 * wanted else ()


def _integer(attributes: Mapping[str, Any], tag: str) -> int | None:
    value = first_of(attributes, tag)
    return value if isinstance(value, int) else None
