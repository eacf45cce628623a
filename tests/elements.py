"""Part 10 files written element by element, so that they can be wrong in every way.

Lengths, delimiters, order and File Meta are what the caller says; nothing is mended.
"""

import secrets
import struct
import zlib
from collections.abc import Mapping, Sequence

UNDEFINED = 0xFFFFFFFF
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
DEFLATED_FRAMES = "1.2.840.10008.1.2.8.1"

STUDY, SERIES, SOP_INSTANCE, SOP_CLASS = 0x0020000D, 0x0020000E, 0x00080018, 0x00080016
PIXEL_DATA = 0x7FE00010
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_LONG = {"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"}


def fresh_uid() -> str:
    """A UID that nobody else has, of 35 characters."""
    return f"2.25.{10**29 + secrets.randbelow(9 * 10**29)}"


def padded(value: str | bytes) -> bytes:
    """As a value of even length, with a space at its end where needed."""
    raw = value.encode() if isinstance(value, str) else value
    return raw + b" " * (len(raw) % 2)


def uid(value: str) -> bytes:
    """As a value of VR UI."""
    return value.encode() + b"\0" * (len(value) % 2)


def element(
    tag: int, vr: str, value: bytes | str = b"", length: int | None = None, *, order: str = "<"
) -> bytes:
    """An element in explicit VR; `length` is what it claims, if that is not the truth."""
    raw = padded(value) if isinstance(value, str) else value
    claimed = len(raw) if length is None else length
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF) + vr.encode()
    size = struct.pack(order + ("xxI" if vr in _LONG else "H"), claimed)
    return head + size + raw


def implicit(tag: int, value: bytes | str = b"", length: int | None = None) -> bytes:
    """An element in implicit VR little endian, or an item of any syntax in little endian."""
    raw = padded(value) if isinstance(value, str) else value
    claimed = len(raw) if length is None else length
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, claimed) + raw


def item(content: bytes = b"", length: int | None = None) -> bytes:
    """An item, of undefined length (and then with its delimiter) if `length` is `UNDEFINED`."""
    end = implicit(ITEM_END) if length == UNDEFINED else b""
    return implicit(ITEM, content, length) + end


def sequence(tag: int, *items: bytes, length: int | None = UNDEFINED) -> bytes:
    """A sequence; of undefined length with its delimiter, of a given, or by None the right one."""
    end = implicit(SEQUENCE_END) if length == UNDEFINED else b""
    return element(tag, "SQ", b"".join(items), length) + end


def nested(depth: int, tag: int = 0x00081140, *, defined: bool = False) -> bytes:
    """A sequence in a sequence in a sequence, so many."""
    if defined:
        inner = b""
        for _ in range(depth):
            inner = element(tag, "SQ", item(inner))
        return inner
    opening = element(tag, "SQ", b"", UNDEFINED) + implicit(ITEM, b"", UNDEFINED)
    return opening * depth + (implicit(ITEM_END) + implicit(SEQUENCE_END)) * depth


def encapsulated(fragments: Sequence[bytes], offsets: bytes = b"", vr: str = "OB") -> bytes:
    """Encapsulated Pixel Data of these fragments after a Basic Offset Table."""
    items = b"".join(implicit(ITEM, fragment) for fragment in (offsets, *fragments))
    return element(PIXEL_DATA, vr, b"", UNDEFINED) + items + implicit(SEQUENCE_END)


def file_meta(
    syntax: str | None = EXPLICIT,
    sop_class: str | None = CT_IMAGE_STORAGE,
    sop_instance: str | None = None,
    *,
    group_length: int | None = None,
    without_length: bool = False,
) -> bytes:
    """File Meta Information; what is None is left out, `group_length` is what it claims."""
    elements = element(0x00020001, "OB", b"\0\1")
    if sop_class is not None:
        elements += element(0x00020002, "UI", uid(sop_class))
    if sop_instance is not None:
        elements += element(0x00020003, "UI", uid(sop_instance))
    if syntax is not None:
        elements += element(0x00020010, "UI", uid(syntax))
    length = len(elements) if group_length is None else group_length
    head = b"" if without_length else element(0x00020000, "UL", struct.pack("<I", length))
    return head + elements


