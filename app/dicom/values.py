"""Values of each VR as the DICOM JSON model writes them (PS3.18 F.2.3)."""

import math
import struct
from collections.abc import Callable, Mapping
from typing import Any

from pydicom.charset import convert_encodings, decode_bytes
from pydicom.datadict import DicomDictionary, get_entry, private_dictionary_VR

OPAQUE = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""VRs whose value is sent as InlineBinary or as bulk data, never as numbers."""
BINARY = OPAQUE | {
    "DS",
    "FD",
    "FL",
    "IS",
    "LT",
    "SL",
    "SS",
    "ST",
    "SV",
    "UC",
    "UL",
    "US",
    "UT",
    "UV",
}
"""VRs that BulkDataURI may stand for."""
DEFAULT_CHARSETS = ["iso8859"]

_NUMBERS = {"FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q"}
_WORDS = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}
_PLAIN = frozenset({"AE", "AS", "CS", "DA", "DT", "TM", "UI"})
_SPLIT = frozenset({"LO", "SH", "UC"})
_ESCAPE = b"\x1b"
_DELIMITERS = {0x0A, 0x0C, 0x0D}
_GROUPS = ("Alphabetic", "Ideographic", "Phonetic")

Converted = tuple[list[Any], str | None]


def vr_of(tag: int, *, signed: bool, creator: str | None = None) -> str:
    """The VR of an element that came without one (PS3.5 A.1, PS3.6).

    `signed`: Pixel Representation says that pixel values are, which settles US or SS. `creator`:
    whose a private element is; what is publicly known of it is used.
    """
    if tag >> 16 & 1:
        if 0x10 <= tag & 0xFFFF <= 0xFF:
            return "LO"
        return _private_vr(tag, creator) if creator else "UN"
    if tag not in DicomDictionary:
        try:
            return str(get_entry(tag)[0]).split(" ", maxsplit=1)[0]
        except KeyError:
            return "UN"
    vr: str = DicomDictionary[tag][0]
    if " or " not in vr:
        return vr
    if vr == "US or SS":
        return "SS" if signed else "US"
    return "OW" if "OW" in vr else vr.split(" ", maxsplit=1)[0]


def _private_vr(tag: int, creator: str) -> str:
    try:
        return str(private_dictionary_VR(tag, creator)).split(" ", maxsplit=1)[0]
    except KeyError:
        return "UN"


def creator_of(tag: int, attributes: Mapping[str, Any]) -> str | None:
    """Who made a private element, by the data set that it stands in (PS3.5 7.8.1)."""
    element = attributes.get(f"{tag >> 16:04X}00{tag >> 8 & 0xFF:02X}", {})
    return next(iter(element.get("Value", ())), None) if tag >> 16 & 1 else None


def charsets_of(element: Mapping[str, Any]) -> list[str]:
    """Python's names of the character sets in Specific Character Set (0008,0005)."""
    terms = [term or "" for term in element.get("Value") or [""]]
    try:
        return list(convert_encodings(terms))
    # Warnings are for those who have turned them into errors.
    except (LookupError, ValueError, UserWarning):
        return DEFAULT_CHARSETS


def little_endian(raw: bytes, vr: str) -> bytes:
    """The bytes of a big-endian value with each word turned around."""
    size = _WORDS.get(vr, 1)
    if size == 1 or len(raw) % size:
        return raw
    return b"".join(raw[i : i + size][::-1] for i in range(0, len(raw), size))


def convert(vr: str, raw: bytes, order: str, charsets: list[str]) -> Converted:
    """The values, and what is wrong with them if anything is."""
    if vr in _NUMBERS:
        return _numbers(vr, raw, order)
    if vr == "AT":
        return _tags(raw, order)
    text, problem = _decode(raw, charsets if vr not in _PLAIN else DEFAULT_CHARSETS)
    if vr in {"DS", "IS"}:
        return _decimal(text, int if vr == "IS" else float, problem)
    if vr == "PN":
        return [_person_name(name) for name in text.split("\\")], problem
    if vr in _PLAIN or vr in _SPLIT:
        parts = [part.strip(" \0") or None for part in text.split("\\")]
        return ([] if parts == [None] else parts), problem
    text = text.rstrip(" \0")
    return ([text] if text else []), problem


def _decode(raw: bytes, charsets: list[str]) -> tuple[str, str | None]:
    extended = _ESCAPE in raw and (len(charsets) > 1 or charsets[0].startswith("iso2022"))
    if raw.isascii() and not extended:
        return raw.decode("ascii"), None
    try:
        if extended:
            return decode_bytes(raw, charsets, _DELIMITERS), None
        return raw.decode(charsets[0]), None
    # Of unknown escape sequences pydicom warns, and some have turned warnings into errors.
    except (LookupError, ValueError, UserWarning):
        return raw.decode(charsets[0], "replace"), "not in its character set"


def _numbers(vr: str, raw: bytes, order: str) -> Converted:
    code = _NUMBERS[vr]
    size = struct.calcsize("=" + code)
    count, rest = divmod(len(raw), size)
    sign = ">" if order == "big" else "<"
    found: list[Any] = list(struct.unpack(f"{sign}{count}{code}", raw[: count * size]))
    if code in "df":
        found = [_finite(number) for number in found]
    return found, (f"{len(raw)} bytes are no whole number of values" if rest else None)


def _finite(number: float) -> float | str:
    """JSON has no NaN and no infinity: they are written as strings."""
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _tags(raw: bytes, order: str) -> Converted:
    sign = ">" if order == "big" else "<"
    words = struct.unpack(f"{sign}{len(raw) // 4 * 2}H", raw[: len(raw) // 4 * 4])
    pairs = zip(words[::2], words[1::2], strict=True)
    return [f"{group:04X}{element:04X}" for group, element in pairs], None


def _decimal(text: str, parse: Callable[[str], float], problem: str | None) -> Converted:
    found: list[Any] = []
    for part in text.split("\\"):
        bare = part.strip(" \0")
        try:
            number = parse(bare) if bare else None
        except ValueError:
            found.append(bare)
            problem = "not a number"
            continue
        found.append(bare if number is not None and not math.isfinite(number) else number)
    return ([] if found == [None] else found), problem


def _person_name(name: str) -> dict[str, str] | None:
    groups = name.rstrip(" \0").split("=", maxsplit=2)
    named = {key: group.rstrip(" ") for key, group in zip(_GROUPS, groups, strict=False) if group}
    return named or None
