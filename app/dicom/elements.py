"""Data elements rewritten one after another in Explicit VR Little Endian (PS3.5 Annex A).

    elements = Elements(syntax, changes)
    for piece in pieces_of_the_data_set:
        send elements.feed(piece)
    send elements.finish()

Input may be cut anywhere and no more of it is held than one element's header and a piece. Elements
of the data set itself, not those in sequences, can be replaced, left out and added on the way.

What `app.dicom.walker` lets through against the standard is read here as it is there.
"""

import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from app.dicom import values
from app.dicom.encoding import (
    ITEM,
    ITEM_END,
    LEAST,
    LONG_VRS,
    SEQUENCE_END,
    SHORT_VRS,
    UNDEFINED,
    WORD_BYTES,
    states_vr,
)
from app.dicom.uids import TransferSyntax
from app.errors import Unprocessable

Changes = Mapping[int, bytes | None]
"""Elements by their tags, in ascending order, as they are to be written; None leaves one out."""

_BEYOND = 1 << 32
_ITEM_TAG = b"\xfe\xff\x00\xe0"
_PIXELS = {0x7FE00008, 0x7FE00009, 0x7FE00010}
_IN_FRAGMENTS = values.OPAQUE - {"UN"}
_BITS_ALLOCATED, _PIXEL_REPRESENTATION, PIXEL_DATA = 0x00280100, 0x00280103, 0x7FE00010


@dataclass(slots=True)
class Level:
    """The data set, a sequence or an item that is being read."""

    end: int | None
    """Where it ends; None if a delimiter ends it."""
    is_item: bool
    implicit: bool
    big_endian: bool
    is_fragments: bool = False
    """Whether it is compressed pixel data, as an icon has it."""
    signed: bool = False
    bits_allocated: int = 16

    def learn(self, tag: int, value: int) -> None:
        """Keep a value by which later elements are read, here and further in."""
        if tag == _BITS_ALLOCATED:
            self.bits_allocated = value
        else:
            self.signed = value == 1

    def vr_of(self, tag: int, length: int, begin: bytes) -> str:
        """The VR of an element that does not state it and whose value begins so."""
        if length == UNDEFINED:
            return "OB" if tag in _PIXELS else "SQ"
        vr = values.vr_of(tag, signed=self.signed)
        return "UN" if vr == "SQ" and length and begin[:4] != _ITEM_TAG else vr

    def word(self, tag: int, vr: str) -> int:
        """How many bytes of a value are turned around together."""
        if not self.big_endian:
            return 1
        if tag == PIXEL_DATA and vr == "OW" and self.bits_allocated in (32, 64):
            return self.bits_allocated // 8
        return WORD_BYTES.get(vr, 1)