def image(
    changes: Mapping[int, bytes | None] | None = None, *, order: str = "<"
) -> dict[int, bytes]:
    """The elements of a small CT Image by tag; `changes` replaces, adds, or by None takes away."""

    def number(tag: int, value: int) -> bytes:
        return element(tag, "US", struct.pack(order + "H", value), order=order)

    def text(tag: int, vr: str, value: str) -> bytes:
        return element(tag, vr, uid(value) if vr == "UI" else value, order=order)

    elements: dict[int, bytes | None] = {
        SOP_CLASS: text(SOP_CLASS, "UI", CT_IMAGE_STORAGE),
        SOP_INSTANCE: text(SOP_INSTANCE, "UI", fresh_uid()),
        0x00080020: text(0x00080020, "DA", "20240229"),
        0x00080060: text(0x00080060, "CS", "CT"),
        0x00100010: text(0x00100010, "PN", "Doe^Jane"),
        0x00100020: text(0x00100020, "LO", "PID-1"),
        STUDY: text(STUDY, "UI", fresh_uid()),
        SERIES: text(SERIES, "UI", fresh_uid()),
        0x00200013: text(0x00200013, "IS", "1"),
        0x00280002: number(0x00280002, 1),
        0x00280004: text(0x00280004, "CS", "MONOCHROME2"),
        0x00280010: number(0x00280010, 4),
        0x00280011: number(0x00280011, 4),
        0x00280100: number(0x00280100, 16),
        0x00280101: number(0x00280101, 12),
        0x00280102: number(0x00280102, 11),
        0x00280103: number(0x00280103, 0),
        PIXEL_DATA: element(PIXEL_DATA, "OW", bytes(range(32)), order=order),
    }
    elements |= changes or {}
    return {tag: raw for tag, raw in sorted(elements.items()) if raw is not None}


def file_of(data_set: bytes, meta: bytes | None = None, preamble: bytes = bytes(128)) -> bytes:
    """A Part 10 file of a data set that is encoded."""
    return preamble + b"DICM" + (file_meta() if meta is None else meta) + data_set


def instance(
    changes: Mapping[int, bytes | None] | None = None,
    syntax: str = EXPLICIT,
    *,
    tail: bytes = b"",
    meta: bytes | None = None,
    preamble: bytes = bytes(128),
) -> bytes:
    """A small CT Image as a Part 10 file, with changes as `image` takes them, and more after it."""
    data_set = b"".join(image(changes).values()) + tail
    return file_of(data_set, file_meta(syntax) if meta is None else meta, preamble)


def us(tag: int, *values: int) -> bytes:
    """An element of VR US."""
    return element(tag, "US", struct.pack(f"<{len(values)}H", *values))


def in_implicit_vr(changes: Mapping[int, bytes] | None = None) -> bytes:
    """A small CT Image in Implicit VR Little Endian; `changes` are elements in that."""
    elements = {}
    for tag, raw in image().items():
        head = 12 if raw[4:6].decode() in _LONG else 8
        elements[tag] = implicit(tag, raw[head:])
    elements |= changes or {}
    return file_of(b"".join(raw for _, raw in sorted(elements.items())), file_meta(IMPLICIT))


def deflated(data_set: bytes) -> bytes:
    """The data set, deflated as it is in a file."""
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    return deflate.compress(data_set) + deflate.flush()


def bomb(before: bytes, zeros: int) -> bytes:
    """A deflated data set: `before`, then so many zero bytes, a multiple of a MiB; quickly made.

    A MiB is deflated once and repeated, since a block after a full flush stands for itself.
    """
    deflate = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)
    head = deflate.compress(before) + deflate.flush(zlib.Z_FULL_FLUSH)
    block = deflate.compress(bytes(1024 * 1024)) + deflate.flush(zlib.Z_FULL_FLUSH)
    return head + block * (zeros // (1024 * 1024)) + deflate.flush(zlib.Z_FINISH)
