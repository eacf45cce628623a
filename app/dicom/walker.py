"""The walk: one strict, linear, bounded pass over a data set (PS3.5 section 7).

Rules:
- Every length is checked against what encloses it before anything is read; the walk ends exactly at
  the last byte. What does not fit is `Unreadable`, which says where.
- Nothing but a value's own bytes is held: values beyond `held_bytes` are noted by their span and
  skipped, pixel data is never read, fragments are walked by their item headers.
- What is found becomes JSON at once. Of the sequences, of which there may be millions of items, no
  objects are made; long ones are compressed while they grow.
- Depth, elements, items and what is held are counted against `WalkLimits`.
- A value that cannot be understood is no reason to refuse the object: it is a `Problem`.
"""

import base64
from typing import Any

import orjson

from app.dicom import reasons, values
from app.dicom.dataset import (
    Attributes,
    BulkValue,
    DataSet,
    PixelData,
    Problem,
    WalkLimits,
    unreadable,
)
from app.dicom.encoding import (
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    ITEM,
    ITEM_END,
    LEAST,
    SEQUENCE_END,
    UNDEFINED,
    Encoding,
    Head,
    Order,
    encoding_of,
    states_vr,
)
from app.dicom.fragments import walk_fragments
from app.dicom.jsonmodel import BULK_PREFIX
from app.dicom.jsontext import LONG, PACKED, JsonText
from app.dicom.source import Source
from app.dicom.uids import TransferSyntax
from app.dicom.walklevel import WalkLevel
from app.dicom.window import Window
from app.span import Span

_PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
_IN_FRAGMENTS = values.OPAQUE - {"UN"}
_SPECIFIC_CHARACTER_SET, _PIXEL_REPRESENTATION = 0x00080005, 0x00280103
_TRANSFER_SYNTAX, _TRAILING_PADDING = "00020010", "FFFCFFFC"

OUT_OF_ORDER = "out of order"
"""What is wrong with an element whose tag is less than one before it."""
_BEGIN_ITEMS = b'{"vr":"SQ","Value":['
_COST, _COST_OF_BULK, _COST_OF_ITEM, _COST_OF_ESCAPE = 40, 200, 16, 64
"""Bytes of JSON around a value, and those that count for what takes long and may become none."""
_COST_OF_VALUE, _COST_OF_NAME = 64, 448
"""Bytes of memory of each of several values, which are objects of their own."""
_MOST_OBJECTS = 256 * 1024
"""Bytes of JSON of the sequences that become objects."""
MOST_PROBLEMS = 100
"""That are told of an instance; there may be others."""


def read_dataset(
    source: Source, start: int, syntax: TransferSyntax, limits: WalkLimits | None = None
) -> DataSet:
    """Walk the data set that begins at `start`. Raises `Unreadable`."""
    walk = _Walk(source, limits or WalkLimits())
    walk.main(start, encoding_of(syntax))
    return DataSet(
        walk.attributes, tuple(walk.bulk), walk.pixel_data, tuple(walk.problems.values())
    )


