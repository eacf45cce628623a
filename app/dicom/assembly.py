"""Metadata and bulk data put together to a Part 10 file (PS3.18 10.5.1).

    for piece in assemble(attributes, find, source): bytes are written, a `Span` is copied

Rules:
- `find` tells what came with a BulkDataURI. Nothing else is ever opened for one, whatever it says.
- The media type of what came as Pixel Data tells its transfer syntax, where no parameter of it nor
  the metadata do. A codestream is one frame; several that came with one BulkDataURI are the frames
  in their order.
- What a codestream says of its pixels is added where the metadata leave it out.
- Bulk data stay where they are: of those of any size no more than a head is read.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from app.dicom import reasons
from app.dicom.codestreams import START_OF_CODESTREAM
from app.dicom.dataset import Attributes, Unreadable
from app.dicom.encoder import (
    Piece,
    encode,
    header,
    marker,
    missing_bulk_data,
)
from app.dicom.encoding import ITEM, SEQUENCE_END, UNDEFINED
from app.dicom.imagepixel import HEAD, NEEDED, image_pixel, transfer_syntax_of
from app.dicom.part10 import file_head
from app.dicom.source import Source
from app.dicom.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    TRANSFER_SYNTAXES,
    TransferSyntax,
    valid_uid,
)
from app.dicom.videos import read_mp4
from app.span import Span

_PIXEL_DATA = "7FE00010"
_TRANSFER_SYNTAX_UID = "00020010"
_NUMBER_OF_FRAMES = "00280008"
_NATIVE_TYPE = "application/octet-stream"
_NATIVE = {IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.1.99"}
"""Transfer syntaxes in which pixels lie as they do in Explicit VR Little Endian."""
_VIDEOS = {"video/mp4", "video/h265"}
_LONGEST_FRAGMENT = 0xFFFFFFFE
_JP2_SIGNATURE = b"\0\0\0\x0cjP  "


@dataclass(frozen=True, slots=True)
class BulkPart:
    """One value, or one frame, that came beside the metadata."""

    span: Span
    media_type: str
    transfer_syntax_uid: str | None = None
    """Where the media type named one."""


Find = Callable[[str], Sequence[BulkPart]]
"""What came with this BulkDataURI, in order; nothing if nothing did."""


def assemble(
    attributes: Attributes, find: Find, source: Source, *, nesting: int = 64
) -> list[Piece]:
    """The file in pieces; spans are of `source`. Raises `Unreadable`, also for `BULK_DATA`."""
    attributes = _in_upper_case(attributes)
    syntax = EXPLICIT_VR_LITTLE_ENDIAN
    ready: dict[int, list[Piece]] = {}
    frames = _compressed_frames(attributes, find)
    if frames:
        frames = [_bare(frame, source) for frame in frames]
        known = _transfer_syntax(attributes, frames[0], source)
        attributes = _completed(attributes, known, frames, source)
        ready[int(_PIXEL_DATA, 16)] = list(_encapsulated(frames))
        syntax = known.uid

    def borrow(uri: str) -> Span | None:
        parts = find(uri)
        if len(parts) > 1:
            raise Unreadable("several parts have one Content-Location", reason=reasons.BULK_DATA)
        return parts[0].span if parts else None

    uids = (first_text(attributes, tag) for tag in ("00080016", "00080018"))
    pieces = list(encode(attributes, borrow, ready, nesting=nesting))
    return [file_head(syntax, *(uid if valid_uid(uid) else "" for uid in uids)), *pieces]


def bulk_data_uris(attributes: Any) -> Iterator[str]:
    """Every BulkDataURI of a data set, at any depth, however broken it is."""
    left = [attributes]
    while left:
        match left.pop():
            case {"BulkDataURI": str(uri)}:
                yield uri
            case dict(members):
                left.extend(members.values())
            case list(members):
                left.extend(members)


def _in_upper_case(attributes: Attributes) -> Attributes:
    upper = {name.upper(): element for name, element in attributes.items()}
    if len(upper) < len(attributes):
        why = "an element is there in upper case and in lower case"
        raise Unreadable(why, reason=reasons.DOES_NOT_MATCH_SOP_CLASS)
    return upper


def _compressed_frames(attributes: Attributes, find: Find) -> Sequence[BulkPart]:
    """The codestreams of Pixel Data; none if there are no pixels or they are native."""
    element = attributes.get(_PIXEL_DATA)
    named = TRANSFER_SYNTAXES.get(first_text(attributes, _TRANSFER_SYNTAX_UID))
    if not isinstance(element, dict) or "BulkDataURI" not in element:
        if named is not None and named.encapsulated and element is not None:
            raise _unsupported("compressed pixels have to come as bulk data")
        return ()
    uri = element["BulkDataURI"]
    parts = find(uri) if isinstance(uri, str) else ()
    if not parts:
        raise missing_bulk_data(_PIXEL_DATA)
    first = parts[0]
    syntaxes = {part.transfer_syntax_uid for part in parts} - {None}
    if len(syntaxes) > 1 or any(part.media_type != first.media_type for part in parts):
        raise _unsupported("its frames are not all of one type")
    if first.media_type != _NATIVE_TYPE:
        return parts
    uid = first.transfer_syntax_uid or (named.uid if named else EXPLICIT_VR_LITTLE_ENDIAN)
    if uid in _NATIVE:
        return ()
    known = TRANSFER_SYNTAXES.get(uid)
    if known is None or not known.encapsulated:
        raise _unsupported(f"pixels in the transfer syntax {uid[:64]!r} are not taken here")
    return [replace(part, transfer_syntax_uid=uid) for part in parts]


def _transfer_syntax(attributes: Attributes, frame: BulkPart, source: Source) -> TransferSyntax:
    """As the part of a frame says, or the metadata if they fit it, or as the frame itself does."""
    uid = frame.transfer_syntax_uid
    named = TRANSFER_SYNTAXES.get(first_text(attributes, _TRANSFER_SYNTAX_UID))
    if uid is None and named is not None and named.media_type.lower() == frame.media_type:
        uid = named.uid
    if uid is None and frame.media_type in _VIDEOS:
        video = read_mp4(source, frame.span)
        uid = video.transfer_syntax_uid if video else None
    if uid is None:
        uid = transfer_syntax_of(frame.media_type, _head(frame, source))
    known = TRANSFER_SYNTAXES.get(uid)
    if known is None or not known.encapsulated:
        raise _unsupported(f"{uid[:64]!r} is no transfer syntax of {frame.media_type[:40]}")
    return known


def _completed(
    attributes: Attributes, syntax: TransferSyntax, frames: Sequence[BulkPart], source: Source
) -> Attributes:
    """The attributes but Pixel Data, and what the codestream tells that is not there or empty."""
    given = {tag: element for tag, element in attributes.items() if tag != _PIXEL_DATA}
    told: Attributes = {}
    if not all(_has_value(given, tag) for tag in NEEDED):
        told = _told(syntax, frames[0], source)
    if len(frames) > 1:
        told[_NUMBER_OF_FRAMES] = {"vr": "IS", "Value": [len(frames)]}
    return given | {tag: told[tag] for tag in told if not _has_value(given, tag)}


def _told(syntax: TransferSyntax, frame: BulkPart, source: Source) -> Attributes:
    if syntax.media_type.lower() not in _VIDEOS:
        return image_pixel(syntax, _head(frame, source))
    video = read_mp4(source, frame.span)
    return video.attributes if video else {}


def _has_value(attributes: Attributes, tag: str) -> bool:
    element = attributes.get(tag)
    return isinstance(element, dict) and bool(element.get("Value"))


def _head(frame: BulkPart, source: Source) -> bytes:
    return source.read_at(frame.span.offset, min(frame.span.length, HEAD))


def _encapsulated(frames: Sequence[BulkPart]) -> Iterator[Piece]:
    """Pixel Data of codestreams, each in a fragment of its own (PS3.5 A.4)."""
    yield from header(int(_PIXEL_DATA, 16), "OB", UNDEFINED)
    yield marker(ITEM, 0)
    for frame in frames:
        for offset in range(frame.span.offset, frame.span.end, _LONGEST_FRAGMENT):
            span = Span(offset, min(frame.span.end - offset, _LONGEST_FRAGMENT))
            yield marker(ITEM, span.length + span.length % 2)
            yield span
            yield b"\0" * (span.length % 2)
    yield marker(SEQUENCE_END, 0)


def _bare(frame: BulkPart, source: Source) -> BulkPart:
    """The frame without the boxes of a JP2 file, which have no place in DICOM (PS3.5 A.4.4)."""
    span = frame.span
    if source.read_at(span.offset, len(_JP2_SIGNATURE)) != _JP2_SIGNATURE:
        return frame
    boxes = _head(frame, source).find(START_OF_CODESTREAM)
    if boxes < 0:
        return frame
    return replace(frame, span=Span(span.offset + boxes, span.length - boxes))


def _unsupported(why: str) -> Unreadable:
    return Unreadable(why, reason=reasons.UNSUPPORTED_TRANSFER_SYNTAX, tag=_PIXEL_DATA)


def first_text(attributes: Mapping[str, Any], tag: str) -> str:
    """The first value of an attribute if it is a text, else nothing."""
    match attributes.get(tag):
        case {"Value": [str(value), *_]}:
            return value
    return ""
