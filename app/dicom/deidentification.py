"""A data set of the DICOM JSON model without what tells who it is of (PS3.15 Annex E).

Rules:
- The Basic Application Level Confidentiality Profile says what has to go. More goes here: what is
  not known to be needed to look at an image is not kept, whatever it is called. No free text, no
  date, no time, no private attribute and no overlay is kept, at any depth.
- UIDs become others, the same ones for the same key; those of the standard stay.
- Codes are kept only if they have the form of one, and hold no word that names the patient.
- What cannot be cleaned is not shown: objects that are no images of these classes, images that say
  that names are drawn into them, images of kinds that often have them and do not deny it, and those
  that keep an overlay in bits of their pixels.
"""

import hmac
import re
from collections.abc import Iterator, Mapping
from typing import Any

from pydicom.uid import UID_dictionary

from app.dicom.dictionary import is_private
from app.dicom.jsonvalues import values_of
from app.dicom.uids import TRANSFER_SYNTAXES

KEY_BYTES = 32
PIXEL_DATA = "7FE00010"

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_CLEAN = frozenset(
    _STORAGE + rest
    for rest in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1", "2", "2.1", "2.2"),
        *("4", "4.1", "4.3", "4.4", "12.1", "12.1.1", "12.2", "12.2.1"),
        *("13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5", "20", "128", "128.1", "130", "481.1"),
    )
)
_CLEAN_IF_DENIED = frozenset(
    _STORAGE + rest for rest in ("3.1", "6.1", "7", "7.1", "7.2", "7.3", "7.4", "77.1.6")
)
"""Ultrasound, secondary capture, slides: of these it has to be said that nothing is burned in."""
_SYNTAXES = frozenset(
    uid
    for uid, one in TRANSFER_SYNTAXES.items()
    if not one.big_endian and not one.deflated and not one.video
)
_TELLING_TYPES = ("LABEL", "OVERVIEW", "SCREEN", "OTHER_SCREEN", "SCREEN SAVE", "SCREENSAVE")

_GROUPS = frozenset({"0018", "0020", "0028", "0054", "2050", "5200"})
_OTHERS = frozenset(
    {
        *("00080005", "00080008", "00080016", "00080018", "00080060", "00081140", "00081150"),
        *("00081155", "00081160", "00082112", "00089205", "00089206", "00089207", "00089208"),
        *("00409096", "00409211", "00409212", "00409216", "00409224", "00409225", "30020011"),
        *("3002000D", "3002000E", "30020010", "30020012", "30020022", "30020026"),
    }
)
_NEVER = re.compile(
    r"002031..|002034..|00201070|00280303|0018A00.|002000(?:10|AA)|0018100A|00185011"
)
"""Of the kept groups what tells of whom, when or of which device: the last two are sequences that
the profile removes whole."""
_NUMBERS = frozenset({"AT", "DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"})
_TABLES = frozenset(
    {
        *("00281201", "00281202", "00281203", "00281221", "00281222", "00281223"),
        *("00283006",),
    }
)
"""Lookup tables, the only bytes that are kept."""
_NO_NUMBERS = frozenset({"NaN", "Infinity", "-Infinity"})
_TAG = re.compile(r"[0-9A-F]{8}")
_OVERLAY_BITS = re.compile(r"60..010[02]")
"""Overlay Bits Allocated and Overlay Bit Position."""
_CODE = re.compile(r"[A-Z0-9_ ]{0,16}")
_WORD = re.compile(r"[^\W_]{3,}")
_LONG_WORD = 6
"""Characters of a word that names somebody where it is a part of a longer one, too: there is an Ono
in MONOCHROME2, and a Lin in LINEAR."""
_NEEDED = frozenset(
    {
        *("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422"),
        *("YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT", "LINEAR", "LINEAR_EXACT", "SIGMOID"),
    }
)
"""Codes without which an image is another one, whatever somebody is called."""
_NAMING = frozenset({"00080050", "00200010"})

_EMPTIED = {
    "00080020": "DA",
    "00080030": "TM",
    "00080050": "SH",
    "00080090": "PN",
    "00100010": "PN",
    "00100020": "LO",
    "00100030": "DA",
    "00100040": "CS",
    "00200010": "SH",
}
"""What has to be there, and has no value."""
_SAID: dict[str, Any] = {
    "00120062": {"vr": "CS", "Value": ["YES"]},
    "00120063": {"vr": "LO", "Value": ["Basic Application Confidentiality Profile"]},
    "00120064": {
        "vr": "SQ",
        "Value": [
            {
                "00080100": {"vr": "SH", "Value": ["113100"]},
                "00080102": {"vr": "SH", "Value": ["DCM"]},
                "00080104": {
                    "vr": "LO",
                    "Value": ["Basic Application Confidentiality Profile"],
                },
            }
        ],
    },
    "00280303": {"vr": "CS", "Value": ["REMOVED"]},
}

