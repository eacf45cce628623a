"""Where each frame of an instance lies, found once at Store (PS3.5 A.4, PS3.3 C.7.6.3).

Native frames follow each other and need three numbers. Of encapsulated ones a table is made: 16
bytes a frame, the offset and the length of its items as big-endian unsigned numbers, from the first
item's tag to the end of its last fragment. Offset tables are believed only if every entry is the
start of an item and in order.
"""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.dicom.dataset import DataSet, PixelData
from app.dicom.source import Source
from app.span import Span

_ENTRY = struct.Struct(">QQ")
_ITEM_HEAD = struct.Struct("<HHI")
_FLOAT_BITS = {"7FE00008": 32, "7FE00009": 64}


@dataclass(frozen=True, slots=True)
class FrameMap:
    """How many frames can be retrieved, and from where."""

    number_of_frames: int
    pixel_offset: int
    pixel_length: int
    frame_bits: int | None
    table: bytes | None


def map_frames(source: Source, dataset: DataSet) -> FrameMap | None:
    """The frame map of an instance; None if it has no pixel data."""
    pixels = dataset.pixel_data
    if pixels is None:
        return None
    wanted = max(_integer(dataset.attributes, "00280008") or 1, 1)
    if pixels.encapsulated:
        return _encapsulated(source, pixels, wanted, dataset.attributes)
    bits = (
        (_integer(dataset.attributes, "00280010") or 0)
        * (_integer(dataset.attributes, "00280011") or 0)
        * (_integer(dataset.attributes, "00280002") or 1)
        * _FLOAT_BITS.get(pixels.tag, _integer(dataset.attributes, "00280100") or 0)
    )
    if _value(dataset.attributes, "00280004") == "YBR_FULL_422":
        bits = bits * 2 // 3
    there = min(wanted, pixels.span.length * 8 // bits) if bits > 0 else 0
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


def _encapsulated(
    source: Source, pixels: PixelData, wanted: int, attributes: Mapping[str, Any]
) -> FrameMap:
    items = _items(source, pixels.span)
    offset_table, fragments = items[:1], items[1:]
    starts: list[int] = []
    if fragments:
        base = fragments[0].offset
        known = {fragment.offset for fragment in fragments}
        table = _basic_offsets(source, offset_table[0])
        trusted = len(table) == wanted and all(base + offset in known for offset in table)
        if trusted and table == sorted(set(table)) and table[0] == 0:
            starts = [base + offset for offset in table]
        elif len(fragments) == wanted:
            starts = [fragment.offset for fragment in fragments]
        elif wanted == 1:
            starts = [base]
    ends = [*starts[1:], fragments[-1].end] if starts else []
    table_bytes = b"".join(
        _ENTRY.pack(start, end - start) for start, end in zip(starts, ends, strict=True)
    )
    return FrameMap(len(starts), pixels.span.offset, pixels.span.length, None, table_bytes)


def _items(source: Source, span: Span) -> list[Span]:
    """The items of encapsulated pixel data, headers included."""
    found = []
    at = span.offset
    while at + 8 <= span.end:
        length = int.from_bytes(source.read_at(at + 4, 4), "little")
        found.append(Span(at, 8 + length))
        at += 8 + length
    return found


def _basic_offsets(source: Source, item: Span) -> Sequence[int]:
    count = (item.length - 8) // 4
    return list(struct.unpack(f"<{count}I", source.read_at(item.offset + 8, count * 4)))


def _value(attributes: Mapping[str, Any], tag: str) -> Any:
    values = attributes.get(tag, {}).get("Value")
    return values[0] if values else None


def _integer(attributes: Mapping[str, Any], tag: str) -> int | None:
    value = _value(attributes, tag)
    return value if isinstance(value, int) else None
