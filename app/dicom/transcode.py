"""Native instances rewritten in Explicit VR Little Endian, as a stream (PS3.5 Annex A).

    transcoder = Transcoder()
    for piece in pieces_of_the_file:
        send each of transcoder.feed(piece)
    transcoder.finish()

Rules:
- Input may be cut anywhere and no more of it is held than one element's header and a piece; a
  value of any length passes through. Memory does not grow with the instance.
- What changes is the encoding: tags, VRs and lengths in explicit little endian, the words of big
  endian values turned around, deflated bytes inflated. VRs that the file does not state are those
  of `app.dicom.values.vr_of`. Values, their order and private elements stay; the preamble stays.
- Sequences and items get undefined lengths, since how long they become is not known before they
  have been read. Group lengths, which the standard has retired, are left out.
- An instance that is explicit little endian already passes through with new File Meta only.
"""

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from app.dicom import values
from app.dicom.dataset import Unreadable
from app.dicom.part10 import read_file_meta
from app.dicom.source import BytesSource
from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, TransferSyntax, transfer_syntax
from app.errors import Unprocessable

PIECE = 1024 * 1024
"""Bytes of the longest piece that comes out of inflating."""

_HEAD = 132 + 64 * 1024
"""Bytes in which preamble and File Meta end."""

_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_BITS_ALLOCATED, _PIXEL_REPRESENTATION, _PIXEL_DATA = 0x00280100, 0x00280103, 0x7FE00010
_WORDS = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
_LONG = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""VRs whose length takes 32 bits (PS3.5 7.1.2)."""


def explicit_little_endian(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The instance whose Part 10 file comes in `pieces`, in Explicit VR Little Endian.

    Raises `Unprocessable` if it is compressed, ends too early or cannot be read.
    """
    transcoder = Transcoder()
    for piece in pieces:
        yield from transcoder.feed(piece)
    yield from transcoder.finish()


class Transcoder:
    """One instance on its way from a native transfer syntax to Explicit VR Little Endian."""

    def __init__(self) -> None:
        self._head: bytes | None = b""
        self._inflater: zlib._Decompress | None = None
        self._elements: _Elements | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """What comes out for the next bytes of the Part 10 file. Raises `Unprocessable`."""
        if self._head is None:
            yield from self._rewritten(data)
            return
        self._head += data
        if len(self._head) >= _HEAD:
            yield from self._begin(self._head)

    def finish(self) -> Iterator[bytes]:
        """What is left at the end of the file. Raises `Unprocessable` if it is no end."""
        if self._head is not None:
            yield from self._begin(self._head)
        if self._inflater is not None and not self._inflater.eof:
            raise Unprocessable("The instance cannot be transcoded: its deflated data set is cut.")
        if self._elements is not None:
            self._elements.finish()

    def _begin(self, head: bytes) -> Iterator[bytes]:
        try:
            meta = read_file_meta(BytesSource(head))
        except Unreadable as error:
            raise Unprocessable(f"The instance cannot be transcoded: {error}") from error
        syntax = transfer_syntax(meta.transfer_syntax_uid)
        if syntax.encapsulated:
            raise Unprocessable("A compressed instance is not rewritten here.")
        self._head = None
        if syntax.deflated:
            self._inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        if syntax.implicit or syntax.big_endian:
            self._elements = _Elements(syntax)
        yield head[:132] + _file_meta(head[132 : meta.end])
        yield from self._rewritten(head[meta.end :])

    def _rewritten(self, data: bytes) -> Iterator[bytes]:
        if self._elements is not None:
            data = self._elements.feed(data)
        if self._inflater is None:
            if data:
                yield data
            return
        while data:
            try:
                inflated = self._inflater.decompress(data, PIECE)
            except zlib.error as error:
                raise Unprocessable(f"The data set cannot be inflated: {error}") from error
            if inflated:
                yield inflated
            data = self._inflater.unconsumed_tail


def _file_meta(elements: bytes) -> bytes:
    """File Meta with the new transfer syntax and the group length that follows from it."""
    kept = b""
    at = 0
    while at < len(elements):
        element = elements[at + 2 : at + 4]
        if elements[at + 4 : at + 6].decode("latin-1") in _LONG:
            end = at + 12 + int.from_bytes(elements[at + 8 : at + 12], "little")
        else:
            end = at + 8 + int.from_bytes(elements[at + 6 : at + 8], "little")
        if element == b"\x10\x00":
            uid = EXPLICIT_VR_LITTLE_ENDIAN.encode()
            uid += b"\0" * (len(uid) % 2)
            kept += b"\x02\x00\x10\x00UI" + len(uid).to_bytes(2, "little") + uid
        elif element != b"\x00\x00":
            kept += elements[at:end]
        at = end
    return b"\x02\x00\x00\x00UL\x04\x00" + len(kept).to_bytes(4, "little") + kept


@dataclass(slots=True)
class _Level:
    """The data set, a sequence or an item that is being read."""

    end: int | None
    """Where it ends; None if a delimiter ends it."""
    is_item: bool
    implicit: bool
    big_endian: bool
    signed: bool = False
    bits_allocated: int = 16

    def learn(self, tag: int, value: int) -> None:
        """Keep a value by which later elements are read, here and further in."""
        if tag == _BITS_ALLOCATED:
            self.bits_allocated = value
        else:
            self.signed = value == 1

    def vr_of(self, tag: int) -> str:
        """The VR of an element that does not state it."""
        return values.vr_of(tag, signed=self.signed)

    def word(self, tag: int, vr: str) -> int:
        """How many bytes of a value are turned around together."""
        if not self.big_endian:
            return 1
        if tag == _PIXEL_DATA and vr == "OW" and self.bits_allocated in (32, 64):
            return self.bits_allocated // 8
        return _WORDS.get(vr, 1)


