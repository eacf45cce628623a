"""The head of a Part 10 file: preamble, prefix and File Meta Information (PS3.10 section 7.1)."""

import struct
from dataclasses import dataclass

from app.dicom import reasons
from app.dicom.dataset import unreadable
from app.dicom.encoding import LONG_VRS
from app.dicom.source import Source

_START = 132
_LONG = {vr.encode() for vr in LONG_VRS}
_MOST = 64 * 1024
"""Bytes of File Meta Information; real ones have a few hundred."""

IMPLEMENTATION_CLASS_UID = "2.25.276236890300609056718510405521265434377"
IMPLEMENTATION_VERSION_NAME = "HILUM"
"""Of the files that the archive writes itself, from metadata and bulk data."""


@dataclass(frozen=True, slots=True)
class FileMeta:
    """What File Meta says of the data set, and where the data set begins."""

    transfer_syntax_uid: str
    media_storage_sop_class_uid: str | None
    media_storage_sop_instance_uid: str | None
    end: int


def read_file_meta(source: Source) -> FileMeta:
    """Read the group 0002 elements, whatever their group length claims. Raises `Unreadable`."""
    head = source.read_at(0, _START + _MOST)
    if head[128:_START] != b"DICM":
        raise unreadable(reasons.CANNOT_UNDERSTAND, "no DICOM Part 10 file: DICM is not there")
    found: dict[int, str] = {}
    at = _START
    while head[at : at + 2] == b"\x02\x00":
        element = int.from_bytes(head[at + 2 : at + 4], "little")
        long = head[at + 4 : at + 6] in _LONG
        length_at, size = (at + 8, 4) if long else (at + 6, 2)
        length = int.from_bytes(head[length_at : length_at + size], "little")
        value_at = length_at + size
        if value_at + length > len(head):
            raise unreadable(
                reasons.CANNOT_UNDERSTAND, "File Meta ends too early", tag=0x20000 | element, at=at
            )
        if element in found:
            raise unreadable(
                reasons.DOES_NOT_MATCH_SOP_CLASS,
                "the element is there twice",
                tag=0x20000 | element,
                at=at,
            )
        found[element] = head[value_at : value_at + length].decode("latin-1").strip(" \0")
        at = value_at + length
    if not found:
        raise unreadable(reasons.CANNOT_UNDERSTAND, "File Meta is not there", at=at)
    if not found.get(0x10):
        raise unreadable(reasons.MISSING_ATTRIBUTE, "no transfer syntax", tag=0x00020010, at=at)
    return FileMeta(found[0x10], found.get(0x02), found.get(0x03), at)


def file_head(transfer_syntax_uid: str, sop_class_uid: str, sop_instance_uid: str) -> bytes:
    """The head of a file of this instance: what comes before its data set. A UID may be empty."""
    texts = {
        0x02: ("UI", sop_class_uid),
        0x03: ("UI", sop_instance_uid),
        0x10: ("UI", transfer_syntax_uid),
        0x12: ("UI", IMPLEMENTATION_CLASS_UID),
        0x13: ("SH", IMPLEMENTATION_VERSION_NAME),
    }
    meta = struct.pack("<HH2sHI2s", 0x0002, 0x0001, b"OB", 0, 2, b"\0\1")
    for element, (vr, text) in texts.items():
        value = text.encode("ascii", "replace")
        value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
        meta += struct.pack("<HH2sH", 0x0002, element, vr.encode(), len(value)) + value
    length = struct.pack("<HH2sHI", 0x0002, 0x0000, b"UL", 4, len(meta))
    return bytes(128) + b"DICM" + length + meta
