"""`Directory`: the DICOMDIR of a file-set that holds one study (PS3.10 8.6, PS3.3 Annex F).

    directory = Directory(file, uid)                into a file that is empty
    directory.add(attributes, file_id, syntax)      each instance, those of a series together;
                                                    of its attributes those that are `WANTED`
    directory.finish()

Rules:
- Records lie in the order of the tree, as readers expect that do not follow the links. They are
  written as they come; where a sibling follows, its place is put into the one before it.
- A record has the keys that its type must have. What the instance does not say, or what its VR does
  not allow, is empty there, but for numbers of series and instances: they are counted then.
- An instance for which there is no record type is in the file-set without a record.
"""

import struct
from collections.abc import Mapping
from itertools import chain
from typing import IO, Any

from app.dicom.dataset import Attributes, Unreadable
from app.dicom.encoder import encode, header, marker
from app.dicom.encoding import ITEM, SEQUENCE_END, UNDEFINED
from app.dicom.jsonvalues import first_of, items_of
from app.dicom.part10 import file_head
from app.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from app.dicom.values import vr_of

DIRECTORY_CLASS = "1.2.840.10008.1.3.10"
"""Media Storage Directory Storage."""

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_DATE, _TIME, _NUMBER, _SERIES_NUMBER = "00080023", "00080033", "00200013", "00200011"
_CONCEPT, _CONTENT = "0040A043", "0040A730"
_LABEL = ("00700080", "00700081", "00700084")

_KEYS: dict[str, tuple[str, ...]] = {
    "PATIENT": ("00100010", "00100020"),
    "STUDY": ("00080020", "00080030", "00080050", "00081030", "0020000D", "00200010"),
    "SERIES": ("00080060", "0020000E", _SERIES_NUMBER),
    "IMAGE": (_NUMBER,),
    "RT DOSE": (_NUMBER, "3004000A"),
    "RT STRUCTURE SET": (_NUMBER, "30060002", "30060008", "30060009"),
    "RT PLAN": (_NUMBER, "300A0002", "300A0006", "300A0007"),
    "RT TREAT RECORD": (_NUMBER, "30080250", "30080251"),
    "PRESENTATION": (_NUMBER, "00081115", "00700082", "00700083", *_LABEL),
    "WAVEFORM": (_NUMBER, _DATE, _TIME),
    "SR DOCUMENT": (_NUMBER, _DATE, _TIME, "0040A030", _CONCEPT, "0040A491", "0040A493", _CONTENT),
    "KEY OBJECT DOC": (_NUMBER, _DATE, _TIME, _CONCEPT, _CONTENT),
    "SPECTROSCOPY": (
        *("00080008", _NUMBER, _DATE, _TIME, "00089154"),
        *("00280008", "00280010", "00280011", "00289001", "00289002"),
    ),
    "RAW DATA": (_NUMBER, _DATE, _TIME),
    "REGISTRATION": (_NUMBER, _DATE, _TIME, *_LABEL),
    "FIDUCIAL": (_NUMBER, _DATE, _TIME, *_LABEL),
    "ENCAP DOC": (_NUMBER, _DATE, _TIME, _CONCEPT, "00420010", "00420012"),
    "VALUE MAP": (_NUMBER, _DATE, _TIME, *_LABEL),
    "STEREOMETRIC": (),
    "MEASUREMENT": (_NUMBER, _DATE, _TIME, *_LABEL),
    "SURFACE": (_NUMBER, _DATE, _TIME, *_LABEL),
    "SURFACE SCAN": (_DATE, _TIME),
    "TRACT": (_NUMBER, _DATE, _TIME, *_LABEL),
    "ASSESSMENT": (_NUMBER, "00080012", "00080013"),
    "RADIOTHERAPY": (_NUMBER, "00700081", "00700084", "30100033"),
}
"""The keys of Type 1 and 2 of each record type, and those of Type 1C that tell what it is."""
_PIXELS = ("7FE00008", "7FE00009", "7FE00010")
WANTED = frozenset(chain(("00080016", "00080018"), _PIXELS, *_KEYS.values()))
"""All that is looked at of an instance."""

_TYPES = {
    "4.2": "SPECTROSCOPY",
    "9": "WAVEFORM",
    "11": "PRESENTATION",
    "66.1": "REGISTRATION",
    "66.2": "FIDUCIAL",
    "66.3": "REGISTRATION",
    "66.4": "IMAGE",
    "66.5": "SURFACE",
    "66.6": "TRACT",
    "66": "RAW DATA",
    "67": "VALUE MAP",
    "68": "SURFACE SCAN",
    "77.1.5.3": "STEREOMETRIC",
    **dict.fromkeys(("78.1", "78.2", "78.3", "78.4", "78.5", "78.7", "80.1"), "MEASUREMENT"),
    "78.6": "SR DOCUMENT",
    "79.1": "SR DOCUMENT",
    "88.59": "KEY OBJECT DOC",
    "88": "SR DOCUMENT",
    "90.1": "ASSESSMENT",
    "104": "ENCAP DOC",
    "131": "PRESENTATION",
    "481.2": "RT DOSE",
    "481.3": "RT STRUCTURE SET",
    "481.4": "RT TREAT RECORD",
    "481.5": "RT PLAN",
    "481.6": "RT TREAT RECORD",
    "481.7": "RT TREAT RECORD",
    "481.8": "RT PLAN",
    "481.9": "RT TREAT RECORD",
    **{f"481.{kind}": "RADIOTHERAPY" for kind in (*range(10, 23), 25)},
}
"""Record types by SOP Class, or by where those of a kind begin; the first that fits counts."""

