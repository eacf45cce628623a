"""The DICOM JSON of an instance of any length, read while it is inflated.

    data_set = read(packed, instance_url)
    for tag, element in data_set.items(): ...

    attributes = loads(packed, wanted=tags, frames=numbers)

Rules:
- It is read once, from its beginning to its end. What is whole in a window of it is there as
  `orjson` reads it; the "Value" of a longer sequence is an iterator of items, and a longer item is
  a `DataSet`. What is not looked at is passed over.
- In memory is a window of the text.
- While a window is parsed no other thread runs, and never longer.
- Only what `jsonmodel.pack` has written is read: without blanks, tags ascending, "vr" first.
"""

import re
from collections.abc import Container, Iterator
from typing import Any

import orjson

from app.dicom.dataset import Attributes
from app.dicom.jsonmodel import unpack_short
from app.dicom.packedtext import PackedText

LONG = 1024 * 1024
"""Bytes of JSON up to which it is better parsed at once: objects made of it take ten times that."""

WINDOW = 256 * 1024
"""Bytes of the text that are inflated at a time."""

_PER_FRAME_GROUPS = "52009230"
_FIRST = (1,)
_BRACKETS = 12  # in brackets: an item in an item in an item has so many


def _balanced(depth: int) -> bytes:
    """The pattern of a text in which every bracket is closed again."""
    plain = rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"'
    if not depth:
        return plain
    return plain + rb"|[\[{](?:" + _balanced(depth - 1) + rb")*+[\]}]"


_OBJECT = rb"\{(?:" + _balanced(_BRACKETS) + rb")*+\}"
_ELEMENTS = re.compile(rb'(?:,?+"[0-9A-F]{8}":' + _OBJECT + rb")++", re.DOTALL)
_WHOLE_ITEM = re.compile(rb",?+" + _OBJECT, re.DOTALL)
_ITEMS = re.compile(rb"(?:,?+" + _OBJECT + rb")++", re.DOTALL)
_SEQUENCE = re.compile(rb',?+"([0-9A-F]{8})":\{"vr":"SQ","Value":\[')
_ITEM = re.compile(rb",?+\{")
_END_OF_ITEM = re.compile(rb"\}")
_END_OF_SEQUENCE = re.compile(rb"\]\}")


def read(
    packed: bytes,
    url: str | None = None,
    fields: Container[str] | None = None,
    frames: Container[int] | None = None,
    window: int = WINDOW,
    *,
    first: bool = False,
) -> "DataSet":
    """The data set of the JSON that `jsonmodel.pack` made. Raises `Corrupt`, also while it is read.

    `url`: of the instance, below which BulkDataURIs are, None to leave them relative; `fields`: the
    tags that are wanted, None for all; `frames`: 1-based numbers of those whose functional groups
    are wanted, None for all; `first`: whether of any other sequence the first item alone is wanted.
    Items of others are empty, if they are many.
    """
    text = PackedText(packed, url, window)
    text.take(_ITEM)
    return _Whole(text, fields, frames, first=first)


def loads(
    packed: bytes,
    wanted: Container[str] | None = None,
    frames: Container[int] | None = None,
    longest: int = LONG,
    *,
    first: bool = False,
) -> Attributes:
    """The attributes of the JSON that `jsonmodel.pack` made, in memory. Raises `Corrupt`.

    `wanted`, `frames`, `first`: as of `read`. JSON of up to `longest` bytes is there as a whole.
    """
    json = unpack_short(packed, longest)
    if json is not None:
        whole: Attributes = orjson.loads(json)
        return whole
    return _in_memory(read(packed, fields=wanted, frames=frames, first=first))


def _in_memory(item: "DataSet | Attributes") -> Attributes:
    if isinstance(item, DataSet):
        return {tag: _element(element) for tag, element in item.items()}
    return item


def _element(element: dict[str, Any]) -> dict[str, Any]:
    if isinstance(element.get("Value"), Iterator):
        return {"vr": "SQ", "Value": [_in_memory(item) for item in element["Value"]]}
    return element


