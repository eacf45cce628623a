"""The DICOM JSON of an instance of any length, read while it is inflated.

    data_set = read(packed, instance_url)
    for tag, element in data_set.items(): ...

Rules:
- It is read once, from its beginning to its end. Elements without items are there as `orjson` reads
  them; the "Value" of a long sequence is an iterator of items, each of them a `DataSet`. What is
  not looked at is passed over.
- In memory are a window of the text and, of each level that is open, the elements without items.
- Only what `jsonmodel.pack` has written is read: without blanks, tags ascending, "vr" first.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import orjson

from app.dicom.jsonmodel import absolute
from app.errors import Corrupt

WINDOW = 256 * 1024
"""Bytes of the text that are inflated at a time."""

_PLAIN = rb'[^"\[\]{}]++|"(?:[^"\\]++|\\.)*+"'
_NAME = rb"\{(?:" + _PLAIN + rb")*+\}"
_VALUES = rb"\[(?:" + _PLAIN + rb"|" + _NAME + rb")*+\]"
_ELEMENTS = re.compile(
    rb'(?:,?+"[0-9A-F]{8}":\{(?:' + _PLAIN + rb"|" + _VALUES + rb")*+\})++", re.DOTALL
)
"""Whole elements, the values of which are texts, numbers, or objects with nothing but texts."""
_SEQUENCE = re.compile(rb',?+"([0-9A-F]{8})":\{"vr":"SQ","Value":\[')
_ITEM = re.compile(rb",?+\{")
_END_OF_ITEM = re.compile(rb"\}")
_END_OF_SEQUENCE = re.compile(rb"\]\}")


def read(
    packed: bytes, url: str, fields: AbstractSet[str] | None = None, window: int = WINDOW
) -> "DataSet":
    """The data set of the JSON that `jsonmodel.pack` made. Raises `Corrupt`, also while it is read.

    `url`: of the instance, below which BulkDataURIs are; `fields`: tags of the attributes that are
    wanted, None for all.
    """
    text = _Text(packed, url, window)
    text.take(_ITEM)
    return _Whole(text, fields)


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


def _sequence(items: "Iterator[DataSet]") -> Iterator[bytes]:
    before = b'{"vr":"SQ","Value":['
    for item in items:
        yield before
        yield from pieces(item)
        before = b","
    yield b"]}"


class DataSet:
    """A data set, or an item, of which the elements come one after the other, once."""

    def __init__(self, text: "_Text", fields: AbstractSet[str] | None = None) -> None:
        self._fields = fields
        self._passed: dict[str, Any] = {}
        self._elements = self._read(text)

    def items(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """The elements that have not come yet, by their tags."""
        return self._elements

    def get(self, tag: str, default: Any = None) -> Any:
        """An element without items that has come already, as private creators have."""
        return self._passed.get(tag, default)

    def _read(self, text: "_Text") -> Iterator[tuple[str, dict[str, Any]]]:
        while not text.take(_END_OF_ITEM):
            if found := text.take(_ELEMENTS):
                yield from self._wanted(text.parsed(found[0]))
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
        self._passed |= elements
        return elements.items()


class _Whole(DataSet):
    """The data set with which the text ends."""

    def _read(self, text: "_Text") -> Iterator[tuple[str, dict[str, Any]]]:
        yield from super()._read(text)
        text.end()


def _items(text: "_Text") -> Iterator[DataSet]:
    while not text.take(_END_OF_SEQUENCE):
        if text.take(_ITEM):
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

    def __init__(self, packed: bytes, url: str, window: int) -> None:
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

    def parsed(self, elements: bytes) -> dict[str, Any]:
        """The elements of a text that was taken, their BulkDataURIs absolute."""
        found: dict[str, Any] = orjson.loads(
            absolute(b"{%b}" % elements.removeprefix(b","), self._url)
        )
        return found

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
