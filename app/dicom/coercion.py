"""Attributes that an archive sets in what it is given, and says so (PS3.3 C.12.1.1.9).

    changes = wanted(source, start, encoding, dataset, coercions)
    for piece in coerced(source, start, encoding, changes, note): it is written

Rules:
- Only what is asked for is changed, and only where it is absent, empty or cannot be understood;
  every other byte stays as it came. Group lengths follow.
- What was there before goes into an item of Original Attributes Sequence (0400,0561), which is
  added to those that are there. With it goes the SHA-256 of the file as it came, for who wants to
  prove it; whether the same file has come before, the index knows by itself.
- Nothing of a data set that is out of order, deflated or against its transfer syntax is changed,
  nor of one whose Original Attributes Sequence has another VR, or that has more problems than are
  told: it may be any of these.
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from pydicom.charset import python_encoding

from app.dicom import jsonmodel
from app.dicom.dataset import Attributes, DataSet, WalkLimits
from app.dicom.encoder import Piece
from app.dicom.encoding import LEAST, LONG_VRS, Encoding
from app.dicom.places import Place, places_up_to
from app.dicom.source import Source
from app.dicom.values import NOT_IN_CHARACTER_SET
from app.dicom.walker import MOST_PROBLEMS, OUT_OF_ORDER
from app.span import Span

SYSTEM = "HILUM"
"""Modifying System (0400,0563), and the private creator of the hash."""
CHARACTER_SET, ISSUER = 0x00080005, 0x00100021
ORIGINAL_ATTRIBUTES = 0x04000561
_HASH = 0x04011000
_PATIENT_ID, _TRANSFER_SYNTAX = "00100020", "00020010"
_ADDED_ELEMENTS, _ADDED_NESTING, _ADDED_BYTES = 16, 2, 4096
"""At most, by all coercions: elements at all levels, sequences in sequences, JSON of them."""
_GROUP_LENGTH = 4
"""Bytes of the value of a group length."""


@dataclass(frozen=True, slots=True)
class Coercions:
    """What is set, each if it is given."""

    issuer_of_patient_id: str | None = None
    """Issuer of Patient ID, where a Patient ID comes without one."""
    character_set: str | None = None
    """Specific Character Set, where text cannot be understood by what is declared."""


@dataclass(frozen=True, slots=True)
class Change:
    """An attribute, what it becomes, and what it was; None if it was not there."""

    tag: int
    vr: str
    value: str
    before: str | None


def with_room(limits: WalkLimits) -> WalkLimits:
    """The limits for what becomes of an instance that is within these ones."""
    return replace(
        limits,
        header_bytes=2 * limits.header_bytes + _ADDED_BYTES,  # text may take more when understood
        nesting=max(limits.nesting, _ADDED_NESTING),
        elements_per_level=limits.elements_per_level + _ADDED_ELEMENTS,
        elements=limits.elements + _ADDED_ELEMENTS,
        items_per_sequence=limits.items_per_sequence + 1,
    )


def wanted(
    source: Source, start: int, encoding: Encoding, dataset: DataSet, coercions: Coercions
) -> list[Change]:
    """What is to be changed in a data set that was walked; mostly nothing."""
    untold = len(dataset.problems) >= MOST_PROBLEMS
    if untold or any(p.tag == _TRANSFER_SYNTAX or p.why == OUT_OF_ORDER for p in dataset.problems):
        return []
    rules = {
        ISSUER: ("LO", coercions.issuer_of_patient_id, _lacks_issuer),
        CHARACTER_SET: ("CS", coercions.character_set, _lacks_character_set),
    }
    found: list[Change] = []
    for tag, (vr, value, lacks) in sorted(rules.items()):
        if value is None:
            continue
        places, _ = places_up_to(source, start, encoding, tag)
        before = _text(source, places.get(tag))
        if before != value and lacks(dataset, before):
            found.append(Change(tag, vr, value, before))
    return found if found and _can_be_told(source, start, encoding, dataset) else []


def _can_be_told(source: Source, start: int, encoding: Encoding, dataset: DataSet) -> bool:
    """Whether an item of the data set's encoding can be added to Original Attributes Sequence."""
    places, _ = places_up_to(source, start, encoding, ORIGINAL_ATTRIBUTES)
    place = places.get(ORIGINAL_ATTRIBUTES)
    if place is None or place.end == place.value_at:
        return True
    vr = encoding.head(source.read_at(place.at, LEAST), place.at).vr
    # As UN, its items are in implicit VR whatever the rest is in.
    return vr in {None, "SQ"} and dataset.attributes[f"{ORIGINAL_ATTRIBUTES:08X}"]["vr"] == "SQ"


def understood(dataset: DataSet) -> bool:
    """Whether all text of a data set is in the character set that is declared."""
    return not any(problem.why == NOT_IN_CHARACTER_SET for problem in dataset.problems)


def _lacks_issuer(dataset: DataSet, before: str | None) -> bool:
    return not before and bool(dataset.attributes.get(_PATIENT_ID, {}).get("Value"))


def _lacks_character_set(dataset: DataSet, before: str | None) -> bool:
    if not understood(dataset):
        return True
    terms = before.split("\\") if before else [""]
    known = before and all(term.strip() in python_encoding for term in terms)
    return not known and not jsonmodel.dumps(dataset.attributes).isascii()


