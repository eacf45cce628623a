"""A data set of the DICOM JSON model as bytes in Explicit VR Little Endian (PS3.5 7).

    for piece in encode(attributes, borrow): bytes are written, a `Span` is copied

Rules:
- A value that the model refers to by BulkDataURI is not read here: `borrow` tells where it lies,
  and its span stands in its place.
- What cannot be encoded as it is meant is `Unreadable`, which names the attribute: nothing is cut
  off or left out. Only a number that is a DS has no more digits than fit into one.
- Text is UTF-8, and Specific Character Set says so where it is there or needed.
- Group lengths, and File Meta beside the data set, are none of its attributes and are passed over.
- Sequences and items have undefined lengths, since a borrowed value may be of any length.
"""

import base64
import binascii
import math
import re
import struct
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from app.dicom import reasons
from app.dicom.dataset import Unreadable
from app.dicom.dictionary import is_private, private_creator_of
from app.dicom.encoding import ITEM, ITEM_END, LONG_VRS, MISPLACED, SEQUENCE_END, UNDEFINED
from app.dicom.values import ROUNDED_FROM, in_plain_digits, vr_of
from app.span import Span

Piece = bytes | Span
"""Bytes as they are, or where they are to be copied from."""

Borrow = Callable[[str], Span | None]
"""Where the value with this BulkDataURI lies; None if it is nowhere."""

_FILE_META = 0x0002
_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_REPRESENTATION = "00280103"

_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_TEXTS = frozenset({"LO", "PN", "SH", "UC"})
_PLAIN_TEXTS = frozenset({"AE", "AS", "CS", "DA", "DT", "TM", "UI"})
_SINGLE_TEXTS = frozenset({"LT", "ST", "UR", "UT"})
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_MAY_BE_MANY = _NUMBERS.keys() - LONG_VRS | {"DS", "IS"}
_VRS = _TEXTS | _PLAIN_TEXTS | _SINGLE_TEXTS | _BINARY | _NUMBERS.keys() | {"AT", "DS", "IS", "SQ"}
_DECIMAL_CHARACTERS = 16
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")
_FORMS = ("Value", "BulkDataURI", "InlineBinary")
_DESCRIBING = {"vr", "keyword", "name", "tag"}
"""Members of an element that say nothing of its value; some copy the dictionary."""


def encode(
    attributes: Mapping[str, Any],
    borrow: Borrow,
    ready: Mapping[int, list[Piece]] | None = None,
    *,
    nesting: int = 64,
) -> Iterator[Piece]:
    """The data set in pieces, its elements in the order of their tags. Raises `Unreadable`.

    `ready`: elements that are encoded already, by tag. `nesting`: how deep sequences may be in
    sequences. All is checked before the first piece.
    """
    encoder = _Encoder(borrow, nesting)
    elements = encoder.level(attributes, depth=0) | dict(ready or {})
    if encoder.beyond_ascii:
        elements[_SPECIFIC_CHARACTER_SET] = _of_unicode()
    for tag in sorted(elements):
        yield from elements[tag]


def header(tag: int, vr: str, length: int) -> Iterator[bytes]:
    """What comes before the value of an element. Raises `Unreadable` if it is too long.

    Numbers that take more than 64 KiB are UN, as VRs whose length has 16 bits have to be (PS3.5
    6.2.2): the contours of an RT Structure Set are known for it.
    """
    if length > 0xFFFF and vr in _MAY_BE_MANY:
        vr = "UN"
    yield struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    if vr in LONG_VRS:
        yield vr.encode() + struct.pack("<HI", 0, length)
        return
    if length > 0xFFFF:
        raise _refused(f"{length} bytes are too long for {vr}", f"{tag:08X}")
    yield vr.encode() + struct.pack("<H", length)


def _of_unicode() -> list[Piece]:
    """Specific Character Set of text in UTF-8."""
    return [*header(_SPECIFIC_CHARACTER_SET, "CS", 10), b"ISO_IR 192"]


def missing_bulk_data(name: str) -> Unreadable:
    """The error that says that there is no value with the BulkDataURI of an attribute."""
    why = "there is no bulk data with its BulkDataURI"
    return Unreadable(why, reason=reasons.BULK_DATA, tag=name)


