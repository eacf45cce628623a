"""The walk: one strict, linear, bounded pass over a data set (PS3.5 section 7).

Rules:
- Every length is checked against what encloses it before anything is read; the walk ends exactly at
  the last byte. What does not fit is `Unreadable`, which says where.
- Nothing but a value's own bytes is held: values beyond `BULK` bytes are noted by their span and
  skipped, pixel data is never read, fragments are walked by their item headers.
- Depth, elements and items are counted against `WalkLimits`.
- A value that cannot be understood is no reason to refuse the object: it is a `Problem`.
"""

import base64
from array import array
from typing import Any, NamedTuple

from app.dicom import reasons, values
from app.dicom.dataset import BulkValue, DataSet, PixelData, Problem, Unreadable, WalkLimits
from app.dicom.source import Source
from app.dicom.uids import TransferSyntax
from app.span import Span

BULK = 1024
"""Bytes of the longest binary value that is kept in the JSON."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
_LONG = frozenset(
    {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
)
_SHORT = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT", b"PN"}
    | {b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_WINDOW = 256 * 1024
_SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103


class _Found(NamedTuple):
    """The head of an element: tag, VR, length of the value, and where that begins."""

    tag: int
    vr: str
    length: int
    at: int


def unreadable(
    reason: int, why: str, *, tag: int | None = None, at: int | None = None
) -> Unreadable:
    """The error that says why bytes are refused."""
    return Unreadable(why, reason=reason, tag=None if tag is None else f"{tag:08X}", offset=at)


def read_dataset(
    source: Source, start: int, syntax: TransferSyntax, limits: WalkLimits | None = None
) -> DataSet:
    """Walk the data set that begins at `start`. Raises `Unreadable`."""
    walk = _Walk(source, syntax, limits or WalkLimits())
    attributes, _ = walk.level(start, source.size, values.DEFAULT_CHARSETS, "", depth=0)
    return DataSet(attributes, tuple(walk.bulk), walk.pixel_data, tuple(walk.problems))


class _Walk:
    def __init__(self, source: Source, syntax: TransferSyntax, limits: WalkLimits) -> None:
        self._source = source
        self._limits = limits
        self._implicit = syntax.implicit
        self._order: Any = "big" if syntax.big_endian else "little"
        self._buffer = b""
        self._base = 0
        self._elements = 0
        self._held = 0
        self.bulk: list[BulkValue] = []
        self.pixel_data: PixelData | None = None
        self.problems: list[Problem] = []

    def _bytes(self, at: int, length: int) -> bytes:
        begin = at - self._base
        if begin < 0 or begin + length > len(self._buffer):
            self._buffer = self._source.read_at(at, max(length, _WINDOW))
            self._base, begin = at, 0
            if len(self._buffer) < length:
                raise unreadable(reasons.CANNOT_UNDERSTAND, "the data end too early", at=at)
        return self._buffer[begin : begin + length]

    def _tag(self, raw: bytes) -> int:
        return int.from_bytes(raw[:2], self._order) << 16 | int.from_bytes(raw[2:4], self._order)

    def _number(self, raw: bytes) -> int:
        return int.from_bytes(raw, self._order)

    def _head(self, at: int, end: int) -> tuple[int, str | None, int, int]:
        """Tag, VR (None if implicit), length and where the value begins."""
        if end - at < 8:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "the data end inside an element", at=at)
        raw = self._bytes(at, 8)
        tag = self._tag(raw)
        if self._implicit or tag >> 16 == 0xFFFE:
            return tag, None, self._number(raw[4:]), at + 8
        vr = raw[4:6]
        if vr in _SHORT:
            return tag, vr.decode(), self._number(raw[6:]), at + 8
        if vr not in _LONG:
            raise unreadable(reasons.CANNOT_UNDERSTAND, f"{vr!r} is no VR", tag=tag, at=at)
        if end - at < 12:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "the data end too early", tag=tag, at=at)
        return tag, vr.decode(), self._number(self._bytes(at + 8, 4)), at + 12

    def level(
        self,
        at: int,
        end: int,
        charsets: list[str],
        path: str,
        *,
        depth: int,
        signed: bool = False,
        open_end: bool = False,
    ) -> tuple[dict[str, dict[str, Any]], int]:
        """One data set: the main one, or an item. With `open_end` it ends by its delimiter."""
        if depth > self._limits.nesting:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "sequences are nested too deeply", at=at)
        attributes: dict[str, dict[str, Any]] = {}
        previous = -1
        while at < end:
            tag, vr, length, value_at = self._head(at, end)
            if tag == _ITEM_END and open_end:
                return attributes, value_at
            key = f"{tag:08X}"
            self._check_tag(tag, previous, at, again=key in attributes)
            self._count(len(attributes) + 1, at)
            previous = tag
            if tag == _PIXEL_REPRESENTATION and length == 2:
                signed = self._number(self._bytes(value_at, 2)) == 1
            outer = self._implicit, self._order
            if vr == "UN":
                # What its writer did not know is in Implicit VR Little Endian (PS3.5 6.2.2).
                self._implicit, self._order = True, "little"
            if vr is None or (vr == "UN" and length != _UNDEFINED):
                creator = values.creator_of(tag, attributes)
                vr = values.vr_of(tag, signed=signed, creator=creator)
            element, at = self._element(
                _Found(tag, vr, length, value_at), end, charsets, path, depth, signed=signed
            )
            self._implicit, self._order = outer
            if tag == _SPECIFIC_CHARACTER_SET:
                charsets = values.charsets_of(element)
                element = {"vr": "CS", "Value": ["ISO_IR 192"]}
            if tag & 0xFFFF:  # group lengths are not attributes
                attributes[key] = element
        if open_end:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "an item has no end", at=at)
        return attributes, at

    def _element(
        self, found: _Found, end: int, charsets: list[str], path: str, depth: int, *, signed: bool
    ) -> tuple[dict[str, Any], int]:
        """An element in the DICOM JSON model, and where what follows it begins."""
        tag, vr, length, at = found
        key = f"{tag:08X}"
        if length == _UNDEFINED:
            if tag in _PIXEL_DATA and depth == 0:
                return self._encapsulated(key, vr, at, end)
            if vr not in {"SQ", "UN"}:
                why = "an undefined length needs a sequence"
                raise unreadable(reasons.CANNOT_UNDERSTAND, why, tag=tag, at=at)
        elif at + length > end:
            why = f"{length} bytes do not fit"
            raise unreadable(reasons.CANNOT_UNDERSTAND, why, tag=tag, at=at)
        path += key
        if vr == "SQ" or length == _UNDEFINED:
            items, after = self._sequence(
                tag, at, length, end, charsets, path, depth, signed=signed
            )
            return ({"vr": "SQ", "Value": items} if items else {"vr": "SQ"}), after
        return self._value(tag, vr, at, length, charsets, path, depth), at + length

    def _count(self, in_level: int, at: int) -> None:
        self._elements += 1
        if in_level > self._limits.elements_per_level or self._elements > self._limits.elements:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "there are too many elements", at=at)

    def _check_tag(self, tag: int, previous: int, at: int, *, again: bool) -> None:
        if again:
            raise unreadable(
                reasons.DOES_NOT_MATCH_SOP_CLASS, "the element is there twice", tag=tag, at=at
            )
        if tag >> 16 in {0x0000, 0x0002, 0xFFFE}:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "no place for this element", tag=tag, at=at)
        if tag < previous:
            self.problems.append(Problem(f"{tag:08X}", "out of order"))

    def _value(
        self, tag: int, vr: str, at: int, length: int, charsets: list[str], path: str, depth: int
    ) -> dict[str, Any]:
        if tag in _PIXEL_DATA and depth == 0:
            self.pixel_data = PixelData(f"{tag:08X}", vr, Span(at, length), encapsulated=False)
            return {"vr": vr, "BulkDataURI": f"bulkdata/{path}"}
        if length == 0:
            return {"vr": vr}
        if length > BULK and vr in values.BINARY:
            self.bulk.append(BulkValue(path, vr, Span(at, length)))
            return {"vr": vr, "BulkDataURI": f"bulkdata/{path}"}
        self._held += length
        if self._held > self._limits.header_bytes:
            raise unreadable(reasons.OUT_OF_RESOURCES, "the header is too long", tag=tag, at=at)
        raw = self._bytes(at, length)
        if vr in values.OPAQUE:
            swapped = values.little_endian(raw, vr) if self._order == "big" else raw
            return {"vr": vr, "InlineBinary": base64.b64encode(swapped).decode()}
        found, problem = values.convert(vr, raw, self._order, charsets)
        if problem:
            self.problems.append(Problem(f"{tag:08X}", problem))
        return {"vr": vr, "Value": found} if found else {"vr": vr}

    def _sequence(
        self,
        tag: int,
        at: int,
        length: int,
        end: int,
        charsets: list[str],
        path: str,
        depth: int,
        *,
        signed: bool,
    ) -> tuple[list[Any], int]:
        """The items of a sequence, each a data set, and where what follows begins."""
        stop = end if length == _UNDEFINED else at + length
        items: list[Any] = []
        while at < stop:
            marker, _, item_length, item_at = self._head(at, stop)
            if marker == _SEQUENCE_END and length == _UNDEFINED:
                return items, item_at
            if marker != _ITEM:
                raise unreadable(reasons.CANNOT_UNDERSTAND, "an item was expected", tag=tag, at=at)
            if len(items) >= self._limits.items_per_sequence:
                raise unreadable(reasons.CANNOT_UNDERSTAND, "too many items", tag=tag, at=at)
            open_end = item_length == _UNDEFINED
            item_end = stop if open_end else item_at + item_length
            if item_end > stop:
                raise unreadable(reasons.CANNOT_UNDERSTAND, "an item does not fit", tag=tag, at=at)
            item, at = self.level(
                item_at,
                item_end,
                charsets,
                f"{path}/{len(items)}/",
                depth=depth + 1,
                signed=signed,
                open_end=open_end,
            )
            items.append(item)
        if length == _UNDEFINED:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "a sequence has no end", tag=tag, at=at)
        return items, at

    def _encapsulated(self, key: str, vr: str, at: int, end: int) -> tuple[dict[str, Any], int]:
        """Encapsulated pixel data: its items are stepped over by their headers (PS3.5 A.4)."""
        first = at
        items = array("Q")
        while True:
            marker, _, length, value_at = self._head(at, end)
            items.append(at)
            if marker == _SEQUENCE_END:
                span = Span(first, at - first)
                self.pixel_data = PixelData(key, vr, span, encapsulated=True, items=items)
                return {"vr": vr, "BulkDataURI": f"bulkdata/{key}"}, value_at
            if marker != _ITEM or value_at + length > end or len(items) > self._limits.elements:
                raise unreadable(
                    reasons.CANNOT_UNDERSTAND, "no fragment here", tag=int(key, 16), at=at
                )
            at = value_at + length