class _Walk:
    def __init__(self, source: Source, limits: WalkLimits) -> None:
        self._window = Window(source)
        self._end = source.size
        self._limits = limits
        self._elements = 0
        self._held = 0
        self._objects = 0
        self._text = JsonText()
        self.attributes: Attributes = {}
        self.bulk: list[BulkValue] = []
        self.pixel_data: PixelData | None = None
        self.problems: dict[str, Problem] = {}

    def main(self, at: int, encoding: Encoding) -> None:
        """Walk the data set that reaches from there to the end."""
        raw = self._window.glance(at)
        if encoding.order == "little" and len(raw) >= LEAST and encoding.implicit == states_vr(raw):
            # Seen where a tool compressed the pixels and left the data set as it was.
            encoding = EXPLICIT_LITTLE if encoding.implicit else IMPLICIT_LITTLE
            self._note(_TRANSFER_SYNTAX, "the data set states VRs or not, against it")
        level = WalkLevel(encoding, values.DEFAULT_CHARSETS, "", 0, signed=False)
        self._level(at, self._end, level)
        if level.seen:
            self.attributes = dict(sorted(self.attributes.items()))

    def _level(self, at: int, end: int, level: WalkLevel, *, open_end: bool = False) -> int:
        """Read a data set to its end; with `open_end` that is its delimiter."""
        encoding = level.encoding
        while at < end:
            raw = self._window.glance(at)
            if end - at < LEAST:
                self._check_padding(at, end, level)
                return end
            head = encoding.head(raw, at)
            if head.strange or head.tag <= level.highest:
                if head.tag == ITEM_END and open_end:
                    return at + head.size
                if not head.tag:
                    self._check_padding(at, end, level)
                    return end
                self._check_irregular(head, at, level)
            else:
                level.highest = head.tag
            level.tags.append(head.tag)
            self._count(level, at)
            value_at = at + head.size
            length = int.from_bytes(raw[head.length_at : head.size], encoding.order)
            if value_at + (0 if length == UNDEFINED else length) > end:
                why = f"{length} bytes do not fit"
                raise unreadable(reasons.CANNOT_UNDERSTAND, why, tag=head.tag, at=at)
            at = self._element(head, value_at, length, end, level)
        if open_end:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "an item has no end", at=at)
        return at

    def _element(self, head: Head, at: int, length: int, end: int, level: WalkLevel) -> int:
        """Read the value of an element; returns where what follows begins."""
        tag, vr, encoding = head.tag, head.vr, level.encoding
        if vr == "UN":
            # What its writer did not know is in Implicit VR Little Endian (PS3.5 6.2.2).
            encoding = IMPLICIT_LITTLE
        if vr is None or vr == "UN":
            vr = self._vr_of(tag, at, length, level)
        if length == UNDEFINED:
            if vr in _IN_FRAGMENTS:
                return self._in_fragments(head, vr, at, end, level)
            if vr != "SQ":
                why = "an undefined length needs a sequence"
                raise unreadable(reasons.CANNOT_UNDERSTAND, why, tag=tag, at=at)
            return self._sequence(head, at, end, level, encoding, open_end=True)
        if vr == "SQ":
            return self._sequence(head, at, at + length, level, encoding)
        element = self._value(head, vr, at, length, level, encoding.order)
        if tag == _PIXEL_REPRESENTATION:
            level.signed = element.get("Value", [0])[0] == 1
        elif tag == _SPECIFIC_CHARACTER_SET:
            level.charsets, problem = values.charsets_of(element)
            if problem:
                self._note(head.key, problem)
            element = {"vr": "CS", "Value": ["ISO_IR 192"]}
        elif tag & 0x1FF00 == 0x10000 and vr == "LO":
            level.creators[tag] = next(iter(element.get("Value", ())), None) or ""
        self._write(head, at, element, level)
        return at + length

    def _vr_of(self, tag: int, at: int, length: int, level: WalkLevel) -> str:
        """The VR of an element that does not state it."""
        vr = values.vr_of(tag, signed=level.signed, creator=level.creator(tag))
        if length == UNDEFINED:
            return "OB" if tag in _PIXEL_DATA else "SQ"
        if (
            vr == "SQ"
            and length
            and EXPLICIT_LITTLE.tag(self._window.read(at, min(length, 4))) != ITEM
        ):
            self._note(f"{tag:08X}", "it should be a sequence")
            return "UN"
        return vr

    def _value(
        self, head: Head, vr: str, at: int, length: int, level: WalkLevel, order: Order
    ) -> dict[str, Any]:
        """A value as an element of the DICOM JSON model."""
        if length & 1:
            self._note(head.key, "its length is odd")
        if head.tag in _PIXEL_DATA and not level.depth:
            self.pixel_data = PixelData(head.key, vr, Span(at, length), encapsulated=False)
            return {"vr": vr, "BulkDataURI": BULK_PREFIX + head.key}
        if length > values.LONGEST and vr not in values.BINARY:
            self._note(head.key, f"it is too long for {vr}")
            vr = "UN"
        if length > self._limits.held_bytes and self._is_bulk(head, vr, at, length, level):
            return self._bulk(head, vr, Span(at, length), level)
        if length == 0:
            return {"vr": vr}
        if length > self._limits.text_bytes and vr not in values.BINARY:
            raise unreadable(reasons.OUT_OF_RESOURCES, "it is too long", tag=head.tag, at=at)
        if not level.depth:
            self._hold(_COST + 2 * length, at)
        raw = self._window.read(at, length)
        if vr in values.OPAQUE:
            if order == "big":
                raw = values.little_endian(raw, vr)
            return {"vr": vr, "InlineBinary": base64.b64encode(raw).decode()}
        if values.ESCAPE in raw:
            self._hold(length + _COST_OF_ESCAPE * raw.count(values.ESCAPE), at)
        found, problem = values.convert(vr, raw, order, level.charsets)
        if problem:
            self._note(head.key, problem)
        if len(found) > 1 and not level.depth:
            self._hold((_COST_OF_NAME if vr == "PN" else _COST_OF_VALUE) * len(found), at)
        return {"vr": vr, "Value": found} if found else {"vr": vr}

    def _is_bulk(self, head: Head, vr: str, at: int, length: int, level: WalkLevel) -> bool:
        """Whether a long value stays out of the JSON, which says of all text that it is Unicode."""
        if vr not in values.BULK_TEXTS or length > values.LONGEST:
            return vr in values.BINARY
        raw = self._window.read(at, length)
        if not values.is_unicode(raw, level.charsets):
            return False
        if vr in values.LIMITED_TEXTS:
            _, problem = values.convert(vr, raw, level.encoding.order, level.charsets)
            if problem:
                self._note(head.key, problem)
        return True

    def _bulk(self, head: Head, vr: str, span: Span, level: WalkLevel) -> dict[str, Any]:
        self._hold(_COST_OF_BULK, span.offset)
        path = level.path + head.key
        self.bulk.append(BulkValue(path, vr, span))
        return {"vr": vr, "BulkDataURI": BULK_PREFIX + path}

    def _write(self, head: Head, at: int, element: dict[str, Any], level: WalkLevel) -> None:
        """Take what was read there to where it belongs."""
        if not head.tag & 0xFFFF:
            return  # group lengths are no attributes
        if not level.depth:
            self.attributes[head.key] = element
            return
        self._begin(head, level)
        self._text.tail += orjson.dumps(element)
        self._settle(at)

    def _begin(self, head: Head, level: WalkLevel) -> None:
        """Begin an element in the JSON of an item."""
        text = self._text
        text.tail += b"," if level.places else b"{"
        level.places.append(len(text))
        text.tail += head.member

    def _sequence(
        self,
        head: Head,
        at: int,
        end: int,
        level: WalkLevel,
        encoding: Encoding,
        *,
        open_end: bool = False,
    ) -> int:
        """Read a sequence; with `open_end` it ends by its delimiter."""
        if level.depth == self._limits.nesting:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "sequences are nested too deeply", at=at)
        if level.depth:
            self._begin(head, level)
            self._text.tail += _BEGIN_ITEMS
            at = self._items(head, at, end, level, encoding, open_end=open_end)
            if self._text.tail.endswith(_BEGIN_ITEMS):
                self._text.tail[-len(_BEGIN_ITEMS) :] = b'{"vr":"SQ"}'
            else:
                self._text.tail += b"]}"
            return at
        self._text = JsonText()
        self._text.tail += b"["
        at = self._items(head, at, end, level, encoding, open_end=open_end)
        self._text.tail += b"]"
        self._write(head, at, self._finished(at), level)
        return at

    def _finished(self, at: int) -> dict[str, Any]:
        """The sequence that ends there: a few of them become objects, long ones stay text."""
        text = self._text
        self._hold(len(text.tail), at)
        if len(text) == len(b"[]"):
            return {"vr": "SQ"}
        self._objects += len(text)
        if text.settled or self._objects > _MOST_OBJECTS:
            return {"vr": "SQ", PACKED: text.finish()}
        return {"vr": "SQ", "Value": orjson.loads(text.tail)}

    def _items(
        self, head: Head, at: int, end: int, level: WalkLevel, encoding: Encoding, *, open_end: bool
    ) -> int:
        number = 0
        while at < end:
            raw = self._window.glance(at)
            marker, length = encoding.tag(raw), int.from_bytes(raw[4:LEAST], encoding.order)
            item_at = at + LEAST
            if marker == SEQUENCE_END and open_end and item_at <= end:
                return item_at
            stop = end if length == UNDEFINED else item_at + length
            if marker != ITEM or stop > end or item_at > end:
                raise unreadable(
                    reasons.CANNOT_UNDERSTAND, "no whole item here", tag=head.tag, at=at
                )
            if number == self._limits.items_per_sequence:
                raise unreadable(reasons.CANNOT_UNDERSTAND, "too many items", tag=head.tag, at=at)
            if number:
                self._text.tail += b","
            self._hold(_COST_OF_ITEM, at)
            item = level.item(head.key, number, encoding)
            at = self._level(item_at, stop, item, open_end=length == UNDEFINED)
            self._close(item)
            self._settle(at)
            number += 1
        if open_end:
            raise unreadable(
                reasons.CANNOT_UNDERSTAND, "a sequence has no end", tag=head.tag, at=at
            )
        return at

    def _close(self, item: WalkLevel) -> None:
        """End the JSON of an item, and put it in order if it is not."""
        text = self._text
        text.tail += b"}" if item.places else b"{}"
        if item.seen and item.places and item.places[0] > text.settled:
            text.reorder(item.places)

    def _in_fragments(self, head: Head, vr: str, at: int, end: int, level: WalkLevel) -> int:
        """Read encapsulated pixel data (PS3.5 A.4), which an icon may have as well."""
        items, after = walk_fragments(self._window, at, end, self._limits.fragments)
        span = Span(at, items[-1] - at)
        if level.depth:
            element = self._bulk(head, vr, span, level)
        else:
            self.pixel_data = PixelData(head.key, vr, span, encapsulated=True, items=items)
            element = {"vr": vr, "BulkDataURI": BULK_PREFIX + head.key}
        self._write(head, at, element, level)
        return after

    def _settle(self, at: int) -> None:
        if len(self._text.tail) > LONG:
            self._hold(len(self._text.tail), at)
            self._text.settle()

    def _hold(self, length: int, at: int) -> None:
        self._held += length
        if self._held > self._limits.header_bytes:
            raise unreadable(reasons.OUT_OF_RESOURCES, "the header is too long", at=at)

    def _count(self, level: WalkLevel, at: int) -> None:
        self._elements += 1
        limits = self._limits
        if len(level.tags) > limits.elements_per_level or self._elements > limits.elements:
            raise unreadable(reasons.CANNOT_UNDERSTAND, "there are too many elements", at=at)

    def _note(self, key: str, why: str) -> None:
        if len(self.problems) < MOST_PROBLEMS:
            self.problems.setdefault(key, Problem(key, why))

    def _check_irregular(self, head: Head, at: int, level: WalkLevel) -> None:
        """What is against the standard: some of it can be read all the same."""
        if head.strange and not head.problem:
            why = "no place for this element"
            raise unreadable(reasons.CANNOT_UNDERSTAND, why, tag=head.tag, at=at)
        if head.problem:
            self._note(head.key, head.problem)
        if head.tag > level.highest:
            level.highest = head.tag
            return
        level.seen.update(level.tags[len(level.seen) :])
        if head.tag in level.seen:
            why = "the element is there twice"
            raise unreadable(reasons.DOES_NOT_MATCH_SOP_CLASS, why, tag=head.tag, at=at)
        self._note(head.key, OUT_OF_ORDER)

    def _check_padding(self, at: int, end: int, level: WalkLevel) -> None:
        """Zeros may follow the main data set; whatever else does not fit is no element."""
        if level.depth or not level.tags or not self._window.holds_zeros(at, end):
            raise unreadable(reasons.CANNOT_UNDERSTAND, "the data end inside an element", at=at)
        self._note(_TRAILING_PADDING, "zeros follow the data set")
