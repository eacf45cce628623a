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
import zlib
from collections.abc import Container, Iterable, Iterator
from typing import Any

import orjson

from app.dicom.dataset import Attributes
from app.dicom.jsonmodel import absolute, unpack_short
from app.errors import Corrupt

LONG = 1024 * 1024
"""Bytes of JSON up to which it is better parsed at once: objects made of it take ten times that."""

WINDOW = 256 * 1024
"""Bytes of the text that are inflated at a time."""

_PER_FRAME_GROUPS = "52009230"
_BRACKETS = 12  # in brackets: an item in an item in an item has so many


def _balanced(depth: int) -> bytes:
    """The pattern of a text in which every bracket is closed again."""
    plain = rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"'
    if not depth:
        return plain
    return plain + rb"|[\[{](?:" + _balanced(depth - 1) + rb")*+[\]}]"


_OBJECT = rb"\{(?:" + _balanced(_BRACKETS) + rb")*+\}"
_ELEMENTS = re.compile(rb'(?:,?+"[0-9A-F]{8}":' + _OBJECT + rb")++", re.DOTALL)
_ITEMS = re.compile(rb"(?:,?+" + _OBJECT + rb")++", re.DOTALL)
_SEQUENCE = re.compile(rb',?+"([0-9A-F]{8})":\{"vr":"SQ","Value":\[')
_ITEM = re.compile(rb",?+\{")
_END_OF_ITEM = re.compile(rb"\}")
_END_OF_SEQUENCE = re.compile(rb"\]\}")


def read(
    packed: bytes,
    url: str | None = None,
    fields: Container[str] | None = None,
    window: int = WINDOW,
) -> "DataSet":
    """The data set of the JSON that `jsonmodel.pack` made. Raises `Corrupt`, also while it is read.

    `url`: of the instance, below which BulkDataURIs are, None to leave them relative; `fields`: the
    tags that are wanted, None for all.
    """
    text = _Text(packed, url, window)
    text.take(_ITEM)
    return _Whole(text, fields)


def loads(
    packed: bytes,
    wanted: Container[str] | None = None,
    frames: Container[int] | None = None,
    longest: int = LONG,
) -> Attributes:
    """The attributes of the JSON that `jsonmodel.pack` made, in memory. Raises `Corrupt`.

    `wanted`: tags, None for all; `frames`: 1-based numbers of those whose functional groups are
    wanted, None for all. Of JSON of up to `longest` bytes there may be more.
    """
    json = unpack_short(packed, longest)
    if json is not None:
        whole: Attributes = orjson.loads(json)
        return whole
    found = {}
    for tag, element in read(packed, fields=wanted).items():
        if tag == _PER_FRAME_GROUPS and frames is not None:
            groups = enumerate(element.get("Value", ()), start=1)
            some = [_in_memory(item) if number in frames else {} for number, item in groups]
            found[tag] = {"vr": "SQ", "Value": some}
        else:
            found[tag] = _element(element)
    return found


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

    def __init__(self, text: "_Text", fields: Container[str] | None = None) -> None:
        self._fields = fields
        self._elements = self._read(text)

    def items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The elements that have not come yet, by their tags."""
        return self._elements

    def _read(self, text: "_Text") -> Iterator[tuple[str, dict[str, Any]]]:
        while not text.take(_END_OF_ITEM):
            if found := text.take(_ELEMENTS):
                yield from self._wanted(text.parsed(b"{%b}", found[0]))
            elif found := text.take(_SEQUENCE):
                tag, items = found[1].decode(), _items(text)
                if self._fields is None or tag in self._fields:
                    yield tag, {"vr": "SQ", "Value": items}
                _pass_over(items)
            else:
                text.more()

    def _wanted(self, elements: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
        if self._fields is not None:
            elements = {tag: one for tag, one in elements.items() if tag in self._fields}
        return elements.items()


class _Whole(DataSet):
    """The data set with which the text ends."""

    def _read(self, text: "_Text") -> Iterator[tuple[str, dict[str, Any]]]:
        yield from super()._read(text)
        text.end()


def _items(text: "_Text") -> Iterator[DataSet | Attributes]:
    while not text.take(_END_OF_SEQUENCE):
        if found := text.take(_ITEMS):
            yield from text.parsed(b"[%b]", found[0])
        elif text.take(_ITEM):
            item = DataSet(text)
            yield item
            _pass_over(item.items())
        else:
            text.more()


def _pass_over(rest: Iterator[Any]) -> None:
    for _ in rest:
        pass


class _Text:
    """What has been inflated of the text and not been taken yet."""

    def __init__(self, packed: bytes, url: str | None, window: int) -> None:
        self._url = url
        self._window = window
        self._inflate = zlib.decompressobj()
        self._rest = packed
        self._buffer = b""
        self._at = 0
        self.more()

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        """What comes next if it is this, and whole."""
        found = pattern.match(self._buffer, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def parsed(self, within: bytes, some: bytes) -> Any:
        """The elements or items of a text that was taken, within these brackets."""
        json = within % some.removeprefix(b",")
        return orjson.loads(json if self._url is None else absolute(json, self._url))

    def more(self) -> None:
        """Inflate more of it. Raises `Corrupt` at the end."""
        kept = self._buffer[self._at :]
        # As much again as there is, so that few bytes are looked at more than twice.
        data = self._inflated(max(self._window, len(kept)))
        if not data:
            raise Corrupt("The metadata that are kept of an instance are cut.")
        self._buffer, self._at = kept + data, 0

    def end(self) -> None:
        """Raise `Corrupt` if this is not the end."""
        if self._at < len(self._buffer) or self._inflated(1) or not self._inflate.eof:
            raise Corrupt("The metadata that are kept of an instance do not end as they should.")

    def _inflated(self, most: int) -> bytes:
        try:
            data = self._inflate.decompress(self._rest, most)
        except zlib.error as error:
            raise Corrupt(f"The metadata that are kept cannot be inflated: {error}") from error
        self._rest = self._inflate.unconsumed_tail
        return data
