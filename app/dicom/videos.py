"""What an MP4 file tells of the video in it: transfer syntax and Image Pixel attributes.

Only the boxes on the way to the sample description are looked at (ISO/IEC 14496-12 8.1 to 8.5), by
their heads, wherever the file has them: a video of any size costs a few short reads.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from app.dicom.dataset import Attributes
from app.dicom.source import Source
from app.span import Span

MOST_BOXES = 2_000
"""That are looked at; a video has about fifty."""

_JPEG = "1.2.840.10008.1.2.4."
_TO_TRACK = (b"moov", b"trak")
_TO_TABLES = (b"mdia", b"minf", b"stbl")
_ENTRY = 8
"""Where the first entry of a sample description begins: behind version, flags and count."""
_SIZE_AT, _CHILDREN_AT = 32, 86
"""In a visual sample entry (ISO/IEC 14496-12 12.1.3), from its size on."""
_LEVEL_4_1 = 41
_MAIN_10 = 2


@dataclass(frozen=True, slots=True)
class Video:
    """The video in a file."""

    transfer_syntax_uid: str
    attributes: Attributes
    """Of the Image Pixel and Multi-frame modules."""


def read_mp4(source: Source, span: Span) -> Video | None:
    """The video in the file at `span`; None if it is no MP4, or has no H.264 and no H.265."""
    boxes = _Boxes(source)
    for track in boxes.path(span, *_TO_TRACK):
        for tables in boxes.path(track, *_TO_TABLES):
            video = _video(boxes, tables)
            if video is not None:
                return video
    return None


def _video(boxes: "_Boxes", tables: Span) -> Video | None:
    for description in boxes.path(tables, b"stsd"):
        entry = boxes.read(description, _ENTRY, _CHILDREN_AT)
        if len(entry) < _CHILDREN_AT:
            continue
        columns, rows = struct.unpack_from(">HH", entry, _SIZE_AT)
        inner = _from(description, _ENTRY + _CHILDREN_AT)
        frames = _frames(boxes, tables)
        for box in boxes.path(inner, b"avcC"):
            level = boxes.read(box, 3, 1)
            uid = "102" if level and level[0] <= _LEVEL_4_1 else "104"
            return Video(_JPEG + uid, _attributes(rows, columns, frames, 8))
        for box in boxes.path(inner, b"hvcC"):
            profile = boxes.read(box, 1, 1)
            deep = bool(profile) and profile[0] & 0x1F == _MAIN_10
            attributes = _attributes(rows, columns, frames, 10 if deep else 8)
            return Video(_JPEG + ("108" if deep else "107"), attributes)
    return None


def _frames(boxes: "_Boxes", tables: Span) -> int | None:
    for sizes in boxes.path(tables, b"stsz"):
        count = boxes.read(sizes, 8, 4)
        return int.from_bytes(count, "big") or None
    return None


def _attributes(rows: int, columns: int, frames: int | None, bits: int) -> Attributes:
    told: dict[str, tuple[str, int | str]] = {
        "00280002": ("US", 3),
        "00280004": ("CS", "YBR_PARTIAL_420"),
        "00280006": ("US", 0),
        "00280010": ("US", rows),
        "00280011": ("US", columns),
        "00280100": ("US", 8 if bits == 8 else 16),
        "00280101": ("US", bits),
        "00280102": ("US", bits - 1),
        "00280103": ("US", 0),
    }
    if frames is not None:
        told["00280008"] = ("IS", frames)
    return {tag: {"vr": vr, "Value": [value]} for tag, (vr, value) in told.items()}


def _from(span: Span, offset: int) -> Span:
    """The rest of a span."""
    return Span(span.offset + offset, max(0, span.length - offset))


class _Boxes:
    """Finds boxes in boxes, of which so many are looked at in all."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = MOST_BOXES

    def path(self, within: Span, *kinds: bytes) -> Iterator[Span]:
        """What is in each of the boxes of the last kind, in those of the kinds before it."""
        first, *others = kinds
        for kind, content in self._boxes(within):
            if kind == first and others:
                yield from self.path(content, *others)
            elif kind == first:
                yield content

    def read(self, box: Span, offset: int, length: int) -> bytes:
        """Some bytes of a box, as many of them as there are."""
        rest = _from(box, offset)
        return self._source.read_at(rest.offset, min(length, rest.length))

    def _boxes(self, within: Span) -> Iterator[tuple[bytes, Span]]:
        at = within.offset
        while within.end - at >= 8 and self._left:
            self._left -= 1
            head = self._source.read_at(at, min(16, within.end - at))
            size, begin = int.from_bytes(head[:4], "big"), 8
            if size == 1:
                size, begin = int.from_bytes(head[8:16], "big"), 16
            end = within.end if size == 0 else at + size
            if not at + begin <= end <= within.end:
                return
            yield head[4:8], Span(at + begin, end - at - begin)
            at = end
