"""Bad inputs in the other form: data sets as JSON and XML, wrong where files are wrong."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from app.dicom import nativexml
from tests.elements import CT_IMAGE_STORAGE, fresh_uid
from tests.integration.inputs.row import (
    CANNOT_UNDERSTAND,
    CONTRADICTS,
    EMPTY,
    INVALID,
    MISSING,
    TOO_MUCH,
    Kept,
    Refused,
)

Element = dict[str, Any]
IDENTITY = {
    "00080016": "SOP Class",
    "00080018": "SOP Instance",
    "0020000D": "Study Instance",
    "0020000E": "Series Instance",
}
MEDIA_TYPES = {"JSON": "application/dicom+json", "XML": "application/dicom+xml"}


@dataclass(frozen=True, slots=True)
class BadMetadata:
    """A data set by its number in the list, as JSON or XML."""

    number: int
    what: str
    form: str
    text: bytes
    answer: Refused | Kept


def of(vr: str, *values: Any) -> Element:
    """An element of these values."""
    return {"vr": vr, "Value": list(values)}


def data_set(changes: dict[str, Element | None]) -> dict[str, Element]:
    """A small object; what is None is left out."""
    elements: dict[str, Element | None] = {
        "00080016": of("UI", CT_IMAGE_STORAGE),
        "00080018": of("UI", fresh_uid()),
        "00100020": of("LO", "PID-1"),
        "0020000D": of("UI", fresh_uid()),
        "0020000E": of("UI", fresh_uid()),
    }
    return {tag: element for tag, element in (elements | changes).items() if element is not None}


def nested(depth: int) -> Element:
    """A sequence in a sequence in a sequence, so many."""
    element = of("SQ", {})
    for _ in range(depth - 1):
        element = of("SQ", {"00081140": element})
    return element


def _wrong() -> Iterator[tuple[int, str, dict[str, Element | None], Refused | Kept]]:
    kept, warned = Kept(warned=False), Kept(warned=True)
    cannot, invalid = Refused(CANNOT_UNDERSTAND), Refused(INVALID)
    yield 14, "64 levels", {"00081140": nested(64)}, kept
    yield 14, "65 levels", {"00081140": nested(65)}, cannot
    yield 19, "a command element", {"00000002": of("UI", "1.2")}, invalid
    in_item = of("SQ", {"00020010": of("UI", "1.2.840.10008.1.2")})
    yield 19, "File Meta in an item", {"00081140": in_item}, invalid
    for tag, name in IDENTITY.items():
        yield 22, f"no {name} UID", {tag: None}, Refused(MISSING)
        yield 22, f"empty {name} UID", {tag: of("UI")}, Refused(EMPTY)
        yield 23, f"{name} UID: a path", {tag: of("UI", "../../x")}, invalid
        yield 23, f"{name} UID: two values", {tag: of("UI", "1.2", "1.3")}, invalid
    yield 26, "VR 'ZZ'", {"00091001": of("ZZ", "x")}, invalid
    yield 27, "Rows of -1", {"00280010": of("US", -1)}, invalid
    yield 27, "Rows as UL", {"00280010": of("UL", 2**32 - 1)}, warned
    yield 39, "a text of 4 MiB", {"0040A160": of("UT", "x" * 4 * 1024 * 1024)}, Refused(TOO_MUCH)
    yield 40, "control characters", {"00081030": of("LO", "\t\r\n")}, warned
    yield 41, "a script", {"00081030": of("LO", "<script>alert(1)</script>]]>")}, kept
    yield 44, "an item's tag", {"FFFEE000": of("UN")}, invalid
    yield 45, "a date that is none", {"00080020": of("DA", "99999999")}, warned
    yield 45, "IS of 1e400", {"00200013": of("IS", "1e400")}, warned


def rows() -> Iterator[BadMetadata]:
    """All of them, in both forms."""
    for number, what, changes, answer in _wrong():
        wrong = data_set(changes)
        yield BadMetadata(number, what, "JSON", orjson.dumps([wrong]), answer)
        yield BadMetadata(number, what, "XML", nativexml.dumps(wrong), answer)
    for count, answer in (260_000, Refused(CANNOT_UNDERSTAND)), (1_000_000, Refused(TOO_MUCH)):
        items = orjson.dumps([data_set({"00081140": of("SQ", *[{}] * count)})])
        yield BadMetadata(38, f"{count:,} empty items", "JSON", items, answer)
    good = data_set({})
    end = b"}]"
    json = orjson.dumps([good]).removesuffix(end) + b',"00100020":{"vr":"LO"}' + end
    yield BadMetadata(17, "an element twice", "JSON", json, Refused(CONTRADICTS))
    end = b"</NativeDicomModel>"
    xml = (
        nativexml.dumps(good).removesuffix(end) + b'<DicomAttribute tag="00100020" vr="LO"/>' + end
    )
    yield BadMetadata(17, "an element twice", "XML", xml, Refused(CONTRADICTS))
    left_out = "".join(f'<Value number="{number * 1000}"/>' for number in range(1, 100_000))
    values = f'<DicomAttribute tag="00081030" vr="LO">{left_out}</DicomAttribute>'
    xml = nativexml.dumps(good).removesuffix(end) + values.encode() + end
    yield BadMetadata(39, "99,900,001 values left out", "XML", xml, Refused(CANNOT_UNDERSTAND))