_NEXT_AT = 16
"""Where the place of the next record stands in an item: after its head and that of the element."""
_IN_USE = 0xFFFF


def record_type(attributes: Attributes) -> str | None:
    """The type of the record of an instance; None if there is none for its SOP Class."""
    sop_class = f"{_first(attributes, '00080016')}."
    for kind, name in _TYPES.items():
        if sop_class.startswith(f"{_STORAGE}{kind}."):
            return name
    return "IMAGE" if any(tag in attributes for tag in _PIXELS) else None


class Directory:
    """A DICOMDIR that is being written into a binary file, from its beginning."""

    def __init__(self, file: IO[bytes], uid: str) -> None:
        """`uid`: of this DICOMDIR."""
        self._file = file
        self._uid = uid
        self._last: dict[str, int] = {}
        """Where the record lies that was the last one at its level."""
        self._series_uid: str | None = None
        self._numbers = {_SERIES_NUMBER: 0, _NUMBER: 0}
        file.write(self._head(0))

    def add(self, attributes: Attributes, file_id: str, transfer_syntax_uid: str) -> None:
        """Note an instance, given in the DICOM JSON model.

        `file_id`: its path in the file-set, of at most eight components of eight characters each.
        """
        kind = record_type(attributes)
        if kind is None:
            return
        if not self._last:
            self._record("patient", "PATIENT", attributes, has_lower=True)
            self._record("study", "STUDY", attributes, has_lower=True)
        series_uid = _first(attributes, "0020000E")
        if series_uid != self._series_uid:
            self._series_uid = series_uid
            self._last.pop("instance", None)
            self._numbers[_NUMBER] = 0
            self._numbers[_SERIES_NUMBER] += 1
            self._record("series", "SERIES", attributes, has_lower=True)
        self._numbers[_NUMBER] += 1
        reference: Attributes = {
            "00041500": _element("CS", *file_id.split("/")),
            "00041510": _element("UI", _first(attributes, "00080016")),
            "00041511": _element("UI", _first(attributes, "00080018")),
            "00041512": _element("UI", transfer_syntax_uid),
        }
        self._record("instance", kind, attributes, reference)

    def finish(self) -> None:
        """Write what comes after the last record."""
        self._file.write(marker(SEQUENCE_END, 0))
        if self._last:
            self._file.seek(0)
            self._file.write(self._head(self._last["patient"]))

    def _head(self, root: int) -> bytes:
        """All that comes before the first record, which lies at `root`; of the same length always.

        The only patient is the first and the last record of the root.
        """
        elements: Attributes = {
            "00041130": _element("CS"),
            "00041200": _element("UL", root),
            "00041202": _element("UL", root),
            "00041212": _element("US", 0),
        }
        head = file_head(EXPLICIT_VR_LITTLE_ENDIAN, DIRECTORY_CLASS, self._uid)
        return b"".join([head, _encoded(elements), *header(0x00041220, "SQ", UNDEFINED)])

    def _record(
        self,
        level: str,
        kind: str,
        attributes: Attributes,
        reference: Mapping[str, Any] | None = None,
        *,
        has_lower: bool = False,
    ) -> None:
        """Write a record. `has_lower`: the record that follows is the first one below it."""
        at = self._file.tell()
        if level in self._last:
            self._file.seek(self._last[level] + _NEXT_AT)
            self._file.write(struct.pack("<I", at))
            self._file.seek(at)
        self._last[level] = at
        elements: Attributes = {
            "00041400": _element("UL", 0),
            "00041410": _element("US", _IN_USE),
            "00041420": _element("UL", 0),
            "00041430": _element("CS", kind),
            **(reference or {}),
            **{tag: self._key(tag, attributes) for tag in _KEYS[kind]},
        }
        length = len(_encoded(elements))
        if has_lower:
            # As long as the number that it takes the place of.
            elements["00041420"] = _element("UL", at + len(marker(ITEM, length)) + length)
        self._file.write(marker(ITEM, length) + _encoded(elements))

    def _key(self, tag: str, attributes: Attributes) -> Any:
        element = attributes.get(tag, {})
        if tag == _CONTENT:
            element = _modifiers(attributes)
        if not element.get("Value") and tag in self._numbers:
            return _element("IS", self._numbers[tag])
        vr = element.get("vr") or vr_of(int(tag, 16), signed=False)
        try:
            _encoded({tag: element | {"vr": vr}})
        except Unreadable:
            return _element(vr)
        return element | {"vr": vr}


def _modifiers(report: Attributes) -> dict[str, Any]:
    """Of the content of a report what modifies its title (PS3.3 F.5.25)."""
    items = items_of(report, _CONTENT)
    return _element(
        "SQ", *(item for item in items if first_of(item, "0040A010") == "HAS CONCEPT MOD")
    )


def _element(vr: str, *values: Any) -> dict[str, Any]:
    return {"vr": vr, "Value": list(values)} if values else {"vr": vr}


def _encoded(attributes: Attributes) -> bytes:
    pieces = encode(attributes, lambda _: None)
    return b"".join(piece for piece in pieces if isinstance(piece, bytes))


def _first(attributes: Attributes, tag: str) -> str:
    return str(first_of(attributes, tag) or "")