def _refused(why: str, tag: str) -> Unreadable:
    return Unreadable(why, reason=reasons.INVALID_VALUE, tag=tag)


class _Encoder:
    def __init__(self, borrow: Borrow, nesting: int) -> None:
        self._borrow = borrow
        self._nesting = nesting
        self.beyond_ascii = False
        """Whether a text had other characters than those of ASCII, or may have: it is borrowed."""

    def level(self, attributes: Mapping[str, Any], *, depth: int) -> dict[int, list[Piece]]:
        """The pieces of each element of a data set or item, by tag."""
        elements: dict[int, list[Piece]] = {}
        for name, element in attributes.items():
            if not _TAG.fullmatch(name):
                raise Unreadable(f"{name[:40]!r} is no tag", reason=reasons.INVALID_VALUE)
            tag = int(name, 16)
            if not tag & 0xFFFF or (tag >> 16 == _FILE_META and depth == 0):
                continue
            if tag >> 16 in MISPLACED or tag in elements:
                raise _refused("no place for this element", name)
            vr = _vr(name.upper(), element, attributes)
            if tag == _SPECIFIC_CHARACTER_SET:
                elements[tag] = _of_unicode()
                continue
            elements[tag] = list(self._element(tag, vr, element, depth))
        return elements

    def _element(
        self, tag: int, vr: str, element: Mapping[str, Any], depth: int
    ) -> Iterator[Piece]:
        name = f"{tag:08X}"
        match [form for form in _FORMS if form in element]:
            case [] if foreign := sorted(element.keys() - _DESCRIBING):
                raise _refused(f"{foreign[0][:20]!r} is no form of a value", name)
            case []:
                yield from header(tag, vr, 0)
            case ["Value"] if vr == "SQ":
                yield from header(tag, vr, UNDEFINED)
                yield from self._items(name, element["Value"], depth + 1)
            case ["Value"]:
                value = self._value(name, vr, element["Value"])
                yield from header(tag, vr, len(value))
                yield value
            case ["InlineBinary"] if vr != "SQ":
                value = padded(_decoded(name, element["InlineBinary"]), vr)
                yield from header(tag, vr, len(value))
                yield value
            case ["BulkDataURI"] if vr != "SQ":
                span = self._borrowed(name, element["BulkDataURI"])
                self.beyond_ascii = self.beyond_ascii or vr in _TEXTS | _SINGLE_TEXTS
                padding = padded(b"\0" * (span.length % 2), vr)[span.length % 2 :]
                yield from header(tag, vr, span.length + len(padding))
                yield span
                yield padding
            case [form]:
                raise _refused(f"a {vr} cannot be given by {form}", name)
            case forms:
                raise _refused(f"it is given by {' and '.join(forms)}", name)

    def _borrowed(self, name: str, uri: Any) -> Span:
        if not isinstance(uri, str):
            raise _refused("its BulkDataURI is no text", name)
        span = self._borrow(uri)
        if span is None:
            raise missing_bulk_data(name)
        if span.length >= UNDEFINED - 1:
            raise _refused(f"{span.length} bytes are too long for a value", name)
        return span

    def _items(self, name: str, items: Any, depth: int) -> Iterator[Piece]:
        if depth > self._nesting:
            raise Unreadable("sequences are nested too deeply", tag=name)
        for item in _list(name, items):
            if not isinstance(item, dict | None):
                raise _refused("an item is no data set", name)
            yield _ITEM_BEGINS
            elements = self.level(item or {}, depth=depth)
            for tag in sorted(elements):
                yield from elements[tag]
            yield _ITEM_ENDS
        yield marker(SEQUENCE_END, 0)

    def _value(self, name: str, vr: str, values: Any) -> bytes:
        values = _list(name, values)
        try:
            if vr in _NUMBERS:
                packed = bytearray()
                for value in values:
                    packed += _packed(_NUMBERS[vr], value)
                return bytes(packed)
            if vr == "AT":
                return b"".join(_attribute_tag(value) for value in values)
            return self._encoded(name, vr, [_TEXT_OF.get(vr, _text)(value) for value in values])
        except (ValueError, TypeError, OverflowError, struct.error):
            raise _refused(f"a value is no {vr}", name) from None

    def _encoded(self, name: str, vr: str, texts: list[str]) -> bytes:
        if vr == "UN" or vr in _BINARY:
            raise _refused(f"a {vr} is given by InlineBinary or BulkDataURI", name)
        if vr in _SINGLE_TEXTS and len(texts) > 1:
            raise _refused(f"a {vr} has one value", name)
        if vr not in _SINGLE_TEXTS and any("\\" in text for text in texts):
            raise _refused("a value holds a backslash, which would make it two", name)
        text = "\\".join(texts)
        if not text.isascii():
            if vr not in _TEXTS | _SINGLE_TEXTS:
                raise _refused(f"a {vr} has only characters of ASCII", name)
            self.beyond_ascii = True
        return padded(text.encode(), vr)