@dataclass(frozen=True, slots=True)
class Note:
    """What is said of a change: when, and of which file."""

    when: datetime
    sha256: bytes
    """Of the file as it came."""

    def attributes(self, changes: Sequence[Change]) -> Attributes:
        """The item of Original Attributes Sequence, for who is told of it."""
        before: Attributes = {
            f"{c.tag:08X}": {"vr": c.vr} | ({"Value": c.before.split("\\")} if c.before else {})
            for c in changes
        }
        told = [(tag, vr, text) for tag, vr, text in self._texts() if tag <= 0x0400FFFF]
        return {"04000550": {"vr": "SQ", "Value": [before]}} | {
            f"{tag:08X}": {"vr": vr} | ({"Value": [text]} if text else {}) for tag, vr, text in told
        }

    def elements(self, write: "_Writer", originals: bytes) -> bytes:
        """The elements of the item, with those of the attributes that have been changed."""
        modified = write.element(0x04000550, "SQ", write.item(originals))
        return modified + b"".join(
            write.element(tag, vr, _padded(text)) for tag, vr, text in self._texts()
        )

    def _texts(self) -> list[tuple[int, str, str]]:
        return [
            (0x04000562, "DT", self.when.strftime("%Y%m%d%H%M%S%z")),
            (0x04000563, "LO", SYSTEM),
            (0x04000564, "LO", ""),
            (0x04000565, "CS", "COERCE"),
            (0x04010010, "LO", SYSTEM),
            (_HASH, "LO", self.sha256.hex()),
        ]


def coerced(
    source: Source, start: int, encoding: Encoding, changes: Sequence[Change], note: Note
) -> Iterator[Piece]:
    """The changed file in pieces; spans are of `source`."""
    places, behind = places_up_to(source, start, encoding, ORIGINAL_ATTRIBUTES)
    write = _Writer(encoding)
    new: dict[int, list[Piece]] = {
        c.tag: [write.element(c.tag, c.vr, _padded(c.value))] for c in changes
    }
    originals = b"".join(_original(source, places.get(c.tag), c, write) for c in changes)
    item = write.item(note.elements(write, originals))
    new[ORIGINAL_ATTRIBUTES] = list(_appended(places.get(ORIGINAL_ATTRIBUTES), item, write))
    new |= _group_lengths(source, places, new, encoding)
    at = 0
    for tag in sorted(new):
        place = places.get(tag)
        following = min((p.at for p in places.values() if p.tag > tag), default=behind)
        begin, end = (place.at, place.end) if place else (following, following)
        yield Span(at, begin - at)
        yield from new[tag]
        at = end
    yield Span(at, source.size - at)


def _original(source: Source, place: Place | None, change: Change, write: "_Writer") -> bytes:
    if place is None:
        return write.element(change.tag, change.vr, b"")
    return source.read_at(place.at, place.end - place.at)


def _appended(place: Place | None, item: bytes, write: "_Writer") -> Iterator[Piece]:
    """Original Attributes Sequence with one item more."""
    if place is None:
        yield write.element(ORIGINAL_ATTRIBUTES, "SQ", item)
    elif place.open_end:
        yield Span(place.at, place.end - LEAST - place.at)
        yield item
        yield Span(place.end - LEAST, LEAST)
    else:
        items = Span(place.value_at, place.end - place.value_at)
        yield write.head(ORIGINAL_ATTRIBUTES, "SQ", items.length + len(item))
        yield items
        yield item


def _group_lengths(
    source: Source, places: Mapping[int, Place], new: Mapping[int, list[Piece]], encoding: Encoding
) -> dict[int, list[Piece]]:
    """The group lengths that are there, as they are after the changes."""
    grown: dict[int, int] = {}
    for tag, pieces in new.items():
        place = places.get(tag)
        before = place.end - place.at if place else 0
        after = sum(len(p) if isinstance(p, bytes) else p.length for p in pieces)
        grown[tag & 0xFFFF0000] = grown.get(tag & 0xFFFF0000, 0) + after - before
    lengths: dict[int, list[Piece]] = {}
    for tag, more in grown.items():
        place = places.get(tag)
        if place and place.end - place.value_at == _GROUP_LENGTH:
            told = int.from_bytes(source.read_at(place.value_at, _GROUP_LENGTH), encoding.order)
            head = source.read_at(place.at, place.value_at - place.at)
            lengths[tag] = [head + (told + more).to_bytes(_GROUP_LENGTH, encoding.order)]
    return lengths


class _Writer:
    """Writes elements as the data set has them."""

    def __init__(self, encoding: Encoding) -> None:
        self._implicit = encoding.implicit
        self._sign = ">" if encoding.order == "big" else "<"

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        return self.head(tag, vr, len(value)) + value

    def item(self, elements: bytes) -> bytes:
        return self._packed("HHI", 0xFFFE, 0xE000, len(elements)) + elements

    def head(self, tag: int, vr: str, length: int) -> bytes:
        group, element = tag >> 16, tag & 0xFFFF
        if self._implicit:
            return self._packed("HHI", group, element, length)
        if vr in LONG_VRS:
            return self._packed("HH2sHI", group, element, vr.encode(), 0, length)
        return self._packed("HH2sH", group, element, vr.encode(), length)

    def _packed(self, form: str, *values: int | bytes) -> bytes:
        return struct.pack(self._sign + form, *values)


def _text(source: Source, place: Place | None) -> str | None:
    """The value of a short text; None if it is not there."""
    if place is None:
        return None
    raw = source.read_at(place.value_at, min(place.end - place.value_at, 1024))
    return raw.decode("latin-1").strip(" \0")


def _padded(text: str) -> bytes:
    value = text.encode("ascii")
    return value + b" " * (len(value) % 2)