def pieces(data_set: "DataSet") -> Iterator[bytes]:
    """The JSON of a data set that has been read, without spaces, UTF-8."""
    before = b"{"
    for tag, element in data_set.items():
        yield b'%b"%b":' % (before, tag.encode())
        before = b","
        items = element.get("Value")
        if isinstance(items, Iterator):
            yield from _sequence(items)
        else:
            yield orjson.dumps(element)
    yield b"{}" if before == b"{" else b"}"


def _sequence(items: "Iterator[DataSet | Attributes]") -> Iterator[bytes]:
    before = b'{"vr":"SQ","Value":['
    for item in items:
        yield before
        if isinstance(item, DataSet):
            yield from pieces(item)
        else:
            yield orjson.dumps(item)
        before = b","
    yield b"]}"


class DataSet:
    """A data set, or an item, of which the elements come one after the other, once."""

    def __init__(self, text: PackedText, *, first: bool = False) -> None:
        self._elements = self._read(text)
        self._first = first

    def items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The elements that have not come yet, by their tags."""
        return self._elements

    def _read(self, text: PackedText) -> Iterator[tuple[str, dict[str, Any]]]:
        while not text.take(_END_OF_ITEM):
            if found := text.take(_ELEMENTS):
                yield from self._wanted(text.parsed(b"{%b}", found[0])).items()
            elif found := text.take(_SEQUENCE):
                yield from self._sequence(found[1].decode(), text)
            else:
                text.more()

    def _wanted(self, elements: dict[str, Any]) -> dict[str, Any]:
        return elements

    def _sequence(self, tag: str, text: PackedText) -> Iterator[tuple[str, dict[str, Any]]]:
        items = _some_items(text, _FIRST, first=True) if self._first else _items(text)
        yield tag, {"vr": "SQ", "Value": items}
        _pass_over(items)


class _Whole(DataSet):
    """The data set with which the text ends, or what is wanted of it."""

    def __init__(
        self,
        text: PackedText,
        fields: Container[str] | None,
        frames: Container[int] | None,
        *,
        first: bool,
    ) -> None:
        super().__init__(text, first=first)
        self._fields = fields
        self._frames = frames

    def _read(self, text: PackedText) -> Iterator[tuple[str, dict[str, Any]]]:
        yield from super()._read(text)
        text.end()

    def _wanted(self, elements: dict[str, Any]) -> dict[str, Any]:
        if self._fields is None:
            return elements
        return {tag: one for tag, one in elements.items() if tag in self._fields}

    def _sequence(self, tag: str, text: PackedText) -> Iterator[tuple[str, dict[str, Any]]]:
        if self._fields is not None and tag not in self._fields:
            _pass_over(_some_items(text, ()))
        elif tag == _PER_FRAME_GROUPS and self._frames is not None:
            items = _some_items(text, self._frames, first=self._first)
            yield tag, {"vr": "SQ", "Value": items}
            _pass_over(items)
        else:
            yield from super()._sequence(tag, text)


def _items(text: PackedText) -> Iterator[DataSet | Attributes]:
    while not text.take(_END_OF_SEQUENCE):
        if found := text.take(_ITEMS):
            yield from text.parsed(b"[%b]", found[0])
        elif text.take(_ITEM):
            item = DataSet(text)
            yield item
            _pass_over(item.items())
        else:
            text.more()


def _some_items(
    text: PackedText, numbers: Container[int], *, first: bool = False
) -> Iterator[DataSet | Attributes]:
    """As many items, but those of other 1-based numbers empty, and not parsed.

    `first`: whether of the sequences in them the first item alone is wanted.
    """
    number = 1
    while not text.take(_END_OF_SEQUENCE):
        if found := text.take(_WHOLE_ITEM):
            yield text.parsed(b"[%b]", found[0])[0] if number in numbers else {}
            number += 1
        elif text.take(_ITEM):
            item = DataSet(text, first=first)
            yield item if number in numbers else {}
            _pass_over(item.items())
            number += 1
        else:
            text.more()


def _pass_over(rest: Iterator[Any]) -> None:
    for _ in rest:
        pass
