"""How a data element begins: its tag, its VR and where its length is told (PS3.5 section 7.1).

Few different heads make up most of the elements of an archive, so each is worked out once and then
found by its first bytes.
"""

from typing import Literal, NamedTuple

from app.dicom.dataset import Unreadable
from app.dicom.uids import TransferSyntax

Order = Literal["little", "big"]

LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
"""VRs whose length takes 32 bits, after two reserved bytes (PS3.5 7.1.2)."""
SHORT_VRS = frozenset(
    {"AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN"}
    | {"SH", "SL", "SS", "ST", "TM", "UI", "UL", "US"}
)
WORD_BYTES = {
    **dict.fromkeys(("AT", "OW", "SS", "US"), 2),
    **dict.fromkeys(("FL", "OF", "OL", "SL", "UL"), 4),
    **dict.fromkeys(("FD", "OD", "OV", "SV", "UV"), 8),
}
"""Bytes of one word of a VR, which lie in reverse in big endian (PS3.5 7.3); 1 of others."""

UNDEFINED = 0xFFFFFFFF
"""The length of what ends with a delimiter (PS3.5 7.1.3)."""
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
"""Tags of an item and of the delimiters of items and sequences (PS3.5 7.5)."""
LEAST = 8
"""Bytes of the shortest head."""

_VRS = {vr.encode(): vr for vr in LONG_VRS | SHORT_VRS}
_DELIMITERS = 0xFFFE
MISPLACED = frozenset({0x0000, 0x0002, _DELIMITERS})
"""Groups whose elements have no place in a data set."""
_MOST_KNOWN = 20_000


class Head(NamedTuple):
    """What the first bytes of an element say."""

    tag: int
    key: str
    """The tag as the DICOM JSON model has it: 8 upper-case hex digits."""
    member: bytes
    """The key and the colon with which an element begins in JSON."""
    vr: str | None
    """None if the element does not state it."""
    length_at: int
    """Where, from the first byte, its length is told; it fills the bytes up to `size`."""
    size: int
    strange: bool
    """Whether it has a `problem`, or is of a group that has no place in a data set."""
    problem: str
    """What is wrong with it though it can be read."""


class Encoding:
    """One way of writing elements."""

    def __init__(self, order: Order, *, implicit: bool) -> None:
        self.order = order
        self.implicit = implicit
        self._told_by = 4 if implicit else 6
        self._known: dict[bytes, Head] = {}

    def head(self, raw: bytes, at: int) -> Head:
        """The head of the element at `at`, which begins with these bytes, 8 of them at least.

        Raises `Unreadable` if what should be a VR cannot be one.
        """
        key = raw[: self._told_by]
        return self._known.get(key) or self._learn(key, raw, at)

    def tag(self, raw: bytes) -> int:
        """The tag that these bytes begin with."""
        return int.from_bytes(raw[:2], self.order) << 16 | int.from_bytes(raw[2:4], self.order)

    def _learn(self, key: bytes, raw: bytes, at: int) -> Head:
        tag = self.tag(raw)
        if self.implicit or tag >> 16 == _DELIMITERS or not tag:  # zeros may follow a data set
            found = _head(tag, None, 4, 8)
        elif vr := _VRS.get(raw[4:6]):
            length_at, size = (8, 12) if vr in LONG_VRS else (6, 8)
            found = _head(tag, vr, length_at, size)
        else:
            return _of_unknown_vr(tag, raw, at)
        if len(self._known) < _MOST_KNOWN:
            self._known[key] = found
        return found


def _head(tag: int, vr: str | None, length_at: int, size: int, problem: str = "") -> Head:
    key = f"{tag:08X}"
    strange = bool(problem) or tag >> 16 in MISPLACED
    return Head(tag, key, f'"{key}":'.encode(), vr, length_at, size, strange, problem)


def _of_unknown_vr(tag: int, raw: bytes, at: int) -> Head:
    """The VRs that the standard may still get have long lengths, after two reserved bytes."""
    if not states_vr(raw):
        raise Unreadable(f"{raw[4:6]!r} is no VR", tag=f"{tag:08X}", offset=at)
    length_at, size = (6, 8) if raw[6:8].strip(b"\0") else (8, 12)
    return _head(tag, "UN", length_at, size, f"its VR {raw[4:6].decode()} is unknown")


def states_vr(raw: bytes) -> bool:
    """Whether the element that begins with these bytes states what may be a VR."""
    return raw[4:6].isalpha() and raw[4:6].isupper()


EXPLICIT_LITTLE = Encoding("little", implicit=False)
EXPLICIT_BIG = Encoding("big", implicit=False)
IMPLICIT_LITTLE = Encoding("little", implicit=True)


def encoding_of(syntax: TransferSyntax) -> Encoding:
    """The encoding of data sets in a transfer syntax."""
    if syntax.implicit:
        return IMPLICIT_LITTLE
    return EXPLICIT_BIG if syntax.big_endian else EXPLICIT_LITTLE