Json = Mapping[str, Any]


def can_be_cleaned(sop_class_uid: str, transfer_syntax_uid: str, attributes: Json) -> bool:
    """Whether nothing is left that tells of the patient, once `Deidentifier` has been at it."""
    if PIXEL_DATA not in attributes or transfer_syntax_uid not in _SYNTAXES:
        return False
    if sop_class_uid not in _CLEAN | _CLEAN_IF_DENIED:
        return False
    burned_in = [str(one).strip() for one in values_of(attributes, "00280301")]
    if burned_in not in ([], ["NO"]) or values_of(attributes, "00280302") not in ([], ["NO"]):
        return False
    if sop_class_uid in _CLEAN_IF_DENIED and not burned_in:
        return False
    image_type = (str(one).upper() for one in values_of(attributes, "00080008"))
    if any(one.startswith(_TELLING_TYPES) for one in image_type):
        return False
    if any(_OVERLAY_BITS.fullmatch(tag) and _lies_in_pixels(attributes, tag) for tag in attributes):
        return False
    return not any("BulkDataURI" in attributes.get(tag, {}) for tag in _TABLES)


class Deidentifier:
    """Takes out what identifies, with the same UIDs instead of the same UIDs."""

    def __init__(self, key: bytes) -> None:
        """`key`: secret, of `KEY_BYTES`; another one gives other UIDs."""
        self._key = key

    def uid(self, uid: str) -> str:
        """The UID that stands for another one; one of the standard stands for itself."""
        if uid in UID_dictionary:
            return uid
        digest = hmac.digest(self._key, uid.strip().encode(), "sha256")
        return f"2.25.{int.from_bytes(digest[:16], 'big')}"

    def cleaned(self, attributes: Json) -> dict[str, Any]:
        """What is left of a data set, without its pixels."""
        words = frozenset(_naming(attributes))
        kept = self._level(attributes, words)
        emptied = {tag: {"vr": vr} for tag, vr in _EMPTIED.items()}
        return dict(sorted((kept | emptied | _SAID).items()))

    def _level(self, attributes: Json, words: frozenset[str]) -> dict[str, Any]:
        kept = {}
        for tag, element in attributes.items():
            if not _may_be_kept(tag):
                continue
            value = self._element(tag, element, words)
            if value is not None:
                kept[tag] = value
        return kept

    def _element(self, tag: str, element: Json, words: frozenset[str]) -> dict[str, Any] | None:
        vr, values = element.get("vr"), element.get("Value") or []
        if "InlineBinary" in element:
            binary = element["InlineBinary"]
            return {"vr": vr, "InlineBinary": binary} if tag in _TABLES else None
        if not values:
            return None
        if vr == "SQ":
            items = [self._level(item or {}, words) for item in values]
            return {"vr": vr, "Value": items} if any(items) else None
        if vr == "UI":
            return {"vr": vr, "Value": [one and self.uid(str(one)) for one in values]}
        fits = all(_is_code(one, words) if vr == "CS" else _is_number(vr, one) for one in values)
        return {"vr": vr, "Value": list(values)} if fits else None


def _may_be_kept(tag: str) -> bool:
    if not _TAG.fullmatch(tag) or is_private(tag) or _NEVER.fullmatch(tag):
        return False
    return tag[:4] in _GROUPS or tag in _OTHERS


def _is_number(vr: str | None, value: Any) -> bool:
    if value is None:
        return True
    if vr == "AT":
        return isinstance(value, str) and _TAG.fullmatch(value.upper()) is not None
    if vr not in _NUMBERS:
        return False
    return value in _NO_NUMBERS if isinstance(value, str) else isinstance(value, int | float)


def _is_code(value: Any, words: frozenset[str]) -> bool:
    if value is None:
        return True
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        return False
    if value in _NEEDED:
        return True
    found = _WORD.findall(value.replace("_", " "))
    long = [word for word in words if len(word) >= _LONG_WORD]
    return words.isdisjoint(found) and not any(word in value for word in long)


def _naming(attributes: Json) -> Iterator[str]:
    """Words that name the patient, or somebody else, or the study."""
    for tag, element in attributes.items():
        vr, values = element.get("vr"), element.get("Value") or []
        if vr == "SQ":
            for item in values:
                yield from _naming(item or {})
        elif vr == "PN" or tag.startswith("0010") or tag in _NAMING:
            for value in values:
                for text in value.values() if isinstance(value, dict) else (value,):
                    yield from _WORD.findall(str(text).upper())


def _lies_in_pixels(attributes: Json, tag: str) -> bool:
    """Whether an overlay is in bits of the pixels, as it was up to PS3.3-2004 (C.9.3.1.1)."""
    by_itself = 1 if tag.endswith("0100") else 0
    return any(value != by_itself for value in values_of(attributes, tag))