class Elements:
    """The elements of a data set: `feed` takes their bytes and gives those of the new encoding."""

    def __init__(self, syntax: TransferSyntax, changes: Changes | None = None) -> None:
        """`changes`: to the elements of the data set itself."""
        self._changes = dict(sorted((changes or {}).items()))
        """Those that are still to come."""
        self._data = b""
        self._index = 0
        self._at = 0
        self._left = 0
        """Bytes of the current value that are still to come."""
        self._word = 1
        """How many bytes of it are turned around together; 0 if they are left out."""
        self._out = bytearray()
        self._levels = [Level(None, True, syntax.implicit, syntax.big_endian)]

    def feed(self, data: bytes) -> bytes:
        """The new encoding of as much as is there."""
        self._data = self._data[self._index :] + data
        self._index = 0
        self._out = bytearray()
        while self._value() if self._left else self._header():
            if not self._left:
                self._close_levels()
        return bytes(self._out)

    def pause(self, before: int) -> bytes:
        """What is to be added before the element `before`, which is not fed.

        Raises `Unprocessable` if elements, sequences or items have not come to their end.
        """
        if self._left or self._index < len(self._data) or len(self._levels) > 1:
            raise _broken("its data set is cut off", self._at)
        self._out = bytearray()
        self._add(before)
        return bytes(self._out)

    def finish(self) -> bytes:
        """What is to be added at the end. Raises as `pause` does."""
        if not self._left and not self._data[self._index :].strip(b"\0"):
            self._index = len(self._data)
        return self.pause(_BEYOND)

    def _add(self, before: int) -> None:
        """Add the changed elements that are not there and come before the one that is."""
        while self._changes and (tag := next(iter(self._changes))) < before:
            self._out += self._changes.pop(tag) or b""

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
        if len(raw) < LEAST:
            return False
        if not self._at and order == "little":
            level.implicit = not states_vr(raw)
        tag = int.from_bytes(raw[:2], order) << 16 | int.from_bytes(raw[2:4], order)
        if tag >> 16 == 0xFFFE:
            self._take(8)
            self._delimiter(level, tag, int.from_bytes(raw[4:8], order))
            return True
        vr, size, length_at = "", LEAST, 4
        if tag and not level.implicit:
            vr, size, length_at = _stated(raw)
        length = int.from_bytes(raw[length_at:size], order)
        decides = tag in (_BITS_ALLOCATED, _PIXEL_REPRESENTATION) and length == 2
        begin = 2 if decides else 0
        if not vr and length != UNDEFINED:
            begin = min(length, 4)
        if len(raw) < size + begin:
            return False
        if decides:
            level.learn(tag, int.from_bytes(raw[size : size + 2], order))
        self._take(size)
        self._element(level, tag, vr or level.vr_of(tag, length, raw[size:]), length)
        return True

    def _element(self, level: Level, tag: int, vr: str, length: int) -> None:
        if not level.is_item:
            raise _broken("an item was expected", self._at)
        replaced = False
        if len(self._levels) == 1:
            self._add(tag)
            if tag in self._changes:
                replaced = True
                self._out += self._changes.pop(tag) or b""
        if (vr == "SQ" or length == UNDEFINED) and not replaced:
            self._sequence(level, tag, vr, length)
            return
        if length == UNDEFINED:
            raise _broken("a value of a number has no length", self._at)
        self._left = length
        self._word = level.word(tag, vr)
        if replaced or not tag & 0xFFFF:
            self._word = 0
            return
        if vr in LONG_VRS:
            self._out += _head(tag, vr, length)
        elif length > 0xFFFF:
            self._out += _head(tag, "UN", length)
        else:
            self._out += struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), length)

    def _sequence(self, level: Level, tag: int, vr: str, length: int) -> None:
        """One of VR UN and undefined length is in Implicit VR Little Endian (PS3.5 6.2.2)."""
        if vr in _IN_FRAGMENTS:
            self._out += _head(tag, vr, UNDEFINED)
            self._levels.append(
                replace(level, end=None, is_item=False, is_fragments=True, big_endian=False)
            )
            return
        if vr not in ("SQ", "UN"):
            raise _broken(f"an undefined length needs a sequence, not {vr}", self._at)
        self._out += _head(tag, "SQ", UNDEFINED if length else 0)
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

    def _delimiter(self, level: Level, tag: int, length: int) -> None:
        if tag == ITEM and level.is_fragments:
            self._out += _mark(ITEM, length)
            self._left, self._word = length, 1
        elif tag == ITEM and not level.is_item:
            self._out += _mark(ITEM, UNDEFINED if length else 0)
            if length:
                self._levels.append(replace(level, end=self._end(length), is_item=True))
        elif (
            tag == (ITEM_END if level.is_item else SEQUENCE_END)
            and level.end is None
            and len(self._levels) > 1
        ):
            self._levels.pop()
            self._out += _mark(tag, 0)
        else:
            raise _broken("a delimiter has no place here", self._at)

    def _end(self, length: int) -> int | None:
        return None if length == UNDEFINED else self._at + length

    def _close_levels(self) -> None:
        """End the sequences and items of defined length that end here."""
        while (end := self._levels[-1].end) is not None and self._at >= end:
            if self._at > end:
                raise _broken("an element reaches beyond its item", self._at)
            level = self._levels.pop()
            self._out += _mark(ITEM_END if level.is_item else SEQUENCE_END, 0)


def _stated(raw: bytes) -> tuple[str, int, int]:
    """The VR that a head states, how long the head is, and where in it the length begins."""
    vr = raw[4:6].decode("latin-1")
    if vr in SHORT_VRS:
        return vr, LEAST, 6
    if vr in LONG_VRS or not raw[6:8].strip(b"\0"):
        return vr if vr in LONG_VRS else "UN", 12, 8
    return "UN", LEAST, 6


def _head(tag: int, vr: str, length: int) -> bytes:
    return struct.pack("<HH2sxxI", tag >> 16, tag & 0xFFFF, vr.encode(), length)


def _mark(tag: int, length: int) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def _broken(why: str, at: int) -> Unprocessable:
    return Unprocessable(f"The instance cannot be transcoded: {why}, at byte {at} of the data set.")
