"""What a compressed frame says of itself: its size, samples, precision and colour.

A decoder allocates what the codestream asks for, whatever Rows and Columns say, so nothing is
decoded before its header has been read here and found to agree with the data set. Only the few
marker segments that hold these facts are looked at.

    JPEG, JPEG-LS       ISO/IEC 10918-1 B.2.2, 14495-1 C.2.2    SOI … SOFn … SOS … EOI
    JPEG 2000, HTJ2K    ISO/IEC 15444-1 A.5.1                   SOC SIZ …
    RLE                 PS3.5 G.5                               64 bytes of segment offsets
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from app.errors import Unprocessable

LARGEST_TILE_COUNT = 4096
"""JPEG 2000 decoders keep some kilobytes for each tile that a header announces."""

DEEPEST_SAMPLE = 31
"""Bits of a JPEG 2000 sample; decoders calculate in signed integers of 32 bits."""


class Colour(StrEnum):
    """How the three components of a codestream are coded, where it says so."""

    RGB = "RGB"
    YBR = "YBR"


@dataclass(frozen=True, slots=True)
class CodestreamHeader:
    """Facts of one codestream; `precision` in bits of one sample."""

    rows: int
    columns: int
    samples: int
    precision: int
    signed: bool = False
    colour: Colour | None = None
    lossless: bool = False
    """Whether it is lossless JPEG (SOF3), which never transforms colours."""
    planar: bool = False
    """Whether each component has a scan of its own (JPEG-LS)."""


def _broken(what: str) -> Unprocessable:
    return Unprocessable(f"The compressed frame cannot be decoded: {what}.")


SOF_BASELINE, SOF_EXTENDED, SOF_LOSSLESS, SOF_LS = 0xC0, 0xC1, 0xC3, 0xF7
SOS = 0xDA
_APP0, _APP14 = 0xE0, 0xEE
_SOF_DCT = frozenset({SOF_BASELINE, SOF_EXTENDED, 0xC2})
_SOF_ALL = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC} | {SOF_LS}
_WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})


def read_jpeg(data: bytes, *, ls: bool = False) -> CodestreamHeader:
    """The header of a JPEG or, if `ls`, a JPEG-LS codestream.

    Raises `Unprocessable` if it is none, is of a process that is not decoded here (hierarchical,
    arithmetic), or has no end: a decoder would fill up a truncated image silently.
    """
    if data[:2] != b"\xff\xd8":
        raise _broken("it does not begin as a JPEG codestream")
    taken = {SOF_LS} if ls else {*_SOF_DCT, SOF_LOSSLESS}
    frame: bytes | None = None
    process = 0
    colour: Colour | None = None
    jfif = False
    segments = list(marker_segments(data, SOS))
    for marker, segment, _ in segments:
        if marker in _SOF_ALL:
            if marker not in taken or frame is not None:
                raise _broken(f"its coding process SOF{marker - 0xC0} is not supported")
            frame, process = segment, marker
        elif marker == _APP0 and segment[:5] == b"JFIF\0":
            jfif = True
        elif marker == _APP14 and segment[:5] == b"Adobe" and len(segment) >= 12:
            colour = Colour.YBR if segment[11] else Colour.RGB
    if frame is None or len(frame) < 6 or len(frame) < 6 + 3 * frame[5]:
        raise _broken("it has no frame header")
    _, scan, end = segments[-1]
    if data.find(b"\xff\xd9", end) < 0:
        raise _broken("it ends before its last scan does")
    precision, rows, columns, samples = struct.unpack_from(">BHHB", frame)
    if process in _SOF_DCT and samples == 3 and colour is None:
        colour = _colour_of_components(frame, jfif)
    return CodestreamHeader(
        rows,
        columns,
        samples,
        precision,
        colour=colour,
        lossless=process == SOF_LOSSLESS,
        planar=ls and samples > 1 and scan[:1] == b"\x01",
    )


def _colour_of_components(frame: bytes, jfif: bool) -> Colour | None:
    identifiers = bytes(frame[6:15:3])
    subsampled = len({*frame[7:16:3]}) > 1
    if identifiers == b"RGB":
        return Colour.RGB
    return Colour.YBR if jfif or subsampled else None


def marker_segments(data: bytes, last: int) -> Iterator[tuple[int, bytes, int]]:
    """The marker segments of a codestream up to the `last` marker, which is one of them.

    Each with its marker, the second byte alone, and where it ends. Raises `Unprocessable`.
    """
    marker, position = 0, 2
    while marker != last:
        marker, position = _next_marker(data, position)
        if marker not in _WITHOUT_LENGTH:
            segment = _segment(data, position)
            position += 2 + len(segment)
            yield marker, segment, position


def _next_marker(data: bytes, position: int) -> tuple[int, int]:
    """The marker at `position` and where its segment begins; fill bytes before it are skipped."""
    start = position
    while data[position : position + 1] == b"\xff":
        position += 1
    if position == start or position >= len(data):
        raise _broken(f"there is no marker at byte {start}")
    return data[position], position + 1


def _segment(data: bytes, position: int) -> bytes:
    """The marker segment at `position`, without its two bytes of length."""
    length = int.from_bytes(data[position : position + 2], "big")
    segment = data[position + 2 : position + length]
    if length < 2 or len(segment) != length - 2:
        raise _broken(f"the marker segment at byte {position} is cut off")
    return segment


START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
"""SOC and SIZ, with which a JPEG 2000 codestream begins."""


def without_boxes(data: bytes) -> bytes:
    """The bare JPEG 2000 codestream; some devices put it into a JP2 file (against PS3.5 A.4.4)."""
    start = data.find(START_OF_CODESTREAM)
    if start < 0:
        raise _broken("it holds no JPEG 2000 codestream")
    return data[start:] if start else data


def read_jpeg2000(codestream: bytes) -> CodestreamHeader:
    """The header of a JPEG 2000 or HTJ2K codestream without boxes; raises `Unprocessable`."""
    siz = _segment(codestream, 4)
    if codestream[:4] != START_OF_CODESTREAM or len(siz) < 36:
        raise _broken("it has no SIZ marker segment")
    right, bottom, left, top, tile_width, tile_height, tile_left, tile_top, samples = (
        struct.unpack_from(">8IH", siz, 2)
    )
    components = siz[36 : 36 + 3 * samples]
    columns, rows = right - left, bottom - top
    if len(components) != 3 * samples or not samples or min(rows, columns) <= 0:
        raise _broken("its SIZ marker segment contradicts itself")
    if not tile_width or not tile_height or tile_left > left or tile_top > top:
        raise _broken("its tiles have no area")
    tiles = -(-(right - tile_left) // tile_width) * -(-(bottom - tile_top) // tile_height)
    if tiles > LARGEST_TILE_COUNT:
        raise _broken(f"it announces {tiles} tiles")
    if components != (components[:1] + b"\1\1") * samples:
        raise _broken("its components differ in depth or are subsampled")
    precision, signed = (components[0] & 0x7F) + 1, bool(components[0] & 0x80)
    if precision > DEEPEST_SAMPLE:
        raise _broken(f"its samples have {precision} bits")
    return CodestreamHeader(rows, columns, samples, precision, signed=signed)


def read_rle(data: bytes, rows: int, columns: int, bits_allocated: int) -> CodestreamHeader:
    """The header of an RLE frame, which says nothing but how many byte planes there are."""
    if len(data) < 64:
        raise _broken("it is shorter than an RLE header")
    count, *offsets = struct.unpack_from("<16I", data)
    if not 1 <= count <= 15 or any(
        not 64 <= first < end <= len(data)
        for first, end in zip(offsets[:count], [*offsets[1:count], len(data)], strict=True)
    ):
        raise _broken("its RLE segments are out of order or lie outside the frame")
    planes = -(-bits_allocated // 8)
    if count % planes:
        raise _broken(f"it has {count} RLE segments for samples of {planes} bytes")
    return CodestreamHeader(rows, columns, count // planes, bits_allocated)