def padded(value: bytes, vr: str) -> bytes:
    """The value with an even number of bytes (PS3.5 6.2)."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr in _BINARY or vr == "UI" else b" ")


def marker(tag: int, length: int) -> bytes:
    """The head of an item, or a delimiter (PS3.5 7.5)."""
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


_ITEM_BEGINS, _ITEM_ENDS = marker(ITEM, UNDEFINED), marker(ITEM_END, 0)
"""The same bytes for all items, of which there may be very many."""


def _vr(name: str, element: Any, attributes: Mapping[str, Any]) -> str:
    if not isinstance(element, dict):
        raise _refused("the element is no object", name)
    vr = element.get("vr")
    if not vr or (isinstance(vr, str) and " or " in vr):  # some copy the dictionary
        vr = _known_vr(name, attributes)
    if not isinstance(vr, str) or vr not in _VRS:
        raise _refused(f"{str(vr)[:20]!r} is no VR", name)
    return vr


def _known_vr(name: str, attributes: Mapping[str, Any]) -> str:
    """The VR of an element that comes without one, as the dictionary has it."""
    creator = None
    if is_private(name):
        creator = _first_value(attributes.get(private_creator_of(name)))
    signed = _first_value(attributes.get(_PIXEL_REPRESENTATION)) == 1
    return vr_of(int(name, 16), signed=signed, creator=creator)


def _first_value(element: Any) -> Any:
    values = element.get("Value") if isinstance(element, dict) else None
    return values[0] if isinstance(values, list) and values else None


def _list(name: str, values: Any) -> list[Any]:
    if not isinstance(values, list):
        raise _refused("its Value is no array", name)
    return values


def _decoded(name: str, value: Any) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise _refused("its InlineBinary is no base64", name) from None


def _packed(code: str, value: Any) -> bytes:
    if isinstance(value, bool):
        raise TypeError
    if isinstance(value, str) and not in_plain_digits(value):
        raise ValueError
    if code in "df":
        return struct.pack(f"<{code}", float(value))
    return struct.pack(f"<{code}", _whole(value))


def _whole(value: Any) -> int:
    """The number, which has to be whole, and small enough not to have been rounded by JSON."""
    number = int(value)
    if isinstance(value, float) and (number != value or abs(number) >= ROUNDED_FROM):
        raise ValueError
    return number


def _attribute_tag(value: Any) -> bytes:
    if not _TAG.fullmatch(value):
        raise ValueError
    return struct.pack("<HH", int(value[:4], 16), int(value[4:], 16))


def _text(value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError
    return value


def _decimal(value: Any) -> str:
    """A number as a DS, in its shortest form; with fewer digits only if it does not fit."""
    if value is None or isinstance(value, str):
        return _text(value)
    if isinstance(value, bool) or not math.isfinite(value):
        raise TypeError
    text = repr(value)
    for digits in range(_DECIMAL_CHARACTERS, 0, -1):
        if len(text) <= _DECIMAL_CHARACTERS:
            break
        text = f"{value:.{digits}g}"
    return text


def _integer(value: Any) -> str:
    if value is None or isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        raise TypeError
    return str(_whole(value))


def _person_name(value: Any) -> str:
    if value is None or isinstance(value, str):
        return _text(value)
    if not isinstance(value, dict):
        raise TypeError
    groups = [_text(value.get(group)) for group in _GROUPS]
    if value.keys() - set(_GROUPS) or any("=" in group for group in groups):
        raise ValueError
    return "=".join(groups).rstrip("=")


_TEXT_OF: dict[str, Callable[[Any], str]] = {
    "DS": _decimal,
    "IS": _integer,
    "PN": _person_name,
}
