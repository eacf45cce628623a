"""Lookup tables: Modality and VOI LUTs, and the three of a colour palette (PS3.3 C.11.1, C.7.6.3).

A table is read from its descriptor and data in the DICOM JSON model. Its data may lie outside the
JSON; `bulk` then has the bytes by their path, words of 16 bits as little endian. An input outside
of the table's range takes its first or last entry, so no index ever reaches beyond it.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.dicom.jsonmodel import BULK_PREFIX
from app.dicom.jsonvalues import values_of
from app.errors import Unprocessable


@dataclass(frozen=True, slots=True)
class LookupTable:
    """`entries` are 16-bit words in the machine's order; they use the low `bits` bits."""

    first: int
    """The input value that the first entry is for."""
    bits: int
    entries: bytes

    def values(self) -> NDArray[np.uint16]:
        """The entries as an array."""
        return np.frombuffer(self.entries, np.uint16)

    def apply(self, inputs: NDArray[Any]) -> NDArray[np.uint16]:
        """The entry of each input."""
        entries = self.values()
        inside = np.nan_to_num(inputs).clip(self.first, self.first + entries.size - 1)
        found: NDArray[np.uint16] = entries[inside.astype(np.int64) - self.first]
        return found

    def as_bytes(self) -> NDArray[np.uint8]:
        """The entries scaled to 8 bits.

        Some devices say 16 bits and use 8: where no entry exceeds 255 they are taken as 8 bits.
        """
        entries = self.values()
        return to_eight_bits(entries, 8 if np.max(entries) < 256 else self.bits)


@dataclass(frozen=True, slots=True)
class Palette:
    """The tables of red, green and blue (PS3.3 C.7.6.3.1.5)."""

    red: LookupTable
    green: LookupTable
    blue: LookupTable

    def apply(self, indices: NDArray[Any]) -> NDArray[np.uint8]:
        """R, G and B of each index, in a last dimension of 3."""
        colours = _colours(self)
        index = indices.astype(np.int64) - self.red.first
        found: NDArray[np.uint8] = colours[index.clip(0, len(colours) - 1)]
        return found


def to_eight_bits(values: NDArray[Any], bits: int) -> NDArray[np.uint8]:
    """Values of so many bits (at most 32) on the scale from 0 to 255."""
    if bits >= 8:
        return (values >> (bits - 8)).clip(0, 255).astype(np.uint8)
    return (values.astype(np.uint16) * 255 // ((1 << bits) - 1)).clip(0, 255).astype(np.uint8)


@lru_cache(maxsize=32)
def _colours(palette: Palette) -> NDArray[np.uint8]:
    tables = [table.as_bytes() for table in (palette.red, palette.green, palette.blue)]
    longest = max(table.size for table in tables)
    return np.stack([np.pad(table, (0, longest - table.size), "edge") for table in tables], axis=1)


def read_table(
    attributes: Mapping[str, Any],
    descriptor_tag: str,
    data_tag: str,
    bulk: Mapping[str, bytes],
    *,
    signed: bool = False,
    segmented: bool = False,
) -> LookupTable:
    """The table whose descriptor and data have these tags; `signed` says what its inputs are.

    Raises `Unprocessable`, naming the attribute, where it cannot be used.
    """
    descriptor = values_of(attributes, descriptor_tag)
    if len(descriptor) != 3 or not all(isinstance(value, int) for value in descriptor):
        raise _unusable(descriptor_tag, "has not three values")
    count, first, bits = descriptor
    count = count & 0xFFFF or 0x10000
    if signed and first >= 0x8000:
        first -= 0x10000
    if not 1 <= bits <= 16:
        raise _unusable(descriptor_tag, f"says {bits} bits")
    words = _words(attributes.get(data_tag, {}), data_tag, bulk)
    if segmented:
        entries = _expanded(words if bits > 8 else _halves(words), count, data_tag, wide=bits > 8)
    elif words.size >= count:
        entries = words[:count]
    elif bits <= 8 and words.size * 2 >= count:
        entries = _halves(words)[:count]
    else:
        entries = words
    if not entries.size:
        raise _unusable(data_tag, "is empty")
    return LookupTable(first, bits, entries.astype(np.uint16).tobytes())


def bulk_path(element: Mapping[str, Any]) -> str | None:
    """The path of a value that lies outside the JSON; None if it lies inside."""
    uri = element.get("BulkDataURI")
    return None if uri is None else str(uri).removeprefix(BULK_PREFIX)


def _unusable(tag: str, why: str) -> Unprocessable:
    return Unprocessable(f"The lookup table cannot be used: ({tag[:4]},{tag[4:]}) {why}.")


def _words(element: Mapping[str, Any], tag: str, bulk: Mapping[str, bytes]) -> NDArray[np.uint16]:
    path = bulk_path(element)
    if path is not None:
        data = bulk.get(path, b"")
    elif "InlineBinary" in element:
        try:
            data = base64.b64decode(element["InlineBinary"], validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise _unusable(tag, "is not base64") from error
    else:
        values = element.get("Value", [])
        if not all(isinstance(value, int) and -0x8000 <= value <= 0xFFFF for value in values):
            raise _unusable(tag, "has values that are not of 16 bits")
        return (np.array(values, np.int64) & 0xFFFF).astype(np.uint16)
    return np.frombuffer(data + b"\0" * (len(data) % 2), "<u2").astype(np.uint16)


def _halves(words: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """Entries of 8 bits, of which two lie in a word, the first one in its low half."""
    return words.astype("<u2").view(np.uint8).astype(np.uint16)


def _expanded(data: NDArray[np.uint16], count: int, tag: str, *, wide: bool) -> NDArray[np.uint16]:
    """The entries of a segmented table (PS3.3 C.7.9.2), never more than `count`.

    Nor are more segments read: those without an entry would cost time and come to no end.
    """
    entries: list[int] = []
    try:
        for opcode, length, values in islice(_segments(data.tolist(), wide=wide), count):
            if opcode == 0:
                entries.extend(values)
            else:
                start = entries[-1]
                step = (values[0] - start) / max(length, 1)
                entries.extend(round(start + step * number) for number in range(1, length + 1))
            if len(entries) >= count:
                break
    except IndexError as error:
        raise _unusable(tag, "has a segment that is cut off or refers to nothing") from error
    return np.array(entries[:count], np.uint16)


def _segments(
    data: Sequence[int], *, wide: bool, position: int = 0, most: int | None = None
) -> Iterator[tuple[int, int, Sequence[int]]]:
    """Discrete (0: values) and linear (1: end value) segments; copies of earlier ones resolved."""
    number = 0
    while position + 2 < len(data) and number != most:
        opcode, length = data[position], data[position + 1]
        position += 2
        number += 1
        if opcode == 0:
            values = data[position : position + length]
            if len(values) < length:
                raise IndexError(position)
            yield opcode, length, values
            position += length
        elif opcode == 1:
            yield opcode, length, [data[position]]
            position += 1
        elif opcode == 2 and most is None:
            # A byte offset of 32 bits, from the beginning of the data.
            if wide:
                target, position = (data[position] | data[position + 1] << 16) // 2, position + 2
            else:
                low = data[position : position + 4]
                target, position = int.from_bytes(bytes(low), "little"), position + 4
            if target >= position:
                raise IndexError(target)
            yield from _segments(data, wide=wide, position=target, most=length)
        else:
            raise IndexError(position)