class _Elements:
    """The elements of a data set: `feed` takes their bytes and gives those of the new encoding."""

    def __init__(self, syntax: TransferSyntax) -> None:
        self._data = b""
        self._index = 0
        self._at = 0
        self._left = 0
        """Bytes of the current value that are still to come."""
        self._word = 1
        """How many bytes of it are turned around together; 0 if they are left out."""
        self._out = bytearray()
        self._levels = [_Level(None, True, syntax.implicit, syntax.big_endian)]

    def feed(self, data: bytes) -> bytes:
        """The new encoding of as much as is there."""
        self._data = self._data[self._index :] + data
        self._index = 0
        self._out = bytearray()
        while self._value() if self._left else self._header():
            if not self._left:
                self._close_levels()
        return bytes(self._out)

    def finish(self) -> None:
        """Raise `Unprocessable` if elements, sequences or items have not come to their end."""
        if self._left or self._index < len(self._data) or len(self._levels) > 1:
            raise _broken("its data set is cut off", self._at)

    def _take(self, length: int) -> bytes:
        taken = self._data[self._index : self._index + length]
        self._index += len(taken)
        self._at += len(taken)
        return taken

    def _value(self) -> bool:
        """Pass on what is there of the current value, in whole words; False if nothing is."""
        length = min(self._left, len(self._data) - self._index)
        if length < self._left and self._word > 1:
            length -= length % self._word
        if not length:
            return False
        piece = self._take(length)
        self._left -= length
        if self._word > 1:
            whole = length - length % self._word
            words = np.frombuffer(piece, f"u{self._word}", whole // self._word)
            piece = words.byteswap().tobytes() + piece[whole:]
        if self._word:
            self._out += piece
        return True

    def _header(self) -> bool:
        """Rewrite one header and make ready for its value; False if it is not all there."""
        level = self._levels[-1]
        order: Literal["big", "little"] = "big" if level.big_endian else "little"
        raw = self._data[self._index : self._index + 14]
        if len(raw) < 8:
            return False
        tag = int.from_bytes(raw[:2], order) << 16 | int.from_bytes(raw[2:4], order)
        if tag >> 16 == 0xFFFE:
            self._take(8)
            self._delimiter(level, tag, int.from_bytes(raw[4:8], order))
            return True
        vr, size, length = "", 8, int.from_bytes(raw[4:8], order)
        if not level.implicit:
            vr, length = raw[4:6].decode("latin-1"), int.from_bytes(raw[6:8], order)
            if vr in _LONG:
                size, length = 12, int.from_bytes(raw[8:12], order)
        decides = tag in (_BITS_ALLOCATED, _PIXEL_REPRESENTATION) and length == 2
        if len(raw) < size + 2 * decides:
            return False
        if decides:
            level.learn(tag, int.from_bytes(raw[size : size + 2], order))
        self._take(size)
        self._element(level, tag, vr or level.vr_of(tag), length)
        return True

    def _element(self, level: _Level, tag: int, vr: str, length: int) -> None:
        if not level.is_item:
            raise _broken("an item was expected", self._at)
        if vr == "SQ" or length == _UNDEFINED:
            self._sequence(level, tag, vr, length)
            return
        self._left = length
        self._word = level.word(tag, vr)
        if not tag & 0xFFFF:
            self._word = 0
            return
        if vr in _LONG:
            self._out += _head(tag, vr, length)
        elif length > 0xFFFF:
            self._out += _head(tag, "UN", length)
        else:
            self._out += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)

    def _sequence(self, level: _Level, tag: int, vr: str, length: int) -> None:
        """One of VR UN and undefined length is in Implicit VR Little Endian (PS3.5 6.2.2)."""
        if vr not in ("SQ", "UN"):
            raise _broken(f"an undefined length needs a sequence, not {vr}", self._at)
        self._out += _head(tag, "SQ", _UNDEFINED if length else 0)
        if length:
            implicit = level.implicit or vr == "UN"
            big_endian = level.big_endian and vr != "UN"
            self._levels.append(
                replace(
                    level,
                    end=self._end(length),
                    is_item=False,
                    implicit=implicit,
                    big_endian=big_endian,
                )
            )

    def _delimiter(self, level: _Level, tag: int, length: int) -> None:
        if tag == _ITEM and not level.is_item:
            self._out += _mark(_ITEM, _UNDEFINED if length else 0)
            if length:
                self._levels.append(replace(level, end=self._end(length), is_item=True))
        elif (
            tag == (_ITEM_END if level.is_item else _SEQUENCE_END)
            and level.end is None
            and len(self._levels) > 1
        ):
            self._levels.pop()
            self._out += _mark(tag, 0)
        else:
            raise _broken("a delimiter has no place here", self._at)

    def _end(self, length: int) -> int | None:
        return None if length == _UNDEFINED else self._at + length

    def _close_levels(self) -> None:
        """End the sequences and items of defined length that end here."""
        while (end := self._levels[-1].end) is not None and self._at >= end:
            if self._at > end:
                raise _broken("an element reaches beyond its item", self._at)
            level = self._levels.pop()
            self._out += _mark(_ITEM_END if level.is_item else _SEQUENCE_END, 0)


def _head(tag: int, vr: str, length: int) -> bytes:
    return struct.pack("<HH2sxxI", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def _mark(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def _broken(why: str, at: int) -> Unprocessable:
    return Unprocessable(f"The instance cannot be transcoded: {why}, at byte {at} of the data set.")
